"""D-Bus messages as bytes in, values out: as much as a client of systemd needs (D-Bus Specification, "Messages").

A message is a header with a serial number and a body whose *signature* says its types, letter by letter: ``s`` a
string, ``u`` a 32-bit number, ``a`` an array of what follows, ``(sv)`` a structure, ``v`` a value that brings its own
signature. Everything stands at a multiple of its size, counted from the message's start. A variant is a pair here,
(signature, value); a structure is a tuple.

>>> raw = call(1, "org.x", "/org/x", "org.x.Manager", "Start", "sa(sv)", ("web", [("PIDs", ("au", [7]))]))
>>> parse(raw).body
('web', [('PIDs', ('au', [7]))])
"""

from __future__ import annotations

import struct

from corten.model.errors import DataLoss

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

__all__ = ["ERROR", "HEADER", "METHOD_RETURN", "SIGNAL", "Message", "call", "parse", "reply", "signal", "size"]

METHOD_CALL, METHOD_RETURN, ERROR, SIGNAL = 1, 2, 3, 4
HEADER = 16  # bytes that `size` needs
_PATH, _INTERFACE, _MEMBER, _ERROR_NAME, _REPLY_SERIAL, _DESTINATION, _SENDER, _SIGNATURE = range(1, 9)
_FIXED = {"y": "B", "n": "h", "q": "H", "i": "i", "u": "I", "x": "q", "t": "Q", "d": "d"}
_ALIGNED = {"y": 1, "n": 2, "q": 2, "i": 4, "u": 4, "b": 4, "x": 8, "t": 8, "d": 8, "s": 4, "o": 4, "g": 1, "v": 1}
_MOST = 1 << 27  # bytes of a message, by the specification


class Message:
    """One message. `serial` is its own number, `reply_serial` that of the call it answers; `member` may be empty."""

    __slots__ = ("body", "error", "kind", "member", "path", "reply_serial", "serial")

    def __init__(self, kind: int, serial: int, fields: dict[int, Any], body: tuple[Any, ...]) -> None:
        self.kind = kind
        self.serial = serial
        self.path: str = fields.get(_PATH, "")
        self.member: str = fields.get(_MEMBER, "")
        self.error: str = fields.get(_ERROR_NAME, "")
        self.reply_serial: int = fields.get(_REPLY_SERIAL, 0)
        self.body = body


def call(
    serial: int, to: str, path: str, interface: str, member: str, signature: str = "", body: Sequence[Any] = ()
) -> bytes:
    """A method call; `to` may be "" on a connection without a bus."""
    fields = [(_PATH, ("o", path)), (_INTERFACE, ("s", interface)), (_MEMBER, ("s", member))]
    fields += [(_DESTINATION, ("s", to))] if to else []
    return _message(METHOD_CALL, serial, fields, signature, body)


def reply(serial: int, to: int, signature: str = "", body: Sequence[Any] = (), *, error: str = "") -> bytes:
    """The answer to the call with the serial number `to`; with `error` the name of what went wrong."""
    fields: list[Any] = [(_REPLY_SERIAL, ("u", to))]
    fields += [(_ERROR_NAME, ("s", error))] if error else []
    return _message(ERROR if error else METHOD_RETURN, serial, fields, signature, body)


def signal(serial: int, path: str, interface: str, member: str, signature: str, body: Sequence[Any]) -> bytes:
    fields = [(_PATH, ("o", path)), (_INTERFACE, ("s", interface)), (_MEMBER, ("s", member))]
    return _message(SIGNAL, serial, fields, signature, body)


def size(header: bytes) -> int:
    """How many bytes the message has that begins with these `HEADER` bytes. Raises DataLoss."""
    if len(header) < HEADER or header[:1] not in (b"l", b"B") or header[3] != 1:
        raise DataLoss(f"{header[:HEADER]!r} does not begin a D-Bus message")
    order = "<" if header[:1] == b"l" else ">"
    body, fields = struct.unpack_from(f"{order}I", header, 4)[0], struct.unpack_from(f"{order}I", header, 12)[0]
    total = HEADER + (fields + 7 & ~7) + body
    if total > _MOST:
        raise DataLoss(f"a D-Bus message of {total} bytes is too long")
    return int(total)


def parse(raw: bytes) -> Message:
    """A whole message. Raises DataLoss for one that is damaged."""
    try:
        reader = _Reader(raw, "<" if raw[:1] == b"l" else ">")
        _, kind, _, _, _, serial = reader.read("yyyyuu")
        fields = {number: value[1] for number, value in reader.read("a(yv)")[0]}
        reader.align(8)
        return Message(kind, serial, fields, reader.read(fields.get(_SIGNATURE, "")))
    except (struct.error, IndexError, KeyError, UnicodeDecodeError, RecursionError) as error:
        raise DataLoss(f"a damaged D-Bus message: {error}") from error


def _message(kind: int, serial: int, fields: list[Any], signature: str, body: Sequence[Any]) -> bytes:
    content = _Writer()
    content.write(signature, body)
    if signature:
        fields = [*fields, (_SIGNATURE, ("g", signature))]
    whole = _Writer()
    whole.write("yyyyuu", (ord("l"), kind, 0, 1, len(content.data), serial))
    whole.write("a(yv)", (fields,))
    whole.align(8)
    return bytes(whole.data + content.data)


def _types(signature: str) -> list[str]:
    """The complete types that a signature is made of: ``sa(sv)`` is ``s`` and ``a(sv)``."""
    found, at = [], 0
    while at < len(signature):
        end = _end(signature, at)
        found.append(signature[at:end])
        at = end
    return found


def _end(signature: str, at: int) -> int:
    while signature[at] == "a":
        at += 1
    if signature[at] not in "({":
        return at + 1
    depth = 0
    for number in range(at, len(signature)):
        depth += (signature[number] in "({") - (signature[number] in ")}")
        if not depth:
            return number + 1
    raise IndexError(f"the signature {signature} has no end")


def _alignment(kind: str) -> int:
    return 8 if kind[0] in "({" else 4 if kind[0] == "a" else _ALIGNED[kind[0]]


class _Writer:
    def __init__(self) -> None:
        self.data = bytearray()

    def align(self, to: int) -> None:
        self.data += bytes(-len(self.data) % to)

    def write(self, signature: str, values: Sequence[Any]) -> None:
        for kind, value in zip(_types(signature), values, strict=True):
            self._one(kind, value)

    def _one(self, kind: str, value: Any) -> None:
        self.align(_alignment(kind))
        if kind in _FIXED:
            self.data += struct.pack(f"<{_FIXED[kind]}", value)
        elif kind == "b":
            self.data += struct.pack("<I", bool(value))
        elif kind in "sog":
            self._text(kind, value)
        elif kind == "v":
            self._one("g", value[0])
            self._one(*value)
        elif kind[0] == "a":
            self._array(kind[1:], value)
        else:
            self.write(kind[1:-1], value)

    def _text(self, kind: str, value: str) -> None:
        raw = value.encode()
        self.data += struct.pack("<B" if kind == "g" else "<I", len(raw)) + raw + b"\0"

    def _array(self, kind: str, values: Sequence[Any]) -> None:
        place = len(self.data)
        self.data += bytes(4)
        self.align(_alignment(kind))  # not counted in the length, and there even for no elements
        begin = len(self.data)
        for value in values:
            self._one(kind, value)
        struct.pack_into("<I", self.data, place, len(self.data) - begin)


class _Reader:
    def __init__(self, data: bytes, order: str) -> None:
        self.data = data
        self.order = order
        self.at = 0

    def align(self, to: int) -> None:
        self.at += -self.at % to

    def read(self, signature: str) -> tuple[Any, ...]:
        return tuple(self._one(kind) for kind in _types(signature))

    def _one(self, kind: str) -> Any:
        self.align(_alignment(kind))
        if kind in _FIXED or kind == "b":
            form = f"{self.order}{_FIXED.get(kind, 'I')}"
            (value,) = struct.unpack_from(form, self.data, self.at)
            self.at += struct.calcsize(form)
            return bool(value) if kind == "b" else value
        if kind in "sog":
            return self._text(kind)
        if kind == "v":
            inner = self._one("g")
            return (inner, self._one(inner))
        if kind[0] == "a":
            return self._array(kind[1:])
        return self.read(kind[1:-1])

    def _text(self, kind: str) -> str:
        length = self._one("y" if kind == "g" else "u")
        raw = self.data[self.at : self.at + length]
        if len(raw) != length:
            raise IndexError("it ends inside a string")
        self.at += length + 1
        return raw.decode()

    def _array(self, kind: str) -> list[Any]:
        length = self._one("u")
        self.align(_alignment(kind))
        end = self.at + length
        if end > len(self.data):
            raise IndexError("it ends inside an array")
        found = []
        while self.at < end:
            found.append(self._one(kind))
        return found
