"""What a handler is given and what it gives back.

A handler is ``def start(call: Call[StartQuery, None]) -> Answer``. It calls one use-case of the engine and says how
the result travels: `Json` (the usual), `Empty`, `Bytes`, `Pieces` (an iterator that its own thread pumps), `Flow`
(an asynchronous iterator on the loop), or `TAKEN` after a hijack.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from corten.api.http.body import BlockingBody
from corten.api.http.connection import Exchange
from corten.api.versions import Version
from corten.model.cancel import Cancel

if TYPE_CHECKING:
    from corten.engine import Engine

__all__ = ["TAKEN", "Answer", "Bytes", "Call", "Empty", "Flow", "Json", "Pieces", "Taken"]

Q = TypeVar("Q")
B = TypeVar("B")
Headers = Sequence[tuple[str, str]]


class Json(NamedTuple):
    """A value to encode, with a newline after it as Go's encoder writes."""

    value: Any
    status: int = 200
    headers: Headers = ()


class Empty(NamedTuple):
    """No body. Docker answers most changes with 204."""

    status: int = 204
    headers: Headers = ()


class Bytes(NamedTuple):
    """A body that is ready to be sent."""

    body: bytes
    content_type: str = "application/json"
    status: int = 200
    headers: Headers = ()


class Pieces(NamedTuple):
    """A body that a blocking iterator makes piece by piece.

    The head goes out with the first piece, so that an error before it is still an error answer; `eager` sends it at
    once. `failure` turns a later error into a last piece; without it the connection breaks off, so that nobody takes
    half an archive for a whole one.
    """

    pieces: Iterator[bytes]
    content_type: str
    headers: Headers = ()
    eager: bool = False
    failure: Callable[[Exception], bytes] | None = None


class Flow(NamedTuple):
    """A body that an asynchronous iterator makes; the head goes out at once."""

    pieces: AsyncGenerator[bytes, None]
    content_type: str
    headers: Headers = ()


class Taken(NamedTuple):
    """The connection was hijacked: there is nothing left to answer."""


TAKEN = Taken()
Answer = Json | Empty | Bytes | Pieces | Flow | Taken


class Call(NamedTuple, Generic[Q, B]):
    """One request, decoded.

    `path` are the names in the route's pattern, `upload` the body of a route that declares none. `remembered` belongs
    to the loop's thread: encoded answers, each with the stamp it is true for.
    """

    engine: "Engine"
    version: Version
    path: dict[str, str]
    query: Q
    body: B
    exchange: Exchange
    upload: BlockingBody
    remembered: dict[object, tuple[object, bytes]]
    loop: asyncio.AbstractEventLoop

    @property
    def cancel(self) -> Cancel:
        """Set when the client goes away."""
        return self.exchange.cancel

    @property
    def headers(self) -> dict[str, str]:
        return self.exchange.request.headers
