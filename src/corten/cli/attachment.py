"""A container's stdio on ours: one loop that pumps both ways until it ends.

The loop waits on the hijacked stream, on our stdin and, when asked to, on the answer that says how the container
ended. Signals arrive as bytes on a pipe (`set_wakeup_fd`), so they are handled between two writes and never within.
stdin ends by a half-close: the container sees its end while its output goes on.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import select
from posix import close, pipe, read, set_blocking, write

from corten.client.connection import EngineError
from corten.wire.stdcopy import STDERR, Decoder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from corten.client.connection import Response, Stream

__all__ = ["Attachment", "Signals"]

_CHUNK = 32768
_BACKLOG = 1 << 20
_NEVER_PASSED_ON = (
    "SIGCHLD",
    "SIGPIPE",
    "SIGURG",
    "SIGKILL",
    "SIGSTOP",
    "SIGWINCH",
    "SIGTSTP",
    "SIGTTIN",
    "SIGTTOU",
    "SIGCONT",
)


class Signals:
    """Signals as numbers to read, while the block runs.

    `caught` names the signals that are taken from their usual effect. Inside, `descriptor` becomes readable when
    one came; `take()` returns their numbers.
    """

    def __init__(self, caught: list[int]) -> None:
        self._caught = caught
        self._before: list[tuple[int, Any]] = []
        self.descriptor = -1
        self._writer = -1

    def __enter__(self) -> Signals:
        self.descriptor, self._writer = pipe()
        set_blocking(self.descriptor, False)
        set_blocking(self._writer, False)
        _signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        for number in self._caught:
            self._before.append((number, _signal.signal(number, lambda *_: None)))
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before:
            _signal.signal(number, handler)
        _signal.set_wakeup_fd(-1)
        close(self.descriptor)
        close(self._writer)

    def take(self) -> bytes:
        try:
            return read(self.descriptor, 256)
        except BlockingIOError:
            return b""


def signals_to_pass_on() -> dict[int, str]:
    """Number and name of each signal that `--sig-proxy` sends on to the container."""
    numbers = {name: getattr(_signal, name) for name in dir(_signal) if name.startswith("SIG") and "_" not in name}
    return {
        number: name.removeprefix("SIG")
        for name, number in sorted(numbers.items(), reverse=True)
        if isinstance(number, int) and number > 0 and name not in _NEVER_PASSED_ON
    }


class Attachment:
    """The pump between a hijacked `stream` and our stdio.

    `stdin` says whether ours is sent; `plain` that the stream has no frames (the container has a terminal);
    `detach_keys` end it without ending the container. `ending` is the answer of a wait request, if one is open;
    `on_signal` is called for each caught signal.
    """

    def __init__(
        self,
        stream: Stream,
        *,
        stdin: bool,
        plain: bool,
        output: bool = True,
        detach_keys: bytes = b"",
        ending: Response | None = None,
        signals: Signals | None = None,
        on_signal: Callable[[int], None] | None = None,
    ) -> None:
        self._stream = stream
        self._reads_stdin = stdin
        self._decoder = None if plain else Decoder()
        self._output = output
        self._ending = ending
        self._signals = signals
        self._on_signal = on_signal
        self._unsent = b""
        self._stdin_ended = False
        self.detached = False
        self._keys = None
        if detach_keys and plain:
            from corten.cli.terminal import EscapeKeys

            self._keys = EscapeKeys(detach_keys)

    def pump(self) -> None:
        """Run until the stream ends, the detach keys are typed, or - with no output asked for - the container ends."""
        stream = self._stream
        if stream.early:
            self._show(stream.early)
        stream.sock.setblocking(False)
        if not self._reads_stdin:
            stream.close_write()
        while not self.detached:
            ready = self._wait()
            if self._signals and self._signals.descriptor in ready:
                for number in self._signals.take():
                    if self._on_signal:
                        self._on_signal(number)
            if 0 in ready:
                self._take_stdin()
            if self._unsent:
                self._send()
            if stream.fileno() in ready and not self._receive():
                return
            if self._ending is not None and self._ending.fileno() in ready and not self._output:
                return

    def _wait(self) -> dict[int, int]:
        poll = select.poll()
        poll.register(self._stream.fileno(), select.POLLIN | (select.POLLOUT if self._unsent else 0))
        if self._reads_stdin and len(self._unsent) < _BACKLOG:
            poll.register(0, select.POLLIN)
        if self._signals:
            poll.register(self._signals.descriptor, select.POLLIN)
        if self._ending is not None and not self._output:
            poll.register(self._ending.fileno(), select.POLLIN)
        return dict(poll.poll())

    def _take_stdin(self) -> None:
        try:
            typed = read(0, _CHUNK)
        except OSError:  # a terminal that was hung up
            typed = b""
        if not typed:
            self._reads_stdin = False
            self._stdin_ended = True
            if not self._unsent:
                self._stream.close_write()
        if self._keys is not None:
            typed = self._keys.pass_on(typed)
            self.detached = self._keys.hit
        self._unsent += typed

    def _send(self) -> None:
        try:
            sent = self._stream.sock.send(self._unsent, _NO_SIGNAL)
        except BlockingIOError:
            return
        except OSError:  # the container's stdin is closed: nobody reads any more, but its output goes on
            self._unsent, self._reads_stdin = b"", False
            return
        self._unsent = self._unsent[sent:]
        if self._stdin_ended and not self._unsent:
            self._stream.close_write()

    def _receive(self) -> bool:
        """Show what came; False at the stream's end."""
        try:
            data = self._stream.sock.recv(_CHUNK)
        except BlockingIOError:
            return True
        except ConnectionResetError:
            return False
        if data:
            self._show(data)
        return bool(data)

    def _show(self, data: bytes) -> None:
        if self._decoder is None:
            write_all(1, data)
            return
        for stream, payload in self._decoder.feed(data):
            if stream > STDERR:
                raise EngineError(500, f"error from daemon in stream: {payload.decode('utf-8', 'replace')}")
            write_all(stream or 1, payload)


_NO_SIGNAL = 0x4000  # MSG_NOSIGNAL: a closed stream is an answer, not our death


def write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[write(descriptor, view) :]
