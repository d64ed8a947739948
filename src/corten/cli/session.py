"""What every command is given: where to write, whom to ask.

The session opens the connection to the engine when a command first asks for it, and starts the engine when
nobody listens at an address that is ours.
"""

from __future__ import annotations

import sys
from posix import getuid, isatty

from corten.cli.table import Fault
from corten.client.address import Address, root_socket, system_socket
from corten.client.connection import Connection, EngineError
from corten.client.environment import variable, variables
from corten.wire.codec import loads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from corten.client.connection import Query, Response, Stream

__all__ = ["DEFAULT", "Outcome", "Session", "report"]

DEFAULT = "default"
"""The context of an address that is given outright, or of this user's own engine."""


class Session:
    """One call of the command. `host`, `root` and `context` are the global options of that name."""

    def __init__(self, *, host: str = "", root: str = "", path: str = "", context: str = "") -> None:
        self.path = path
        self._context = context
        self._host = host
        self._root = root
        self._connection: Connection | None = None
        self.requests: list[tuple[str, str, int]] = []
        """Method, path and nanoseconds of each request, once `explain` was called."""
        self._explains = False

    # Where the engine is

    def address(self) -> Address:
        """The engine of the context in use; see `context` and `plain_address`."""
        context = self.context()
        if context == DEFAULT:
            return Address(self.plain_address())
        from corten.cli.context.store import address_of

        return Address(address_of(context))

    def plain_address(self) -> str:
        """--host, CORTEN_HOST, --root, CORTEN_ROOT, DOCKER_HOST, else this user's own engine, in this order."""
        if named := self._host or variable("CORTEN_HOST"):
            return named
        if root := self.root():
            return "unix://" + root_socket(root)
        return variable("DOCKER_HOST") or "unix://" + system_socket()

    def context(self) -> str:
        """The context in use: --context; ``default`` where an address is given outright; else the chosen one."""
        if self._context:
            return self._context
        given = self._host or variable("CORTEN_HOST") or self.root() or variable("DOCKER_HOST")
        if given:
            return DEFAULT
        from corten.cli.settings import current_context

        return current_context() or DEFAULT

    def named_context(self) -> bool:
        """Whether --context stood on the command line."""
        return bool(self._context)

    def root(self) -> str:
        """The directory that --root or CORTEN_ROOT name for everything of an engine; empty for the system's places."""
        return self._root or variable("CORTEN_ROOT")

    def owns_engine(self) -> bool:
        """Whether the engine at our address is ours to start: nobody pointed us at another's."""
        if self._host or variable("CORTEN_HOST") or self.context() != DEFAULT:
            return False
        return bool(self.root()) or not variable("DOCKER_HOST")

    # Talking to it

    @property
    def engine(self) -> Connection:
        """The connection that commands ask one thing after the other on."""
        if self._connection is None:
            self._connection = self.dial()
        return self._connection

    def dial(self) -> Connection:
        """A further connection, for a command that waits on one and asks on another."""
        connection = Connection(self.address())
        if self._explains:
            connection.headers, connection.heard = {"X-Corten-Explain": "1"}, self.requests
        try:
            connection.connect()
        except OSError as error:
            if not self.owns_engine() or not _nobody_listens(error):
                raise _unreachable(connection.address, error) from None
            self._start_engine(connection)
        return connection

    def explain(self) -> None:
        """From now on keep the times of requests, and ask the engine to keep its own story."""
        self._explains = True

    def _start_engine(self, connection: Connection) -> None:
        """Start the engine of our root, in the background, and connect to it."""
        from corten.client.starting import start_engine
        from corten.model.roots import of

        start_engine(of({**variables(), **({"CORTEN_ROOT": self._root} if self._root else {})}, getuid()))
        connection.connect()

    def get(self, path: str, query: Query | None = None) -> Any:
        return self.engine.request("GET", path, query=query).json()

    def text(self, path: str, query: Query | None = None) -> str:
        """The answer as the JSON text it is, for showing it unchanged."""
        return self.engine.request("GET", path, query=query).check().read().decode("utf-8", "surrogateescape")

    def post(self, path: str, query: Query | None = None, body: object = None) -> Response:
        """POST and check; the caller reads the answer or says `.done()`."""
        return self.engine.request("POST", path, query=query, body=body).check()

    def delete(self, path: str, query: Query | None = None) -> Response:
        return self.engine.request("DELETE", path, query=query).check()

    def for_each(
        self, names: list[str], ask: Callable[[Connection, str], str], *, at_once: int = 1
    ) -> Iterator[Outcome]:
        """Ask the engine about each name and yield the outcomes in order.

        `ask` sends a request for a name and returns its method; up to `at_once` are under way together, each on a
        connection of its own, so that stopping ten containers takes no longer than stopping one.
        """
        for start in range(0, len(names), at_once):
            batch = names[start : start + at_once]
            connections = [self.engine if at_once == 1 or len(batch) == 1 else self.dial() for _ in batch]
            methods = [ask(connection, name) for connection, name in zip(connections, batch, strict=True)]
            for name, connection, method in zip(batch, connections, methods, strict=True):
                yield _outcome(name, connection, method)

    def hijack(self, path: str, query: Query | None = None, body: object = None) -> Stream:
        return self.dial().hijack(path, query=query, body=body)

    # Talking to the user

    def say(self, *lines: str) -> None:
        """Lines for stdout."""
        for line in lines:
            sys.stdout.write(line + "\n")

    def warn(self, *lines: str) -> None:
        """Lines for stderr, after all that was said before."""
        sys.stdout.flush()
        for line in lines:
            sys.stderr.write(line + "\n")
        sys.stderr.flush()

    def terminal_in(self) -> bool:
        return isatty(0)

    def terminal_out(self) -> bool:
        return isatty(1)

    def confirm(self, question: str) -> bool:
        """Ask a yes-or-no question; a closed stdin is a no."""
        sys.stdout.write(f"{question} [y/N] ")
        sys.stdout.flush()
        return sys.stdin.readline().strip().lower() in ("y", "yes")


class Outcome:
    """What became of one name among several: the answer, or the error in its place."""

    __slots__ = ("answer", "error", "name")

    def __init__(self, name: str, answer: Any, error: EngineError | None) -> None:
        self.name = name
        self.answer = answer
        self.error = error


def _outcome(name: str, connection: Connection, method: str) -> Outcome:
    try:
        answer = connection.answer(method).check()
        body = answer.read()
    except EngineError as error:
        return Outcome(name, None, error)
    return Outcome(name, loads(body) if body.strip() else None, None)


def report(error: EngineError) -> str:
    """An engine's error as a line of ours, with its remedy when it has one."""
    return f"Error response from daemon: {error.message}" + (f"\nhint: {error.hint}" if error.hint else "")


def _nobody_listens(error: OSError) -> bool:
    return isinstance(error, (FileNotFoundError, ConnectionRefusedError))


def _unreachable(address: Address, error: OSError) -> Fault:
    reason = error.strerror or str(error)
    return Fault(
        f"Cannot connect to the engine at {address.text}: {reason}. Is it running?",
        hint="start one with: corten serve, or name another with --host or CORTEN_HOST",
    )
