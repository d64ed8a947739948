"""A hijacked stream over WebSocket: what a browser or docker-py attaches with.

wsproto decides what bytes mean. The process's side is one end of a socket pair, so that whoever pumps it (the C
monitor) knows nothing of frames; two small loops carry bytes between the pair and the client.
"""

import asyncio
import socket

from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, BytesMessage, CloseConnection, Ping, Request, TextMessage
from wsproto.utilities import RemoteProtocolError

from corten.api.http.connection import Exchange
from corten.model.errors import InvalidArgument

__all__ = ["accept"]

CHUNK = 32768
NORMAL_CLOSURE = 1000
_running: set[asyncio.Task[None]] = set()  # the loop itself keeps only weak references to tasks


async def accept(exchange: Exchange) -> int:
    """Answer the handshake; the descriptor of the process's side, which the taker closes."""
    websocket = WSConnection(ConnectionType.SERVER)
    headers = [(name.encode(), value.encode("latin-1")) for name, value in exchange.request.headers.items()]
    try:
        websocket.initiate_upgrade_connection(headers, exchange.request.target)
        opened = next(websocket.events())
    except (RemoteProtocolError, StopIteration) as error:
        raise InvalidArgument(f"not a websocket handshake: {error}") from None
    assert isinstance(opened, Request)
    wanted = opened.subprotocols[0] if opened.subprotocols else None
    client = await exchange.surrender(websocket.send(AcceptConnection(subprotocol=wanted)))
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    task = asyncio.create_task(_bridge(websocket, socket.socket(fileno=client.fd), ours, client.early))
    _running.add(task)
    task.add_done_callback(_running.discard)
    return theirs.detach()


async def _bridge(websocket: WSConnection, client: socket.socket, process: socket.socket, early: bytes) -> None:
    """Carry bytes until the process's side ends; a client that closes ends only the process's input."""
    client.setblocking(False)
    incoming = asyncio.create_task(_from_client(websocket, client, process, early))
    try:
        await _to_client(websocket, client, process)
    except OSError:
        pass  # the client went away: the process's side notices when both ends are closed
    finally:
        incoming.cancel()
        await asyncio.gather(incoming, return_exceptions=True)
        client.close()
        process.close()


async def _from_client(websocket: WSConnection, client: socket.socket, process: socket.socket, early: bytes) -> None:
    loop = asyncio.get_running_loop()
    data = early or await loop.sock_recv(client, CHUNK)
    while data:
        websocket.receive_data(data)
        for event in websocket.events():
            if isinstance(event, TextMessage | BytesMessage):
                payload = event.data.encode() if isinstance(event.data, str) else bytes(event.data)
                await loop.sock_sendall(process, payload)
            elif isinstance(event, Ping):
                await loop.sock_sendall(client, websocket.send(event.response()))
            elif isinstance(event, CloseConnection):
                process.shutdown(socket.SHUT_WR)
                return
        data = await loop.sock_recv(client, CHUNK)
    process.shutdown(socket.SHUT_WR)


async def _to_client(websocket: WSConnection, client: socket.socket, process: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    while data := await loop.sock_recv(process, CHUNK):
        await loop.sock_sendall(client, websocket.send(BytesMessage(data=data)))
    await loop.sock_sendall(client, websocket.send(CloseConnection(code=NORMAL_CLOSURE)))
