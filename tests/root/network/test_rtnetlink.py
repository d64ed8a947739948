"""Our own rtnetlink messages, with iproute2's `ip` as the oracle of what the kernel made of them."""

import errno
import json
import shutil
import subprocess
from ipaddress import ip_address, ip_interface, ip_network
from typing import Any

import pytest

from corten.kernel import rtnetlink as rt
from corten.kernel.netlink import Netlink, NetlinkError
from tests.root.network.namespaces import Container

pytestmark = [pytest.mark.root, pytest.mark.skipif(not shutil.which("ip"), reason="needs iproute2")]

MAC = "02:42:ac:11:00:01"


def ip(*args: str) -> Any:
    return json.loads(subprocess.run(["ip", "-j", "-d", *args], capture_output=True, check=True).stdout or "[]")


@pytest.fixture
def bridge(route: Netlink) -> rt.Link:
    route.send([rt.set_link("lo", up=True), rt.add_bridge("corten0", mac=MAC), rt.set_link("corten0", up=True)])
    return rt.link(route, "corten0")


def test_a_bridge_has_the_mac_the_mtu_and_the_addresses_it_was_given(route: Netlink, bridge: rt.Link) -> None:
    route.send(
        [
            rt.set_link("corten0", mtu=1400),
            rt.add_address(bridge.ifindex, ip_interface("172.17.0.1/16")),
            rt.add_address(bridge.ifindex, ip_interface("fd00::1/64")),
        ]
    )
    seen = ip("address", "show", "corten0")[0]
    assert (seen["linkinfo"]["info_kind"], seen["address"], seen["mtu"]) == ("bridge", MAC, 1400)
    given = {(a["local"], a["prefixlen"]) for a in seen["addr_info"] if a["scope"] == "global"}
    assert given == {("172.17.0.1", 16), ("fd00::1", 64)}
    assert not any(a.get("tentative") for a in seen["addr_info"] if a["local"] == "fd00::1")


def test_the_far_end_of_a_veth_is_born_in_the_container(route: Netlink, bridge: rt.Link, container: Container) -> None:
    peer = rt.Peer("eth0", container.netns_fd, "02:42:ac:11:00:02")
    route.send([rt.add_veth("vc0", peer, master=bridge.ifindex, mtu=1300)])
    near = ip("link", "show", "vc0")[0]
    assert (near["master"], near["mtu"]) == ("corten0", 1300)
    assert "UP" in near["flags"]
    far = json.loads(container.run("ip", "-j", "link", "show", "eth0"))[0]
    assert (far["address"], far["mtu"]) == ("02:42:ac:11:00:02", 1300)


def test_the_inside_is_configured_by_a_socket_that_lives_there(
    route: Netlink, bridge: rt.Link, container: Container
) -> None:
    route.send([rt.add_veth("vc0", rt.Peer("eth0", container.netns_fd), master=bridge.ifindex)])
    join = container.join()
    eth0 = rt.link(join.route, "eth0").ifindex
    join.route.send(
        [
            rt.set_link("lo", up=True),
            rt.no_link_local("eth0"),
            rt.set_link("eth0", up=True),
            rt.add_address(eth0, ip_interface("172.17.0.2/16")),
            rt.add_route(ip_network("0.0.0.0/0"), ip_address("172.17.0.1"), index=eth0),
            rt.add_neighbour(eth0, ip_address("172.17.0.1"), MAC),
        ]
    )
    assert rt.Route(ip_network("0.0.0.0/0"), ip_address("172.17.0.1"), eth0, 254) in rt.routes(join.route)
    join.close()
    assert "default via 172.17.0.1 dev eth0" in container.run("ip", "route")
    assert f"172.17.0.1 dev eth0 lladdr {MAC} STALE" in container.run("ip", "neighbour")
    assert "inet6" not in container.run("ip", "address", "show", "eth0")


def test_lists_agree_with_iproute2(route: Netlink, bridge: rt.Link) -> None:
    route.send([rt.add_address(bridge.ifindex, ip_interface("10.9.0.1/24"))])
    route.send([rt.add_route(ip_network("10.10.0.0/16"), None, index=bridge.ifindex)])
    links = {(each["ifindex"], each["ifname"], each["mtu"]) for each in ip("link")}
    assert {(each.ifindex, each.name, each.mtu) for each in rt.links(route)} == links
    ours = {(str(each.destination), each.ifindex) for each in rt.routes(route) if each.destination.version == 4}
    assert ours == {("10.9.0.0/24", bridge.ifindex), ("10.10.0.0/16", bridge.ifindex)}
    assert ip_interface("10.9.0.1/24") in {each.interface for each in rt.addresses(route)}


def test_what_was_added_can_be_taken_away(route: Netlink, bridge: rt.Link) -> None:
    interface, destination = ip_interface("10.9.0.1/24"), ip_network("10.10.0.0/16")
    route.send([rt.add_address(bridge.ifindex, interface), rt.add_route(destination, None, index=bridge.ifindex)])
    route.send([rt.delete_route(destination, None, index=bridge.ifindex), rt.delete_address(bridge.ifindex, interface)])
    assert not [each for each in rt.routes(route) if each.destination == destination]
    route.send([rt.delete_link("corten0")])
    assert "corten0" not in {each.name for each in rt.links(route)}
    route.send([rt.delete_link("corten0", accept=(errno.ENODEV,))])


def test_port_options_and_route_localnet_are_switched_on(route: Netlink, bridge: rt.Link, container: Container) -> None:
    route.send(
        [
            rt.add_veth("vc0", rt.Peer("eth0", container.netns_fd), master=bridge.ifindex),
            rt.set_port("vc0", isolated=True, hairpin=True),
            rt.route_localnet("corten0"),
        ]
    )
    port = ip("link", "show", "vc0")[0]["linkinfo"]["info_slave_data"]
    assert (port["isolated"], port["hairpin"]) == (True, True)
    netconf = subprocess.run(["sysctl", "-n", "net.ipv4.conf.corten0.route_localnet"], capture_output=True, check=True)
    assert netconf.stdout == b"1\n"


def test_an_error_names_the_message_that_failed_and_the_rest_of_the_batch_went_on(
    route: Netlink,
) -> None:
    route.send([rt.add_bridge("corten0", mac=MAC)])
    with pytest.raises(NetlinkError, match="add bridge corten0: File exists") as refused:
        route.send([rt.add_bridge("corten0", mac=MAC), rt.add_bridge("corten1", mac=MAC)])
    assert refused.value.errno == errno.EEXIST
    assert rt.link(route, "corten1").kind == "bridge"
    with pytest.raises(NetlinkError, match="look up link nobody: No such device"):
        rt.link(route, "nobody")


def test_a_link_moves_into_a_namespace_under_another_name(
    route: Netlink, bridge: rt.Link, container: Container
) -> None:
    route.send([rt.add_veth("vc0", rt.Peer("eth0", container.netns_fd), master=bridge.ifindex)])
    route.send([rt.move_link(rt.link(route, "vc0").ifindex, container.netns_fd, "moved")])
    assert "moved@eth0" in container.run("ip", "link")
