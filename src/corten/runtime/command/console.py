"""The caller's terminal and a container's, joined: what is typed goes in, what is shown comes out.

Only for `run` and `exec` in the foreground, where the runtime itself takes the terminal's master.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import _socket
import fcntl
import os
import select
import termios

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["Console"]

_WINCH = 28
_CHUNK = 65536


class Console:
    """A pair of sockets for the master, the master once it has come, and the saved settings of our own terminal."""

    def __init__(self) -> None:
        ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_STREAM)
        self.ours = ours
        self.theirs = theirs.detach()
        self.master = -1
        self.saved: list[Any] | None = None

    def take(self) -> None:
        """Receive the master, and let our own terminal pass every key on."""
        _, ancillary, _, _ = self.ours.recvmsg(64, _socket.CMSG_SPACE(4), _socket.MSG_CMSG_CLOEXEC)
        self.master = int.from_bytes(ancillary[0][2][:4], "little")
        os.set_inheritable(self.master, False)
        os.close(self.theirs)
        self.ours.close()
        if os.isatty(0):
            self.saved = list(termios.tcgetattr(0))
            termios.tcsetattr(0, termios.TCSANOW, _raw(0))
            _signal.signal(_WINCH, self._resize)
            self._resize()

    def pump(self, pidfd: int) -> None:
        """Copy both ways until the container's side has closed."""
        poll = select.poll()
        poll.register(self.master, select.POLLIN)
        poll.register(0, select.POLLIN)
        poll.register(pidfd, select.POLLIN)
        ended = False
        while True:
            ready = dict(poll.poll(0 if ended else None))
            if pidfd in ready:
                poll.unregister(pidfd)
                ended = True
            if 0 in ready and not self._copy(0, self.master):
                poll.unregister(0)
            if self.master in ready:
                if not self._copy(self.master, 1):
                    return
            elif ended:
                return

    def restore(self) -> None:
        if self.saved is not None:
            termios.tcsetattr(0, termios.TCSADRAIN, self.saved)
            self.saved = None

    def _copy(self, source: int, target: int) -> bool:
        try:
            data = os.read(source, _CHUNK)
        except OSError:  # EIO: the last process has closed its end
            return False
        while data:
            data = data[os.write(target, data) :]
            if not data:
                return True
        return False

    def _resize(self, *_: object) -> None:
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, fcntl.ioctl(0, termios.TIOCGWINSZ, bytes(8)))


def _raw(fd: int) -> list[Any]:
    """The settings of a terminal that interprets nothing (termios(3), cfmakeraw)."""
    settings = list(termios.tcgetattr(fd))
    for index, bits in (
        (0, termios.BRKINT | termios.ICRNL | termios.INPCK | termios.ISTRIP | termios.IXON),
        (1, termios.OPOST),
        (3, termios.ECHO | termios.ICANON | termios.IEXTEN | termios.ISIG),
    ):
        settings[index] = settings[index] & ~bits
    return settings
