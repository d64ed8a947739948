"""An engine that says what a test told it to, at a real socket: for commands whose answers no engine here can give."""

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

__all__ = ["Heard", "Refusal", "Scripted", "read_request"]


class Refusal:
    """An error to answer with."""

    def __init__(self, message: str, *, hint: str) -> None:
        self.message = message
        self.hint = hint


class Heard:
    """One request as the engine heard it."""

    def __init__(self, method: str, target: str, headers: dict[str, str], body: bytes) -> None:
        parts = urlsplit(target)
        self.method = method
        self.path = parts.path
        self.query = {key: values[0] for key, values in parse_qs(parts.query, keep_blank_values=True).items()}
        self.headers = headers
        self.body = body


class Scripted:
    """Answers by `METHOD /path`; a value is sent as JSON, a list of values as a stream of them, bytes as they are."""

    def __init__(self, path: Path, answers: dict[str, Any]) -> None:
        self.address = f"unix://{path}"
        self.heard: list[Heard] = []
        self._answers = answers
        self._sock = socket.socket(socket.AF_UNIX)
        self._sock.bind(str(path))
        self._sock.listen(8)
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._sock.shutdown(socket.SHUT_RDWR)
        self._sock.close()

    def asked(self, what: str) -> Heard:
        """The last request of `METHOD /path`."""
        return next(heard for heard in reversed(self.heard) if f"{heard.method} {heard.path}" == what)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._sock.accept()
            except OSError:
                return
            threading.Thread(target=self._converse, args=(connection,), daemon=True).start()

    def _converse(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as lines:
            while line := lines.readline():
                heard = Heard(*read_request(line, lines))
                self.heard.append(heard)
                status, body = self._answer(f"{heard.method} {heard.path}")
                head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
                connection.sendall(head.encode() + body)

    def _answer(self, what: str) -> tuple[str, bytes]:
        if what not in self._answers:
            return "404 Not Found", b'{"message":"page not found"}'
        answer = self._answers[what]
        if isinstance(answer, bytes):
            return "200 OK", answer
        if isinstance(answer, Refusal):
            return "409 Conflict", json.dumps({"message": answer.message, "hint": answer.hint}).encode()
        if isinstance(answer, tuple):
            return "200 OK", b"\n".join(json.dumps(value).encode() for value in answer)
        return "200 OK", json.dumps(answer).encode()


def read_request(first: bytes, lines: Any) -> tuple[str, str, dict[str, str], bytes]:
    """Method, target, headers (named in lower case) and body of the request whose first line was read."""
    method, target, _ = first.decode().split()
    headers = dict(_headers(lines))
    return method, target, headers, _body(lines, headers)


def _headers(lines: Any) -> Iterator[tuple[str, str]]:
    while line := lines.readline().strip():
        name, _, value = line.decode().partition(":")
        yield name.lower(), value.strip()


def _body(lines: Any, headers: dict[str, str]) -> bytes:
    if headers.get("transfer-encoding") != "chunked":
        return bytes(lines.read(int(headers.get("content-length", 0))))
    body = b""
    while size := int(lines.readline(), 16):
        body += lines.read(size)
        lines.readline()
    lines.readline()
    return body
