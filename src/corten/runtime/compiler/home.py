"""A user's home by the container's passwd file, read from outside: the image is not to be trusted.

Each part of ``etc/passwd`` is opened below the handle of the one before; a symbolic link is read and walked by us, so
that neither an absolute one nor ``..`` leads out of the container's root. What is found must be a plain file.
"""

from __future__ import annotations

import os
import stat

__all__ = ["home"]

_LINKS = 40  # as the kernel
_HANDLE = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC


def home(root: str, uid: int) -> str:
    """The home directory of `uid` in the passwd file below `root`; ``/`` where it has none."""
    try:
        text = _passwd(root)
    except OSError:
        return "/"
    for line in text.splitlines():
        fields = line.split(":")
        if len(fields) > 5 and fields[2] == str(uid) and fields[5]:
            return fields[5]
    return "/"


def _passwd(root: str) -> str:
    handle = _walk(root, ["etc", "passwd"])
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            return ""
        file = os.open(f"/proc/self/fd/{handle}", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(handle)
    try:
        return os.read(file, 1 << 20).decode("utf-8", "replace")
    finally:
        os.close(file)


def _walk(root: str, parts: list[str]) -> int:
    """A handle of the path below `root`; `above` are the directories walked through, the root first."""
    above = [os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)]
    links = 0
    try:
        while parts:
            part = parts.pop(0)
            if part == "..":
                if len(above) > 1:
                    os.close(above.pop())
                continue
            above.append(os.open(part, _HANDLE, dir_fd=above[-1]))
            if not stat.S_ISLNK(os.fstat(above[-1]).st_mode):
                continue
            links += 1
            if links > _LINKS:
                raise OSError(40, "too many symbolic links")
            target = os.readlink("", dir_fd=above[-1])
            os.close(above.pop())
            if target.startswith("/"):
                while len(above) > 1:
                    os.close(above.pop())
            parts[:0] = [word for word in target.split("/") if word not in ("", ".")]
        return above.pop()
    finally:
        for handle in above:
            os.close(handle)
