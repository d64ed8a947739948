"""How a process ended, and the file in which a monitor records it."""

import os

import msgspec

__all__ = ["UNKNOWN_CODE", "Exit", "read"]

UNKNOWN_CODE = 255  # what Docker reports for a container whose end nobody saw


class Exit(msgspec.Struct, frozen=True):
    """`code` is 0 to 255, 128 + `signal` for a death by signal; `at` is in nanoseconds since 1970, 0 when nobody
    knows."""

    code: int
    signal: int = 0
    oom_killed: bool = False
    at: int = 0


class _File(msgspec.Struct):
    code: int
    signal: int
    oom: bool
    at: int


def read(state_dir: int) -> Exit | None:
    """The exit that the monitor recorded in the state directory (a descriptor), if it did.

    After a power cut the file may be empty: it was never asked to outlive one.
    """
    try:
        fd = os.open("exit", os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW, dir_fd=state_dir)
    except FileNotFoundError:
        return None
    with os.fdopen(fd, "rb") as file:
        try:
            found = msgspec.json.decode(file.read(), type=_File)
        except msgspec.MsgspecError:
            return None
    return Exit(found.code, found.signal, found.oom, found.at)
