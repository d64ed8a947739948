"""A root file system that is still to be mounted: what a snapshotter would mount, made by the host half of the plan.

It is made as a detached mount, so that it is in no mount table and goes with the container. Overlay's options are
strings of at most 255 bytes (fsconfig(2)); names are therefore relative to the directory that all of them share, and
where the lower ones still do not fit together they are given one by one (`lowerdir+`, since Linux 6.5).
"""

from __future__ import annotations

import posixpath

from corten.model import lowerdir
from corten.plan import flags, ops
from corten.runtime.compiler.draft import Draft

TYPE_CHECKING = False
if TYPE_CHECKING:
    from corten.plan.step import Step

__all__ = ["made"]

ORIGIN = "(rootfs)"
LONGEST = 255
ONE_BY_ONE = (6, 5)
# What mount(8) writes among the options of a bind mount, and the mount itself does already.
BIND_WORDS = frozenset(("bind", "rbind", "rw", "ro"))


def made(draft: Draft) -> None:
    """Leave the slot `root` holding the mounted root file system."""
    if len(draft.options.rootfs) != 1:
        raise draft.refuse("a root file system is made of exactly one mount", ORIGIN)
    mount = draft.options.rootfs[0]
    rows, actor = draft.sources
    if mount.type == "bind":
        why = "a detached clone of the snapshot's directory"
        rows.append(ops.open_tree("", mount.source, 1, slot="root", actor=actor, why=why, origin=ORIGIN))
        return
    if mount.type != "overlay":
        raise draft.refuse(f"a root file system of type {mount.type} is not supported", ORIGIN)
    rows += overlay(draft, mount.options, actor)


def overlay(draft: Draft, options: tuple[str, ...], actor: str) -> list[Step]:
    """The rows for an overlay: go where its directories are, then mount it with short names."""
    given = {key: value for key, _, value in (option.partition("=") for option in options) if key in DIRECTORIES}
    paths = {key: lowerdir.split(value) if key == "lowerdir" else [value] for key, value in given.items()}
    base = posixpath.commonpath([path for group in paths.values() for path in group])
    short = {key: [posixpath.relpath(path, base) for path in group] for key, group in paths.items()}
    values: list[str] = []
    for key, group in short.items():
        values += lower_options(draft, group) if key == "lowerdir" else [key, group[0]]
    others = [option for option in options if option.partition("=")[0] not in DIRECTORIES | BIND_WORDS]
    values += [part for option in others if "=" in option for part in option.split("=", 1)]
    switches = tuple(option for option in others if "=" not in option)
    attributes = flags.MOUNT_ATTR_RDONLY if "ro" in options else 0
    why = "the image's layers below the container's own, in no mount table of the host"
    return [
        ops.open(base, flags.O_PATH | flags.O_DIRECTORY, slot="layers", actor=actor, origin=ORIGIN),
        ops.chdir_to("layers", why="so that names are short enough for fsconfig", origin=ORIGIN),
        ops.new_mount(
            "overlay",
            ("source", "overlay", *values),
            switches,
            attributes,
            slot="root",
            actor=actor,
            why=why,
            origin=ORIGIN,
        ),
    ]


DIRECTORIES = frozenset(("lowerdir", "upperdir", "workdir"))


def lower_options(draft: Draft, lowers: list[str]) -> list[str]:
    joined = lowerdir.join(lowers)
    if len(joined) <= LONGEST:
        return ["lowerdir", joined]
    if draft.host.release >= ONE_BY_ONE:
        return [part for lower in lowers for part in ("lowerdir+", lower)]
    hint = "squash the image, or use a kernel from 6.5 on"
    raise draft.refuse(f"an image of {len(lowers)} layers is too deep for this kernel's fsconfig", ORIGIN, hint)
