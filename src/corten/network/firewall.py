"""The engine's firewall: rules written once, and sets and maps that say what they are about.

    table inet corten
        sets   bridges   the devices of our networks              meeting   (bridge, bridge): one network among itself
               sealed    those of internal networks               hosts4/6  (subnet, its bridge)
               outward4/6  subnets whose traffic is masqueraded   unrouted  devices between which we must not forward
        maps   port4/6   (protocol, host address, host port) -> (container address, port)
               any4/6    the same for ports published on every address
        chains guard_loopback  raw prerouting: nobody outside reaches 127.0.0.0/8 through our bridges
               arriving, leaving → publish        nat: DNAT by one lookup in the maps
               translated      nat postrouting: masquerade
               forward         filter: what may pass between devices
    table bridge corten        drops IPv6 router advertisements that a container sends (CVE-2020-10749)

Publishing a port adds one element, removing it takes one away, each in an atomic batch; no rule has to be found again.
An `accept` here ends only our own chain: a `drop` in somebody else's base chain still drops (`foreign`).
"""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import NamedTuple

from corten.kernel import nftables as nft
from corten.kernel.netlink import Message
from corten.kernel.nftables import BRIDGE, INET, Element, Hook, SetType

__all__ = [
    "Forward",
    "Path",
    "build",
    "build_bridge",
    "close_path",
    "destroy",
    "forbid",
    "open_path",
    "publish",
    "withdraw",
]

IPAddress = IPv4Address | IPv6Address
IPNetwork = IPv4Network | IPv6Network

PROTOCOLS = {"tcp": 6, "udp": 17, "sctp": 132}
RTN_LOCAL = 2
ESTABLISHED_RELATED, DNATTED = 0x2 | 0x4, 1 << 5
NFPROTO = {4: b"\x02", 6: b"\x0a"}
AF = {4: 2, 6: 10}
# Where the addresses stand in the header of each version: offset of source and destination, length.
SOURCE = {4: (12, 4), 6: (8, 16)}
DESTINATION = {4: (16, 4), 6: (24, 16)}
LOOPBACK4 = (b"\xff\0\0\0", b"\x7f\0\0\0")
LOOPBACK6 = IPv6Address("::1").packed

DEVICE_SETS = ("bridges", "sealed", "unrouted")


class Path(NamedTuple):
    """What the firewall knows of one network: its device, its subnets, and what may pass."""

    bridge: str
    subnets: tuple[IPNetwork, ...]
    internal: bool = False
    masquerade: bool = True
    meeting: bool = True


class Forward(NamedTuple):
    """One published port. `host_ip` None means every address of the container's family."""

    protocol: str
    host_ip: IPAddress | None
    host_port: int
    address: IPAddress
    port: int


def build(table: str, paths: Iterable[Path], forwards: Iterable[Forward], unrouted: Iterable[str]) -> list[Message]:
    """Replace the whole table in one step: connections that are under way do not notice."""
    messages = [nft.add_table(INET, table), nft.delete_table(INET, table), nft.add_table(INET, table)]
    messages += _sets(table)
    messages += _chains(table)
    messages += _loopback_rules(table)
    messages += [rule for version in (4, 6) for rule in (*_publish_rules(table, version), *_nat_rules(table, version))]
    messages += _forward_rules(table)
    for path in paths:
        messages += open_path(table, path)
    return messages + publish(table, forwards) + forbid(table, unrouted)


def build_bridge(table: str) -> list[Message]:
    """The bridge family's table, in a batch of its own since a kernel may lack that family."""
    add = [nft.add_table(BRIDGE, table), nft.delete_table(BRIDGE, table), nft.add_table(BRIDGE, table)]
    for name, hook in (("forward", nft.FORWARD), ("input", nft.INPUT)):
        add.append(nft.add_chain(BRIDGE, table, name, Hook("filter", hook, -200)))
        match = (nft.meta("iifname"), nft.mask(b"\xff\xff" + bytes(14)), nft.compare(b"vc" + bytes(14)))
        packet = (nft.meta("protocol"), nft.compare(b"\x86\xdd"), nft.payload("network", 6, 1), nft.compare(b"\x3a"))
        advertisement = (nft.payload("transport", 0, 1), nft.compare(b"\x86"))
        why = "a container is no router (CVE-2020-10749)"
        add.append(nft.add_rule(BRIDGE, table, name, why, *match, *packet, *advertisement, nft.drop()))
    return add


def destroy(family: int, table: str) -> list[Message]:
    """Remove a table that may not be there."""
    return [nft.add_table(family, table), nft.delete_table(family, table)]


def open_path(table: str, path: Path) -> list[Message]:
    """Let a network in."""
    return [nft.add_elements(INET, table, name, elements) for name, elements in _path_elements(path)]


def close_path(table: str, path: Path) -> list[Message]:
    """Forget a network."""
    return [nft.delete_elements(INET, table, name, elements) for name, elements in _path_elements(path)]


def publish(table: str, forwards: Iterable[Forward]) -> list[Message]:
    """Send what arrives at host ports on to containers."""
    return [nft.add_elements(INET, table, name, elements) for name, elements in _forward_elements(forwards).items()]


def withdraw(table: str, forwards: Iterable[Forward]) -> list[Message]:
    """Stop it. Connections under way live on in the connection table until the container is gone."""
    return [nft.delete_elements(INET, table, name, elements) for name, elements in _forward_elements(forwards).items()]


def forbid(table: str, devices: Iterable[str]) -> list[Message]:
    """Keep packets from passing between `devices`, which did not happen before we switched forwarding on."""
    elements = [Element(nft.ifname(device)) for device in devices]
    return [nft.add_elements(INET, table, "unrouted", elements)] if elements else []


def _path_elements(path: Path) -> list[tuple[str, list[Element]]]:
    device = nft.ifname(path.bridge)
    found = [("bridges", [Element(device)])]
    if path.internal:
        found.append(("sealed", [Element(device)]))
    if path.meeting:
        found.append(("meeting", [Element(device + device)]))
    for subnet in path.subnets:
        first, last = subnet.network_address, subnet.broadcast_address
        key, end = nft.fields(first.packed, device), nft.fields(last.packed, device)
        found.append((f"hosts{subnet.version}", [Element(key, end)]))
        if path.masquerade and not path.internal:
            found.append((f"outward{subnet.version}", nft.interval(first.packed, (last + 1).packed)))
    return found


def _forward_elements(forwards: Iterable[Forward]) -> dict[str, list[Element]]:
    found: dict[str, list[Element]] = {}
    for forward in forwards:
        protocol, port = bytes([PROTOCOLS[forward.protocol]]), forward.host_port.to_bytes(2, "big")
        host = (forward.host_ip.packed,) if forward.host_ip else ()
        value = nft.fields(forward.address.packed, forward.port.to_bytes(2, "big"))
        name = f"{'port' if forward.host_ip else 'any'}{forward.address.version}"
        found.setdefault(name, []).append(Element(nft.fields(protocol, *host, port), value=value))
    return found


def _sets(table: str) -> list[Message]:
    kinds = {name: SetType(("ifname",)) for name in DEVICE_SETS}
    kinds["meeting"] = SetType(("ifname", "ifname"))
    for version in (4, 6):
        address = f"ipv{version}_addr"
        kinds[f"hosts{version}"] = SetType((address, "ifname"), interval=True)
        kinds[f"outward{version}"] = SetType((address,), interval=True)
        kinds[f"port{version}"] = SetType(("inet_proto", address, "inet_service"), (address, "inet_service"))
        kinds[f"any{version}"] = SetType(("inet_proto", "inet_service"), (address, "inet_service"))
    return [nft.add_set(INET, table, name, kind, number) for number, (name, kind) in enumerate(kinds.items(), 1)]


def _chains(table: str) -> list[Message]:
    """The priorities are netfilter's names for raw, dstnat, srcnat and filter."""
    return [
        nft.add_chain(INET, table, "guard_loopback", Hook("filter", nft.PREROUTING, -300)),
        nft.add_chain(INET, table, "publish"),
        nft.add_chain(INET, table, "arriving", Hook("nat", nft.PREROUTING, -100)),
        nft.add_chain(INET, table, "leaving", Hook("nat", nft.OUTPUT, -100)),
        nft.add_chain(INET, table, "translated", Hook("nat", nft.POSTROUTING, 100)),
        nft.add_chain(INET, table, "forward", Hook("filter", nft.FORWARD, 0)),
    ]


def _loopback_rules(table: str) -> list[Message]:
    ours = (nft.meta("iifname"), nft.lookup("bridges"))
    local = (nft.fib_daddr_type(), nft.compare(RTN_LOCAL.to_bytes(4, "little")), nft.jump("publish"))
    loopback = (*_version(4), *_loopback_daddr())
    return [
        # route_localnet, without which 127.0.0.1:port could not reach a container, opens this hole (CVE-2020-8558).
        _rule(table, "guard_loopback", "containers do not reach the host's loopback", *ours, *loopback, nft.drop()),
        _rule(table, "arriving", "127.0.0.1 is not reached from outside", *loopback, nft.return_()),
        # The kernel delivers nothing to ::1 that came by another device, so an answer could not come back.
        _rule(
            table, "leaving", "::1 cannot be sent on", *_version(6), *_daddr(6), nft.compare(LOOPBACK6), nft.return_()
        ),
        _rule(table, "arriving", "published ports", *local),
        _rule(table, "leaving", "published ports, from the host itself", *local),
    ]


def _publish_rules(table: str, version: int) -> list[Message]:
    offset, length = DESTINATION[version]
    words = length // 4
    protocol, action = nft.meta("l4proto"), nft.dnat(AF[version], address=0, port=words)
    exact = (nft.payload("network", offset, length, 1), nft.payload("transport", 2, 2, 1 + words))
    exact_lookup = nft.lookup(f"port{version}", into=0)
    port, lookup = nft.payload("transport", 2, 2, 1), nft.lookup(f"any{version}", into=0)
    return [
        _rule(
            table, "publish", "published on this address", *_version(version), protocol, *exact, exact_lookup, action
        ),
        _rule(table, "publish", "published on every address", *_version(version), protocol, port, lookup, action),
    ]


def _nat_rules(table: str, version: int) -> list[Message]:
    offset, length = SOURCE[version]
    source = (*_version(version), nft.payload("network", offset, length))
    own = (*source, nft.meta("oifname", length // 4), nft.lookup(f"hosts{version}"))
    outward = (nft.lookup(f"outward{version}"), nft.masquerade())
    to_bridge = (nft.meta("oifname"), nft.lookup("bridges"))
    local = (nft.mask(LOOPBACK4[0]), nft.compare(LOOPBACK4[1]), *to_bridge, nft.masquerade())
    by_loopback = [_rule(table, "translated", "a published port was reached by 127.0.0.1", *source, *local)]
    return (by_loopback if version == 4 else []) + [
        _rule(
            table,
            "translated",
            "a container reached a published port of its own network",
            *_dnatted(),
            *own,
            nft.masquerade(),
        ),
        _rule(table, "translated", "within a network addresses stay", *own, nft.return_()),
        _rule(table, "translated", "containers go out under the host's address", *source, *outward),
    ]


def _forward_rules(table: str) -> list[Message]:
    came, goes = nft.meta("iifname"), nft.meta("oifname")
    to_bridge = (goes, nft.lookup("bridges"))
    related = (nft.ct("state"), nft.mask(ESTABLISHED_RELATED.to_bytes(4, "little")), nft.compare(bytes(4), equal=False))
    pair = (nft.meta("iifname"), nft.meta("oifname", 4), nft.lookup("meeting"))
    between = (came, nft.lookup("unrouted"), goes, nft.lookup("unrouted"))
    return [
        _rule(table, "forward", "not routed before this engine switched forwarding on", *between, nft.drop()),
        _rule(table, "forward", "one network among itself", *pair, nft.accept()),
        _rule(table, "forward", "nothing leaves an internal network", came, nft.lookup("sealed"), nft.drop()),
        _rule(table, "forward", "nothing enters an internal network", goes, nft.lookup("sealed"), nft.drop()),
        _rule(table, "forward", "answers", *to_bridge, *related, nft.accept()),
        _rule(table, "forward", "published ports", *to_bridge, *_dnatted(), nft.accept()),
        _rule(table, "forward", "networks do not meet; unpublished ports stay closed", *to_bridge, nft.drop()),
    ]


def _rule(table: str, chain: str, why: str, *expressions: bytes) -> Message:
    return nft.add_rule(INET, table, chain, why, *expressions)


def _version(version: int) -> tuple[bytes, ...]:
    return nft.meta("nfproto"), nft.compare(NFPROTO[version])


def _loopback_daddr() -> tuple[bytes, ...]:
    return *_daddr(4), nft.mask(LOOPBACK4[0]), nft.compare(LOOPBACK4[1])


def _daddr(version: int) -> tuple[bytes, ...]:
    return (nft.payload("network", *DESTINATION[version]),)


def _dnatted() -> tuple[bytes, ...]:
    status = nft.mask(DNATTED.to_bytes(4, "little"))
    return nft.ct("status"), status, nft.compare(bytes(4), equal=False)
