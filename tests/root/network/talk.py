"""Who can talk to whom: a server in one namespace, a client in another, one line each way."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress

from tests.root.network.namespaces import Container

SECONDS = 0.4


def family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


@contextmanager
def echo(
    box: Container | None, port: int, *, kind: int = socket.SOCK_STREAM, address: str = "0.0.0.0"
) -> Iterator[None]:
    """Serve in `box` (None: on the host): each client is told the address it is seen with."""
    with box.inside() if box else nullcontext():
        server = socket.socket(family(address), kind)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((address, port))
    if kind == socket.SOCK_STREAM:
        server.listen()
    thread = threading.Thread(target=_serve, args=(server,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown(socket.SHUT_RDWR) if kind == socket.SOCK_STREAM else _wake(server)
        thread.join(5)
        server.close()


def ask(box: Container | None, address: str, port: int, *, kind: int = socket.SOCK_STREAM) -> str | None:
    """Connect from `box` (None: from the host); what the server said it saw, or None where nothing answered."""
    with box.inside() if box else nullcontext():
        client = socket.socket(family(address), kind)
    with client:
        client.settimeout(SECONDS)
        try:
            client.connect((address, port))
            client.send(b"who am I?\n")
            return client.recv(100).decode() or None
        except OSError:
            return None


def _serve(server: socket.socket) -> None:
    while True:
        try:
            if server.type == socket.SOCK_STREAM:
                client, peer = server.accept()
                with client:
                    client.recv(100)
                    client.send(peer[0].encode())
            else:
                data, peer = server.recvfrom(100)
                if not data:
                    return
                server.sendto(peer[0].encode(), peer)
        except OSError:
            return


def _wake(server: socket.socket) -> None:
    # An unconnected datagram socket says ENOTCONN, and wakes its reader all the same.
    with suppress(OSError):
        server.shutdown(socket.SHUT_RDWR)
