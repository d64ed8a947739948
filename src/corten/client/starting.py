"""Start the engine of a root when nobody listens there.

Ten commands that find no engine at once must start one. They queue at `start.lock`; the first starts the engine and
waits until it answers, the others find it answering when their turn comes. Should two engines be started all the
same, the engine's own lock lets one be.

Nothing here imports more than C modules of the interpreter: this is on the way of every first command.
"""

from __future__ import annotations

import _socket
import fcntl
import os
import sys

from corten.model.errors import Unavailable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from corten.model.roots import Roots

__all__ = ["answers", "start_engine"]

READY_FD = 3
REASON_LIMIT = 1 << 16


def start_engine(roots: Roots) -> None:
    """Return when the engine of `roots` answers, started if need be; `Unavailable` with its reason when it does not."""
    os.makedirs(roots.data, mode=0o700, exist_ok=True)
    lock = os.open(f"{roots.data}/start.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not answers(roots.socket):
            _start(roots)
    finally:
        os.close(lock)


def answers(path: str) -> bool:
    """True when somebody accepts connections at `path`, which may be longer than a socket's address (108 bytes)."""
    try:
        directory = os.open(os.path.dirname(path), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return False
    with _UnixSocket() as sock:
        refused = sock.connect_ex(f"/proc/self/fd/{directory}/{os.path.basename(path)}")
    os.close(directory)
    return not refused


class _UnixSocket:
    """`_socket.socket` is no context manager; the package `socket`, which is, costs four milliseconds."""

    def __enter__(self) -> _socket.socket:
        self._sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
        return self._sock

    def __exit__(self, *_: object) -> None:
        self._sock.close()


def _start(roots: Roots) -> None:
    reader, writer = os.pipe()
    environment = {**os.environ, "CORTEN_ROOT": _root_of(roots)}
    if not environment["CORTEN_ROOT"]:
        del environment["CORTEN_ROOT"]
    command = [*_program(), "--background", "--ready-fd", str(READY_FD)]
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDWR, 0),
        (os.POSIX_SPAWN_DUP2, 0, 1),
        (os.POSIX_SPAWN_DUP2, writer, 2),  # what breaks before the log is open is the reason we show
        (os.POSIX_SPAWN_DUP2, writer, READY_FD),
    ]
    pid = os.posix_spawn(command[0], command, environment, file_actions=actions, setsid=True)
    os.close(writer)
    reason = _read_reason(reader)
    if reason or not answers(roots.socket):
        _, status = os.waitpid(pid, os.WNOHANG)
        raise Unavailable(
            f"cannot start the engine: {reason or f'it ended with status {status}'}", hint=f"its log: {roots.log}"
        )


def _root_of(roots: Roots) -> str:
    """The ``CORTEN_ROOT`` that makes these roots; empty for the system's or the user's own places."""
    root = os.path.dirname(roots.socket)
    return root if roots.data == f"{root}/data" else ""


def _program() -> list[str]:
    """How to run `serve`: as we were started ourselves, by the static program's launcher, else as a module."""
    words = sys.orig_argv
    if len(words) > 3 and words[1].startswith("-IS") and words[3] == "corten":
        return [sys.executable, *words[1:4], "serve"]
    return [sys.executable, "-m", "corten.daemon"]


def _read_reason(reader: int) -> str:
    """What the engine says before it is ready: nothing, and the end of the pipe, when all is well."""
    parts, size = [], 0
    while (data := os.read(reader, 4096)) and size < REASON_LIMIT:
        parts.append(data)
        size += len(data)
    os.close(reader)
    return b"".join(parts).decode("utf-8", "replace").strip()
