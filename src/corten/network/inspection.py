"""Networks, endpoints and ports in the shapes of Docker's API (version 1.51)."""

import time
from collections.abc import Iterable, Mapping
from typing import Any

from corten.network import options
from corten.network.endpoint import Endpoint
from corten.network.network import Network
from corten.network.sandbox import Sandbox

__all__ = ["endpoint_settings", "network_resource", "resident_names"]


def network_resource(network: Network, residents: Iterable[tuple[Sandbox, Endpoint]] = ()) -> dict[str, Any]:
    """`GET /networks/{id}`; `Containers` lists the running ones."""
    spec = network.spec
    return {
        "Name": network.name,
        "Id": network.id,
        "Created": _timestamp(network.created_ns),
        "Scope": "local",
        "Driver": spec.driver,
        "EnableIPv4": spec.ipv4,
        "EnableIPv6": spec.ipv6,
        "IPAM": {"Driver": spec.ipam_driver or "default", "Options": spec.ipam_options, "Config": _ipam(network)},
        "Internal": spec.internal,
        "Attachable": spec.attachable,
        "Ingress": False,
        "ConfigFrom": {"Network": ""},
        "ConfigOnly": False,
        "Containers": {
            sandbox.container: {
                "Name": sandbox.request.name,
                "EndpointID": endpoint.id,
                "MacAddress": endpoint.mac,
                "IPv4Address": endpoint.ipv4,
                "IPv6Address": endpoint.ipv6,
            }
            for sandbox, endpoint in residents
        },
        "Options": _default_options(network) if network.is_default else dict(spec.options),
        "Labels": dict(spec.labels),
    }


def endpoint_settings(sandbox: Sandbox, endpoint: Endpoint, network: Network) -> dict[str, Any]:
    """One entry of `NetworkSettings.Networks`."""
    request = endpoint.request
    ipam = {"IPv4Address": request.ip, "IPv6Address": request.ip6, "LinkLocalIPs": list(request.link_local)}
    ipv4, _, prefix4 = endpoint.ipv4.partition("/")
    ipv6, _, prefix6 = endpoint.ipv6.partition("/")
    gateways = {pool.network.version: str(pool.gateway) for pool in network.pools() if not network.spec.internal}
    return {
        "IPAMConfig": {key: value for key, value in ipam.items() if value} or None,
        "Links": list(request.links) or None,
        "Aliases": list(request.aliases) or None,
        "MacAddress": endpoint.mac,
        "DriverOpts": dict(request.driver_opts) or None,
        "GwPriority": request.priority,
        "NetworkID": network.id,
        "EndpointID": endpoint.id,
        "Gateway": gateways.get(4, "") if ipv4 else "",
        "IPAddress": ipv4,
        "IPPrefixLen": int(prefix4 or 0),
        "IPv6Gateway": gateways.get(6, "") if ipv6 else "",
        "GlobalIPv6Address": ipv6,
        "GlobalIPv6PrefixLen": int(prefix6 or 0),
        "DNSNames": list(resident_names(sandbox, endpoint)) if network.serves_names else None,
    }


def resident_names(sandbox: Sandbox, endpoint: Endpoint) -> tuple[str, ...]:
    """The names a container answers to in a user-defined network: its own, its aliases, its short id, its host name."""
    request = sandbox.request
    names = (request.name, *endpoint.request.aliases, request.container_id[:12], request.hostname)
    return tuple(dict.fromkeys(name for name in names if name))


def _ipam(network: Network) -> list[dict[str, Any]]:
    return [_ipam_config(subnet, gateway, span, dict(aux)) for subnet, gateway, span, aux, _ in network.subnets]


def _ipam_config(subnet: str, gateway: str, span: str, auxiliary: Mapping[str, str]) -> dict[str, Any]:
    config: dict[str, Any] = {"Subnet": subnet, "Gateway": gateway}
    if span != subnet:
        config["IPRange"] = span
    if auxiliary:
        config["AuxiliaryAddresses"] = dict(auxiliary)
    return config


def _default_options(network: Network) -> dict[str, str]:
    return {
        options.BRIDGE + "default_bridge": "true",
        options.BRIDGE + "enable_icc": "true",
        options.BRIDGE + "enable_ip_masquerade": "true",
        options.BRIDGE + "host_binding_ipv4": "0.0.0.0",
        options.BRIDGE_NAME: network.bridge,
        options.MTU: str(network.mtu or 1500),
    }


def _timestamp(ns: int) -> str:
    seconds, rest = divmod(ns, 10**9)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{rest:09d}Z"
