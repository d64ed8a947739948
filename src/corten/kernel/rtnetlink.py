"""Links, addresses, routes and neighbours as values, and the messages that make them.

A container's place on a bridge is two batches: one in the engine's namespace that makes a pair of veth devices whose
far end is born inside the container (no move, no rename), one on a socket inside the container that gives it
addresses and routes.

>>> host.send([add_veth("vc1f", Peer("eth0", netns_fd, mac), master=link(host, "corten0").ifindex)])
>>> inside.send([set_link("lo", up=True), add_address(index, ip_interface("172.17.0.2/16"))])

Structs: include/uapi/linux/{rtnetlink,if_link,if_addr,neighbour}.h; `man 7 rtnetlink`.
"""

import errno
import socket
import struct
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import NamedTuple

from corten.kernel.netlink import Message, Netlink, attribute, attributes, nested, text, u8, u32

__all__ = [
    "Address",
    "Link",
    "Peer",
    "Route",
    "add_address",
    "add_bridge",
    "add_neighbour",
    "add_route",
    "add_veth",
    "addresses",
    "delete_address",
    "delete_link",
    "delete_route",
    "link",
    "links",
    "move_link",
    "no_link_local",
    "route_localnet",
    "routes",
    "set_link",
    "set_master",
    "set_port",
]

IPAddress = IPv4Address | IPv6Address
IPInterface = IPv4Interface | IPv6Interface
IPNetwork = IPv4Network | IPv6Network

RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK = 16, 17, 18
RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR = 20, 21, 22
RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE = 24, 25, 26
RTM_NEWNEIGH = 28

NLM_F_REPLACE, NLM_F_EXCL, NLM_F_CREATE = 0x100, 0x200, 0x400
IFF_UP = 0x1

IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_MASTER, IFLA_LINKINFO = 1, 3, 4, 10, 18
IFLA_LINK, IFLA_AF_SPEC, IFLA_NET_NS_FD, IFLA_NUM_TX_QUEUES, IFLA_NUM_RX_QUEUES = 5, 26, 28, 31, 32
IFLA_INFO_KIND, IFLA_INFO_DATA, IFLA_INFO_SLAVE_KIND, IFLA_INFO_SLAVE_DATA = 1, 2, 4, 5
IFLA_BR_NF_CALL_IPTABLES, IFLA_BR_NF_CALL_IP6TABLES = 36, 37
IFLA_BRPORT_MODE, IFLA_BRPORT_ISOLATED = 4, 33
IFLA_INET_CONF, IPV4_DEVCONF_ROUTE_LOCALNET = 1, 26
IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE = 8, 1
VETH_INFO_PEER = 1

IFA_ADDRESS, IFA_LOCAL, IFA_BROADCAST, IFA_F_NODAD, IFA_F_PERMANENT = 1, 2, 4, 0x02, 0x80
RTA_DST, RTA_OIF, RTA_GATEWAY, RTA_PRIORITY, RTA_TABLE = 1, 4, 5, 6, 15
RT_TABLE_MAIN, RTPROT_BOOT, RTN_UNICAST = 254, 3, 1
RT_SCOPE_UNIVERSE, RT_SCOPE_LINK = 0, 253
NDA_DST, NDA_LLADDR, NUD_STALE = 1, 2, 0x04

IFINFO = struct.Struct("=BxHiII")
IFADDR = struct.Struct("=BBBBI")
RTMSG = struct.Struct("=BBBBBBBBI")
NDMSG = struct.Struct("=BxxxiHBB")


class Link(NamedTuple):
    """A network device. `kind` is what the kernel calls its driver ("bridge", "veth"; empty for hardware)."""

    ifindex: int
    name: str
    kind: str
    up: bool
    mtu: int
    mac: str
    master: int


class Address(NamedTuple):
    """An address of a device. One that is not `permanent` the kernel made by itself, and it expires."""

    ifindex: int
    interface: IPInterface
    permanent: bool = True


class Route(NamedTuple):
    """A unicast route. `destination` is 0.0.0.0/0 or ::/0 for the default one; `table` 254 is main."""

    destination: IPNetwork
    gateway: IPAddress | None
    ifindex: int
    table: int


class Peer(NamedTuple):
    """The far end of a veth pair, born as `name` in the namespace behind `netns_fd`."""

    name: str
    netns_fd: int
    mac: str = ""


def add_bridge(name: str, *, mac: str, mtu: int = 0, filtered: bool = False) -> Message:
    """Make a bridge. A fixed MAC keeps it from taking its lowest port's, which would break neighbours' caches.

    :param filtered: frames between its ports pass the IP firewall (needs br_netfilter)
    """
    info = text(IFLA_INFO_KIND, "bridge")
    if filtered:
        info += nested(IFLA_INFO_DATA, u8(IFLA_BR_NF_CALL_IPTABLES, 1), u8(IFLA_BR_NF_CALL_IP6TABLES, 1))
    body = IFINFO.pack(0, 0, 0, 0, 0) + text(IFLA_IFNAME, name) + _mac(mac) + _mtu(mtu)
    return _new_link(body + nested(IFLA_LINKINFO, info), f"add bridge {name}")


def add_veth(name: str, peer: Peer, *, master: int, mtu: int = 0) -> Message:
    """Make a veth pair: `name` here, up and a port of the bridge with index `master`; the peer in its own namespace."""
    # One queue each: the default of one per possible CPU costs a page or two per container and gains nothing here.
    queues = u32(IFLA_NUM_TX_QUEUES, 1) + u32(IFLA_NUM_RX_QUEUES, 1)
    far = IFINFO.pack(0, 0, 0, 0, 0) + text(IFLA_IFNAME, peer.name) + u32(IFLA_NET_NS_FD, peer.netns_fd)
    pair = nested(VETH_INFO_PEER, far, _mac(peer.mac), _mtu(mtu), queues)
    near = (
        IFINFO.pack(0, 0, 0, IFF_UP, IFF_UP) + text(IFLA_IFNAME, name) + u32(IFLA_MASTER, master) + _mtu(mtu) + queues
    )
    info = nested(IFLA_LINKINFO, text(IFLA_INFO_KIND, "veth"), nested(IFLA_INFO_DATA, pair))
    return _new_link(near + info, f"add veth pair {name} and {peer.name}")


def set_link(name: str, *, up: bool | None = None, mac: str = "", mtu: int = 0) -> Message:
    """Change what is given of device `name`."""
    flags = (0, 0) if up is None else (IFF_UP if up else 0, IFF_UP)
    return _change(name, _mac(mac) + _mtu(mtu), f"change link {name}", flags=flags)


def set_master(name: str, master: int, *, accept: tuple[int, ...] = ()) -> Message:
    """Make device `name` a port of the bridge with index `master`."""
    return _change(name, u32(IFLA_MASTER, master), f"attach link {name} to a bridge", accept=accept)


def set_port(name: str, *, isolated: bool = False, hairpin: bool = False) -> Message:
    """Change a bridge port: `isolated` ones do not meet; `hairpin` lets a frame return where it came from."""
    options = u8(IFLA_BRPORT_MODE, hairpin) + u8(IFLA_BRPORT_ISOLATED, isolated)
    slave = text(IFLA_INFO_SLAVE_KIND, "bridge") + nested(IFLA_INFO_SLAVE_DATA, options)
    return _change(name, nested(IFLA_LINKINFO, slave), f"change bridge port {name}")


def route_localnet(name: str) -> Message:
    """Let packets from 127.0.0.0/8 leave by device `name`: a published port that is reached by 127.0.0.1 needs it."""
    conf = nested(IFLA_INET_CONF, u32(IPV4_DEVCONF_ROUTE_LOCALNET, 1))
    return _change(name, nested(IFLA_AF_SPEC, nested(socket.AF_INET, conf)), f"set route_localnet on {name}")


def no_link_local(name: str) -> Message:
    """Keep IPv6 from giving device `name` an fe80:: address; a device without IPv6 is left as it is."""
    mode = nested(socket.AF_INET6, u8(IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE))
    return _change(name, nested(IFLA_AF_SPEC, mode), f"set addrgenmode of {name}", accept=(errno.EAFNOSUPPORT,))


def move_link(index: int, netns_fd: int, name: str = "") -> Message:
    """Move device `index` into another namespace, there called `name`."""
    label = text(IFLA_IFNAME, name) if name else b""
    body = IFINFO.pack(0, 0, index, 0, 0) + u32(IFLA_NET_NS_FD, netns_fd) + label
    return Message(RTM_NEWLINK, 0, body, f"move link {index} to another namespace")


def delete_link(name: str, *, accept: tuple[int, ...] = ()) -> Message:
    body = IFINFO.pack(0, 0, 0, 0, 0) + text(IFLA_IFNAME, name)
    return Message(RTM_DELLINK, 0, body, f"delete link {name}", accept)


def add_address(index: int, interface: IPInterface, *, accept: tuple[int, ...] = ()) -> Message:
    """Give a device an address. IPv6 skips duplicate detection: our own pool is what keeps addresses apart."""
    return Message(
        RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, _address(index, interface), f"add address {interface}", accept
    )


def delete_address(index: int, interface: IPInterface) -> Message:
    return Message(RTM_DELADDR, 0, _address(index, interface), f"delete address {interface}")


def add_route(
    destination: IPNetwork, gateway: IPAddress | None, *, index: int, metric: int = 0, accept: tuple[int, ...] = ()
) -> Message:
    """Route `destination` by `gateway`, or directly where that is None, over device `index`."""
    body = _route(destination, gateway, index, metric)
    return Message(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, body, f"add route to {destination}", accept)


def delete_route(
    destination: IPNetwork, gateway: IPAddress | None, *, index: int, accept: tuple[int, ...] = ()
) -> Message:
    return Message(RTM_DELROUTE, 0, _route(destination, gateway, index, 0), f"delete route to {destination}", accept)


def add_neighbour(index: int, address: IPAddress, mac: str) -> Message:
    """Say which hardware address an IP address has; the kernel believes it at once and verifies it in use."""
    body = NDMSG.pack(_family(address), index, NUD_STALE, 0, 0)
    body += attribute(NDA_DST, address.packed) + attribute(NDA_LLADDR, _hardware(mac))
    return Message(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, body, f"add neighbour {address}")


def link(netlink: Netlink, name: str) -> Link:
    """Look up one device.

    :raises NetlinkError: ENODEV when there is none of that name
    """
    request = Message(RTM_GETLINK, 0, IFINFO.pack(0, 0, 0, 0, 0) + text(IFLA_IFNAME, name), f"look up link {name}")
    return _read_link(netlink.get(request).body)


def links(netlink: Netlink) -> list[Link]:
    request = Message(RTM_GETLINK, 0, IFINFO.pack(0, 0, 0, 0, 0), "list links")
    return [_read_link(reply.body) for reply in netlink.dump(request) if reply.type == RTM_NEWLINK]


def addresses(netlink: Netlink) -> list[Address]:
    request = Message(RTM_GETADDR, 0, IFADDR.pack(0, 0, 0, 0, 0), "list addresses")
    return [_read_address(reply.body) for reply in netlink.dump(request) if reply.type == RTM_NEWADDR]


def routes(netlink: Netlink) -> list[Route]:
    """List the unicast routes of every table; multipath routes appear without a device (index 0)."""
    request = Message(RTM_GETROUTE, 0, RTMSG.pack(0, 0, 0, 0, 0, 0, 0, 0, 0), "list routes")
    found = [reply.body for reply in netlink.dump(request) if reply.type == RTM_NEWROUTE]
    return [_read_route(body) for body in found if RTMSG.unpack_from(body)[7] == RTN_UNICAST]


def _new_link(body: bytes, what: str) -> Message:
    return Message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, body, what)


def _change(
    name: str, attributes: bytes, what: str, *, flags: tuple[int, int] = (0, 0), accept: tuple[int, ...] = ()
) -> Message:
    # RTM_NEWLINK without NLM_F_CREATE changes; unlike RTM_SETLINK it applies every attribute given here.
    body = IFINFO.pack(0, 0, 0, *flags) + text(IFLA_IFNAME, name) + attributes
    return Message(RTM_NEWLINK, 0, body, what, accept)


def _hardware(mac: str) -> bytes:
    return bytes.fromhex(mac.replace(":", ""))


def _mac(mac: str) -> bytes:
    return attribute(IFLA_ADDRESS, _hardware(mac)) if mac else b""


def _mtu(mtu: int) -> bytes:
    return u32(IFLA_MTU, mtu) if mtu else b""


def _family(address: IPAddress) -> int:
    return socket.AF_INET if address.version == 4 else socket.AF_INET6


def _address(index: int, interface: IPInterface) -> bytes:
    network, packed = interface.network, interface.ip.packed
    flags = IFA_F_NODAD if interface.version == 6 else 0
    body = IFADDR.pack(_family(interface.ip), network.prefixlen, flags, 0, index)
    body += attribute(IFA_LOCAL, packed) + attribute(IFA_ADDRESS, packed)
    if interface.version == 4 and network.prefixlen < 31:
        body += attribute(IFA_BROADCAST, network.broadcast_address.packed)
    return body


def _route(destination: IPNetwork, gateway: IPAddress | None, index: int, metric: int) -> bytes:
    scope = RT_SCOPE_UNIVERSE if gateway else RT_SCOPE_LINK
    family = socket.AF_INET if destination.version == 4 else socket.AF_INET6
    body = RTMSG.pack(family, destination.prefixlen, 0, 0, RT_TABLE_MAIN, RTPROT_BOOT, scope, RTN_UNICAST, 0)
    if destination.prefixlen:
        body += attribute(RTA_DST, destination.network_address.packed)
    if gateway:
        body += attribute(RTA_GATEWAY, gateway.packed)
    return body + u32(RTA_OIF, index) + (u32(RTA_PRIORITY, metric) if metric else b"")


def _string(value: bytes) -> str:
    return value.rstrip(b"\0").decode(errors="replace")


def _number(value: bytes | None) -> int:
    return int.from_bytes(value or b"", "little" if struct.pack("=H", 1)[0] else "big")


def _read_link(body: bytes) -> Link:
    _, _, index, flags, _ = IFINFO.unpack_from(body)
    found = attributes(body, IFINFO.size)
    kind = _string(attributes(found.get(IFLA_LINKINFO, b"")).get(IFLA_INFO_KIND, b""))
    mac = found.get(IFLA_ADDRESS, b"").hex(":")
    name = _string(found.get(IFLA_IFNAME, b""))
    return Link(
        index, name, kind, bool(flags & IFF_UP), _number(found.get(IFLA_MTU)), mac, _number(found.get(IFLA_MASTER))
    )


def _read_address(body: bytes) -> Address:
    family, prefix, flags, _, index = IFADDR.unpack_from(body)
    found = attributes(body, IFADDR.size)
    packed = found.get(IFA_LOCAL) or found[IFA_ADDRESS]
    make = IPv4Interface if family == socket.AF_INET else IPv6Interface
    return Address(index, make((packed, prefix)), bool(flags & IFA_F_PERMANENT))


def _read_route(body: bytes) -> Route:
    family, length, _, _, table, _, _, _, _ = RTMSG.unpack_from(body)
    found = attributes(body, RTMSG.size)
    packed = found.get(RTA_DST) or bytes(4 if family == socket.AF_INET else 16)
    gateway = ip_address(found[RTA_GATEWAY]) if RTA_GATEWAY in found else None
    number = _number(found.get(RTA_TABLE)) or table
    return Route(ip_network((packed, length)), gateway, _number(found.get(RTA_OIF)), number)
