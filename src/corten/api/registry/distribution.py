"""From an HTTP exchange to a handler's reply: the same way for every endpoint."""

import asyncio
import base64
import binascii
import logging
from urllib.parse import parse_qs, unquote

from corten.api.http.connection import Exchange, Response
from corten.api.lanes import Lane, Lanes
from corten.api.registry import blobs, problems, routes
from corten.api.registry.exchange import Asked, Reply
from corten.api.registry.routes import Route
from corten.model.errors import Cancelled, CortenError, Internal, NotFound, Unauthenticated, Unimplemented
from corten.registry import Passwords, Registry
from corten.registry.refusals import OutOfOrder

__all__ = ["Distribution"]

EVERY_ANSWER = (("Docker-Distribution-API-Version", "registry/2.0"), ("X-Content-Type-Options", "nosniff"))
CHALLENGE = ("WWW-Authenticate", 'Basic realm="corten registry"')
log = logging.getLogger("corten.registry")


class Distribution:
    """The application that every `http.Connection` of a registry serves. Without `passwords` everybody may do all."""

    def __init__(self, registry: Registry, lanes: Lanes, passwords: Passwords | None = None) -> None:
        self._registry = registry
        self._lanes = lanes
        self._passwords = passwords

    async def __call__(self, exchange: Exchange) -> None:
        try:
            await self._send(exchange, await self._answer(exchange))
        except Cancelled:
            return
        except Exception:
            log.exception("%s %s broke off", exchange.request.method, exchange.request.target)
            exchange.break_off()

    async def _answer(self, exchange: Exchange) -> Reply:
        try:
            await self._authenticate(exchange.request.headers.get("authorization", ""))
            route, names, query = _route(exchange)
            loop = asyncio.get_running_loop()
            body = exchange.body.blocking(loop)
            asked = Asked(self._registry, exchange.request.method, names, query, exchange.request.headers, body)
            return await loop.run_in_executor(self._lanes.pool(route.lane), _handle, route, asked)
        except Cancelled:
            raise
        except Unauthenticated as error:
            reply = problems.reply(error)
            return reply._replace(headers=[*reply.headers, CHALLENGE])
        except CortenError as error:
            return problems.reply(error)
        except Exception as error:
            log.exception("%s %s failed", exchange.request.method, exchange.request.target)
            return problems.reply(Internal(f"{type(error).__name__}: {error}", hint="this is a bug in Corten"))

    async def _authenticate(self, authorization: str) -> None:
        if self._passwords is None:
            return
        user, password = _credentials(authorization)
        pool = self._lanes.pool(Lane.CHANGE)  # a wrong password takes long, on purpose
        if not await asyncio.get_running_loop().run_in_executor(pool, self._passwords.check, user, password):
            raise Unauthenticated("authentication required", hint="log in with: corten login")

    async def _send(self, exchange: Exchange, reply: Reply) -> None:
        head = [*EVERY_ANSWER, *reply.headers]
        if reply.part is None:
            await exchange.respond(Response(reply.status, head, reply.body))
        else:
            await exchange.respond_file(reply.status, head, reply.part, self._lanes.pool(Lane.STREAM))


def _route(exchange: Exchange) -> tuple[Route, dict[str, str], dict[str, list[str]]]:
    path, _, arguments = exchange.request.target.partition("?")
    found = routes.find(unquote(path))
    if found is None:
        raise NotFound("page not found", hint="this is a registry: its API begins at /v2/")
    route = found.methods.get(exchange.request.method)
    if route is None:
        raise Unimplemented(f"{exchange.request.method} is no method of {path[:200]}")
    return route, found.names, parse_qs(arguments, keep_blank_values=True)


def _handle(route: Route, asked: Asked) -> Reply:
    try:
        return route.handler(asked)
    except OutOfOrder as error:
        reply = problems.reply(error)
        more = blobs.refused_chunk(asked, error) if "id" in asked.path else []
        return reply._replace(headers=[*reply.headers, *more])


def _credentials(authorization: str) -> tuple[str, str]:
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        raise Unauthenticated("authentication required", hint="log in with: corten login")
    try:
        user, colon, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        user = colon = password = ""
    if not colon:
        raise Unauthenticated("malformed credentials")
    return user, password
