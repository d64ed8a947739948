"""Furnishing a container's namespace: its devices, addresses and routes, as batches of messages.

Two batches per container, whatever it joins: one on the host that makes the veth pairs, one inside that brings them up.
Nothing is undone by hand: when the namespace goes, the kernel takes the devices, both ends, with it (deleting a
veth explicitly takes 30 ms).
"""

import errno
from collections.abc import Mapping
from ipaddress import ip_network

from corten.kernel import rtnetlink
from corten.kernel.netlink import Message, Netlink, NetlinkError
from corten.kernel.netns import NetworkJoin
from corten.network.endpoint import Endpoint
from corten.network.host import Host, refused
from corten.network.network import Network
from corten.network.sandbox import Sandbox

__all__ = ["furnish", "plug", "replug", "reroute", "unplug"]

DEFAULT_ROUTE = {4: ip_network("0.0.0.0/0"), 6: ip_network("::/0")}


def furnish(host: Host, sandbox: Sandbox, networks: Mapping[str, Network], join: NetworkJoin) -> None:
    """Make everything a new sandbox has inside its namespace.

    :raises CortenError: the kernel refused a step; the caller lets the namespace die
    """
    plugged = [endpoint for endpoint in sandbox.endpoints if endpoint.device]
    host.send([message for e in plugged for message in _pair(host, e, networks[e.network], join.netns_fd)])
    try:
        inside = [rtnetlink.set_link("lo", up=True)]
        indexes = {endpoint.id: rtnetlink.link(join.route, endpoint.device).ifindex for endpoint in plugged}
        for endpoint in plugged:
            inside += _addresses(endpoint, indexes[endpoint.id])
        join.route.send(inside + _routes(sandbox, networks, indexes))
    except NetlinkError as error:
        raise refused(error) from None


def plug(host: Host, endpoint: Endpoint, network: Network, join: NetworkJoin) -> None:
    """Connect a running container to one more network."""
    host.send(_pair(host, endpoint, network, join.netns_fd))
    try:
        index = rtnetlink.link(join.route, endpoint.device).ifindex
        join.route.send(_addresses(endpoint, index))
    except NetlinkError as error:
        raise refused(error) from None


def unplug(host: Host, endpoint: Endpoint) -> None:
    """Take a running container's device away, both ends."""
    host.send([rtnetlink.delete_link(endpoint.port, accept=(errno.ENODEV,))])


def replug(host: Host, sandbox: Sandbox, networks: Mapping[str, Network]) -> None:
    """Make a running container's devices ports of their bridges again, should a bridge have been made anew."""
    for endpoint in sandbox.endpoints:
        if endpoint.device:
            master = host.bridge(networks[endpoint.network])
            host.send([rtnetlink.set_master(endpoint.port, master, accept=(errno.ENODEV,))])


def reroute(sandbox: Sandbox, networks: Mapping[str, Network], route: Netlink) -> None:
    """Point a running container's default routes where its endpoints now say."""
    present = {endpoint.device for endpoint in sandbox.endpoints if endpoint.device}
    indexes = {e.id: rtnetlink.link(route, e.device).ifindex for e in sandbox.endpoints if e.device in present}
    old = [
        rtnetlink.delete_route(found.destination, found.gateway, index=found.ifindex, accept=(errno.ESRCH,))
        for found in rtnetlink.routes(route)
        if not found.destination.prefixlen and found.gateway
    ]
    try:
        route.send(old + _routes(sandbox, networks, indexes))
    except NetlinkError as error:
        raise refused(error) from None


def _pair(host: Host, endpoint: Endpoint, network: Network, netns_fd: int) -> list[Message]:
    bridge = host.bridge(network)
    isolated, hairpin = host.port_options(network)
    messages = [
        rtnetlink.add_veth(
            endpoint.port, rtnetlink.Peer(endpoint.device, netns_fd, endpoint.mac), master=bridge, mtu=network.mtu
        )
    ]
    if isolated or hairpin:
        messages.append(rtnetlink.set_port(endpoint.port, isolated=isolated, hairpin=hairpin))
    # Known neighbours: br_netfilter drops the first IPv6 packet that would have to wait for discovery.
    return messages + [rtnetlink.add_neighbour(bridge, each.ip, endpoint.mac) for each in endpoint.interfaces]


def _addresses(endpoint: Endpoint, index: int) -> list[Message]:
    # Without an IPv6 address there is no IPv6 at all: an address the kernel made up would bypass the pools.
    messages = [] if endpoint.ipv6 else [rtnetlink.no_link_local(endpoint.device)]
    messages.append(rtnetlink.set_link(endpoint.device, up=True))
    given = (*endpoint.interfaces, *endpoint.link_local)
    return messages + [rtnetlink.add_address(index, interface) for interface in given]


def _routes(sandbox: Sandbox, networks: Mapping[str, Network], indexes: Mapping[str, int]) -> list[Message]:
    found = []
    for version, destination in DEFAULT_ROUTE.items():
        way = sandbox.gateway(networks, version)
        if way:
            endpoint, network = way
            gateway = next(pool.gateway for pool in network.pools() if pool.network.version == version)
            found.append(rtnetlink.add_route(destination, gateway, index=indexes[endpoint.id]))
    return found
