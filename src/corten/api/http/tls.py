"""TLS around an ordinary connection.

    client ══ciphertext══ Shell ──plain── socket pair ──plain── Connection

asyncio's own TLS cannot end one direction and go on with the other, which every `docker run -i` behind a pipe needs,
and gives no socket away, which attach and exec need. So TLS ends here, in memory (`SSLObject`), and the server sees one
half of a socket pair: hijack, half-close and sendfile are as on a Unix socket.
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Awaitable, Callable

from corten.api.http.certificates import Certificates
from corten.model.errors import InvalidArgument

__all__ = ["Shell", "context"]

PIECE = 64 << 10
HANDSHAKE_PATIENCE = 10.0

PLAIN_SPOKEN = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"

Serve = Callable[[socket.socket], Awaitable[asyncio.BaseTransport]]


def context(files: Certificates) -> ssl.SSLContext:
    """TLS 1.2 or newer, for a server. InvalidArgument says which file is at fault."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        made.load_cert_chain(files.certificate, files.key)
    except (OSError, ssl.SSLError) as error:
        raise InvalidArgument(
            f"read certificate {files.certificate} and key {files.key}: {error}",
            hint="both must be PEM, and belong together",
        ) from error
    if files.authority:
        try:
            made.load_verify_locations(files.authority)
        except (OSError, ssl.SSLError) as error:
            raise InvalidArgument(f"read the authority of clients {files.authority}: {error}") from error
        made.verify_mode = ssl.CERT_REQUIRED
    return made


class Shell(asyncio.Protocol):
    """The side of the wire: ciphertext in, plain bytes to the pair, and back. One for each client."""

    def __init__(self, tls: ssl.SSLContext, serve: Serve) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = tls.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._serve = serve
        self._inside: asyncio.Transport | None = None
        self._server: asyncio.BaseTransport | None = None
        self._opening: asyncio.Task[None] | None = None
        self._shaken = self._finished = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._wire = transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._patience = asyncio.get_running_loop().call_later(HANDSHAKE_PATIENCE, transport.abort)

    def data_received(self, data: bytes) -> None:
        self._incoming.write(data)
        try:
            self._advance()
        except ssl.SSLError as error:
            self._flush()  # an alert that says what was wrong
            if error.reason == "HTTP_REQUEST":
                self._wire.write(PLAIN_SPOKEN)
            self._wire.close()

    def connection_lost(self, _: Exception | None) -> None:
        self._patience.cancel()
        if self._inside is not None:
            self._inside.abort()
        if isinstance(self._server, asyncio.Transport):
            # After a half-close it reads no more, and would not see that the client has gone.
            self._server.abort()

    def pause_writing(self) -> None:
        if self._inside is not None:
            self._inside.pause_reading()

    def resume_writing(self) -> None:
        if self._inside is not None and not self._inside.is_closing():
            self._inside.resume_reading()

    # -- the pair's side

    def opened(self, inside: asyncio.Transport) -> None:
        """The pair stands: what has come meanwhile goes in."""
        self._inside = inside
        self.data_received(b"")

    def send(self, data: bytes) -> None:
        self._tls.write(data)
        self._flush()

    def finish(self) -> None:
        """The server has said everything: tell the client, in TLS, and hang up."""
        if not self._wire.is_closing():
            with contextlib.suppress(ssl.SSLError):  # it wants to wait for the client's own farewell, which we do not
                self._tls.unwrap()
            self._flush()
            self._wire.close()

    def hold(self, *, full: bool) -> None:
        """Stop reading the wire while the server is slow."""
        if not self._wire.is_closing():
            (self._wire.pause_reading if full else self._wire.resume_reading)()

    # -- private

    def _advance(self) -> None:
        if not self._shaken:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self._flush()
                return
            self._shaken = True
            self._patience.cancel()
            self._flush()
            self._opening = asyncio.get_running_loop().create_task(self._open())
        if self._inside is not None:
            self._carry(self._inside)

    def _carry(self, inside: asyncio.Transport) -> None:
        while not self._finished:
            try:
                data = self._tls.read(PIECE)
            except ssl.SSLWantReadError:
                break
            except ssl.SSLZeroReturnError:
                data = b""
            if data:
                inside.write(data)
            else:
                self._finished = True
                inside.write_eof()
        self._flush()

    async def _open(self) -> None:
        ours, theirs = socket.socketpair()
        for sock in (ours, theirs):
            sock.setblocking(False)
        try:
            self._server = await self._serve(theirs)
            if self._wire.is_closing():
                raise ConnectionAbortedError("the client left during the handshake")
            await asyncio.get_running_loop().connect_accepted_socket(lambda: Inside(self), ours)
        except OSError:
            ours.close()
            self._wire.abort()
            if isinstance(self._server, asyncio.Transport):
                self._server.abort()

    def _flush(self) -> None:
        if data := self._outgoing.read():
            self._wire.write(data)


class Inside(asyncio.Protocol):
    """Our end of the socket pair."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._shell.opened(transport)

    def data_received(self, data: bytes) -> None:
        self._shell.send(data)

    def connection_lost(self, _: Exception | None) -> None:
        self._shell.finish()

    def pause_writing(self) -> None:
        self._shell.hold(full=True)

    def resume_writing(self) -> None:
        self._shell.hold(full=False)
