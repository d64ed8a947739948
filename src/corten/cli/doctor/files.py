"""Filesystems: where layers are kept, and how they are put together."""

from __future__ import annotations

import os
import tempfile

from corten.cli.doctor import trial
from corten.cli.doctor.finding import FAIL, NOTE, OK, WARN, Finding, read
from corten.cli.human import size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["look"]

_LITTLE = 2 << 30


def look(data: str) -> Iterator[Finding]:
    """What holds for an engine that keeps its data at `data`."""
    yield from _data(data)
    yield _overlay(data)
    yield _fuse()


def _existing(path: str) -> str:
    """The nearest directory above that is there."""
    while not os.path.isdir(path):
        path = os.path.dirname(path)
    return path


def _data(data: str) -> Iterator[Finding]:
    place = _existing(data)
    if not os.access(place, os.W_OK):
        yield Finding(
            "files", FAIL, f"{place} is not ours to write: nothing can be stored", "name another root with --root DIR"
        )
        return
    room = os.statvfs(place)
    free = room.f_bavail * room.f_frsize
    level = OK if free > _LITTLE else WARN
    mend = "" if level == OK else "make room, or name a larger place with --root DIR"
    yield Finding("files", level, f"{size(free, 3)} free at {place} ({_kind(place)})", mend)


def _kind(path: str) -> str:
    """The type of the filesystem that holds `path`."""
    device = os.stat(path).st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    for line in read("/proc/self/mountinfo").splitlines():
        fields = line.split(" ")
        if fields[2] == number:
            return fields[fields.index("-") + 1]
    return "unknown filesystem"


def _overlay(data: str) -> Finding:
    if "overlay" not in read("/proc/filesystems") and not _module("overlay"):
        mend = "a kernel with CONFIG_OVERLAY_FS; until then layers are copied"
        return Finding("files", WARN, "this kernel has no overlay", mend)
    place = _existing(data)
    if not os.access(place, os.W_OK):
        return Finding("files", NOTE, "overlay was not tried: there is no place of ours to try it at")
    with tempfile.TemporaryDirectory(prefix=".corten-doctor-", dir=place) as scratch:
        failure = trial.try_out(lambda: _mount_overlay(scratch))
    if failure:
        mend = "keep the data on ext4, xfs or tmpfs, not on another overlay; until then layers are copied"
        return Finding("files", WARN, f"overlay cannot be mounted at {place}: {failure}", mend)
    return Finding("files", OK, f"overlay works at {place}")


def _mount_overlay(scratch: str) -> None:
    if os.geteuid():
        trial.unshare(trial.NEW_USER)
    trial.private_mounts()
    for name in ("lower", "upper", "work", "merged"):
        os.mkdir(f"{scratch}/{name}")
    layers = f"lowerdir={scratch}/lower,upperdir={scratch}/upper,workdir={scratch}/work"
    trial.mount("overlay", f"{scratch}/merged", "overlay", 0, layers)
    with open(f"{scratch}/merged/file", "w") as file:
        file.write("x")


def _fuse() -> Finding:
    try:
        os.close(os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC))
    except OSError as error:
        mend = "modprobe fuse; in a container: --device /dev/fuse"
        return Finding(
            "files", NOTE, f"FUSE is out of reach ({error.strerror}): no lazy or fuse-overlayfs snapshots", mend
        )
    return Finding("files", OK, "FUSE is there")


def _module(name: str) -> bool:
    """Whether the kernel could load a module."""
    listing = read(f"/lib/modules/{os.uname().release}/modules.dep")
    return f"/{name}.ko" in listing
