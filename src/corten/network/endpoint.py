"""An endpoint: one container's place in one network, as requested and as it came out."""

from collections.abc import Collection, Iterable
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface, ip_address, ip_interface

import msgspec

from corten.model.errors import InvalidArgument
from corten.network import options
from corten.network.network import Network
from corten.network.pools import claim, next_address

__all__ = ["Endpoint", "EndpointRequest", "place"]

IPAddress = IPv4Address | IPv6Address


class EndpointRequest(msgspec.Struct, frozen=True, kw_only=True):
    """How a container wants to be in a network (`docker network connect`'s flags). `network` is a name or id.

    `links` are pairs `container:alias`; `priority` decides whose gateway the default route takes.
    """

    network: str
    ip: str = ""
    ip6: str = ""
    mac: str = ""
    link_local: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    driver_opts: dict[str, str] = {}
    priority: int = 0


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A place taken: addresses with their prefix (`172.17.0.2/16`, empty for none) and the device inside the container.

    Host and null networks have endpoints too, without addresses or device.
    """

    id: str
    container: str
    network: str
    request: EndpointRequest
    device: str = ""
    ipv4: str = ""
    ipv6: str = ""
    mac: str = ""

    @property
    def port(self) -> str:
        """The name of its veth device on the host; all of ours begin with vc."""
        return "vc" + self.id[:12]

    @property
    def link_local(self) -> list[IPv4Interface | IPv6Interface]:
        """Addresses that mean something on its link alone (RFC 3927, RFC 4291), chosen by the user."""
        return [ip_interface(f"{ip}/{64 if ':' in ip else 16}") for ip in self.request.link_local]

    @property
    def interfaces(self) -> list[IPv4Interface | IPv6Interface]:
        return [ip_interface(address) for address in (self.ipv4, self.ipv6) if address]

    def address(self, version: int) -> IPAddress | None:
        """Its address of IP version 4 or 6, without the prefix."""
        text = self.ipv4 if version == 4 else self.ipv6
        return ip_address(text.partition("/")[0]) if text else None


def place(
    network: Network, request: EndpointRequest, taken: Collection[IPAddress], *, id: str, container: str, device: str
) -> Endpoint:
    """Give a container addresses in a network.

    :param taken: the addresses that the network's other endpoints have
    :raises InvalidArgument, PermissionDenied, ResourceExhausted: with Docker's texts
    """
    if network.spec.driver != "bridge":
        return Endpoint(id=id, container=container, network=network.id, request=request)
    _check(network, request)
    for text in request.link_local:
        _address(text)
    asked: dict[int, str] = {4: request.ip, 6: request.ip6}
    given: dict[int, str] = {4: "", 6: ""}
    for pool in network.pools():
        version: int = pool.network.version
        if given[version]:
            continue
        want = asked[version]
        found = claim(pool, _address(want), taken) if want else next_address(pool, taken)
        given[version] = f"{found}/{pool.network.prefixlen}"
    for version, want in asked.items():
        if want and not given[version] and not network.asked_for(version):
            raise InvalidArgument(
                f"invalid endpoint settings: network {network.name} has no IPv{version} subnet for {want}"
            )
    mac = request.mac.lower().replace("-", ":") or _mac(given[4], id)
    return Endpoint(
        id=id,
        container=container,
        network=network.id,
        request=request,
        device=request.driver_opts.get(options.IFNAME) or device,
        ipv4=given[4],
        ipv6=given[6],
        mac=mac,
    )


def gateway(endpoints: Iterable[tuple[Endpoint, Network]], version: int) -> tuple[Endpoint, Network] | None:
    """Whose gateway the default route takes: the highest priority, then the network's name; internal ones have none."""
    able = [
        (endpoint, network)
        for endpoint, network in endpoints
        if endpoint.address(version) and not network.spec.internal
    ]
    return min(able, key=lambda pair: (-pair[0].request.priority, pair[1].name), default=None)


def _check(network: Network, request: EndpointRequest) -> None:
    options.check(options.ENDPOINT, request.driver_opts)
    if network.is_default:
        if request.ip or request.ip6:
            raise InvalidArgument(
                "invalid config for network bridge: user specified IP address is supported on user defined networks"
                " only"
            )
        if request.aliases:
            raise InvalidArgument("network-scoped alias is supported only for containers in user defined networks")
    elif (request.ip and not network.asked_for(4)) or (request.ip6 and not network.asked_for(6)):
        raise InvalidArgument(
            f"invalid config for network {network.name}: user specified IP address is supported only when connecting"
            " to networks with user configured subnets",
            hint="create the network with --subnet",
        )
    if request.mac and not _is_mac(request.mac):
        raise InvalidArgument(f"invalid mac address {request.mac}", hint="six bytes in hex, as in 02:42:ac:11:00:02")


def _address(text: str) -> IPAddress:
    try:
        return ip_address(text)
    except ValueError:
        raise InvalidArgument(f"invalid IP address {text}") from None


def _is_mac(text: str) -> bool:
    parts = text.replace("-", ":").split(":")
    # The lowest bit of the first byte marks a group; no device may have one.
    return (
        len(parts) == 6
        and all(len(part) == 2 and set(part) <= set("0123456789abcdefABCDEF") for part in parts)
        and not int(parts[0], 16) & 1
    )


def _mac(ipv4: str, id: str) -> str:
    """A MAC made from the address: a container that gets a used address also answers to the neighbours' cached MAC."""
    tail = ip_interface(ipv4).ip.packed if ipv4 else bytes.fromhex(id[:8])
    return "02:42:" + tail.hex(":")
