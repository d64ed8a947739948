"""A handle of a container's file system, for `cp`, `export`, `commit` and for reading its user database.

While it runs, the handle is the container's own root, with its volumes mounted, as its processes see it. Otherwise
its snapshot is mounted nowhere (`kernel.detached`): the upper directory of an overlay must never be in two mounts at
a time, so the container's lock is held as long as the handle is.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from corten.engine.record import Container, MountPoint
from corten.engine.services import Services
from corten.kernel import detached
from corten.model import lowerdir
from corten.model.container import HostConfig
from corten.model.errors import FailedPrecondition, InvalidArgument
from corten.model.mount import Mount

__all__ = ["ANNOTATION", "handle", "mounted_at", "mounts", "of_host", "open_mounts", "opened"]


ANNOTATION = "corten.rootfs"


class HostRoot(NamedTuple):
    """A directory of the host as a container's root; with `overlay` the container writes beside it, not into it."""

    path: str
    overlay: bool


def of_host(host: HostConfig) -> HostRoot | None:
    """What `--rootfs DIR[:O]` asked for; it travels as an annotation."""
    text = (host.annotations or {}).get(ANNOTATION, "")
    if not text:
        return None
    path, overlay = (text[:-2], True) if text.endswith(":O") else (text, False)
    if not os.path.isabs(path) or not os.path.isdir(path):
        raise InvalidArgument(
            f"cannot use {path} as a root file system: it is no directory", hint="give an absolute path"
        )
    return HostRoot(os.path.normpath(path), overlay)


def mounts(services: Services, container: Container) -> list[Mount]:
    """What makes a container's root: its snapshot, or the host's directory with the snapshot's directory over it."""
    own = services.snapshots.mounts(container.id)
    found = of_host(container.record.host)
    if found is None:
        return own
    if not found.overlay:
        return [Mount("bind", found.path, ("rbind", "rw"))]
    upper = str(services.snapshots.changes(container.id).path)
    work = os.path.join(os.path.dirname(upper), "work")
    options = (f"lowerdir={lowerdir.join([found.path])}", f"upperdir={upper}", f"workdir={work}")
    return [Mount("overlay", "overlay", options)]


@contextmanager
def opened(services: Services, container: Container) -> Iterator[int]:
    """The root of a container, running or not, for as long as the block lasts."""
    with container.lock:
        if container.state.status in ("running", "paused") and container.task is not None:
            fd = container.task.root_fd()
        else:
            fd = open_mounts(mounts(services, container))
        try:
            yield fd
        finally:
            os.close(fd)


def open_mounts(found: list[Mount]) -> int:
    """A handle of what a snapshotter's mounts make: one overlay, or one directory."""
    (mount,) = found
    try:
        return handle(mount)
    except OSError as error:
        raise FailedPrecondition(f"cannot mount {mount.type} {mount.source}: {error.strerror}") from error


def handle(mount: Mount) -> int:
    if mount.type == "bind":
        return os.open(mount.source, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    lowers = lowerdir.split(mount.option("lowerdir") or "")
    upper, work = mount.option("upperdir"), mount.option("workdir")
    if upper is None or work is None:
        return detached.overlay(lowers[1:], lowers[0], "", readonly=True)
    return detached.overlay(lowers, upper, work)


def mounted_at(container: Container, path: str) -> MountPoint | None:
    """The innermost mount of a container that holds an absolute, normal path; None when it is in the root itself."""
    best: MountPoint | None = None
    for point in container.record.mounts:
        inside = path == point.destination or path.startswith(point.destination + "/")
        if inside and (best is None or len(point.destination) > len(best.destination)):
            best = point
    return best
