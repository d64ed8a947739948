"""`cp`, `export`: files of a container in and out, as tar, whether it runs or not.

A path is looked at below a handle of the container's root (`rootfs`), every link ending inside it. While a container
does not run its volumes are not mounted, so a path in one of them is followed into the volume itself.
"""

import errno
import os
import posixpath
import stat
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, NamedTuple

from corten.engine import packing, rootfs
from corten.engine.moment import exact
from corten.engine.record import Container, MountPoint
from corten.engine.services import Services, commit, event
from corten.kernel import rooted
from corten.layers import unpacking
from corten.layers.compression import Readable
from corten.model.cancel import Cancel
from corten.model.errors import CortenError, FailedPrecondition, InvalidArgument, NotFound, PermissionDenied
from corten.spec import user

__all__ = ["export", "get", "put", "status"]

# Go's os.FileMode keeps these bits elsewhere than st_mode does (pitfall 6).
GO_TYPES = {
    stat.S_IFDIR: 1 << 31,
    stat.S_IFLNK: 1 << 27,
    stat.S_IFBLK: 1 << 26,
    stat.S_IFCHR: 1 << 26 | 1 << 21,
    stat.S_IFIFO: 1 << 25,
    stat.S_IFSOCK: 1 << 24,
}
GO_BITS = {stat.S_ISUID: 1 << 23, stat.S_ISGID: 1 << 22, stat.S_ISVTX: 1 << 20}


class Place(NamedTuple):
    """A directory entry: the handle of its directory (the caller's to close), its name, its attributes."""

    parent: int
    name: str
    found: os.stat_result


def status(services: Services, reference: str, path: str) -> dict[str, Any]:
    """What `HEAD …/archive` tells of a path; a link is told, not followed."""
    container = services.catalog.find(reference)
    with ExitStack() as stack:
        root, inner = enter(services, container, path, stack)
        place = look(container, root, inner, path)
        stack.callback(os.close, place.parent)
        return described(root, place, path)


def get(
    services: Services, reference: str, path: str, cancel: Cancel | None = None
) -> tuple[dict[str, Any], Iterator[bytes]]:
    """The path's description and its tar, whose top entry is called as the path's last part."""
    container = services.catalog.find(reference)
    with ExitStack() as stack:
        root, inner = enter(services, container, path, stack)
        place = look(container, root, inner, path)
        told = described(root, place, path)
        with container.lock:
            commit(services, container, events=[event(container, "archive-path")])
        # The root stays open, and the container's file system with it, until the stream has been read.
        kept = stack.pop_all()
        return told, closing(packing.pack(place.parent, place.name, told["name"], cancel or Cancel()), kept)


def closing(chunks: Iterator[bytes], kept: ExitStack) -> Iterator[bytes]:
    with kept:
        yield from chunks


def put(
    services: Services,
    reference: str,
    path: str,
    stream: Readable,
    *,
    no_overwrite_dir_non_dir: bool = False,
    copy_uid_gid: bool = False,
    cancel: Cancel | None = None,
) -> None:
    """Unpack a tar into a directory of the container."""
    container = services.catalog.find(reference)
    check_writable(container, path)
    with ExitStack() as stack:
        root, inner = enter(services, container, path, stack)
        target = open_directory(container, root, inner, path)
        stack.callback(os.close, target)
        owner = None
        if copy_uid_gid and container.record.config.user:
            who = user.lookup(root, container.record.config.user)
            owner = (who.uid, who.gid)
        rules = unpacking.Rules(keep_kinds=no_overwrite_dir_non_dir, owner=owner)
        unpacking.unpack(stream, target, rules, cancel or Cancel())
    with container.lock:
        commit(services, container, events=[event(container, "extract-to-dir")])


def export(services: Services, reference: str, cancel: Cancel | None = None) -> Iterator[bytes]:
    """The container's whole file system as a tar, without its volumes."""
    container = services.catalog.find(reference)
    if container.state.status in ("removing", "dead"):
        raise InvalidArgument(f"You cannot export container {container.id} which is being removed")
    with container.lock:
        commit(services, container, events=[event(container, "export")])
    with ExitStack() as stack:
        root = stack.enter_context(rootfs.opened(services, container))
        directory = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=root)
        return closing(packing.pack(directory, ".", "/", cancel or Cancel(), cross=False), stack.pop_all())


def enter(services: Services, container: Container, path: str, stack: ExitStack) -> tuple[int, str]:
    """The root to look in, and the path below it: the container's, or a volume's of one that does not run."""
    absolute = normal(path)
    point = rootfs.mounted_at(container, absolute)
    runs = container.state.status in ("running", "paused")
    if runs or point is None or point.type not in ("volume", "bind"):
        return stack.enter_context(rootfs.opened(services, container)), with_trailing(path, absolute)
    source = outside(services, container, point, path)
    try:
        fd = os.open(source, os.O_PATH | os.O_CLOEXEC)
        stack.callback(os.close, fd)
        if not stat.S_ISDIR(os.fstat(fd).st_mode):
            parent = os.open(os.path.dirname(source), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            stack.callback(os.close, parent)
            return parent, os.path.basename(source)
        if point.subpath:
            # As at a start: the container may have put a link there, and it must not lead out of the volume.
            fd = rooted.open(fd, point.subpath, os.O_PATH)
            stack.callback(os.close, fd)
    except OSError as error:
        raise refused(container, path, error) from error
    return fd, with_trailing(path, absolute.removeprefix(point.destination) or "/")


def outside(services: Services, container: Container, point: MountPoint, path: str) -> str:
    """The host's directory or file that a mount point shows; a file system that only a start mounts has none."""
    if point.type == "bind":
        return point.source
    found = services.volumes.mount_source(point.name)
    if found.type != "bind":
        raise FailedPrecondition(
            f"cannot reach {path} in container {container.id}: its volume {point.name} ({found.type}) is mounted only "
            "while the container runs",
            hint=f"corten start {container.name}",
        )
    return found.source


def normal(path: str) -> str:
    """An absolute path without `.`, `..` and doubled slashes; POSIX, and so normpath, keeps two at the front."""
    return posixpath.normpath("/" + path.lstrip("/"))


def with_trailing(asked: str, clean: str) -> str:
    """`dir/` and `dir/.` mean the directory behind a link, `dir` the link itself."""
    return clean.rstrip("/") + "/" if asked.endswith(("/", "/.")) else clean


def look(container: Container, root: int, inner: str, path: str) -> Place:
    """The entry of a path; NotFound in Docker's words."""
    try:
        if inner.endswith("/"):
            fd = rooted.open(root, inner, os.O_RDONLY | os.O_DIRECTORY)
            return Place(fd, ".", os.fstat(fd))
        parent, name = rooted.open_parent(root, inner)
        try:
            # A readable handle: an O_PATH one cannot be listed.
            readable = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=parent)
        finally:
            os.close(parent)
        try:
            return Place(readable, name, os.stat(name, dir_fd=readable, follow_symlinks=False))
        except OSError:
            os.close(readable)
            raise
    except OSError as error:
        raise refused(container, path, error) from error


def refused(container: Container, path: str, error: OSError) -> CortenError:
    """A path that cannot be walked is the asker's mistake or the container's doing: never a fault of the engine."""
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return missing(container, path)
    return InvalidArgument(f"cannot open {path[:200]} in container {container.id}: {error.strerror}")


def missing(container: Container, path: str) -> NotFound:
    return NotFound(f"Could not find the file {path} in container {container.id}")


def described(root: int, place: Place, path: str) -> dict[str, Any]:
    """Docker's ContainerPathStat."""
    found = place.found
    is_link = stat.S_ISLNK(found.st_mode)
    target = os.readlink(place.name, dir_fd=place.parent) if is_link else ""
    return {
        "name": posixpath.basename(normal(path)) or "/",
        "size": found.st_size,
        "mode": go_mode(found.st_mode),
        "mtime": exact(found.st_mtime_ns),
        "linkTarget": resolved(root, path, target) if is_link else "",
    }


def resolved(root: int, path: str, target: str) -> str:
    """Where a link leads, as a path in the container; the link's own text when it leads nowhere."""
    try:
        fd = rooted.open(root, path, os.O_PATH)
    except OSError:
        return posixpath.normpath(posixpath.join(posixpath.dirname("/" + path.lstrip("/")), target))
    try:
        base = os.readlink(f"/proc/self/fd/{root}").rstrip("/")
        found = os.readlink(f"/proc/self/fd/{fd}")
        return "/" + found.removeprefix(base).lstrip("/")
    finally:
        os.close(fd)


def go_mode(mode: int) -> int:
    """st_mode as Go's os.FileMode."""
    bits = sum(go for bit, go in GO_BITS.items() if mode & bit)
    return GO_TYPES.get(stat.S_IFMT(mode), 0) | bits | (mode & 0o777)


def open_directory(container: Container, root: int, inner: str, path: str) -> int:
    try:
        return rooted.open(root, inner, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        raise missing(container, path) from None
    except NotADirectoryError:
        raise InvalidArgument("extraction point is not a directory") from None
    except OSError as error:
        raise refused(container, path, error) from error


def check_writable(container: Container, path: str) -> None:
    """A read-only root or volume is not written through the back door."""
    point = rootfs.mounted_at(container, normal(path))
    if point is not None:
        if not point.rw:
            raise PermissionDenied("mounted volume is marked read-only")
    elif container.record.host.readonly_rootfs:
        raise PermissionDenied("container rootfs is marked read-only")
