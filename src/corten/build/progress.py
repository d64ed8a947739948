"""How a build is told: vertices run side by side, people read one line after another.

The solver tells what happens to each vertex; `Classic` puts it in the order of the Dockerfile, in the words of
docker's classic builder. What belongs to a later line waits until the lines before it are done.

    Step 2/3 : RUN make
     ---> Running in 4f3c…          or  ---> Using cache
    (its output)
     ---> 9d2b…
"""

import threading
from collections.abc import Callable
from typing import Any, Protocol

from corten.build.graph import Exec, Vertex
from corten.build.lower import Line

__all__ = ["Classic", "Told"]

SHORT = 12
USING_CACHE = " ---> Using cache\n"
RED, PLAIN = "\x1b[91m", "\x1b[0m"
Message = dict[str, Any]


class Told(Protocol):
    """Who hears of a build; called from the solver's threads."""

    def started(self, vertex: Vertex) -> None: ...

    def cached(self, vertex: Vertex) -> None: ...

    def output(self, vertex: Vertex, stream: int, data: bytes) -> None: ...

    def done(self, vertex: Vertex, key: str) -> None: ...

    def failed(self, vertex: Vertex, error: str) -> None: ...


class Classic:
    """Turns what is told into messages of the classic stream, given to `send` in the order of `script`.

    `known` are the keys of lines that were built before: one that only changes the configuration is as good as cached
    when its stage's files are.
    """

    def __init__(
        self, script: tuple[Line, ...], send: Callable[[Message], None], known: frozenset[str] = frozenset()
    ) -> None:
        self._script = script
        self._known = known
        self._changed: set[int] = set()
        self._made: set[str] = set()
        self._cached: set[str] = set()
        self._send = send
        self._lock = threading.Lock()
        self._messages: dict[str, list[Message]] = {}
        self._done: dict[str, str] = {}
        self._at = -1
        self._sent = 0
        self._next()

    def started(self, vertex: Vertex) -> None:
        self._made.add(vertex.digest)
        if isinstance(vertex.op, Exec):
            self._add(vertex, {"stream": f" ---> Running in {plain(vertex.digest)}\n"})

    def cached(self, vertex: Vertex) -> None:
        self._cached.add(vertex.digest)

    def output(self, vertex: Vertex, stream: int, data: bytes) -> None:
        text = data.decode(errors="replace")
        self._add(vertex, {"stream": f"{RED}{text}{PLAIN}" if stream == 2 else text})

    def done(self, vertex: Vertex, key: str) -> None:
        with self._lock:
            if vertex.digest in self._made:
                self._changed.update(line.stage for line in self._script if vertex in line.vertices)
            self._done[vertex.digest] = key
            self._flush()

    def failed(self, vertex: Vertex, error: str) -> None:
        """The stream ends with the error itself."""

    def _add(self, vertex: Vertex, message: Message) -> None:
        with self._lock:
            self._messages.setdefault(vertex.digest, []).append(message)
            self._flush()

    def _flush(self) -> None:
        """Send what is due: all of the current line, and as many further lines as are done."""
        while self._at < len(self._script):
            line = self._script[self._at]
            due = [message for vertex in line.vertices for message in self._messages.get(vertex.digest, [])]
            for message in due[self._sent :]:
                self._send(message)
            self._sent = len(due)
            if any(vertex.digest not in self._done for vertex in line.vertices):
                return
            self._end(line)
            self._next()

    def _end(self, line: Line) -> None:
        """A line is done: say what it gave."""
        name = plain(self._done[line.vertices[-1].digest]) if line.vertices else line.key[:SHORT]
        if self._is_cached(line):
            self._send({"stream": USING_CACHE})
        self._send({"stream": f" ---> {name}\n"})

    def _is_cached(self, line: Line) -> bool:
        if not line.vertices:
            return line.key in self._known and line.stage not in self._changed
        digests = {vertex.digest for vertex in line.vertices}
        return bool(digests & self._cached) and not digests & self._made

    def _next(self) -> None:
        self._at += 1
        self._sent = 0
        if self._at < len(self._script):
            text = self._script[self._at].text
            self._send({"stream": f"Step {self._at + 1}/{len(self._script)} : {text}\n"})


def plain(name: str) -> str:
    """Twelve characters of a digest or key."""
    return name.rpartition(":")[2].rpartition(" ")[2][:SHORT]
