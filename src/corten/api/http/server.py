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

    async def listen(self, sock: socket.socket, tls: "ssl.SSLContext | None" = None) -> None:
        """Serve `sock`, which the server owns from now on; with `tls`, only to clients that speak it."""
        loop = asyncio.get_running_loop()
        make = loop.create_unix_server if sock.family == socket.AF_UNIX else loop.create_server
        server = await make(lambda: Connection(self._app, self._connections), sock=sock, ssl=tls)
        self._servers.append(server)

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
