"""Netlink: the kernel's message bus for links, addresses, routes and firewall tables.

A *message* is a header, a fixed struct of its family and a tail of *attributes* (type, length, value; they nest). Here
messages are values: `rtnetlink` and `nftables` build them, and nothing is sent until a batch goes to a `Netlink` socket
in one system call. Each message says in `what` what it does, so that an error is "add link veth1: File exists" and
not a number.

A socket belongs for its whole life to the network namespace it was created in. That is how Corten configures the
inside of a container without ever entering it: the launcher makes the socket there and passes it out.

>>> with Netlink.open(NETLINK_ROUTE) as route:
...     route.send([rtnetlink.set_link("lo", up=True)])

Wire format: include/uapi/linux/netlink.h; `man 7 netlink`.
"""

import os
import socket
import struct
import threading
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Self

from corten.model.errors import FailedPrecondition, Internal

__all__ = [
    "NETLINK_NETFILTER",
    "NETLINK_ROUTE",
    "Message",
    "Netlink",
    "NetlinkError",
    "Reply",
    "attribute",
    "attributes",
    "be16",
    "be32",
    "be64",
    "nested",
    "text",
    "u8",
    "u16",
    "u32",
]

NETLINK_ROUTE = 0
NETLINK_NETFILTER = 12

NLM_F_REQUEST = 0x001
NLM_F_ACK = 0x004
NLM_F_DUMP = 0x300
NLMSG_ERROR = 2
NLMSG_DONE = 3
NLA_F_NESTED = 0x8000
NLA_TYPE_MASK = 0x3FFF

SOL_NETLINK = 270
NETLINK_CAP_ACK = 10
NETLINK_EXT_ACK = 11
NLMSGERR_ATTR_MSG = 1
NLM_F_CAPPED = 0x100
NLM_F_ACK_TLVS = 0x200

# A dump fills the buffer it is offered up to 32 KiB; anything larger only costs memory.
RECEIVE_SIZE = 65536

HEADER = struct.Struct("=IHHII")
ATTRIBUTE = struct.Struct("=HH")
ERROR_CODE = struct.Struct("=i")


class Message(NamedTuple):
    """One request: its type, flags beyond NLM_F_REQUEST, encoded body, errors to take as success, and what it does."""

    type: int
    flags: int
    body: bytes
    what: str
    accept: tuple[int, ...] = ()


class Reply(NamedTuple):
    """One answer of a dump or a get: its type and the bytes after the netlink header."""

    type: int
    body: bytes


class NetlinkError(Exception):
    """The kernel refused a message. `errno` says how, `detail` is the kernel's own sentence where it gave one."""

    def __init__(self, code: int, what: str, detail: str = "") -> None:
        super().__init__(f"{what}: {os.strerror(code)}" + (f" ({detail})" if detail else ""))
        self.errno = code
        self.what = what
        self.detail = detail


def attribute(kind: int, *payload: bytes) -> bytes:
    """Encode one attribute, padded to four bytes as the next one needs it."""
    value = b"".join(payload)
    return ATTRIBUTE.pack(4 + len(value), kind) + value + bytes(-len(value) % 4)


def nested(kind: int, *inner: bytes) -> bytes:
    """Encode an attribute that holds attributes."""
    return attribute(kind | NLA_F_NESTED, *inner)


def u8(kind: int, value: int) -> bytes:
    return attribute(kind, struct.pack("=B", value))


def u16(kind: int, value: int) -> bytes:
    return attribute(kind, struct.pack("=H", value))


def u32(kind: int, value: int) -> bytes:
    return attribute(kind, struct.pack("=I", value))


def be16(kind: int, value: int) -> bytes:
    return attribute(kind, struct.pack(">H", value))


def be32(kind: int, value: int) -> bytes:
    return attribute(kind, struct.pack(">I", value))


def be64(kind: int, value: int) -> bytes:
    return attribute(kind, struct.pack(">Q", value))


def text(kind: int, value: str) -> bytes:
    """Encode a string attribute with the NUL that the kernel's NLA_STRING policies expect."""
    return attribute(kind, value.encode(), b"\0")


def attributes(body: bytes, offset: int = 0) -> dict[int, bytes]:
    """Decode the attributes of `body` from `offset`; the last of a repeated type wins.

    Damaged lengths end the walk: the kernel sends none, and a reader must not run past its buffer.
    """
    return dict(walk(body, offset))


def walk(body: bytes, offset: int = 0) -> Iterator[tuple[int, bytes]]:
    """Yield the (type, value) pairs of `body` in order, repeated types included."""
    while offset + 4 <= len(body):
        length, kind = ATTRIBUTE.unpack_from(body, offset)
        if length < 4:
            return
        yield kind & NLA_TYPE_MASK, body[offset + 4 : offset + length]
        offset += (length + 3) & ~3


class Netlink:
    """A netlink socket that speaks in batches. Thread-safe: one batch or dump at a time."""

    def __init__(self, sock: socket.socket) -> None:
        """Take over `sock`, an AF_NETLINK socket made here or inside a container's namespace."""
        self.socket = sock
        self._sequence = 0
        self._lock = threading.Lock()
        for option in (NETLINK_CAP_ACK, NETLINK_EXT_ACK):
            sock.setsockopt(SOL_NETLINK, option, 1)

    @classmethod
    def open(cls, protocol: int) -> Self:
        """Open a socket in this process's own network namespace.

        :raises FailedPrecondition: the kernel was built without that protocol
        """
        try:
            return cls(socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol))
        except OSError as error:
            raise FailedPrecondition(
                f"open netlink protocol {protocol}: {error.strerror}",
                hint="the kernel needs CONFIG_NF_TABLES (modprobe nf_tables) for networks other than host and none",
            ) from None

    def close(self) -> None:
        self.socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, messages: Sequence[Message]) -> None:
        """Send all of `messages` in one call and wait until the kernel has answered for the last.

        The kernel works through them in order and does not stop at an error; the first error that its message does
        not `accept` is raised.

        :raises NetlinkError: naming the message that failed
        """
        if not messages:
            return
        with self._lock:
            first = self._write(messages, last=NLM_F_ACK)
            self._await(first, messages)

    def dump(self, message: Message) -> list[Reply]:
        """Ask for every object that `message` selects."""
        with self._lock:
            sequence = self._write([message], last=NLM_F_DUMP)
            return list(self._replies(sequence, message.what))

    def get(self, message: Message) -> Reply:
        """Ask for the one object that `message` names.

        :raises NetlinkError: with ENODEV, ENOENT … when there is none
        """
        with self._lock:
            sequence = self._write([message], last=0)
            for kind, number, body, _ in self._receive():
                if number != sequence:
                    continue
                if kind == NLMSG_ERROR:
                    raise decoded(body, 0, message.what)
                return Reply(kind, body)
        raise Internal(f"{message.what}: the netlink socket was closed")

    def transact(self, begin: Message, messages: Sequence[Message], end: Message) -> None:
        """Send an nfnetlink batch: all of `messages` take effect, or none (`nftables.commit` calls this).

        An error numbered as `begin` concerns the whole batch (no permission, no such subsystem, refused at commit).
        """
        with self._lock:
            acknowledged = [*messages[:-1], messages[-1]._replace(flags=messages[-1].flags | NLM_F_ACK)]
            first = self._write([begin, *acknowledged, end], last=0)
            self._await(first, [begin, *messages], transaction=True)

    def _write(self, messages: Sequence[Message], *, last: int) -> int:
        first = self._sequence + 1
        self._sequence += len(messages)
        parts = []
        for sequence, message in enumerate(messages, first):
            flags = NLM_F_REQUEST | message.flags | (last if sequence == self._sequence else 0)
            parts.append(HEADER.pack(16 + len(message.body), message.type, flags, sequence, 0))
            parts.append(message.body + bytes(-len(message.body) % 4))
        self.socket.send(b"".join(parts))
        return first

    def _await(self, first: int, messages: Sequence[Message], *, transaction: bool = False) -> None:
        """Read answers up to that of the last message; raise the first error that was not accepted.

        An error of a transaction's first message, its begin, is the last thing we hear of it.
        """
        error: NetlinkError | None = None
        for kind, sequence, body, flags in self._receive():
            if not first <= sequence < first + len(messages) or kind != NLMSG_ERROR:
                continue
            message = messages[sequence - first]
            answer = decoded(body, flags, message.what)
            if answer.errno and answer.errno not in message.accept:
                error = error or answer
            if sequence == first + len(messages) - 1 or (transaction and sequence == first):
                break
        if error:
            raise error

    def _replies(self, sequence: int, what: str) -> Iterator[Reply]:
        for kind, number, body, flags in self._receive():
            if number != sequence:
                continue
            if kind == NLMSG_DONE:
                return
            if kind == NLMSG_ERROR:
                raise decoded(body, flags, what)
            yield Reply(kind, body)

    def _receive(self) -> Iterator[tuple[int, int, bytes, int]]:
        """Yield (type, sequence, body, flags) for ever; the callers know when to stop."""
        while data := self.socket.recv(RECEIVE_SIZE):
            offset = 0
            while offset + 16 <= len(data):
                length, kind, flags, sequence, _ = HEADER.unpack_from(data, offset)
                yield kind, sequence, data[offset + 16 : offset + length], flags
                offset += (length + 3) & ~3


def decoded(body: bytes, flags: int, what: str) -> NetlinkError:
    """Read an NLMSG_ERROR: errno 0 is an acknowledgement."""
    code = -ERROR_CODE.unpack_from(body)[0]
    detail = ""
    if flags & NLM_F_ACK_TLVS:
        # With NETLINK_CAP_ACK only the 16-byte header of our request comes back before the explanation.
        offset = 4 + (16 if flags & NLM_F_CAPPED else HEADER.unpack_from(body, 4)[0])
        detail = attributes(body, offset).get(NLMSGERR_ATTR_MSG, b"").rstrip(b"\0").decode(errors="replace")
    return NetlinkError(code, what, detail)
