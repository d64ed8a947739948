"""One HTTP/1.1 connection to an engine, over `_socket` alone.

A `Connection` is blocking and answers one request at a time; a command that does two things at once (attach
and wait) opens two. `hijack` turns a connection into a raw two-way `Stream`: the way Docker carries a
container's stdio.

>>> connection = Connection(Address("unix:///run/corten/corten.sock"))
>>> connection.request("GET", "/containers/json", query={"all": "1"}).json()

Answers of 400 and above do not raise by themselves: the caller says `.check()`, because some of them are part
of a conversation (404 on create means pull first).
"""

from __future__ import annotations

import _socket
from time import perf_counter_ns

from corten.model import errors
from corten.wire import codec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Any, NoReturn

    from corten.client.address import Address

    Query = Mapping[str, "str | list[str] | None"]

__all__ = ["Connection", "EngineError", "Response", "Stream", "quote"]

_CHUNK = 65536
_HEAD_LIMIT = 256 * 1024
_PATH_LIMIT = 107  # sun_path
_QUIET = _socket.MSG_NOSIGNAL  # an engine that goes away is an error to report, not a signal to die of
_PLAIN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-~/:")


class EngineError(errors.CortenError):
    """The engine answered with an error; `status` is HTTP's, the message is the engine's own words.

    `kind_name` is our engine's name of the kind (dockerd has none).
    """

    def __init__(self, status: int, message: str, *, hint: str = "", kind_name: str = "") -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.kind_name = kind_name


def quote(text: str) -> str:
    """Percent-encode `text` for a path or a query value."""
    if _PLAIN.issuperset(text):
        return text
    plain = _PLAIN
    return "".join(chr(b) if chr(b) in plain else f"%{b:02X}" for b in text.encode("utf-8", "surrogateescape"))


def _query(query: Query | None) -> str:
    if not query:
        return ""
    parts: list[str] = []
    for key, value in query.items():
        for one in value if isinstance(value, list) else [value]:
            if one is not None:
                parts.append(f"{key}={quote(one).replace(':', '%3A').replace('/', '%2F')}")
    return "?" + "&".join(parts) if parts else ""


class Connection:
    """A keep-alive connection to the engine at `address`; opened by the first request."""

    def __init__(self, address: Address, *, timeout: float | None = None) -> None:
        self.address = address
        self._timeout = timeout
        self._socket: _socket.socket | None = None
        self._early = b""
        self.headers: dict[str, str] = {}
        """Sent with every request."""
        self.heard: list[tuple[str, str, int]] | None = None
        """Where to write each request's method, path and nanoseconds until its answer began, if anywhere."""
        self._asked = ("", 0)

    def connect(self) -> None:
        """Open the socket; OSError says why it cannot be."""
        if self._socket is None:
            self._socket = _dial(self.address, self._timeout)

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        body: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """Send one request and read the head of its answer.

        `body` is bytes, an iterable of bytes (sent in chunks as it comes), or a value sent as JSON.
        """
        self.send(method, path, query=query, body=body, headers=headers)
        return self.answer(method)

    def send(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        body: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Send one request; `answer` reads what comes back, whenever the caller is ready to wait for it."""
        self._send(method, path, query, body, headers or {})

    def answer(self, method: str) -> Response:
        """The head of the answer to the request that was sent."""
        assert self._socket is not None
        response = _read_head(self, self._socket, method)
        self._note(method)
        if response.closes:
            self._socket = None
        return response

    def hijack(self, path: str, *, query: Query | None = None, body: object = None) -> Stream:
        """POST and take the connection over as a raw stream; EngineError when the engine declines."""
        upgrade = {"Connection": "Upgrade", "Upgrade": "tcp"}
        sock = self._send("POST", path, query, body, upgrade)
        response = _read_head(self, sock, "POST", hijacked=True)
        self._note("POST")
        if response.status not in (101, 200):
            response.check()
        self._socket = None
        return Stream(sock, response.headers, response.early)

    def _note(self, method: str) -> None:
        if self.heard is not None:
            path, began = self._asked
            self.heard.append((method, path, perf_counter_ns() - began))

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _send(
        self, method: str, path: str, query: Query | None, body: object, headers: Mapping[str, str]
    ) -> _socket.socket:
        self.connect()
        sock = self._socket
        assert sock is not None
        self._asked = (path, perf_counter_ns())
        head = [
            f"{method} {quote(path)}{_query(query)} HTTP/1.1",
            f"Host: {self.address.authority}",
            "User-Agent: corten",
        ]
        head += [f"{name}: {value}" for name, value in (*self.headers.items(), *headers.items())]
        payload, chunks = _payload(method, body, head)
        try:
            sock.sendall("\r\n".join(head).encode("latin-1", "replace") + b"\r\n\r\n" + payload, _QUIET)
            for chunk in chunks:
                sock.sendall(b"%x\r\n%b\r\n" % (len(chunk), chunk), _QUIET)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the engine may have answered before it read everything: its answer says more than EPIPE
        return sock


def _payload(method: str, body: object, head: list[str]) -> tuple[bytes, Iterable[bytes]]:
    """The bytes that follow the head at once, and the chunks that follow them; completes the headers."""
    if body is None:
        if method != "GET" and method != "HEAD":
            head.append("Content-Length: 0")
        return b"", ()
    if isinstance(body, (dict, list, str, int)):
        body = codec.dumps(body).encode("utf-8", "surrogateescape")
        head.append("Content-Type: application/json")
    elif not any(line.startswith("Content-Type:") for line in head):
        head.append("Content-Type: application/x-tar")
    if isinstance(body, bytes):
        head.append(f"Content-Length: {len(body)}")
        return body, ()
    head.append("Transfer-Encoding: chunked")
    return b"", _with_end(body)  # type: ignore[arg-type]


def _with_end(body: Iterable[bytes]) -> Iterator[bytes]:
    """The body's chunks and the empty one that ends it; an empty one before would end it early."""
    for chunk in body:
        if chunk:
            yield chunk
    yield b""


def _dial(address: Address, timeout: float | None) -> _socket.socket:
    if address.path:
        sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
        sock.settimeout(timeout)
        try:
            _connect_path(sock, address.path)
        except BaseException:
            sock.close()
            raise
        return sock
    failure: OSError = OSError(f"no address for {address.host}")
    for family, kind, protocol, _, where in _socket.getaddrinfo(address.host, address.port, 0, _socket.SOCK_STREAM):
        sock = _socket.socket(family, kind | _socket.SOCK_CLOEXEC, protocol)
        sock.settimeout(timeout)
        try:
            sock.connect(where)
        except OSError as error:
            sock.close()
            failure = error
            continue
        return sock
    raise failure


def _connect_path(sock: _socket.socket, place: str) -> None:
    """Connect to a Unix socket; one whose path is longer than the address allows is reached through its directory."""
    if len(place.encode()) <= _PATH_LIMIT:
        sock.connect(place)
        return
    import os

    directory = os.open(os.path.dirname(place), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        sock.connect(f"/proc/self/fd/{directory}/{os.path.basename(place)}")
    finally:
        os.close(directory)


class Response:
    """An answer whose head is read and whose body is read on demand."""

    __slots__ = ("_connection", "_is_chunked", "_left", "_sock", "closes", "early", "headers", "status")

    def __init__(self, connection: Connection, sock: _socket.socket, status: int, headers: dict[str, str]) -> None:
        self._connection = connection
        self._sock = sock
        self.status = status
        self.headers = headers
        self.early = b""
        self._left = -1
        self._is_chunked = False
        self.closes = headers.get("connection", "").lower() == "close"

    def chunks(self) -> Iterator[bytes]:
        """The body as it arrives; ends with the body."""
        return self._chunked() if self._is_chunked else self._counted()

    def read(self) -> bytes:
        return b"".join(self.chunks())

    def json(self) -> Any:
        """The body as one JSON value; checks the status first."""
        self.check()
        return codec.loads(self.read())

    def lines(self) -> Iterator[Any]:
        """The values of a JSON stream, each as soon as it is whole."""
        text = ""
        for chunk in self.chunks():
            found, text = codec.values(text + chunk.decode("utf-8", "surrogateescape"))
            yield from found

    def check(self) -> Response:
        """Raise EngineError when the status says so, with the engine's message and hint."""
        if self.status >= 400:
            self._raise()
        return self

    def done(self) -> None:
        """Read to the end, so that the connection is free for the next request."""
        self.check()
        self.read()

    def _raise(self) -> NoReturn:
        body = self.read()
        try:
            answer = codec.loads(body)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            answer = {"message": body.decode("utf-8", "replace").strip()}
        message = str(answer.get("message") or f"the engine answered {self.status} and gave no reason")
        raise EngineError(
            self.status, message, hint=str(answer.get("hint") or ""), kind_name=str(answer.get("kind") or "")
        )

    def fileno(self) -> int:
        return self._sock.fileno()

    def _counted(self) -> Iterator[bytes]:
        if self._left >= 0:
            yield from self._exactly(self._left)
            self._hand_back()
            return
        while data := self.early or self._sock.recv(_CHUNK):
            self.early = b""
            yield data

    def _chunked(self) -> Iterator[bytes]:
        while size := int(self._line().partition(b";")[0], 16):
            yield from self._exactly(size)
            self._line()
        while self._line():
            pass  # trailers say nothing that Docker's API uses
        self._hand_back()

    def _exactly(self, size: int) -> Iterator[bytes]:
        while size:
            data = self.early or self._more()
            data, self.early = data[:size], data[size:]
            size -= len(data)
            yield data

    def _line(self) -> bytes:
        while b"\r\n" not in self.early:
            self.early += self._more()
        line, _, self.early = self.early.partition(b"\r\n")
        return line

    def _more(self) -> bytes:
        data = self._sock.recv(_CHUNK)
        if not data:
            raise errors.Unavailable("the engine closed the connection in the middle of its answer")
        return data

    def _hand_back(self) -> None:
        """What came behind this answer belongs to the next one on the connection."""
        self._connection._early, self.early = self.early, b""


def _read_head(connection: Connection, sock: _socket.socket, method: str, *, hijacked: bool = False) -> Response:
    data, connection._early = connection._early, b""
    while (end := data.find(b"\r\n\r\n")) < 0:
        more = sock.recv(_CHUNK)
        if not more or len(data) > _HEAD_LIMIT:
            connection.close()
            raise errors.Unavailable("the engine closed the connection without an answer", hint="see its log")
        data += more
    first, *lines = data[:end].decode("latin-1").split("\r\n")
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    status = int(first.split(" ", 2)[1])
    response = Response(connection, sock, status, headers)
    response.early = data[end + 4 :]
    if hijacked and status in (101, 200):
        return response
    if method == "HEAD" or status in (204, 304):
        response._left = 0
    elif "chunked" in headers.get("transfer-encoding", ""):
        response._is_chunked = True
    elif "content-length" in headers:
        response._left = int(headers["content-length"])
    else:
        response.closes = True
    return response


class Stream:
    """A hijacked connection: bytes both ways, each way closed by itself. `early` came with the head."""

    __slots__ = ("early", "headers", "sock")

    def __init__(self, sock: _socket.socket, headers: dict[str, str], early: bytes) -> None:
        self.sock = sock
        self.headers = headers
        self.early = early

    @property
    def multiplexed(self) -> bool | None:
        """Whether the engine says that stdout and stderr are framed; None where it does not say (API < 1.42)."""
        kind = self.headers.get("content-type", "")
        if kind.endswith("multiplexed-stream"):
            return True
        return None

    def fileno(self) -> int:
        return self.sock.fileno()

    def close_write(self) -> None:
        """Say that no more stdin comes; the container's output goes on."""
        try:
            self.sock.shutdown(_socket.SHUT_WR)
        except OSError:
            return  # the peer is gone already: there is nothing left to say

    def close(self) -> None:
        self.sock.close()
