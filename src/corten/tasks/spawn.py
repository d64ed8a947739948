"""Start a monitor, and hand it what it launches.

Spawned, not forked: the engine has threads, and a fork would copy its page tables. The monitor leads its own session,
so that nothing typed at the engine's terminal reaches it.
"""

import fcntl
import os
import signal
import socket
import time

from corten.plan import LaunchPlan, encode
from corten.tasks.memory import memory_file

__all__ = ["SOCKET", "connect", "listen", "plan_file", "reap", "spawn_monitor"]

SOCKET = "monitor.sock"
_LISTENER, _STATE_DIR = 3, 4
_ABOVE = 10  # so that putting one descriptor in place does not overwrite the other
_SIGNALS = sorted(signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP})


def plan_file(plan: LaunchPlan, fault: tuple[int, int] | None = None) -> int:
    """A sealed memfd with the encoded plan; the caller closes it."""
    return memory_file("plan", encode(plan, fault=fault))


def listen(state_dir: int) -> socket.socket:
    """The listening socket of a monitor to be, in its state directory. Bound through /proc/self/fd: a path may be
    longer than the 108 bytes that an address holds."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        listener.bind(f"/proc/self/fd/{state_dir}/{SOCKET}")
        listener.listen(16)
    except BaseException:
        listener.close()
        raise
    return listener


def connect(state_dir: int) -> socket.socket:
    """A connection to the monitor; ConnectionRefusedError or FileNotFoundError when there is none."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        sock.connect(f"/proc/self/fd/{state_dir}/{SOCKET}")
    except BaseException:
        sock.close()
        raise
    return sock


def spawn_monitor(program: str, id: str, listener: int, state_dir: int) -> int:
    """Start `corten @monitor`; returns its pid. The id is only there for people who look at ps."""
    moved: list[int] = []
    try:
        for fd in (listener, state_dir):
            moved.append(fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _ABOVE))
        actions = [
            (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDWR, 0),
            (os.POSIX_SPAWN_DUP2, 0, 1),
            (os.POSIX_SPAWN_DUP2, 0, 2),
            (os.POSIX_SPAWN_DUP2, moved[0], _LISTENER),
            (os.POSIX_SPAWN_DUP2, moved[1], _STATE_DIR),
        ]
        argv = ["corten", "@monitor", id]
        return os.posix_spawn(program, argv, {}, file_actions=actions, setsid=True, setsigmask=[], setsigdef=_SIGNALS)
    finally:
        for fd in moved:
            os.close(fd)


def reap(pid: int, patience: float = 0.0) -> bool:
    """Reap a monitor that is ours, waiting up to `patience` seconds for it to leave; True when it is gone.

    One that an earlier engine started is not our child: then it is only looked for.
    """
    deadline = time.monotonic() + patience
    while True:
        try:
            if os.waitpid(pid, os.WNOHANG)[0]:
                return True
        except ChildProcessError:
            return True
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.0005)
