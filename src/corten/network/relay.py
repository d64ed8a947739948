"""Published ports by [::1]: the one way to a container that the firewall cannot serve.

The kernel never delivers to ::1 what came by another device, so a connection to [::1]:8080 cannot be sent on to a
container as one to 127.0.0.1:8080 is. Programs that resolve localhost to ::1 first, and do not try the next address,
would fail. For them the engine listens on ::1 itself and passes the bytes on, for containers without IPv6 of their
own. While no engine runs the connection is refused, and a program that tries 127.0.0.1 next finds the container.
"""

import asyncio
import socket
from collections.abc import Iterable

from corten.network.firewall import Forward
from corten.network.loop import Loop

__all__ = ["Relay"]

PIECE = 65536


class Relay:
    """Listeners on ::1 for any number of containers."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._servers: dict[str, list[asyncio.Server]] = {}
        # One change at a time, in the order they were asked for.
        self._lock = asyncio.Lock()

    def open(self, container: str, forwards: Iterable[Forward]) -> None:
        """Listen for those of a container's ports that 127.0.0.1 leads to by TCP, in place of what there was."""
        bound = [(forward, _bind(forward)) for forward in forwards if _by_loopback(forward)]
        listening = [(forward, sock) for forward, sock in bound if sock]
        self._loop.run(self._change(container, listening))

    def stop(self, container: str) -> None:
        """Stop listening for a container."""
        self._loop.run(self._change(container, []))

    def close(self) -> None:
        """Stop listening for all of them; returns when every socket is closed."""
        self._loop.run(self._end()).result()

    async def _change(self, container: str, listening: list[tuple[Forward, socket.socket]]) -> None:
        async with self._lock:
            for server in self._servers.pop(container, []):
                server.close()
            if listening:
                self._servers[container] = [await _serve(forward, sock) for forward, sock in listening]

    async def _end(self) -> None:
        async with self._lock:
            for server in [server for servers in self._servers.values() for server in servers]:
                server.close()
            self._servers.clear()


def _by_loopback(forward: Forward) -> bool:
    reaches = forward.host_ip is None or forward.host_ip.is_loopback
    return forward.protocol == "tcp" and forward.address.version == 4 and reaches


def _bind(forward: Forward) -> socket.socket | None:
    sock = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("::1", forward.host_port))
        sock.listen()
        sock.setblocking(False)
    except OSError:
        # No IPv6 on this host, or another program (or the container's own IPv6 port) has it: IPv4 is all there is.
        sock.close()
        return None
    return sock


async def _serve(forward: Forward, sock: socket.socket) -> asyncio.Server:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _connect(forward, reader, writer)

    return await asyncio.start_server(serve, sock=sock, limit=PIECE)


async def _connect(forward: Forward, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        there = await asyncio.open_connection(str(forward.address), forward.port, limit=PIECE)
    except OSError:
        writer.transport.abort()
        return
    await asyncio.gather(_pump(reader, there[1]), _pump(there[0], writer))
    for end in (writer, there[1]):
        end.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass bytes on until the sender ends, then end that direction alone."""
    try:
        while piece := await reader.read(PIECE):
            writer.write(piece)
            await writer.drain()
        writer.write_eof()
    except OSError:
        writer.transport.abort()
