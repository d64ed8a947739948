"""The body of one request, read as slowly as its consumer wishes.

The connection pushes what arrives; when more than `HIGH` bytes wait, it stops reading from the socket until the
consumer has caught up, so a client that uploads 10 GiB costs one megabyte of memory.
"""

import asyncio
from collections import deque
from collections.abc import Callable

from corten.model.errors import Cancelled, ResourceExhausted

__all__ = ["HIGH", "BlockingBody", "Body"]

HIGH = 1 << 20


class Body:
    """An asynchronous byte stream of known end. It lives on the loop's thread."""

    def __init__(self, on_demand: Callable[[], None]) -> None:
        self._on_demand = on_demand
        self._chunks: deque[bytes] = deque()
        self._buffered = 0
        self._ended = False
        self._broken = False
        self._waiter: asyncio.Future[None] | None = None

    @classmethod
    def whole(cls, data: bytes) -> "Body":
        """A body that has come to its end."""
        body = cls(lambda: None)
        if data:
            body.feed(data)
        body.end()
        return body

    @property
    def full(self) -> bool:
        return self._buffered > HIGH

    @property
    def ended(self) -> bool:
        """True when the client has sent the last byte, read or not."""
        return self._ended

    def feed(self, data: bytes) -> None:
        self._chunks.append(data)
        self._buffered += len(data)
        self._wake()

    def end(self) -> None:
        self._ended = True
        self._wake()

    def abort(self) -> None:
        """The client went away before the end."""
        self._broken = not self._ended
        self._wake()

    async def read(self) -> bytes:
        """The next bytes, as many as wait; empty at the end; `Cancelled` when the client went away."""
        while not self._chunks and not self._ended:
            if self._broken:
                raise Cancelled("the client went away while it was sending the request's body")
            self._waiter = asyncio.get_running_loop().create_future()
            self._on_demand()
            await self._waiter
        data = b"".join(self._chunks) if len(self._chunks) != 1 else self._chunks[0]
        self._chunks.clear()
        self._buffered = 0
        if not self._ended:
            self._on_demand()
        return data

    async def read_all(self, limit: int) -> bytes:
        """The whole body, or `ResourceExhausted` when it is longer than `limit` bytes."""
        parts, size = [], 0
        while data := await self.read():
            parts.append(data)
            size += len(data)
            if size > limit:
                raise ResourceExhausted(f"the request's body is longer than {limit} bytes")
        return b"".join(parts)

    async def drain(self, limit: int) -> bool:
        """Throw away what nobody read, so that the connection can be used again; False when it is too much."""
        size = 0
        while not self._ended or self._chunks:
            size += len(await self.read())
            if size > limit:
                return False
        return True

    def blocking(self, loop: asyncio.AbstractEventLoop) -> "BlockingBody":
        """The same stream for a worker thread."""
        return BlockingBody(self, loop)

    def _wake(self) -> None:
        if self._waiter and not self._waiter.done():
            self._waiter.set_result(None)
        self._waiter = None


class BlockingBody:
    """A `Body` as a binary file that a worker thread reads: `read(n)` gives exactly n bytes, fewer only at the end."""

    def __init__(self, body: Body, loop: asyncio.AbstractEventLoop) -> None:
        self._body = body
        self._loop = loop
        self._rest = memoryview(b"")

    def read(self, size: int = -1) -> bytes:
        parts: list[bytes | memoryview] = []
        wanted = size
        while wanted:
            if not self._rest and not self._fill():
                break
            part = self._rest[:wanted] if wanted > 0 else self._rest
            self._rest = self._rest[len(part) :]
            parts.append(part)
            wanted -= len(part) if wanted > 0 else 0
        return bytes(parts[0]) if len(parts) == 1 else b"".join(parts)

    def read1(self, size: int) -> bytes:
        """What is there, at least a byte and at most `size`; for who keeps what came before a client broke off."""
        if not self._rest:
            self._fill()
        part = bytes(self._rest[:size])
        self._rest = self._rest[size:]
        return part

    def readable(self) -> bool:
        return True

    def _fill(self) -> bool:
        self._rest = memoryview(asyncio.run_coroutine_threadsafe(self._body.read(), self._loop).result())
        return len(self._rest) > 0
