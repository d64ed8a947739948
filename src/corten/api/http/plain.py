"""The short way for the commonest requests: whole and alone in their segment, with a small body or none, no wishes.

h11 needs 120 µs for such a request and its answer, this 15 µs: `GET /containers/json` is asked thousands of times a
second, and a `run` is made of such POSTs (docs/benchmarks.md). Whatever is not exactly of this shape (a body that comes
in parts, an upgrade, pipelining, another version, an odd header) is left to h11, which then sees every byte of it.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

import h11

__all__ = ["H11Writer", "PlainWriter", "Request", "parse"]

Headers = Sequence[tuple[str, str]]
_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_HEAD = re.compile(rb"(GET|HEAD|POST|PUT|DELETE) (/[!-~]*) HTTP/1\.1\r\n((?:%b:[\t -~\x80-\xff]*\r\n)+)\r\n" % _TOKEN)
_NOT_PLAIN = frozenset(("connection", "expect", "te", "trailer", "transfer-encoding", "upgrade"))
_BODILESS = frozenset(("GET", "HEAD"))
_REASONS = {
    200: "OK", 201: "Created", 202: "Accepted", 204: "No Content", 206: "Partial Content", 304: "Not Modified",
    400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
    409: "Conflict", 412: "Precondition Failed", 413: "Content Too Large", 416: "Range Not Satisfiable",
    429: "Too Many Requests",
    499: "Client Closed Request", 500: "Internal Server Error", 501: "Not Implemented", 503: "Service Unavailable",
    504: "Gateway Timeout", 507: "Insufficient Storage",
}  # fmt: skip


class Request(NamedTuple):
    """The head of a request. Header names are lower case; `target` is as the client sent it."""

    method: str
    target: str
    headers: dict[str, str]

    @property
    def wants_upgrade(self) -> bool:
        return "upgrade" in self.headers.get("connection", "").lower() and "upgrade" in self.headers


def parse(data: bytes) -> tuple[Request, bytes] | None:
    """The request that `data` is, whole and alone, and its body; None when h11 must look at it."""
    match = _HEAD.match(data)
    if match is None:
        return None
    target, lines = match.group(2, 3)
    method = match[1].decode("ascii")
    headers: dict[str, str] = {}
    for line in lines.decode("latin-1").split("\r\n")[:-1]:
        name, _, value = line.partition(":")
        name = name.lower()
        if name in _NOT_PLAIN or name in headers:
            return None
        headers[name] = value.strip(" \t")
    body = data[match.end() :]
    if "host" not in headers or not _fits(method, headers.get("content-length"), body):
        return None
    return Request(method, target.decode("ascii"), headers), body


def _fits(method: str, length: str | None, body: bytes) -> bool:
    """Whether the body is here to its last byte, and nothing behind it."""
    if length is None:
        return not body
    return method not in _BODILESS and length == str(len(body))


class PlainWriter:
    """Answers to what `parse` read: bytes, with nothing to remember between them."""

    def whole(self, status: int, headers: Headers, body: bytes) -> bytes:
        return _head(status, headers) + body

    def begin(self, status: int, headers: Headers) -> bytes:
        return _head(status, [*headers, ("Transfer-Encoding", "chunked")])

    def piece(self, data: bytes) -> bytes:
        return b"%x\r\n%b\r\n" % (len(data), data)

    def end(self) -> bytes:
        return b"0\r\n\r\n"

    def begin_sized(self, status: int, headers: Headers) -> bytes:
        """The head of an answer whose headers say its length; its bytes go past us."""
        return _head(status, headers)

    def end_sized(self, _: int) -> None:
        """The bytes of a sized answer have gone out."""


class H11Writer:
    """The same answers through h11, which keeps the connection's state."""

    def __init__(self, connection: h11.Connection) -> None:
        self._h11 = connection

    def whole(self, status: int, headers: Headers, body: bytes) -> bytes:
        head = self._send(h11.Response(status_code=status, headers=[*headers], reason=_reason(status)))
        return head + (self._send(h11.Data(data=body)) if body else b"") + self._send(h11.EndOfMessage())

    def begin(self, status: int, headers: Headers) -> bytes:
        return self._send(h11.Response(status_code=status, headers=[*headers], reason=_reason(status)))

    def piece(self, data: bytes) -> bytes:
        return self._send(h11.Data(data=data))

    def end(self) -> bytes:
        return self._send(h11.EndOfMessage())

    def begin_sized(self, status: int, headers: Headers) -> bytes:
        return self.begin(status, headers)

    def end_sized(self, length: int) -> None:
        if length:
            self._h11.send_with_data_passthrough(h11.Data(data=_Sent(length)))  # type: ignore[arg-type]
        self._send(h11.EndOfMessage())

    def _send(self, event: h11.Event) -> bytes:
        return self._h11.send(event) or b""


class _Sent:
    """Bytes that went from a file to the socket; h11 only counts them."""

    def __init__(self, length: int) -> None:
        self._length = length

    def __len__(self) -> int:
        return self._length


def _reason(status: int) -> bytes:
    return _REASONS.get(status, "").encode()


def _head(status: int, headers: Headers) -> bytes:
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers])
    return f"HTTP/1.1 {status} {_REASONS.get(status, '')}\r\n{lines}\r\n".encode("latin-1")
