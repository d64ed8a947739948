"""Listening: every socket that is given, one `Connection` per client."""

import asyncio
import socket
from typing import TYPE_CHECKING

from corten.api.http.connection import App, Connection

if TYPE_CHECKING:
    import ssl

__all__ = ["Server"]


class Server:
    """Accepts clients on sockets that are already bound and listening, and serves them by `app`."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._connections: set[Connection] = set()
        self._servers: list[asyncio.Server] = []

    @property
    def clients(self) -> int:
        """How many clients are connected (a hijacked one no longer counts: its socket was given away)."""
        return len(self._connections)

    async def listen(self, sock: socket.socket, tls: "ssl.SSLContext | None" = None, app: App | None = None) -> None:
        """Serve `sock`, which the server owns from now on, by its own `app` if it has one.

        With `tls`, only to clients that speak it; nothing can then be hijacked (see `listen_tls`).
        """
        loop = asyncio.get_running_loop()
        make = loop.create_unix_server if sock.family == socket.AF_UNIX else loop.create_server
        server = await make(lambda: Connection(app or self._app, self._connections), sock=sock, ssl=tls)
        self._servers.append(server)

    async def listen_tls(self, sock: socket.socket, tls: "ssl.SSLContext", app: App) -> None:
        """Serve `sock` by `app` to clients that speak TLS, with hijack and half-close as on any other socket."""
        from corten.api.http.tls import Shell  # loads ssl, which an engine on Unix sockets does without

        loop = asyncio.get_running_loop()

        async def serve(plain: socket.socket) -> asyncio.BaseTransport:
            return (await loop.connect_accepted_socket(lambda: Connection(app, self._connections), plain))[0]

        self._servers.append(await loop.create_server(lambda: Shell(tls, serve), sock=sock))

    async def close(self, grace: float) -> None:
        """Take no new client, let running exchanges end for `grace` seconds, then drop the rest."""
        for server in self._servers:
            server.close()
        for connection in list(self._connections):
            connection.close_when_idle()
        deadline = asyncio.get_running_loop().time() + grace
        while self._connections and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.01)
        for connection in list(self._connections):
            connection.abort()
