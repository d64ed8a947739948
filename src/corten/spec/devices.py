"""Device nodes a container gets, and which devices its cgroup lets it use.

Everything is denied except the harmless ones (null, zero, full, random, urandom, tty, console, the pty devices);
`--device` adds a host's node and a rule for it, `--device-cgroup-rule` a rule alone, `--privileged` every node of the
host and no limit.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from typing import Any

from corten.model.container import DeviceMapping
from corten.model.errors import InvalidArgument

__all__ = ["ALLOW_ALL", "DEFAULT_RULES", "every_host_device", "mapped", "rule"]

ALLOW_ALL = {"allow": True, "access": "rwm"}


def allow(kind: str, major: int, minor: int, access: str = "rwm") -> dict[str, Any]:
    return {"allow": True, "type": kind, "major": major, "minor": minor, "access": access}


DEFAULT_RULES: tuple[dict[str, Any], ...] = (
    {"allow": False, "access": "rwm"},
    allow("c", 1, 5),  # zero
    allow("c", 1, 3),  # null
    allow("c", 1, 9),  # urandom
    allow("c", 1, 8),  # random
    allow("c", 1, 7),  # full
    allow("c", 5, 0),  # tty
    allow("c", 5, 1),  # console
    allow("c", 5, 2),  # ptmx
    {"allow": True, "type": "c", "major": 136, "access": "rwm"},  # the ptys
    {"allow": True, "type": "c", "access": "m"},  # making a node is harmless, opening it is what counts
    {"allow": True, "type": "b", "access": "m"},
    {"allow": False, "type": "c", "major": 10, "minor": 229, "access": "rwm"},  # fuse
)


def mapped(mapping: DeviceMapping) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """The node and the cgroup rule of `--device`; for a host directory those of every device below it.

    Raises InvalidArgument with Docker's text when there is no such device.
    """
    source = mapping.path_on_host
    target = mapping.path_in_container or source
    access = mapping.cgroup_permissions or "rwm"
    if not access or set(access) - set("rwm"):
        raise InvalidArgument(f"invalid device mode: {access}")
    try:
        information = os.stat(source)
    except OSError as error:
        raise missing(source, error.strerror) from None
    if stat.S_ISDIR(information.st_mode):
        yield from ((node, access_rule(node, access)) for node in below(source, target))
        return
    found = node_of(information, target)
    if found is None:
        raise missing(source, "not a device node")
    yield found, access_rule(found, access)


def missing(source: str, cause: str | None) -> InvalidArgument:
    return InvalidArgument(
        f'error gathering device information while adding custom device "{source}": {(cause or "").lower()}'
    )


def every_host_device() -> list[dict[str, Any]]:
    """The nodes of the host's /dev that a privileged container sees, without those it has of its own."""
    return [node for node in below("/dev", "/dev") if node["path"] not in OWN]


OWN = {"/dev/console", "/dev/ptmx", "/dev/tty", "/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"}
NOT_COPIED = {"pts", "shm", "fd", "mqueue", ".lxc", ".lxd-mounts", ".udev"}


def below(directory: str, target: str) -> Iterator[dict[str, Any]]:
    """The device nodes in a host directory; what vanishes while we look is passed over, links are not followed."""
    try:
        entries = sorted(os.scandir(directory), key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        inside = f"{target}/{entry.name}"
        if entry.is_dir(follow_symlinks=False):
            if entry.name not in NOT_COPIED:
                yield from below(entry.path, inside)
        elif (node := node_of(entry.stat(follow_symlinks=False), inside)) is not None:
            yield node


def node_of(information: os.stat_result, path: str) -> dict[str, Any] | None:
    if stat.S_ISCHR(information.st_mode):
        kind = "c"
    elif stat.S_ISBLK(information.st_mode):
        kind = "b"
    else:
        return None
    return {
        "path": path,
        "type": kind,
        "major": os.major(information.st_rdev),
        "minor": os.minor(information.st_rdev),
        "fileMode": stat.S_IMODE(information.st_mode),
        "uid": information.st_uid,
        "gid": information.st_gid,
    }


def access_rule(node: dict[str, Any], access: str) -> dict[str, Any]:
    return allow(node["type"], node["major"], node["minor"], access)


def rule(text: str) -> dict[str, Any]:
    """`--device-cgroup-rule`: `c 42:* rmw`, as the kernel's devices.allow is written."""
    words = text.split(" ")
    numbers = words[1].split(":") if len(words) == 3 else []
    valid = (
        len(numbers) == 2
        and words[0] in ("a", "b", "c")
        and all(n == "*" or (n.isascii() and n.isdigit()) for n in numbers)
        and 0 < len(words[2]) <= 3
        and not set(words[2]) - set("rwm")
    )
    if not valid:
        raise InvalidArgument(f"invalid device cgroup rule format: '{text}'")
    entry: dict[str, Any] = {"allow": True, "type": words[0], "access": words[2]}
    for name, number in zip(("major", "minor"), numbers, strict=True):
        if number != "*":
            entry[name] = int(number)
    return entry
