"""Processes by handle: a pid may be reused, a pidfd and a (boot id, pid, start time) never are.

>>> fd = open(os.getpid()); alive(fd)
True
"""

import os
import select
import signal

__all__ = ["alive", "boot_id", "open", "send", "start_time"]


def open(pid: int, start: int | None = None) -> int:
    """A pidfd of `pid`; with `start` (see `start_time`) only of that very process, else ProcessLookupError."""
    fd = os.pidfd_open(pid)
    if start is not None and start_time(pid) != start:
        os.close(fd)
        raise ProcessLookupError(f"process {pid} is not the one that started at {start}")
    return fd


def start_time(pid: int) -> int:
    """When the process started, in clock ticks since boot (proc(5): field 22 of stat); ProcessLookupError if there is
    none."""
    try:
        with os.fdopen(os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC), "rb") as stat:
            after_name = stat.read().rpartition(b")")[2]
    except FileNotFoundError:
        raise ProcessLookupError(f"no process {pid}") from None
    return int(after_name.split()[19])


def alive(pidfd: int) -> bool:
    """Whether the process still runs; a zombie does not."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return not poll.poll(0)


def send(pidfd: int, number: int) -> None:
    """Signal the process; ProcessLookupError when it has ended."""
    signal.pidfd_send_signal(pidfd, number)


def boot_id() -> str:
    """Differs after each boot: pids and start times mean something only together with it."""
    with os.fdopen(os.open("/proc/sys/kernel/random/boot_id", os.O_RDONLY | os.O_CLOEXEC)) as file:
        return file.read().strip()
