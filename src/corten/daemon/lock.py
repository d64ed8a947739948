"""One engine per root, by file lock.

The kernel releases an flock when its holder dies, however it dies, so there is no stale lock to reason about, and a
reboot leaves none. The file also says who holds it, for people and for `corten system reset`.
"""

import fcntl
import os

from corten.model.errors import AlreadyExists

__all__ = ["EngineLock", "holder"]


class EngineLock:
    """The right to be the engine of a root, held until `release` or death."""

    def __init__(self, path: str) -> None:
        """Take the lock at `path`; `AlreadyExists` naming the holder when another engine has it."""
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._fd)
            raise AlreadyExists(
                f"an engine is already running here (pid {holder(path) or 'unknown'}, lock {path})",
                hint="use it, stop it with SIGTERM, or choose another root with --root DIR",
            ) from None
        os.truncate(self._fd, 0)
        os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        os.truncate(self._fd, 0)
        os.close(self._fd)


def holder(path: str) -> int | None:
    """The pid of the engine that holds the lock at `path`; None when none does."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        text = os.pread(fd, 32, 0).strip()
        return int(text) if text.isdigit() else None
    else:
        return None
    finally:
        os.close(fd)
