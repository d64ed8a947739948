"""Connection tracking: forget the connections of a container that is gone.

A UDP "connection" lives as long as its sender keeps sending. Without this a client of a published port would go on
talking to the address of a container that ended, although the port has moved to its successor.

Wire format: include/uapi/linux/netfilter/nfnetlink_conntrack.h.
"""

import errno
import struct
from collections.abc import Collection
from ipaddress import IPv4Address, IPv6Address

from corten.kernel.netlink import Message, Netlink, attribute, attributes

__all__ = ["forget"]

IPAddress = IPv4Address | IPv6Address

NFNL_SUBSYS_CTNETLINK = 1
IPCTNL_GET, IPCTNL_DELETE = 1, 2
CTA_TUPLE_ORIG, CTA_TUPLE_REPLY, CTA_TUPLE_IP, CTA_TUPLE_PROTO = 1, 2, 1, 2
NLA_F_NESTED = 0x8000
CTA_PROTO_NUM = 1
SOURCE_OF = {4: 1, 6: 3}
AF = {4: 2, 6: 10}
IPPROTO_UDP = 17


def forget(netfilter: Netlink, containers: Collection[IPAddress]) -> int:
    """Delete the UDP connections that were sent on to any of `containers`; returns how many."""
    deletions = []
    for version in {address.version for address in containers}:
        wanted = {address.packed for address in containers if address.version == version}
        header = struct.pack(">BBH", AF[version], 0, 0)
        request = Message(NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_GET, 0, header, "list connections")
        for reply in netfilter.dump(request):
            entry = attributes(reply.body, 4)
            if _answered_by(entry.get(CTA_TUPLE_REPLY, b""), version) in wanted:
                body = header + attribute(CTA_TUPLE_ORIG | NLA_F_NESTED, entry[CTA_TUPLE_ORIG])
                kind = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_DELETE
                deletions.append(Message(kind, 0, body, "forget a connection", (errno.ENOENT,)))
    netfilter.send(deletions)
    return len(deletions)


def _answered_by(reply: bytes, version: int) -> bytes | None:
    """Who answers a UDP connection: the source of its reply tuple."""
    tuple_ = attributes(reply)
    protocol = attributes(tuple_.get(CTA_TUPLE_PROTO, b"")).get(CTA_PROTO_NUM)
    if protocol != bytes([IPPROTO_UDP]):
        return None
    return attributes(tuple_.get(CTA_TUPLE_IP, b"")).get(SOURCE_OF[version])
