"""Readiness for systemd (sd_notify(3)): the container's message goes to whoever supervises the runtime.

The supervisor's socket, NOTIFY_SOCKET, is outside. So the runtime binds one of its own in the container's directory,
brings that directory inside at the path of NOTIFY_SOCKET, and tells the program ``NOTIFY_SOCKET/notify``: where crun
puts it, and its callers look for it. Only readiness passes: a container must not give its supervisor other orders, such
as a main process or a watchdog of its choosing.

>>> prepare(entry, options)                              # before the plan is compiled
>>> relay = Relay.bound(entry, "/run/systemd/notify")    # before the program starts
>>> relay.until_ready(pid, pidfd)                        # then the supervisor has READY=1 and MAINPID
"""

from __future__ import annotations

import _socket
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from corten.runtime.compiler import Options
    from corten.runtime.state import Entry

__all__ = ["DIRECTORY", "Relay", "prepare", "wanted"]

DIRECTORY, _NAME = "notify", "notify"
_MAX_MESSAGE = 4096
_READY = b"READY=1"


def wanted() -> str:
    """Where the supervisor listens, if it does and the place is a path; an abstract socket cannot be bound inside."""
    path = os.environ.get("NOTIFY_SOCKET", "")
    return path if path.startswith("/") else ""


def prepare(entry: Entry, options: Options) -> None:
    """Make the directory that the container sees, empty until its start, and name it in the options."""
    if supervisor := wanted():
        path = f"{entry.path}/{DIRECTORY}"
        os.mkdir(path, 0o755)
        options.notify = (path, supervisor)
        options.env = (*options.env, f"NOTIFY_SOCKET={supervisor}/{_NAME}")


class Relay:
    """Our socket for one container, and the way to the supervisor's."""

    def __init__(self, sock: _socket.socket, supervisor: str) -> None:
        self.sock = sock
        self.supervisor = supervisor

    @classmethod
    def bound(cls, entry: Entry, supervisor: str) -> Relay:
        """Bind the socket in the directory that `prepare` made; any user of the container may write to it."""
        path = f"{entry.path}/{DIRECTORY}"
        directory = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_DGRAM)
        try:
            sock.bind(f"/proc/self/fd/{directory}/{_NAME}")
            os.chmod(f"/proc/self/fd/{directory}/{_NAME}", 0o777)
        except BaseException:
            sock.close()
            raise
        finally:
            os.close(directory)
        return cls(sock, supervisor)

    def pass_on(self, pid: int, pidfd: int) -> Callable[[], object]:
        """`until_ready` beside the caller. What is returned waits for its end, which comes with the container's."""
        import _thread

        done = _thread.allocate_lock()
        done.acquire()

        def relay() -> None:
            try:
                self.until_ready(pid, pidfd)
            finally:
                done.release()

        _thread.start_new_thread(relay, ())
        return done.acquire

    def until_ready(self, pid: int, pidfd: int) -> None:
        """Wait until the program says that it is ready, and pass that on; or until it has ended."""
        import select

        poll = select.poll()
        poll.register(self.sock, select.POLLIN)
        poll.register(pidfd, select.POLLIN)
        try:
            while self.sock.fileno() in dict(poll.poll()):
                if _READY in self.sock.recv(_MAX_MESSAGE).splitlines():
                    self._tell(pid)
                    return
        finally:
            self.sock.close()

    def _tell(self, pid: int) -> None:
        """Readiness first, alone, as crun's tests want it; then which process it is about, as runc has it."""
        sender = _socket.socket(_socket.AF_UNIX, _socket.SOCK_DGRAM)
        try:
            for message in (_READY, f"MAINPID={pid}".encode()):
                sender.sendto(message, self.supervisor)
        except OSError as error:
            text = f"corten-runtime: warning: cannot tell {self.supervisor} of readiness: {error.strerror}\n"
            os.write(2, text.encode())
        finally:
            sender.close()
