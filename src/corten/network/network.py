"""A network as a value: what was asked for, what it got, and what its options mean.

    NetworkSpec ──design──► Network (id, subnets, bridge device)

Drivers: `bridge` (a switch of its own on this host), and the single instances of `host` (the host's own network) and
`null` (loopback alone, the network called none).
"""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

import msgspec

from corten.model.errors import FailedPrecondition, InvalidArgument, NotFound, PermissionDenied, Unimplemented
from corten.network import options
from corten.network.identity import Identity
from corten.network.pools import DEFAULT_POOLS, Pool, Subnet, choose_ipv4, choose_ipv6

__all__ = ["Ipam", "Network", "NetworkSpec", "design", "requested"]

IPNetwork = IPv4Network | IPv6Network

PREDEFINED = ("bridge", "host", "none")
NOT_BUILT = ("macvlan", "ipvlan", "overlay", "remote")
NAME = re.compile(r"[a-zA-Z0-9]([a-zA-Z0-9_. -]*[a-zA-Z0-9_.-])?\Z")


# A Subnet as text: network, gateway, range, auxiliary addresses by name, automatic.
SubnetRow = tuple[str, str, str, tuple[tuple[str, str], ...], bool]


class Ipam(msgspec.Struct, frozen=True):
    """One subnet that the user asked for; what is empty the engine chooses."""

    subnet: str = ""
    ip_range: str = ""
    gateway: str = ""
    auxiliary: dict[str, str] = {}


class NetworkSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for, as `POST /networks/create` says it."""

    name: str
    driver: str = "bridge"
    internal: bool = False
    attachable: bool = False
    ipv4: bool = True
    ipv6: bool = False
    options: dict[str, str] = {}
    labels: dict[str, str] = {}
    ipam: tuple[Ipam, ...] = ()
    ipam_driver: str = "default"
    ipam_options: dict[str, str] | None = None


class Network(msgspec.Struct, frozen=True, kw_only=True):
    """A network that exists. `bridge` is its device, empty for host and null; subnets are written as text.

    `adopted` says that the device was there before us, so that we do not delete it.
    """

    id: str
    spec: NetworkSpec
    created_ns: int
    bridge: str = ""
    adopted: bool = False
    subnets: tuple[SubnetRow, ...] = ()

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def predefined(self) -> bool:
        return self.spec.name in PREDEFINED

    @property
    def is_default(self) -> bool:
        """Docker's default bridge: no name service, links by /etc/hosts, no addresses of one's own choice."""
        return self.spec.name == "bridge"

    @property
    def serves_names(self) -> bool:
        return self.spec.driver == "bridge" and not self.is_default

    @property
    def meeting(self) -> bool:
        """Whether its containers may talk to each other."""
        return options.truth(self.spec.options.get(options.ICC, "true"))

    def asked_for(self, version: int) -> bool:
        """Whether the user named a subnet of an IP version, though the version itself may be off in the network."""
        return any(_network_of(ipam.subnet).version == version for ipam in self.spec.ipam if ipam.subnet)

    @property
    def masquerade(self) -> bool:
        return options.truth(self.spec.options.get(options.MASQUERADE, "true"))

    @property
    def host_binding(self) -> str:
        """The host address on which its containers' ports are published unless they say another."""
        return self.spec.options.get(options.HOST_BINDING, "")

    @property
    def mtu(self) -> int:
        return int(self.spec.options.get(options.MTU) or 0)

    @property
    def interface_prefix(self) -> str:
        return self.spec.options.get(options.PREFIX, "eth")

    def pools(self) -> tuple[Subnet, ...]:
        """The subnets as addresses to compute with."""
        return _read_subnets(self.subnets)

    def on_bridge(self, device: str, *, adopted: bool) -> "Network":
        return msgspec.structs.replace(self, bridge=device, adopted=adopted)

    def with_pools(self, pools: Iterable[Subnet]) -> "Network":
        rows = tuple(
            (
                str(pool.network),
                str(pool.gateway),
                str(pool.range),
                tuple((name, str(address)) for name, address in pool.auxiliary),
                pool.automatic,
            )
            for pool in pools
        )
        return msgspec.structs.replace(self, subnets=rows)


@lru_cache(maxsize=256)
def _read_subnets(rows: tuple[SubnetRow, ...]) -> tuple[Subnet, ...]:
    return tuple(
        Subnet(
            ip_network(subnet),
            ip_address(gateway),
            ip_network(span),
            tuple((name, ip_address(address)) for name, address in auxiliary),
            automatic,
        )
        for subnet, gateway, span, auxiliary, automatic in rows
    )


def check(spec: NetworkSpec) -> None:
    """Refuse a request that names what cannot be, or is not built, with Docker's texts where it has one.

    :raises InvalidArgument, PermissionDenied, NotFound, Unimplemented:
    """
    if not NAME.match(spec.name):
        allowed = "only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"
        raise InvalidArgument(f'invalid network name: "{spec.name}" includes invalid characters, {allowed}')
    if spec.driver in ("host", "null"):
        raise PermissionDenied(f'only one instance of "{spec.driver}" network is allowed')
    if spec.driver in NOT_BUILT:
        raise Unimplemented(f"network driver {spec.driver} is not built yet", hint="use the driver bridge")
    if spec.driver != "bridge":
        raise NotFound(f"could not find plugin {spec.driver} in v1 plugin registry: plugin not found")
    if spec.ipam_driver not in ("", "default"):
        raise NotFound(f"could not find IPAM driver {spec.ipam_driver}: plugin not found")
    if not spec.ipv4 and not spec.ipv6:
        raise InvalidArgument("IPv4 or IPv6 must be enabled")
    options.check(options.NETWORK, spec.options)


def design(
    spec: NetworkSpec,
    taken: Iterable[IPNetwork],
    own: Mapping[str, Iterable[IPNetwork]],
    identity: Identity,
    pools: Iterable[Pool] = DEFAULT_POOLS,
) -> list[Subnet]:
    """Choose the subnets of a new bridge network.

    :param taken: subnets that something on the host uses, which we do not choose ourselves
    :param own: subnets of the engine's other networks by name, which nobody may choose
    """
    used = {name: list(networks) for name, networks in own.items()}
    subnets = requested(spec)
    for number, subnet in enumerate(subnets):
        _check_free(subnet.network, used | {spec.name: [other.network for other in subnets[:number]]})
    occupied = [*taken, *(network for networks in used.values() for network in networks)]
    if spec.ipv4 and not any(subnet.network.version == 4 for subnet in subnets):
        first = spec.name == "bridge"
        subnets.insert(0, choose_ipv4([*occupied, *(s.network for s in subnets)], identity, pools, first=first))
    if spec.ipv6 and not any(subnet.network.version == 6 for subnet in subnets):
        subnets.append(choose_ipv6(occupied, identity))
    return [subnet for subnet in subnets if (spec.ipv6 if subnet.network.version == 6 else spec.ipv4)]


def requested(spec: NetworkSpec) -> list[Subnet]:
    """The subnets that a specification names."""
    return [_requested(ipam) for ipam in spec.ipam if ipam.subnet]


def _requested(ipam: Ipam) -> Subnet:
    network = _parsed("subnet", ipam.subnet, _network_of)
    span = _parsed("ip-range", ipam.ip_range or ipam.subnet, _network_of)
    if span.version != network.version or not span.subnet_of(network):
        raise InvalidArgument(f"invalid ip-range {span}: it is not inside subnet {network}")
    if network.num_addresses < 4 and not ipam.gateway:
        raise InvalidArgument(f"invalid subnet {network}: it has no room for a gateway and a container")
    gateway = _parsed("gateway", ipam.gateway, ip_address) if ipam.gateway else network[1]
    auxiliary = tuple((name, _parsed("aux-address", value, ip_address)) for name, value in ipam.auxiliary.items())
    for address in (gateway, *(address for _, address in auxiliary)):
        if address not in network:
            raise InvalidArgument(f"no matching subnet for address {address}", hint=f"the subnet is {network}")
    return Subnet(network, gateway, span, auxiliary)


def _network_of(text: str) -> IPNetwork:
    """As Docker reads one: an address with host bits names the network that it is in."""
    return ip_network(text, strict=False)


def _parsed(what: str, value: str, parse):  # type: ignore[no-untyped-def]
    try:
        return parse(value)
    except ValueError as error:
        raise InvalidArgument(f"invalid {what} {value}: {error}") from None


def _check_free(network: IPNetwork, own: Mapping[str, Iterable[IPNetwork]]) -> None:
    for name, others in own.items():
        if any(network.overlaps(other) for other in others if other.version == network.version):
            raise PermissionDenied(
                f"invalid pool request: Pool overlaps with other one on this address space: {network}",
                hint=f"network {name} has it; choose another subnet",
            )


def unusable(network: Network) -> FailedPrecondition:
    """The error for a network whose device belongs to something else."""
    return FailedPrecondition(
        f"use network {network.name}: device {network.bridge} exists and is not a bridge",
        hint=f"remove that device, or name another by -o {options.BRIDGE_NAME}=",
    )
