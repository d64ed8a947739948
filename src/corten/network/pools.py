"""Which addresses a network gets: the pools that networks without a subnet draw from, and the free ones of a subnet.

Pure functions over what is taken; who owns what is recorded in the database (`records`).
"""

from collections.abc import Collection, Iterable, Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import NamedTuple

from corten.model.errors import InvalidArgument, PermissionDenied, ResourceExhausted
from corten.network.identity import Identity

__all__ = ["DEFAULT_POOLS", "Pool", "Subnet", "choose_ipv4", "choose_ipv6", "next_address"]

IPAddress = IPv4Address | IPv6Address
IPNetwork = IPv4Network | IPv6Network


class Pool(NamedTuple):
    """A block of addresses that networks of `size` bits of prefix are cut from."""

    base: IPv4Network
    size: int

    def networks(self) -> Iterator[IPv4Network]:
        return self.base.subnets(new_prefix=self.size)


# Docker's defaults (moby daemon/libnetwork/ipamutils): 15 networks of 65,536 addresses and 16 of 4,096.
DEFAULT_POOLS = (
    Pool(IPv4Network("172.17.0.0/16"), 16),
    Pool(IPv4Network("172.18.0.0/16"), 16),
    Pool(IPv4Network("172.19.0.0/16"), 16),
    Pool(IPv4Network("172.20.0.0/14"), 16),
    Pool(IPv4Network("172.24.0.0/14"), 16),
    Pool(IPv4Network("172.28.0.0/14"), 16),
    Pool(IPv4Network("192.168.0.0/16"), 20),
)


class Subnet(NamedTuple):
    """A network's addresses of one family.

    `range` is where containers get theirs; `auxiliary` ones are never given out; `automatic`
    says that we chose it, so that we may choose again while nobody uses it.
    """

    network: IPNetwork
    gateway: IPAddress
    range: IPNetwork
    auxiliary: tuple[tuple[str, IPAddress], ...] = ()
    automatic: bool = False

    def reserved(self) -> set[IPAddress]:
        """The addresses no container can have."""
        kept = {self.gateway, self.network.network_address, *(address for _, address in self.auxiliary)}
        # IPv6 has no broadcast, but its last address is an anycast one by RFC 2526.
        return (
            kept | {self.network.broadcast_address} if self.network.prefixlen < self.network.max_prefixlen - 1 else kept
        )


def choose_ipv4(
    taken: Iterable[IPNetwork], identity: Identity, pools: Iterable[Pool] = DEFAULT_POOLS, *, first: bool
) -> Subnet:
    """The first subnet of the pools that meets none of `taken`, beginning where this engine's identity says.

    :param first: begin there; else one later, so that the default network keeps its place when it is made last
    :raises ResourceExhausted: all of them are taken
    """
    candidates = [network for pool in pools for network in pool.networks()]
    start = identity.preferred(len(candidates)) + (0 if first else 1)
    used = [network for network in taken if network.version == 4]
    for step in range(len(candidates)):
        candidate = candidates[(start + step) % len(candidates)]
        if not any(candidate.overlaps(other) for other in used):
            return Subnet(candidate, candidate[1], candidate, automatic=True)
    raise ResourceExhausted(
        "could not find an available, non-overlapping IPv4 address pool among the defaults to assign to the network",
        hint="remove networks (corten network prune) or name one: --subnet 10.20.0.0/24",
    )


def choose_ipv6(taken: Iterable[IPNetwork], identity: Identity) -> Subnet:
    """The first free /64 of the engine's unique local prefix."""
    used = set(taken)
    for number in range(1 << 16):
        candidate = ip_network((identity.ula() + number.to_bytes(2, "big") + bytes(8), 64))
        if candidate not in used:
            return Subnet(candidate, candidate[1], candidate, automatic=True)
    raise ResourceExhausted("could not find an available IPv6 /64 for the network", hint="corten network prune")


def next_address(subnet: Subnet, taken: Collection[IPAddress]) -> IPAddress:
    """The lowest address of the subnet's range that is neither reserved nor taken.

    :raises ResourceExhausted: there is none
    """
    reserved = subnet.reserved()
    for address in subnet.range:
        if address not in taken and address not in reserved:
            return address
    raise ResourceExhausted(f"no available IPv4 addresses on this network's address pools: {subnet.network}")


def claim(subnet: Subnet, address: IPAddress, taken: Collection[IPAddress]) -> IPAddress:
    """`address` itself, if a container may have it.

    :raises InvalidArgument: it lies outside the subnet, or is the network's or the broadcast address
    :raises PermissionDenied: someone has it (Docker answers 403)
    """
    if address not in subnet.network or address in (subnet.network.network_address, subnet.network.broadcast_address):
        raise InvalidArgument(
            f"invalid endpoint settings: no configured subnet contains IP address {address}",
            hint=f"this network has {subnet.network}",
        )
    if address in taken or address in subnet.reserved():
        raise PermissionDenied(f"Address already in use: {address}", hint="choose another, or leave it to the engine")
    return address
