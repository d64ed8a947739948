"""A real server on a real socket, in a thread of the test, and a raw client for it."""

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from corten.api.dispatch import Dispatcher
from corten.api.http.connection import Exchange
from corten.api.http.server import Server
from corten.api.lanes import Lanes
from corten.api.router import Route, Router
from corten.daemon.listening import listen_unix


@contextmanager
def serving(directory: Path, app: Callable[[Exchange], Awaitable[None]]) -> Iterator[str]:
    """Serve `app` at the returned socket path until the block ends."""
    path = str(directory / "test.sock")
    loop = asyncio.new_event_loop()
    server = Server(app)
    loop.run_until_complete(server.listen(listen_unix(path)))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield path
    finally:
        asyncio.run_coroutine_threadsafe(server.close(0), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


@contextmanager
def api(directory: Path, routes: list[Route[Any, Any]], engine: Any = None) -> Iterator[str]:
    """Serve `routes` over `engine` through the real dispatcher."""
    lanes = Lanes()
    with serving(directory, Dispatcher(engine, Router(routes), lanes)) as path:
        yield path
    lanes.close()


class Client:
    """A raw client: what is sent and received is bytes."""

    def __init__(self, path: str) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(10)
        self.sock.connect(path)
        self.rest = b""

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def send(self, *lines: str, body: bytes = b"") -> None:
        head = "\r\n".join((lines[0], "Host: x", *lines[1:], "", ""))
        self.sock.sendall(head.encode() + body)

    def until(self, mark: bytes) -> bytes:
        """Received bytes up to and with `mark`; what follows waits."""
        while mark not in self.rest:
            data = self.sock.recv(65536)
            assert data, f"the server closed before {mark!r}; it sent {self.rest!r}"
            self.rest += data
        head, _, self.rest = self.rest.partition(mark)
        return head + mark

    def to_the_end(self) -> bytes:
        while data := self.sock.recv(65536):
            self.rest += data
        data, self.rest = self.rest, b""
        return data

    def answer(self) -> tuple[int, dict[str, str], bytes]:
        """One answer whose length is told."""
        first, *lines = self.until(b"\r\n\r\n").decode().split("\r\n")[:-2]
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        size = int(headers.get("content-length", 0))
        while len(self.rest) < size:
            self.rest += self.sock.recv(65536)
        body, self.rest = self.rest[:size], self.rest[size:]
        return int(first.split()[1]), headers, body
