"""A build told as what happens to each vertex, in the JSON shape of BuildKit's SolveStatus.

    {"vertexes": [{"digest", "inputs", "name", "started", "completed", "cached", "error"}]}
    {"logs": [{"vertex", "stream", "data", "timestamp"}]}         `data` is base64: output need not be text

The first message names every vertex there will be. A client draws what it likes of it; `progress` is the other way to
tell a build, for those who only print.
"""

import base64
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from corten.build.graph import Merge, Scratch, Vertex, walk

__all__ = ["Status"]


class Status:
    """Sends ``{"build": SolveStatus}`` messages; called from the solver's threads."""

    def __init__(self, root: Vertex, send: Callable[[dict[str, Any]], None]) -> None:
        self._send = send
        self._lock = threading.Lock()
        self._vertexes: dict[str, dict[str, Any]] = {}
        for vertex in filter(is_shown, walk(root)):
            inputs = [one.digest for one in vertex.inputs if is_shown(one)]
            self._vertexes[vertex.digest] = {"digest": vertex.digest, "inputs": inputs, "name": vertex.name}
        send({"build": {"vertexes": list(self._vertexes.values())}})

    def started(self, vertex: Vertex) -> None:
        self._tell(vertex, started=now())

    def cached(self, vertex: Vertex) -> None:
        self._tell(vertex, started=now(), cached=True)

    def output(self, vertex: Vertex, stream: int, data: bytes) -> None:
        log = {"vertex": vertex.digest, "stream": stream, "data": base64.b64encode(data).decode(), "timestamp": now()}
        self._send({"build": {"logs": [log]}})

    def done(self, vertex: Vertex, key: str) -> None:  # noqa: ARG002
        self._tell(vertex, completed=now())

    def failed(self, vertex: Vertex, error: str) -> None:
        self._tell(vertex, completed=now(), error=error)

    def _tell(self, vertex: Vertex, **news: Any) -> None:
        if not is_shown(vertex):
            return
        with self._lock:
            about = self._vertexes[vertex.digest]
            about.update(news)
            if "completed" in about:
                about.setdefault("started", about["completed"])
            self._send({"build": {"vertexes": [dict(about)]}})


def is_shown(vertex: Vertex) -> bool:
    """Whether people know of it: nothing has no name, and a merge is the copy's own business."""
    return not isinstance(vertex.op, Scratch | Merge)


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
