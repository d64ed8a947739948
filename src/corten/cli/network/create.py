"""`corten network create`."""

from __future__ import annotations

from corten.cli.container import readers
from corten.cli.flags import switch, text, texts
from corten.cli.table import Command, Fault
from corten.cli.values import csv, key_value, pairs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from corten.cli.flags import Options
    from corten.cli.session import Session

__all__ = ["CREATE"]


def _run(session: Session, options: Options, words: list[str]) -> int:
    body: dict[str, Any] = {
        "Name": words[0],
        "CheckDuplicate": True,
        "Driver": options.text("driver"),
        "Options": pairs(options.texts("opt")),
        "IPAM": {
            "Driver": options.text("ipam-driver"),
            "Options": pairs(options.texts("ipam-opt")),
            "Config": _pools(options),
        },
        "Internal": options.on("internal"),
        "Attachable": options.on("attachable"),
        "Ingress": options.on("ingress"),
        "Scope": options.text("scope"),
        "ConfigOnly": options.on("config-only"),
        "Labels": pairs(options.texts("label")),
    }
    for flag, field in (("ipv4", "EnableIPv4"), ("ipv6", "EnableIPv6")):
        if options.given(flag):
            body[field] = options.on(flag)
    if options.text("config-from"):
        body["ConfigFrom"] = {"Network": options.text("config-from")}
    answer = session.post("/networks/create", body=body).json()
    if answer.get("Warning"):
        session.warn(f"WARNING: {answer['Warning']}")
    session.say(answer["Id"])
    return 0


def _pools(options: Options) -> list[dict[str, Any]]:
    """The address pools: a row for each subnet, with the range, gateway and reserved addresses that lie in it."""
    subnets, ranges, gateways = options.texts("subnet"), options.texts("ip-range"), options.texts("gateway")
    reserved = pairs(options.texts("aux-address"))
    if len(subnets) < len(ranges) or len(subnets) < len(gateways):
        raise Fault("every ip-range or gateway must have a corresponding subnet")
    pools: dict[str, dict[str, Any]] = {}
    for subnet in subnets:
        for other in pools:
            if _holds(other, subnet.partition("/")[0]) or _holds(subnet, other.partition("/")[0]):
                raise Fault("multiple overlapping subnet configuration is not supported")
        pools[subnet] = {"Subnet": subnet, "AuxiliaryAddresses": {}}
    for part in ranges:
        _home(pools, part.partition("/")[0], "IPRange", part, "range")
    for address in gateways:
        _home(pools, address, "Gateway", address, "gateway")
    for name, address in reserved.items():
        home = next((pool for subnet, pool in pools.items() if _holds(subnet, address)), None)
        if home is None:
            raise Fault(f"no matching subnet for aux-address {address}")
        home["AuxiliaryAddresses"][name] = address
    return [{key: value for key, value in pool.items() if value} for pool in pools.values()]


def _home(pools: dict[str, dict[str, Any]], address: str, key: str, value: str, noun: str) -> None:
    """Write `value` into the pool whose subnet holds `address`."""
    home = next((pool for subnet, pool in pools.items() if _holds(subnet, address)), None)
    if home is None:
        raise Fault(f"no matching subnet for {noun} {value}")
    if key in home:
        raise Fault(f"cannot configure multiple {noun}s ({value}, {home[key]}) on the same subnet ({home['Subnet']})")
    home[key] = value


def _holds(subnet: str, address: str) -> bool:
    """Whether an address lies in a subnet."""
    import _socket

    base, mark, length = subnet.partition("/")
    family = _socket.AF_INET6 if ":" in base else _socket.AF_INET
    if not mark or not length.isdecimal():
        raise Fault(f"invalid subnet {subnet}: invalid CIDR address: {subnet}")
    try:
        net = _socket.inet_pton(family, base)
        host = _socket.inet_pton(_socket.AF_INET6 if ":" in address else _socket.AF_INET, address)
    except OSError:
        raise Fault(f"invalid CIDR address: {subnet}" if "/" in address else f"invalid address: {address}") from None
    if len(net) != len(host):
        return False
    free = len(net) * 8 - int(length)
    return int.from_bytes(net, "big") >> free == int.from_bytes(host, "big") >> free


CREATE = Command(
    "network create",
    "[OPTIONS] NETWORK",
    "Make a network",
    _run,
    least=1,
    most=1,
    flags=(
        switch("attachable", "", "Let containers be attached by hand"),
        texts("aux-address", "", "Address that the driver must leave alone, NAME=ADDRESS", kind="map", read=key_value),
        text("config-from", "", "Network to take the configuration from"),
        switch("config-only", "", "Make only a configuration for others"),
        text("driver", "d", "Driver of the network", "bridge"),
        texts("gateway", "", "Gateway of a subnet", kind="strings", read=csv),
        switch("ingress", "", "Make swarm's routing mesh"),
        switch("internal", "", "Let nothing in or out"),
        texts("ip-range", "", "Part of a subnet to take addresses from", kind="strings", read=csv),
        text("ipam-driver", "", "Driver that hands out addresses", "default"),
        texts("ipam-opt", "", "Option for it", kind="map", read=key_value),
        switch("ipv4", "", "Hand out IPv4 addresses", default=True),
        switch("ipv6", "", "Hand out IPv6 addresses"),
        texts("label", "", "Add a label", read=readers.label),
        texts("opt", "o", "Option for the driver", kind="map", read=key_value),
        text("scope", "", "How far the network reaches"),
        texts("subnet", "", "Subnet in CIDR form", kind="strings", read=csv),
    ),
)
