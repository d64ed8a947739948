"""The messages between `tasks` and a monitor: the one table from which `native/monitor.gen.h` is written.

A message is one SOCK_SEQPACKET record::

    u16 type | u16 fixed | u32 seq | `fixed` bytes of little-endian fields | tail

and file descriptors beside it (SCM_RIGHTS) in the order the table names them; those in brackets come only with their
flag. A request carries a `seq` above 0 and gets exactly one answer with the same `seq`: REPLY, or STATE for HELLO.
Records with `seq` 0 are events, sent to every connection that said HELLO.

**Append-only.** A monitor outlives the engine that started it, so both sides meet older and newer partners. Numbers are
never reused; fields are only appended. A receiver reads the fields it knows: missing ones are 0, surplus ones are
skipped (that is what `fixed` is for). A request that a monitor does not know is answered with ENOSYS.

>>> decode(encode("RESIZE", 7, target=0, rows=24, cols=80))
Received(name='RESIZE', seq=7, fields={'target': 0, 'rows': 24, 'cols': 80}, tail=b'')
"""

import struct
from typing import NamedTuple

__all__ = ["FLAGS", "MESSAGES", "STATUS", "VERSION", "Message", "Received", "decode", "encode"]

VERSION = 1

_HEADER = struct.Struct("<HHI")
_FORMAT = {"u16": "H", "u32": "I", "i32": "i", "u64": "Q"}


class Message(NamedTuple):
    """One row of the table. `fds` says which descriptors come along, `doc` what the receiver does."""

    number: int
    name: str
    fields: str
    fds: str
    doc: str

    def columns(self) -> list[tuple[str, str]]:
        """The fields as (type, name)."""
        return [(kind, name) for kind, _, name in (field.partition(" ") for field in self.fields.split(", ") if field)]

    def layout(self) -> struct.Struct:
        return struct.Struct("<" + "".join(_FORMAT[kind] for kind, _ in self.columns()))


MESSAGES = (
    Message(1, "HELLO", "u32 version", "", "answer STATE; send events to this connection from now on"),
    Message(
        2,
        "CREATE",
        "u32 flags, u16 rows, u16 cols, u64 log_max_size, u32 log_max_file, u32 reserved",
        "program plan control [log directory, LOG] [attrs, ATTRS]",
        "spawn @launch for the container; the tail is the log file's name",
    ),
    Message(3, "START", "u32 reserved", "[oom counter]", "the container's program is about to run: record its end"),
    Message(
        4,
        "EXEC",
        "u32 flags, u16 rows, u16 cols",
        "program plan control",
        "spawn @launch for one more process; REPLY.value is its target",
    ),
    Message(
        5,
        "ATTACH",
        "u32 target, u32 flags",
        "[client] [early bytes, EARLY]",
        "pump between the process and the client's own socket, or take it that none will come; tail: detach keys",
    ),
    Message(6, "RESIZE", "u32 target, u16 rows, u16 cols", "", "set the terminal's window"),
    Message(7, "SIGNAL", "u32 target, u32 signal", "", "signal the process unless it was reaped"),
    Message(8, "CLOSE_STDIN", "u32 target", "", "close our end of stdin"),
    Message(9, "LOG_REOPEN", "u32 reserved", "", "open the log file by its name again"),
    Message(10, "PORTS", "u32 flags", "sockets", "hold these bound sockets until the container ends"),
    Message(64, "REPLY", "i32 error, u32 value", "", "the answer: an errno or 0"),
    Message(
        65,
        "STATE",
        "u32 version, u32 monitor, u32 pid, u32 status, i32 code, u32 signal, u32 oom, u32 reserved, u64 at",
        "",
        "who the monitor is and what became of the container",
    ),
    Message(
        96,
        "EXIT",
        "u32 target, i32 code, u32 signal, u32 oom, u64 at",
        "",
        "the process has ended; `at` is in ns since 1970",
    ),
    Message(97, "DETACHED", "u32 target", "", "a client typed its detach sequence"),
)

# Bits of the `flags` fields. One space for all messages, so that a dump of a message can be read without its type.
FLAGS = {
    "TERMINAL": 1 << 0,  # CREATE, EXEC: @launch sends a pty master over the report socket
    "STDIN": 1 << 1,  # CREATE, EXEC: keep a stdin pipe open; ATTACH: pump the client's bytes to it
    "LOG": 1 << 2,  # CREATE: write the json-file log
    "ATTRS": 1 << 3,  # CREATE: a memfd holds the JSON of "attrs" for each log line
    "STDOUT": 1 << 4,  # ATTACH
    "STDERR": 1 << 5,  # ATTACH
    "REPLAY": 1 << 6,  # ATTACH: what the log holds comes first
    "STREAM": 1 << 7,  # ATTACH: stay for what comes after it
    "MULTIPLEX": 1 << 8,  # ATTACH: stdcopy frames instead of raw bytes
    "CLOSE_STDIN": 1 << 9,  # ATTACH: the client's half-close closes the process's stdin
    "EARLY": 1 << 10,  # ATTACH: a memfd holds bytes that the client sent before
    "DISCARD": 1 << 11,  # EXEC: nobody will attach; read the output and drop it
    "APPEND": 1 << 12,  # PORTS: keep the sockets held before as well
}

STATUS = ("new", "created", "running", "stopped")

_BY_NAME = {message.name: message for message in MESSAGES}
_BY_NUMBER = {message.number: message for message in MESSAGES}
_LAYOUT = {message.name: message.layout() for message in MESSAGES}


class Received(NamedTuple):
    """One decoded record; `name` is ``#N`` for a type this side does not know."""

    name: str
    seq: int
    fields: dict[str, int]
    tail: bytes


def encode(name: str, seq: int = 0, tail: bytes = b"", **fields: int) -> bytes:
    """One record. Fields that are not given are 0."""
    message, layout = _BY_NAME[name], _LAYOUT[name]
    values = [fields.pop(column, 0) for _, column in message.columns()]
    if fields:
        raise TypeError(f"{name} has no field {', '.join(fields)}")
    return _HEADER.pack(message.number, layout.size, seq) + layout.pack(*values) + tail


def decode(record: bytes) -> Received:
    """Read a record of an older, equal or newer partner; raises ValueError when it is cut short."""
    if len(record) < _HEADER.size:
        raise ValueError("a monitor's message is shorter than its header")
    number, fixed, seq = _HEADER.unpack_from(record)
    body, tail = record[_HEADER.size : _HEADER.size + fixed], record[_HEADER.size + fixed :]
    if len(body) < fixed:
        raise ValueError("a monitor's message is shorter than it says")
    message = _BY_NUMBER.get(number)
    if message is None:
        return Received(f"#{number}", seq, {}, tail)
    layout = _LAYOUT[message.name]
    known = body[: layout.size].ljust(layout.size, b"\0")
    names = (column for _, column in message.columns())
    return Received(message.name, seq, dict(zip(names, layout.unpack(known), strict=True)), tail)
