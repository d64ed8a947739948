"""One client's connection: bytes to h11 events to exchanges, and back.

Life of a connection::

    data_received ──feed──> h11 ──Request──> Exchange ──answer──> h11 ──bytes──> transport
                              └──Data──> Body                        │
                                                            hijack: dup(fd), early bytes, gone

Requests are answered strictly in turn (HTTP/1.1 pipelining). Reading goes on while a request is answered, because
only a reader notices that its client has gone away; it pauses when unread input exceeds a megabyte.
"""

import asyncio
import os
import select
import socket
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor
from typing import NamedTuple

import h11

from corten.api.http import plain, sendfile
from corten.api.http.body import HIGH, Body
from corten.api.http.plain import H11Writer, PlainWriter, Request
from corten.api.http.sendfile import FilePart
from corten.model.cancel import Cancel
from corten.model.errors import Cancelled

__all__ = ["App", "Connection", "Exchange", "Outflow", "Request", "Response"]

Headers = Sequence[tuple[str, str]]
MAX_HEAD = 1 << 20  # as Go's server; registry credentials for many hosts travel in one header
PIECE = 1 << 20
HEAD_PATIENCE = 5.0
DRAIN = 256 << 10  # what Go's server reads of an unread body to keep the connection


class Response(NamedTuple):
    """A whole answer."""

    status: int
    headers: Headers = ()
    body: bytes = b""


class Hijacked(NamedTuple):
    """The client's socket, a duplicate that the taker must close, and what the client had already sent."""

    fd: int
    early: bytes


App = Callable[["Exchange"], Awaitable[None]]


class Connection(asyncio.Protocol):
    """Serves the requests of one client, one after another, by `app`."""

    def __init__(self, app: App, connections: set["Connection"]) -> None:
        self._app = app
        self._connections = connections
        self._h11 = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD)
        self._loop = asyncio.get_running_loop()
        self._input: asyncio.Future[None] | None = None
        self._drained: asyncio.Future[None] | None = None
        self._exchange: Exchange | None = None
        self._h11_writer = H11Writer(self._h11)
        self._plain: tuple[Request, bytes] | None = None
        self._untouched = True  # no byte of the request to come has been given to h11
        self._body: Body | None = None
        self._lost = False
        self._paused = False
        self._closing = False

    # -- the transport's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        sock: socket.socket = transport.get_extra_info("socket")
        if sock.family != socket.AF_UNIX:
            # asyncio does so only for sockets made with an explicit protocol; a head and its file are two packets.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connections.add(self)
        self._task = self._loop.create_task(self._serve())

    def data_received(self, data: bytes) -> None:
        if self._untouched and self._input is not None and (request := plain.parse(data)):
            self._plain = request
            self._wake()
            return
        self._untouched = False
        self._h11.receive_data(data)
        self._pump()

    def eof_received(self) -> bool:
        """The client ended its sending side; it may still read (half-close), unless it has hung up altogether."""
        self._h11.receive_data(b"")
        self._pump()
        if self._hung_up():
            self._transport.abort()
            return False
        return True

    def connection_lost(self, _: Exception | None) -> None:
        self._lost = True
        self._connections.discard(self)
        self.resume_writing()
        self._gone()
        if self._exchange is not None:
            self._task.cancel()  # nobody reads the answer; a lane's thread notices by `Exchange.cancel`
        self._wake()

    def pause_writing(self) -> None:
        self._drained = self._loop.create_future()

    def resume_writing(self) -> None:
        if self._drained and not self._drained.done():
            self._drained.set_result(None)
        self._drained = None

    # -- the server's side

    @property
    def idle(self) -> bool:
        return self._exchange is None

    def close_when_idle(self) -> None:
        """End after the exchange that is being answered; at once when there is none."""
        self._closing = True
        if self.idle:
            self._transport.close()

    def abort(self) -> None:
        self._transport.abort()

    # -- the exchange's side

    def write(self, data: bytes) -> None:
        """Send bytes; nothing when the client has gone."""
        if not self._lost:
            self._transport.write(data)

    async def drain(self) -> None:
        """Wait until the client has taken what was written; `Cancelled` when it has gone away."""
        if self._drained:
            await self._drained
        if self._lost:
            raise Cancelled("the client went away")

    async def send_file(self, head: bytes, part: FilePart, pool: Executor) -> None:
        """Send `head` and then a part of a file, whose descriptor is ours to close; `Cancelled` when the client goes.

        The kernel moves the bytes (sendfile) while a thread of `pool` waits, on a duplicate of the socket, so that
        neither a slow disk nor a client that hangs up can hurt the loop. Behind TLS they are read and encrypted here.
        """
        try:
            if self._transport.get_extra_info("sslcontext") or not part.length:
                self.write(head)
                await self._send_pieces(part)
                return
            self._transport.set_write_buffer_limits(0)
            self.write(head)
            await self.drain()
            sock = os.dup(self._transport.get_extra_info("socket").fileno())
            sending = self._loop.run_in_executor(pool, sendfile.send, sock, part._replace(fd=os.dup(part.fd)))
            sending.add_done_callback(lambda one: one.cancelled() or one.exception())  # perhaps nobody waits
            await asyncio.shield(sending)  # a thread that runs closes what it was given
            self._transport.set_write_buffer_limits()
        except OSError as error:
            self._transport.abort()
            raise Cancelled(f"the client went away: {error}") from error
        finally:
            os.close(part.fd)

    async def _send_pieces(self, part: FilePart) -> None:
        offset, end = part.offset, part.offset + part.length
        while offset < end:
            data = await asyncio.to_thread(os.pread, part.fd, min(PIECE, end - offset), offset)
            if not data:
                raise OSError("the file ended early")
            self.write(data)
            await self.drain()
            offset += len(data)

    async def surrender(self, head: bytes) -> Hijacked:
        """Answer with `head`, stop being the reader, and give the socket away without shutting it down.

        `Cancelled` when the client goes, or does not even read the head: who called us may hold a lock meanwhile.
        """
        self._transport.pause_reading()
        self._paused = True
        self._transport.set_write_buffer_limits(0)
        self._transport.write(head)
        try:
            await asyncio.wait_for(self.drain(), HEAD_PATIENCE)
        except TimeoutError:
            self._transport.abort()
            raise Cancelled("the client does not read") from None
        sock: socket.socket = self._transport.get_extra_info("socket")
        hijacked = Hijacked(os.dup(sock.fileno()), self._h11.trailing_data[0])
        self._exchange = self._body = None  # the client has not gone, so nobody's cancel is to be set
        self._transport.abort()
        return hijacked

    # -- private: the loop over requests

    async def _serve(self) -> None:
        try:
            while (exchange := await self._next()) is not None:
                await self._app(exchange)
                if exchange.hijacked or not await self._reusable(exchange):
                    break
                self._exchange = self._body = None
                if not exchange.plain:
                    self._h11.start_next_cycle()
                    self._untouched = not self._unread()
        except (h11.RemoteProtocolError, h11.LocalProtocolError) as error:
            self._refuse(error)
        except Cancelled:
            pass
        finally:
            self._transport.close()

    async def _next(self) -> "Exchange | None":
        """The next request's exchange, or None when the client sends no more."""
        while not self._closing:
            if self._plain is not None:
                (request, body), self._plain = self._plain, None
                self._exchange = Exchange(self, request, Body.whole(body), PlainWriter(), plain=True)
                return self._exchange
            event = self._h11.next_event()
            if isinstance(event, h11.Request):
                self._body = Body(self._demand)
                self._exchange = Exchange(self, _request(event), self._body, self._h11_writer)
                self._pump()
                return self._exchange
            if isinstance(event, h11.ConnectionClosed) or self._lost:
                return None
            self._input = self._loop.create_future()
            await self._input
        return None

    def _pump(self) -> None:
        """Move body bytes that h11 holds into the body; wake whoever waits for the next request."""
        if self._body is None:
            self._wake()
            return
        try:
            while not self._body.ended and not self._body.full:
                event = self._h11.next_event()
                if isinstance(event, h11.Data):
                    self._body.feed(bytes(event.data))
                elif isinstance(event, h11.EndOfMessage):
                    self._body.end()
                else:
                    break
        except h11.RemoteProtocolError:
            self._body.abort()
        self._throttle()

    def _throttle(self) -> None:
        full = self._body is not None and (self._body.full or (self._body.ended and self._unread() > HIGH))
        if full != self._paused and not self._transport.is_closing():
            self._paused = full
            (self._transport.pause_reading if full else self._transport.resume_reading)()

    def _unread(self) -> int:
        return len(self._h11.trailing_data[0])

    def _demand(self) -> None:
        """The body's reader wants more: answer ``Expect: 100-continue``, go on reading."""
        if self._h11.they_are_waiting_for_100_continue:
            proceed = h11.InformationalResponse(status_code=100, headers=[], reason=b"Continue")
            self.write(self._h11.send(proceed) or b"")
        self._loop.call_soon(self._pump)

    async def _reusable(self, exchange: "Exchange") -> bool:
        if self._closing or self._lost or exchange.plain:
            return exchange.finished and not (self._closing or self._lost)
        if self._h11.our_state is not h11.DONE:
            return False
        if not exchange.body.ended and self._h11.they_are_waiting_for_100_continue:
            return False
        return await exchange.body.drain(DRAIN) and self._h11.their_state is h11.DONE

    def _refuse(self, error: h11.ProtocolError) -> None:
        """Answer bytes that are no HTTP, once, and close."""
        if self._h11.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            return
        status = getattr(error, "error_status_hint", 400)
        body = f"{status} Bad Request: this is no HTTP/1.1 request".encode()
        headers = [
            ("Content-Type", "text/plain; charset=utf-8"),
            ("Connection", "close"),
            ("Content-Length", str(len(body))),
        ]
        self.write(self._h11_writer.whole(status, headers, body))

    def _gone(self) -> None:
        if self._body:
            self._body.abort()
        if self._exchange:
            self._exchange.cancel.set()

    def _wake(self) -> None:
        if self._input and not self._input.done():
            self._input.set_result(None)
        self._input = None

    def _hung_up(self) -> bool:
        """A unix socket tells a closed client (POLLHUP) from one that only ended its sending; TCP does not."""
        sock: socket.socket = self._transport.get_extra_info("socket")
        if sock.family != socket.AF_UNIX:
            return True
        poll = select.poll()
        poll.register(sock.fileno(), 0)
        return any(flags & select.POLLHUP for _, flags in poll.poll(0))


class Exchange:
    """One request and its one answer. Every method belongs to the loop's thread."""

    def __init__(
        self,
        connection: Connection,
        request: Request,
        body: Body,
        writer: H11Writer | PlainWriter,
        *,
        plain: bool = False,
    ) -> None:
        self._connection = connection
        self._writer = writer
        self.plain = plain
        self.finished = False
        self.request = request
        self.body = body
        self.cancel = Cancel()
        self.hijacked = False
        self.answered = False

    async def respond(self, response: Response) -> None:
        """Send a whole answer."""
        self.answered = self.finished = True
        status, headers, body = response
        head = [*headers, ("Content-Length", str(len(body)))] if status not in (204, 304) else headers
        self._connection.write(self._writer.whole(status, head, b"" if self.request.method == "HEAD" else body))

    def stream(self, status: int, headers: Headers) -> "Outflow":
        """Begin an answer whose length is unknown; the head is on its way when this returns."""
        self.answered = True
        self._connection.write(self._writer.begin(status, headers))
        return Outflow(self, self._connection, self._writer)

    async def respond_file(self, status: int, headers: Headers, part: FilePart, pool: Executor) -> None:
        """Send a part of a file as the whole answer; its descriptor is ours to close."""
        self.answered = True
        head = self._writer.begin_sized(status, [*headers, ("Content-Length", str(part.length))])
        if self.request.method == "HEAD":
            os.close(part.fd)
            self._connection.write(head)
        else:
            await self._connection.send_file(head, part, pool)
        self._writer.end_sized(0 if self.request.method == "HEAD" else part.length)
        self.finished = True

    async def hijack(self, content_type: str, headers: Headers, *, protocol: str = "tcp") -> Hijacked:
        """Turn the exchange into a raw duplex stream and give the socket away.

        The first line is literally ``101 UPGRADED`` where the client asked for an upgrade (the Docker CLI insists),
        else ``200 OK`` without any framing. `Cancelled` when the client has gone away.
        """
        if self.request.wants_upgrade:
            first, extra = "101 UPGRADED", f"Connection: Upgrade\r\nUpgrade: {protocol}\r\n"
        else:
            first, extra = "200 OK", ""
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers if name != "Content-Type")
        return await self.surrender(
            f"HTTP/1.1 {first}\r\nContent-Type: {content_type}\r\n{extra}{lines}\r\n".encode("latin-1")
        )

    async def surrender(self, head: bytes) -> Hijacked:
        """Hijack with an answer of one's own."""
        if not self.body.ended:
            try:
                await asyncio.wait_for(self.body.drain(DRAIN), HEAD_PATIENCE)
            except TimeoutError:
                raise Cancelled("the request's body does not come") from None
        self.answered = self.hijacked = True
        return await self._connection.surrender(head)

    def break_off(self) -> None:
        """Cut the connection in the middle of an answer: the only honest end when its rest cannot be made."""
        self._connection.abort()


class Outflow:
    """The body of an answer in pieces."""

    def __init__(self, exchange: Exchange, connection: Connection, writer: H11Writer | PlainWriter) -> None:
        self._exchange = exchange
        self._connection = connection
        self._writer = writer

    async def write(self, data: bytes) -> None:
        """Send one piece and wait while the client is slower than we are; `Cancelled` when it has gone."""
        if data:
            self._connection.write(self._writer.piece(data))
        await self._connection.drain()

    async def end(self) -> None:
        self._exchange.finished = True
        self._connection.write(self._writer.end())


def _request(event: h11.Request) -> Request:
    headers: dict[str, str] = {}
    for name, value in event.headers:
        key = name.decode("ascii")
        text = value.decode("latin-1")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return Request(event.method.decode("ascii"), event.target.decode("latin-1"), headers)
