"""nftables without the `nft` program: tables, chains, rules, sets and maps, committed in one atomic batch.

A *table* holds *chains*; a *base chain* is called by a netfilter hook with a priority; a *rule* is a list of
*expressions* that work on registers: load something (`meta`, `payload`, `ct`), test it (`compare`, `lookup`), act
(`drop`, `dnat`). A *set* is a lookup table of keys, a *map* gives each key a value. Corten writes its rules once and
afterwards only changes elements of sets and maps, which is what makes publishing a port cost one small message.

Registers are numbered here 0 to 15, four bytes each; a key of several fields takes as many registers as it is long.

>>> commit(netfilter, [add_table(INET, "corten"), add_chain(INET, "corten", "forward", Hook("filter", FORWARD, 0)), …])

Wire format: include/uapi/linux/netfilter/nf_tables.h; meaning: `man 8 nft`.
"""

import socket
import struct
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from corten.kernel.netlink import Message, Netlink, attribute, be32, nested, text

__all__ = [
    "BRIDGE",
    "FORWARD",
    "INET",
    "INPUT",
    "IPV4",
    "OUTPUT",
    "POSTROUTING",
    "PREROUTING",
    "Element",
    "Hook",
    "SetType",
    "accept",
    "add_chain",
    "add_elements",
    "add_rule",
    "add_set",
    "add_table",
    "commit",
    "compare",
    "ct",
    "delete_elements",
    "delete_table",
    "dnat",
    "drop",
    "fib_daddr_type",
    "fields",
    "ifname",
    "immediate",
    "interval",
    "jump",
    "lookup",
    "mask",
    "masquerade",
    "meta",
    "notrack",
    "payload",
    "return_",
    "write_payload",
]

INET, IPV4, BRIDGE = 1, 2, 7
PREROUTING, INPUT, FORWARD, OUTPUT, POSTROUTING = 0, 1, 2, 3, 4

NFNL_SUBSYS_NFTABLES = 10
BATCH_BEGIN, BATCH_END = 16, 17
NEWTABLE, DELTABLE, NEWCHAIN, NEWRULE, NEWSET, NEWSETELEM, DELSETELEM = 0, 2, 3, 6, 9, 12, 14
NLM_F_EXCL, NLM_F_CREATE, NLM_F_APPEND = 0x200, 0x400, 0x800

SET_INTERVAL, SET_MAP, SET_CONCAT = 0x4, 0x8, 0x80
INTERVAL_END = 1
FIRST_REGISTER = 8
NF_DROP, NF_ACCEPT, NFT_JUMP, NFT_RETURN = 0, 1, -3, -5
CT_KEYS = {"state": 0, "status": 2}
META_KEYS = {"protocol": 1, "iifname": 6, "oifname": 7, "nfproto": 15, "l4proto": 16}
PAYLOAD_BASES = {"link": 0, "network": 1, "transport": 2}
FIB_DADDR, FIB_RESULT_ADDRTYPE = 2, 3
IFNAMSIZ = 16


class Hook(NamedTuple):
    """Where a base chain is called: its type ("filter", "nat"), hook number and priority; lower comes first."""

    type: str
    number: int
    priority: int


class SetType(NamedTuple):
    """The fields of a set's key, and of its values if it is a map, by nft's type names.

    `interval` keys are ranges: with one field a pair of start and end elements, with several each element has both.
    """

    key: tuple[str, ...]
    value: tuple[str, ...] = ()
    interval: bool = False


class Element(NamedTuple):
    """One element: its encoded key, for a range the key of its end, and for a map its value."""

    key: bytes
    end: bytes = b""
    value: bytes = b""


class FieldType(NamedTuple):
    """nft's number of a type, which only `nft list` reads, and its length, which the kernel does."""

    number: int
    length: int


FIELD_TYPES = {
    "ipv4_addr": FieldType(7, 4),
    "ipv6_addr": FieldType(8, 16),
    "inet_proto": FieldType(12, 1),
    "inet_service": FieldType(13, 2),
    "ifname": FieldType(41, IFNAMSIZ),
}


def commit(netfilter: Netlink, messages: Sequence[Message]) -> None:
    """Apply all of `messages`, or none.

    :raises NetlinkError: for the first message that was refused, or with what "commit firewall batch"
    """
    header = struct.pack(">BBH", socket.AF_UNSPEC, 0, NFNL_SUBSYS_NFTABLES)
    begin = Message(BATCH_BEGIN, 0, header, "commit firewall batch")
    netfilter.transact(begin, messages, Message(BATCH_END, 0, header, "commit firewall batch"))


def add_table(family: int, name: str) -> Message:
    """Make a table; one that exists is left as it is."""
    return _message(NEWTABLE, NLM_F_CREATE, family, text(1, name), f"add table {name}")


def delete_table(family: int, name: str) -> Message:
    """Delete a table with everything in it; it must exist (put `add_table` before it where it may not)."""
    return _message(DELTABLE, 0, family, text(1, name), f"delete table {name}")


def add_chain(family: int, table: str, name: str, hook: Hook | None = None) -> Message:
    """Make a chain: a base chain where a hook is given (its policy is accept), else one to jump to."""
    body = text(1, table) + text(3, name)
    if hook:
        priority = attribute(2, struct.pack(">i", hook.priority))
        body += nested(4, be32(1, hook.number), priority) + be32(5, NF_ACCEPT) + text(7, hook.type)
    return _message(NEWCHAIN, NLM_F_CREATE, family, body, f"add chain {table} {name}")


def add_rule(family: int, table: str, chain: str, why: str, *expressions: bytes) -> Message:
    """Append a rule. `why` goes with it into the kernel, so that `nft list ruleset` explains itself."""
    remark = why.encode()[:120] + b"\0"
    body = text(1, table) + text(2, chain) + nested(4, *expressions)
    body += attribute(7, bytes((0, len(remark))), remark)
    return _message(NEWRULE, NLM_F_CREATE | NLM_F_APPEND, family, body, f"add rule {table} {chain} ({why})")


def add_set(family: int, table: str, name: str, kind: SetType, number: int) -> Message:
    """Make a set, or a map where `kind` has values. `number` identifies it within its batch; any number will do."""
    flags = SET_MAP if kind.value else 0
    if kind.interval:
        flags |= SET_INTERVAL | (SET_CONCAT if len(kind.key) > 1 else 0)
    body = (
        text(1, table) + text(2, name) + be32(3, flags) + be32(4, _type_number(kind.key)) + be32(5, _length(kind.key))
    )
    if kind.value:
        body += be32(6, _type_number(kind.value)) + be32(7, _length(kind.value))
    if kind.key == ("ifname",):
        # Only for `nft list`: TLV 0 (byte order of the key), 4 bytes, 1 = host order, or it prints names backwards.
        body += attribute(13, bytes((0, 4)), struct.pack("=I", 1))
    if flags & SET_CONCAT:
        body += nested(9, nested(2, *(nested(1, be32(1, FIELD_TYPES[field].length)) for field in kind.key)))
    return _message(NEWSET, NLM_F_CREATE, family, body + be32(10, number), f"add set {table} {name}")


def add_elements(family: int, table: str, name: str, elements: Iterable[Element]) -> Message:
    """Put elements into a set or map; equal ones that are there already stay."""
    body = text(1, table) + text(2, name) + nested(3, *map(_element, elements))
    return _message(NEWSETELEM, NLM_F_CREATE, family, body, f"add elements to {table} {name}")


def delete_elements(family: int, table: str, name: str, elements: Iterable[Element]) -> Message:
    """Take elements out of a set or map; each must be there."""
    body = text(1, table) + text(2, name) + nested(3, *map(_element, elements))
    return _message(DELSETELEM, 0, family, body, f"delete elements from {table} {name}")


def interval(start: bytes, past: bytes) -> list[Element]:
    """The two elements of a range in a set of one field: `start` is in it, `past` is the first key after it."""
    return [Element(start), Element(past, end=b"end")]


def fields(*values: bytes) -> bytes:
    """Concatenate the fields of a key or value, each padded to whole registers."""
    return b"".join(value + bytes(-len(value) % 4) for value in values)


def ifname(name: str) -> bytes:
    return name.encode().ljust(IFNAMSIZ, b"\0")


def meta(key: str, register: int = 0) -> bytes:
    """Load packet metadata: protocol, iifname, oifname, nfproto, l4proto."""
    return _expression("meta", be32(1, FIRST_REGISTER + register) + be32(2, META_KEYS[key]))


def ct(key: str, register: int = 0) -> bytes:
    """Load a connection's state or status."""
    return _expression("ct", be32(1, FIRST_REGISTER + register) + be32(2, CT_KEYS[key]))


def payload(base: str, offset: int, length: int, register: int = 0) -> bytes:
    """Load bytes of the packet from its link, network or transport header."""
    body = be32(1, FIRST_REGISTER + register) + be32(2, PAYLOAD_BASES[base]) + be32(3, offset) + be32(4, length)
    return _expression("payload", body)


def write_payload(base: str, offset: int, length: int, *, checksum: int, register: int = 0) -> bytes:
    """Overwrite bytes of the packet, mending the Internet checksum at `checksum` from the same header."""
    body = be32(2, PAYLOAD_BASES[base]) + be32(3, offset) + be32(4, length) + be32(5, FIRST_REGISTER + register)
    return _expression("payload", body + be32(6, 1) + be32(7, checksum))


def mask(value: bytes, register: int = 0) -> bytes:
    """Keep only the bits of `value` in a register."""
    place = FIRST_REGISTER + register
    body = be32(1, place) + be32(2, place) + be32(3, len(value)) + _data(4, value) + _data(5, bytes(len(value)))
    return _expression("bitwise", body)


def compare(value: bytes, register: int = 0, *, equal: bool = True) -> bytes:
    """Go on only where the register equals `value` (or differs from it)."""
    return _expression("cmp", be32(1, FIRST_REGISTER + register) + be32(2, 0 if equal else 1) + _data(3, value))


def lookup(name: str, register: int = 0, *, into: int | None = None) -> bytes:
    """Go on only where the key that starts in `register` is in set `name`; `into` receives a map's value."""
    body = text(1, name) + be32(2, FIRST_REGISTER + register)
    return _expression("lookup", body + (be32(3, FIRST_REGISTER + into) if into is not None else b""))


def immediate(value: bytes, register: int = 0) -> bytes:
    """Load a constant."""
    return _expression("immediate", be32(1, FIRST_REGISTER + register) + _data(2, value))


def fib_daddr_type(register: int = 0) -> bytes:
    """Load what kind of address the destination is (RTN_LOCAL = 2: one of this host)."""
    return _expression("fib", be32(1, FIRST_REGISTER + register) + be32(2, FIB_RESULT_ADDRTYPE) + be32(3, FIB_DADDR))


def dnat(family: int, *, address: int, port: int) -> bytes:
    """Send the connection on to the address and port that stand in the given registers."""
    place, service = be32(3, FIRST_REGISTER + address), be32(5, FIRST_REGISTER + port)
    # 0x3: both an address and a port range are given (NF_NAT_RANGE_MAP_IPS | _PROTO_SPECIFIED).
    return _expression("nat", be32(1, 1) + be32(2, family) + place + service + be32(7, 0x3))


def masquerade() -> bytes:
    """Give the connection the source address of the device it leaves by."""
    return _expression("masq", b"")


def notrack() -> bytes:
    """Keep the packet out of connection tracking; only before priority -200."""
    return _expression("notrack", b"")


def accept() -> bytes:
    return _verdict(NF_ACCEPT)


def drop() -> bytes:
    return _verdict(NF_DROP)


def return_() -> bytes:
    """Leave the chain; a base chain's policy follows."""
    return _verdict(NFT_RETURN)


def jump(chain: str) -> bytes:
    return _verdict(NFT_JUMP, text(2, chain))


def _message(kind: int, flags: int, family: int, body: bytes, what: str) -> Message:
    return Message(NFNL_SUBSYS_NFTABLES << 8 | kind, flags, struct.pack(">BBH", family, 0, 0) + body, what)


def _type_number(names: tuple[str, ...]) -> int:
    number = 0
    for name in names:
        number = number << 6 | FIELD_TYPES[name].number
    return number


def _length(names: tuple[str, ...]) -> int:
    """One field is as long as it is, several are padded to whole registers."""
    if len(names) == 1:
        return FIELD_TYPES[names[0]].length
    return sum((FIELD_TYPES[name].length + 3) & ~3 for name in names)


def _element(element: Element) -> bytes:
    body = _data(1, element.key)
    if element.end == b"end":
        body += be32(3, INTERVAL_END)
    elif element.end:
        body += _data(10, element.end)
    return nested(1, body + (_data(2, element.value) if element.value else b""))


def _data(kind: int, value: bytes) -> bytes:
    return nested(kind, attribute(1, value))


def _expression(name: str, body: bytes) -> bytes:
    return nested(1, text(1, name) + nested(2, body))


def _verdict(code: int, chain: bytes = b"") -> bytes:
    verdict = nested(2, attribute(1, struct.pack(">i", code)) + chain)
    return _expression("immediate", be32(1, 0) + nested(2, verdict))
