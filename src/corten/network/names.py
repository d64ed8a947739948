"""The name service's answers, as a function: query bytes in, answer bytes or "ask elsewhere" out.

Each user-defined network has a *directory* of names (a container's name, its aliases, its short id); what one
container sees of them is its *zone*: the directories of its networks, its links, and whether names of the outside are
for it at all. `nameserver` moves the bytes. Messages: RFC 1035; dnslib reads and writes them.
"""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address
from itertools import count
from typing import NamedTuple

from dnslib import AAAA, PTR, QTYPE, RCODE, RR, A, DNSError, DNSHeader, DNSRecord

__all__ = ["Directory", "Resident", "Zone", "answer"]

IPAddress = IPv4Address | IPv6Address

# Short, because a container that comes back may have another address.
TTL_SECONDS = 10
REVERSE4, REVERSE6 = ".in-addr.arpa", ".ip6.arpa"
HEADER_LENGTH = 12
PLAIN_UDP_LIMIT = 512


class Resident(NamedTuple):
    """One container in one network: its id, the names it answers to (its own first), and its addresses."""

    container: str
    names: tuple[str, ...]
    addresses: tuple[IPAddress, ...]


class Directory:
    """The names of one network. Written under the engine's lock, read by the name service without one."""

    def __init__(self, network: str) -> None:
        """:param network: the network's name, which may follow a container's: `web.backend`"""
        self.network = network.lower()
        self._residents: dict[str, Resident] = {}
        self._by_name: dict[str, tuple[Resident, ...]] = {}
        self._turn = count()

    def add(self, resident: Resident) -> None:
        self.remove(resident.container)
        self._residents[resident.container] = resident
        for name in {name.lower() for name in resident.names}:
            self._by_name[name] = (*self._by_name.get(name, ()), resident)

    def remove(self, container: str) -> None:
        gone = self._residents.pop(container, None)
        for name in {name.lower() for name in gone.names} if gone else ():
            left = tuple(resident for resident in self._by_name.get(name, ()) if resident is not gone)
            if left:
                self._by_name[name] = left
            else:
                self._by_name.pop(name, None)

    def addresses(self, name: str) -> list[IPAddress] | None:
        """The addresses behind a name, each time beginning with another; None for a name nobody has."""
        residents = self._by_name.get(name) or self._by_name.get(name.removesuffix("." + self.network))
        if not residents:
            return None
        start = next(self._turn) % len(residents)
        return [address for resident in residents[start:] + residents[:start] for address in resident.addresses]

    def resident(self, name: str) -> Resident | None:
        """The first container of that name or id."""
        found = self._by_name.get(name.lower())
        return found[0] if found else self._residents.get(name)

    def owner(self, address: IPAddress) -> str | None:
        """The full name of the container with that address."""
        for resident in tuple(self._residents.values()):
            if address in resident.addresses:
                return f"{resident.names[0]}.{self.network}"
        return None


class Zone(NamedTuple):
    """What one container can resolve.

    `links` give other containers of its networks more names, for it alone; `outside` says that names of the outside are
    for it too, to be asked of `servers`, or of the host's where it has none of its own.
    """

    directories: tuple[Directory, ...]
    links: tuple[tuple[str, str], ...] = ()
    outside: bool = False
    servers: tuple[str, ...] = ()

    def addresses(self, name: str) -> list[IPAddress] | None:
        for alias, target in self.links:
            if name == alias.lower():
                found = [d.resident(target) for d in self.directories]
                return [address for resident in found if resident for address in resident.addresses]
        for directory in self.directories:
            addresses = directory.addresses(name)
            if addresses is not None:
                return addresses
        return None

    def owner(self, address: IPAddress) -> str | None:
        return next(filter(None, (directory.owner(address) for directory in self.directories)), None)


def answer(zone: Zone, query: bytes, *, limit: int = 65535) -> bytes | None:
    """Answer what the zone knows.

    :param limit: the most bytes the transport takes before the answer is marked as cut (512 for plain UDP)
    :returns: None when an upstream is to be asked; empty bytes when what came deserves no answer
    """
    try:
        record = DNSRecord.parse(query)
    except (DNSError, ValueError, IndexError):
        return _malformed(query)
    if record.header.qr or not record.questions:
        return b""
    name, kind = str(record.q.qname).rstrip(".").lower(), QTYPE.get(record.q.qtype)
    records = _records(zone, name, kind)
    if records is None:
        return None if zone.outside else failure(query)
    reply = record.reply(aa=1)
    for data in records:
        reply.add_answer(RR(record.q.qname, QTYPE.reverse[_type_of(data)], ttl=TTL_SECONDS, rdata=data))
    packed: bytes = reply.pack()
    return packed if len(packed) <= max(limit, _offered(record)) else bytes(reply.truncate().pack())


def failure(query: bytes) -> bytes:
    """SERVFAIL: no upstream answered, or (CVE-2024-29018) an internal network has none to ask."""
    reply = DNSRecord.parse(query).reply(ra=1, aa=0)
    reply.header.rcode = RCODE.SERVFAIL
    return bytes(reply.pack())


def _records(zone: Zone, name: str, kind: str) -> list[A | AAAA | PTR] | None:
    if name.endswith((REVERSE4, REVERSE6)):
        address = _reversed(name)
        owner = zone.owner(address) if address else None
        if owner is None:
            return None
        return [PTR(owner)] if kind in ("PTR", "ANY") else []
    addresses = zone.addresses(name)
    if addresses is None:
        return None
    wanted = {"A": (4,), "AAAA": (6,), "ANY": (4, 6)}.get(kind, ())
    return [A(str(a)) if a.version == 4 else AAAA(str(a)) for a in addresses if a.version in wanted]


def _type_of(data: A | AAAA | PTR) -> str:
    return type(data).__name__


def _reversed(name: str) -> IPAddress | None:
    """The address that a name below in-addr.arpa or ip6.arpa stands for."""
    try:
        if name.endswith(REVERSE4):
            return ip_address(".".join(reversed(name.removesuffix(REVERSE4).split("."))))
        digits = "".join(reversed(name.removesuffix(REVERSE6).split(".")))
        return ip_address(bytes.fromhex(digits)) if len(digits) == 32 else None
    except ValueError:
        return None


def _offered(record: DNSRecord) -> int:
    """How large a UDP answer the client takes, by its EDNS option (RFC 6891, 6.2.3), at least 512."""
    sizes: Iterable[int] = (extra.rclass for extra in record.ar if extra.rtype == QTYPE.OPT)
    return max([PLAIN_UDP_LIMIT, *sizes])


def _malformed(query: bytes) -> bytes:
    if len(query) < HEADER_LENGTH or query[2] & 0x80:
        return b""
    header = DNSHeader(id=int.from_bytes(query[:2], "big"), qr=1, rcode=RCODE.FORMERR)
    return bytes(DNSRecord(header).pack())
