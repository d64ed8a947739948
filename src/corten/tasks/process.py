"""A process below a monitor: the container's own (`Task`) or a further one (`Exec`)."""

import errno
import os
import threading
from collections.abc import Callable

from corten.kernel import pidfd
from corten.model.errors import Conflict, Internal, InvalidArgument
from corten.plan import Step
from corten.tasks.config import AttachOptions
from corten.tasks.connection import Connection
from corten.tasks.exit import Exit
from corten.tasks.memory import memory_file
from corten.tasks.protocol import FLAGS
from corten.tasks.watcher import Watcher

__all__ = ["Controller", "Process", "refuse_rows"]

Controller = Callable[[Step, list[int]], None]


class Process:
    """`pid` is its number on the host, `pidfd` its handle while it runs, then -1, `number` what the monitor calls
    it."""

    def __init__(
        self, connection: Connection, watcher: Watcher, *, terminal: bool, open_stdin: bool, number: int = -1
    ) -> None:
        self.number = number
        self.pid = 0
        self.pidfd = -1
        self.terminal = terminal
        self._connection = connection
        self._watcher = watcher
        self._open_stdin = open_stdin
        self._exit: Exit | None = None
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._subscribers: list[Callable[[Exit], object]] = []
        self._detach_subscribers: list[Callable[[], object]] = []

    # -- its life

    def kill(self, signal: int) -> None:
        """Send a signal; Conflict when the process has ended."""
        try:
            with self._lock:
                if self.pidfd < 0:
                    raise ProcessLookupError
                pidfd.send(self.pidfd, signal)
        except ProcessLookupError:
            raise Conflict(f"cannot signal process {self.pid}: it has ended") from None
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            raise InvalidArgument(f"there is no signal {signal}") from None

    def exit(self) -> Exit | None:
        """How it ended, or None while it runs: right from the moment on at which an attached client sees the end."""
        if self._exit is None:
            self._connection.sync()
        return self._exit

    def wait(self, timeout: float | None = None) -> Exit | None:
        """Block until it has ended; None after `timeout` seconds."""
        self._ended.wait(timeout)
        return self._exit

    def subscribe(self, callback: Callable[[Exit], object]) -> None:
        """Have `callback` called once, in the watcher's thread, when it has ended; soon if it has already."""
        with self._lock:
            if self._exit is None:
                self._subscribers.append(callback)
                return
        self._tell(callback, self._exit)

    def on_detach(self, callback: Callable[[], object]) -> None:
        """Have `callback` called, in the watcher's thread, each time a client types its detach sequence."""
        self._detach_subscribers.append(callback)

    # -- its stdio

    def attach(self, client: int, options: AttachOptions, early: bytes = b"") -> None:
        """Hand a client's socket to the monitor, with what the client sent already. The caller closes its own copy,
        so that the client sees the end when the monitor closes its one."""
        fds = [client]
        if early:
            fds.append(memory_file("early", early))
        try:
            self._connection.request(
                "ATTACH",
                fds,
                options.detach_keys,
                target=self.number,
                flags=self._attach_flags(options, early=bool(early)),
            )
        finally:
            for fd in fds[1:]:
                os.close(fd)

    def resize(self, rows: int, columns: int) -> None:
        """Set the terminal's window; Conflict when it has none."""
        self._connection.request("RESIZE", target=self.number, rows=rows, cols=columns)

    def close_stdin(self) -> None:
        """The process reads the end of its input, as soon as it has read what is on the way."""
        self._connection.request("CLOSE_STDIN", target=self.number)

    # -- for Task and Exec

    def become(self, pid: int, handle: int) -> None:
        """Stand for another process from now on: the one that a foreign runtime made. Takes over the handle."""
        with self._lock:
            self.pid = pid
            if self._exit is None:
                self.pidfd, handle = handle, self.pidfd
        if handle >= 0:
            os.close(handle)

    def _closes_stdin(self) -> bool:
        """Whether the end of a client's input is the end of the process's."""
        return True

    def _attach_flags(self, options: AttachOptions, *, early: bool) -> int:
        chosen = {
            "STDIN": options.stdin and self._open_stdin,
            "STDOUT": options.stdout,
            "STDERR": options.stderr,
            "REPLAY": options.logs,
            "STREAM": options.stream,
            "MULTIPLEX": options.multiplex,
            "CLOSE_STDIN": self._closes_stdin(),
            "EARLY": early,
        }
        return sum(FLAGS[name] for name, wanted in chosen.items() if wanted)

    def ended(self, exit: Exit) -> None:
        with self._lock:
            if self._exit is not None:
                return
            self._exit = exit
            subscribers, self._subscribers = self._subscribers, []
        self._close_handle()
        self._ended.set()
        for callback in subscribers:
            self._tell(callback, exit)

    def detached(self) -> None:
        for callback in self._detach_subscribers:
            self._watcher.call(callback)

    def _tell(self, callback: Callable[[Exit], object], exit: Exit) -> None:
        self._watcher.call(lambda: callback(exit))

    def _close_handle(self) -> None:
        with self._lock:
            handle, self.pidfd = self.pidfd, -1
        if handle >= 0:
            os.close(handle)


def refuse_rows(step: Step, _: list[int]) -> None:
    """The controller of a plan that asks for none."""
    raise Internal(f"the plan asks for {step.op}, which nobody here does")
