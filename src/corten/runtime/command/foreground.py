"""Wait for a container in the foreground: signals go to it, its end becomes ours."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # the module signal imports enum
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from corten.runtime.command.console import Console

__all__ = ["forward_signals", "wait"]

_KILL, _STOP, _CHLD, _URG, _PIPE, _WINCH, _CONT = 9, 19, 17, 23, 13, 28, 18
# Not to be caught, about our own children, of Go's runtime, or about our own streams and terminal.
_OURS = (_KILL, _STOP, _CHLD, _URG, _PIPE, _WINCH, _CONT, 20, 21, 22, 4, 8, 11, 7)


def forward_signals(pidfd: int) -> None:
    """From now on what we are told goes to that process."""

    def forward(number: int, _: object) -> None:
        try:  # noqa: SIM105 contextlib is not for the start path
            _signal.pidfd_send_signal(pidfd, number)
        except ProcessLookupError:
            pass

    for number in range(1, 32):
        if number not in _OURS:
            _signal.signal(number, forward)


def wait(pid: int, pidfd: int, console: Console | None) -> int:
    """The exit code of the process, which is a child of ours; 128 and the number for a signal."""
    if console:
        console.pump(pidfd)
        console.restore()
    status = os.waitpid(pid, 0)[1]
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code
