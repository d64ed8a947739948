"""A container in the foreground: its streams on our terminal, our signals on it, its exit status ours.

`run`, `start -a`, `attach` and `exec` share this: the raw terminal, the window's size, the signals that are passed
on, and the third Ctrl-C that ends us whatever the container does.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import sys

from corten.cli.attachment import Attachment, Signals, signals_to_pass_on
from corten.cli.table import Fault
from corten.client.connection import EngineError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from corten.cli.session import Session
    from corten.client.connection import Connection, Response, Stream

__all__ = ["Foreground", "detach_bytes", "exit_status", "fits_terminal", "request_wait", "send_wait", "waited"]

_ENDING = (_signal.SIGINT, _signal.SIGTERM)


def fits_terminal(session: Session, *, stdin: bool, tty: bool) -> None:
    """Fault when a container's terminal would take its input from something that is none."""
    if stdin and tty and not session.terminal_in():
        raise Fault("the input device is not a TTY")


def detach_bytes(keys: str) -> bytes:
    from corten.cli.terminal import key_bytes

    return key_bytes(keys)


def request_wait(session: Session, container: str, condition: str = "") -> Response:
    """Ask how the container ends, on a connection of its own; the head of the answer comes at once."""
    return waited(send_wait(session, container, condition))


def send_wait(session: Session, container: str, condition: str) -> Connection:
    """The same question on its way: who has more to ask meanwhile takes the answer by `waited`."""
    connection = session.dial()
    connection.send("POST", f"/containers/{container}/wait", query={"condition": condition or None})
    return connection


def waited(connection: Connection) -> Response:
    """The head of the answer to `send_wait`: from here on no end is missed."""
    return connection.answer("POST").check()


def exit_status(ending: Response) -> int:
    """The container's exit status, once it has ended."""
    result = ending.json()
    if reason := (result.get("Error") or {}).get("Message"):
        sys.stderr.write(f"Error waiting for container: {reason}\n")
        return 125
    return int(result["StatusCode"])


class Foreground:
    """The time that a container (or exec) at `path` of the API has our terminal.

    Entering takes the terminal and the signals, leaving gives them back, whatever happened. `passes_on` sends our
    signals to the container; `sized` keeps its window as large as ours.
    """

    def __init__(self, session: Session, path: str, *, stdin: bool, tty: bool, passes_on: bool) -> None:
        self._engine: Connection = session.engine
        self._path = path
        self._stdin = stdin
        self._tty = tty
        self._names = signals_to_pass_on() if passes_on else {}
        self._sized = tty and session.terminal_out()
        self._raw = tty and stdin and session.terminal_in()
        self._saved: list[Any] | None = None
        self._endings = 0
        self._signals = Signals([*self._names, *([int(_signal.SIGWINCH)] if self._sized else [])])

    def __enter__(self) -> Foreground:
        self._signals.__enter__()
        if self._raw:
            from corten.cli.terminal import make_raw

            self._saved = make_raw(0)
        return self

    def __exit__(self, *_: object) -> None:
        self._give_back_terminal()
        self._signals.__exit__()

    def _give_back_terminal(self) -> None:
        if self._saved is not None:
            from corten.cli.terminal import restore

            restore(0, self._saved)
            self._saved = None

    def pump(
        self, stream: Stream, *, output: bool = True, keys: str = "", ending: Response | None = None
    ) -> Attachment:
        """Carry the streams until they end; the attachment says whether the user detached."""
        if self._sized:
            self._resize(retries=10)
        attachment = Attachment(
            stream,
            stdin=self._stdin,
            plain=self._tty if stream.multiplexed is None else not stream.multiplexed,
            output=output,
            detach_keys=detach_bytes(keys) if self._raw else b"",
            ending=ending,
            signals=self._signals,
            on_signal=self._receive,
        )
        attachment.pump()
        self._give_back_terminal()
        return attachment

    def _receive(self, number: int) -> None:
        if number == _signal.SIGWINCH:
            if self._sized:
                self._resize(retries=0)
            return
        if number in _ENDING:
            self._endings += 1
            if self._endings == 3:
                self._give_back_terminal()
                raise Fault("got 3 SIGTERM/SIGINTs, forcefully exiting")
        if name := self._names.get(number):
            # It may have ended meanwhile: the end of its stream says so better than this answer.
            self._engine.request("POST", f"{self._path}/kill", query={"signal": name}).read()

    def _resize(self, *, retries: int) -> None:
        """Make the container's window ours; just after a start the engine may need a moment before it can."""
        from corten.cli.terminal import window_size

        rows, columns = window_size()
        if not rows and not columns:
            return
        for attempt in range(retries + 1):
            answer = self._engine.request("POST", f"{self._path}/resize", query={"h": str(rows), "w": str(columns)})
            answer.read()
            if answer.status < 400:
                return
            import time

            time.sleep(0.01 * (attempt + 1) if attempt < retries else 0)
        if retries:
            sys.stderr.write("failed to resize tty, using default size\r\n")


def refused_as_run(error: EngineError, verb: str) -> Fault:
    """What `run` says when the engine refuses: 127 for a program that is not there, 126 for one that cannot run."""
    message = error.message
    status = 125
    if "executable file not found" in message or "no such file or directory" in message:
        status = 127
    elif "permission denied" in message or "is a directory" in message:
        status = 126
    return with_help(f"Error response from daemon: {message}", verb, status, hint=error.hint)


def with_help(message: str, verb: str, status: int, hint: str = "") -> Fault:
    """A fault in the form that `run` and `create` give it."""
    remedy = f"hint: {hint}\n\n" if hint else ""
    return Fault(f"corten: {message}\n\n{remedy}Run 'corten {verb} --help' for more information", status)
