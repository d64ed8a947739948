"""From an HTTP exchange to a handler's answer, and back.

Everything that is the same for all endpoints happens here: the version prefix, the route, the query and body,
the lane, the headers that every answer carries, and the one table from error kinds to status codes.
"""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import aclosing
from typing import Any
from urllib.parse import unquote

import msgspec

from corten.api import bodies, query
from corten.api.call import Answer, Bytes, Call, Empty, Flow, Json, Pieces
from corten.api.http.connection import Exchange, Outflow, Response
from corten.api.lanes import Lane, Lanes
from corten.api.router import Route, Router
from corten.api.versions import EVERY_ANSWER, split
from corten.model.errors import Cancelled, CortenError, Internal, NotFound, of_system

__all__ = ["Dispatcher"]

log = logging.getLogger("corten.api")


class Dispatcher:
    """The application that every `http.Connection` serves."""

    def __init__(self, engine: Any, router: Router, lanes: Lanes) -> None:
        self._engine = engine
        self._router = router
        self._lanes = lanes
        self._remembered: dict[object, tuple[object, bytes]] = {}

    async def __call__(self, exchange: Exchange) -> None:
        try:
            await self._answer(exchange)
        except Cancelled:
            return
        except CortenError as error:
            await self._fail(exchange, error)
        except Exception as error:
            if isinstance(error, OSError) and (refused := of_system(error)) is not None:
                await self._fail(exchange, refused)
                return
            log.exception("%s %s failed", exchange.request.method, exchange.request.target)
            await self._fail(exchange, Internal(f"{type(error).__name__}: {error}", hint="this is a bug in Corten"))

    async def _answer(self, exchange: Exchange) -> None:
        path, _, arguments = exchange.request.target.partition("?")
        version, path = split(unquote(path))
        found = self._router.find(exchange.request.method, path)
        if found is None:
            raise NotFound("page not found", hint=f"Corten has no endpoint {exchange.request.method} {path}")
        route, names = found
        body = await _body(exchange, route)
        loop = asyncio.get_running_loop()
        call: Call[Any, Any] = Call(
            engine=self._engine,
            version=version,
            path=names,
            query=query.read(route.query, arguments),
            body=body,
            exchange=exchange,
            upload=exchange.body.blocking(loop),
            remembered=self._remembered,
            loop=loop,
        )
        if route.lane is Lane.LOOP:
            await _send(exchange, await route.handler(call))  # type: ignore[misc]
        else:
            pending = await loop.run_in_executor(self._lanes.pool(route.lane), _run, route, call, loop)
            if pending is not None:
                await _send(exchange, pending)

    async def _fail(self, exchange: Exchange, error: CortenError) -> None:
        if exchange.hijacked:
            log.warning("%s: %s", exchange.request.target, error)
        elif exchange.answered:
            log.warning("%s broke off: %s", exchange.request.target, error)
            exchange.break_off()
        elif error.http == 304:
            await exchange.respond(Response(304, EVERY_ANSWER))
        else:
            await exchange.respond(failure(error))


def failure(error: CortenError) -> Response:
    """Docker's ``{"message"}`` with our kind, hint and place beside it."""
    document = {"message": error.message, "kind": error.kind}
    if error.hint:
        document["hint"] = error.hint
    if error.place:
        document["place"] = error.place
    return Response(error.http, _head("application/json"), msgspec.json.encode(document) + b"\n")


async def _body(exchange: Exchange, route: Route[Any, Any]) -> Any:
    if route.body is None:
        return None
    raw = await exchange.body.read_all(bodies.LIMIT)
    if route.body_may_be_empty and not raw.strip():
        return None
    bodies.check_content_type(exchange.request.headers.get("content-type", ""), raw)
    return bodies.decode(route.body, raw)


def _run(route: Route[Any, Any], call: Call[Any, Any], loop: asyncio.AbstractEventLoop) -> Answer | None:
    """In a lane's thread: call the handler, and pump an answer that is made piece by piece."""
    answer: Any = route.handler(call)
    if isinstance(answer, Json):
        return Bytes(msgspec.json.encode(answer.value) + b"\n", "application/json", answer.status, answer.headers)
    if not isinstance(answer, Pieces):
        return answer  # type: ignore[no-any-return]
    _pump(answer, call.exchange, loop)
    return None


def _pump(answer: Pieces, exchange: Exchange, loop: asyncio.AbstractEventLoop) -> None:
    pieces = iter(answer.pieces)
    first = b"" if answer.eager else next(pieces, b"")
    outflow = asyncio.run_coroutine_threadsafe(_begin(exchange, answer, first), loop).result()
    for piece in _guarded(pieces, answer):
        asyncio.run_coroutine_threadsafe(outflow.write(piece), loop).result()
    asyncio.run_coroutine_threadsafe(outflow.end(), loop).result()


def _guarded(pieces: Iterator[bytes], answer: Pieces) -> Iterator[bytes]:
    try:
        yield from pieces
    except Cancelled:
        raise
    except Exception as error:
        if answer.failure is None:
            raise
        yield answer.failure(error)


async def _begin(exchange: Exchange, answer: Pieces, first: bytes) -> Outflow:
    outflow = exchange.stream(200, [*_head(answer.content_type), *answer.headers])
    await outflow.write(first)
    return outflow


async def _send(exchange: Exchange, answer: Answer) -> None:
    if isinstance(answer, Json):
        answer = Bytes(msgspec.json.encode(answer.value) + b"\n", "application/json", answer.status, answer.headers)
    if isinstance(answer, Bytes):
        head = [*_head(answer.content_type), *answer.headers]
        await exchange.respond(Response(answer.status, head, answer.body))
    elif isinstance(answer, Empty):
        await exchange.respond(Response(answer.status, [*EVERY_ANSWER, *answer.headers]))
    elif isinstance(answer, Flow):
        outflow = exchange.stream(200, [*_head(answer.content_type), *answer.headers])
        async with aclosing(answer.pieces) as pieces:
            async for piece in pieces:
                await outflow.write(piece)
        await outflow.end()


def _head(content_type: str) -> list[tuple[str, str]]:
    return [*EVERY_ANSWER, ("Content-Type", content_type)]
