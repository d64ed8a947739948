"""HTTP/1.1 for engines: h11 decides what bytes mean, a thin asyncio layer moves them.

Three nouns::

    Server      listens on sockets and makes a Connection for each client
    Connection  an asyncio protocol around one h11 state machine; takes requests one after another
    Exchange    one request and its one answer, which is a Response, a stream, or a hijack

*Hijack* is Docker's way of turning a request into a raw duplex stream (attach, exec). The connection answers a
literal ``101 UPGRADED`` (or ``200 OK`` to a client that asked for no upgrade), stops reading, and hands out a
duplicate of the socket together with the bytes it had already read; it then forgets the socket without shutting it
down. Whoever got the duplicate (the C monitor) talks to the client from there on, so that an attached client
survives the death of the engine.

Why not a framework: uvicorn, granian and hypercorn cannot hijack, aiohttp costs 20 MiB (docs/dependencies.md).
"""

from corten.api.http.connection import Connection, Exchange, Outflow, Request, Response
from corten.api.http.server import Server

__all__ = ["Connection", "Exchange", "Outflow", "Request", "Response", "Server"]
