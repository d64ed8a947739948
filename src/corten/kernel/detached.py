"""Mounts that stand nowhere: a handle of a mounted file system that no mount table shows, gone when it is closed.

The engine looks into a stopped container this way (`cp`, `export`, reading its /etc/passwd) without the host noticing.
fsopen(2), fsconfig(2), fsmount(2) and open_tree(2) since Linux 5.2. Overlay takes its lower directories one by one
(`lowerdir+`) only since 6.5; before, one string of at most 256 bytes is too short for deep images, so the mount is
made at a private directory for the moment that it takes to get a handle of it.
"""

import ctypes
import os
import tempfile
from collections.abc import Sequence

from corten.kernel.rooted import libc

__all__ = ["bind", "mount", "move", "overlay", "unmount"]

SYS_MOVE_MOUNT = 429
MOVE_MOUNT_F_EMPTY_PATH = 4
SYS_OPEN_TREE, SYS_FSOPEN, SYS_FSCONFIG, SYS_FSMOUNT = 428, 430, 431, 432
CLOEXEC = 1
OPEN_TREE_CLONE = 1
AT_FDCWD, AT_RECURSIVE = -100, 0x8000
FSCONFIG_SET_FLAG, FSCONFIG_SET_STRING, FSCONFIG_CMD_CREATE = 0, 1, 6
MOUNT_ATTR = {"ro": 0x01, "nosuid": 0x02, "nodev": 0x04, "noexec": 0x08}
MNT_DETACH = 2


def overlay(lowers: Sequence[str], upper: str, work: str, *, readonly: bool = False) -> int:
    """A handle of an overlay; `lowers` stand with the topmost first, as in `lowerdir=`."""
    writable = [] if readonly else [("upperdir", upper), ("workdir", work)]
    stacked = [*([upper] if readonly else []), *lowers]
    try:
        return mount("overlay", "overlay", [*(("lowerdir+", lower) for lower in stacked), *writable])
    except OSError:
        joined = [("lowerdir", ":".join(lower.replace(":", "\\:") for lower in stacked)), *writable]
        return briefly_attached("overlay", ",".join(f"{key}={value}" for key, value in joined))


def mount(kind: str, source: str, options: Sequence[tuple[str, str]], *, attributes: Sequence[str] = ()) -> int:
    """A handle of a new file system with these options; attributes are nosuid, nodev, noexec, ro."""
    context = call(SYS_FSOPEN, kind.encode(), CLOEXEC)
    try:
        call(SYS_FSCONFIG, context, FSCONFIG_SET_STRING, b"source", os.fsencode(source), 0)
        for key, value in options:
            if value:
                call(SYS_FSCONFIG, context, FSCONFIG_SET_STRING, key.encode(), os.fsencode(value), 0)
            else:
                call(SYS_FSCONFIG, context, FSCONFIG_SET_FLAG, key.encode(), None, 0)
        call(SYS_FSCONFIG, context, FSCONFIG_CMD_CREATE, None, None, 0)
        return call(SYS_FSMOUNT, context, CLOEXEC, sum(MOUNT_ATTR[name] for name in attributes))
    finally:
        os.close(context)


def bind(path: str) -> int:
    """A handle of a copy of the mounts at a path of the host."""
    return call(SYS_OPEN_TREE, AT_FDCWD, os.fsencode(path), OPEN_TREE_CLONE | os.O_CLOEXEC | AT_RECURSIVE)


def move(fd: int, target: str) -> None:
    """Attach a detached mount at `target`, a directory of ours, until `unmount`."""
    call(SYS_MOVE_MOUNT, fd, b"", AT_FDCWD, os.fsencode(target), MOVE_MOUNT_F_EMPTY_PATH)


def unmount(target: str) -> None:
    """Take away what is mounted at `target`; who still has a handle of it keeps that."""
    libc.umount2(os.fsencode(target), MNT_DETACH)


def briefly_attached(kind: str, data: str) -> int:
    with tempfile.TemporaryDirectory(prefix="corten-mount-") as place:
        target = os.fsencode(place)
        if libc.mount(kind.encode(), target, kind.encode(), 0, os.fsencode(data)) != 0:
            error = ctypes.get_errno()
            raise OSError(error, os.strerror(error), place)
        try:
            return call(SYS_OPEN_TREE, AT_FDCWD, target, OPEN_TREE_CLONE | os.O_CLOEXEC)
        finally:
            libc.umount2(target, MNT_DETACH)


def call(number: int, *arguments: int | bytes | None) -> int:
    result = libc.syscall(number, *(ctypes.c_long(a) if isinstance(a, int) else a for a in arguments))
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return int(result)
