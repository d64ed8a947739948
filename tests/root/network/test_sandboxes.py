"""The life of a container's network: what is taken, what a kill -9 cannot lose, what is left at the end."""

import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from corten.kernel import rtnetlink
from corten.kernel.netlink import Netlink
from corten.model.errors import FailedPrecondition, Internal, InvalidArgument, NotFound, PermissionDenied, Unimplemented
from corten.network import EndpointRequest, Ipam, NetworkSpec, PortRequest
from tests.root.network.engines import Engine, engine
from tests.root.network.namespaces import Container
from tests.root.network.talk import ask, echo

pytestmark = [pytest.mark.root, pytest.mark.skipif(not shutil.which("ip"), reason="needs iproute2")]

WEB = (PortRequest(80, "tcp", "", "8080"),)


@pytest.fixture
def corten(host: None, scratch: Path) -> Iterator[Engine]:  # noqa: ARG001
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    with engine(scratch) as made:
        yield made


def test_the_addresses_that_were_asked_for_are_the_ones_inside(corten: Engine) -> None:
    ipam = (
        Ipam(subnet="10.20.0.0/24", ip_range="10.20.0.128/25", gateway="10.20.0.9", auxiliary={"nas": "10.20.0.128"}),
    )
    corten.networks.create(NetworkSpec(name="own", ipam=ipam, options={"com.docker.network.driver.mtu": "1400"}))
    asked = EndpointRequest(network="own", ip="10.20.0.77", mac="02-AA-BB-CC-DD-EE")
    fixed, first = corten.run(endpoints=[asked]), corten.run("own")
    inside = fixed.run("ip", "address", "show", "eth0")
    assert "inet 10.20.0.77/24" in inside
    assert "link/ether 02:aa:bb:cc:dd:ee" in inside
    assert "mtu 1400" in inside
    assert "default via 10.20.0.9" in fixed.run("ip", "route")
    assert first.address("own") == "10.20.0.129"
    with pytest.raises(PermissionDenied, match="Address already in use"):
        corten.reserve(endpoints=[EndpointRequest(network="own", ip="10.20.0.77")])


def test_devices_have_the_names_that_options_give_them(corten: Engine, route: Netlink) -> None:
    options = {
        "com.docker.network.bridge.name": "mybridge",
        "com.docker.network.driver.mtu": "1400",
        "com.docker.network.container_iface_prefix": "net",
    }
    corten.networks.create(NetworkSpec(name="named", options=options))
    bridge = rtnetlink.link(route, "mybridge")
    assert (bridge.kind, bridge.mtu) == ("bridge", 1400)
    assert "net0" in corten.run("named").run("ip", "link")
    wanted = EndpointRequest(network="named", driver_opts={"com.docker.network.endpoint.ifname": "uplink"})
    assert "uplink" in corten.run(endpoints=[wanted]).run("ip", "link")
    driver_opts = {"com.docker.network.endpoint.sysctls": "net.ipv4.conf.IFNAME.forwarding=1"}
    with pytest.raises(Unimplemented, match="sysctls"):
        corten.reserve(endpoints=[EndpointRequest(network="named", driver_opts=driver_opts)])


def test_a_container_may_be_in_several_networks_and_the_priority_chooses_the_gateway(corten: Engine) -> None:
    for name in ("alpha", "beta", "closed"):
        corten.networks.create(NetworkSpec(name=name, internal=name == "closed"))
    box = corten.run("closed", "beta", "alpha")
    assert f"default via {corten.networks.endpoints(box.id)['alpha']['Gateway']} dev eth2" in box.run("ip", "route")
    endpoints = [EndpointRequest(network="alpha"), EndpointRequest(network="beta", priority=10)]
    box = corten.run(endpoints=endpoints)
    assert f"default via {corten.networks.endpoints(box.id)['beta']['Gateway']} dev eth1" in box.run("ip", "route")


def test_a_running_container_is_connected_and_disconnected(corten: Engine) -> None:
    corten.networks.create(NetworkSpec(name="back"))
    one, two = corten.run("bridge", ports=WEB), corten.run("back")
    settings = corten.networks.connect(one.id, EndpointRequest(network="back", aliases=("db",)), one.netns_fd)
    assert settings["IPAddress"] == one.address("back")
    with echo(one, 80):
        assert ask(two, one.address("back"), 80) == two.address("back")
        corten.networks.disconnect(one.id, "bridge", one.netns_fd)
        assert "default via 172.18.0.1 dev eth1" in one.run("ip", "route")
        assert ask(None, "127.0.0.1", 8080) == "172.18.0.1"
    with pytest.raises(NotFound, match="is not connected to network bridge"):
        corten.networks.disconnect(one.id, "bridge", one.netns_fd)
    with pytest.raises(PermissionDenied, match="already exists in network back"):
        corten.networks.connect(one.id, EndpointRequest(network="back"), one.netns_fd)
    corten.networks.disconnect(one.id, "back", one.netns_fd)
    assert "eth" not in one.run("ip", "link")


def test_a_connection_that_fails_leaves_the_container_as_it_was(corten: Engine) -> None:
    corten.networks.create(NetworkSpec(name="back"))
    box = corten.run("bridge")
    with Path("/dev/null").open() as nothing, pytest.raises(FailedPrecondition, match="corten @netns"):
        corten.networks.connect(box.id, EndpointRequest(network="back"), nothing.fileno())
    assert list(corten.networks.endpoints(box.id)) == ["bridge"]
    assert corten.networks.remove("back").name == "back"


def test_after_a_kill_addresses_ports_and_names_are_as_before(corten: Engine) -> None:
    corten.networks.create(NetworkSpec(name="back", labels={"tier": "2"}))
    one = corten.run("back", ports=WEB, name="one")
    gone = corten.run("back", name="gone")
    before = corten.networks.endpoints(one.id)
    corten.restart()
    with echo(one, 80):
        assert ask(None, "127.0.0.1", 8080)
        corten.networks.restore({one.id: one.pid})
        assert ask(None, "127.0.0.1", 8080)
        two = corten.run("back", name="two")
        assert ask(two, one.address("back"), 80)
    assert corten.networks.endpoints(one.id) == before
    assert corten.networks.endpoints(gone.id) == {}
    assert two.address("back") == "172.18.0.3"
    with pytest.raises(Internal, match="8080 failed: port is already allocated"):
        corten.reserve("back", ports=WEB)


def test_ports_of_containers_that_ended_while_nobody_watched_are_published_no_more(corten: Engine) -> None:
    """Also where no container runs any more, and the next one may come in a week: a dead address takes no traffic."""
    box = corten.run("bridge", ports=WEB)
    assert "8080" in elements("any4")
    corten.restart()
    corten.networks.restore({})
    assert elements("any4") == ""
    box.end()


def test_a_port_that_is_free_but_still_recorded_is_not_given_to_another(corten: Engine) -> None:
    """The monitor lets go of it before the engine hears of the end, and the kernel may choose it again at once."""
    Path("/proc/sys/net/ipv4/ip_local_port_range").write_text("40000 40009")
    ended = corten.run("bridge", ports=(PortRequest(80, "tcp", "", ""),) * 5)
    for sock in ended.sockets:  # type: ignore[attr-defined]
        sock.close()
    for _ in range(8):
        reservation = corten.reserve("bridge", ports=(PortRequest(80, "tcp", "", ""),))
        reservation.close_fds()
        corten.networks.release(reservation.sandbox.container)


def test_after_the_bridge_and_the_table_were_lost_restore_makes_them_again(corten: Engine) -> None:
    box = corten.run("bridge", ports=WEB)
    corten.restart()
    subprocess.run(["ip", "link", "delete", "corten0"], check=True)
    subprocess.run(["nft", "flush", "ruleset"], check=True)
    corten.networks.restore({box.id: box.pid})
    with echo(box, 80):
        assert ask(None, "127.0.0.1", 8080)


def test_a_launch_that_failed_leaves_nothing(corten: Engine, route: Netlink) -> None:
    reservation = corten.reserve("bridge", ports=WEB)
    reservation.close_fds()
    corten.networks.release(reservation.sandbox.container)
    corten.networks.release(reservation.sandbox.container)
    box = corten.run("bridge", ports=WEB)
    assert box.address() == reservation.sandbox.endpoints[0].ipv4.partition("/")[0]
    corten.stop(box)
    # The kernel takes the device away once the namespace is gone, some milliseconds later.
    assert eventually(lambda: [link.name for link in rtnetlink.links(route)] == ["lo", "corten0"], 3)


def test_a_device_whose_namespace_another_container_holds_is_taken_away(corten: Engine, route: Netlink) -> None:
    """`--network container:ID` keeps the namespace of a container that ended."""
    box = corten.run("bridge")
    held = os.dup(box.netns_fd)
    corten.stop(box)
    assert [link.name for link in rtnetlink.links(route) if link.name.startswith("vc")]
    assert eventually(lambda: not [link for link in rtnetlink.links(route) if link.name.startswith("vc")], 3)
    os.close(held)


def test_restore_takes_the_devices_of_forgotten_containers_away(corten: Engine, route: Netlink) -> None:
    box = corten.run("bridge")
    held = os.dup(box.netns_fd)
    corten.restart()
    corten.networks.restore({})
    assert not [link for link in rtnetlink.links(route) if link.name.startswith("vc")]
    os.close(held)


def test_fifty_at_once_leave_nothing(corten: Engine, route: Netlink) -> None:
    corten.networks.create(NetworkSpec(name="back"))
    boxes = [Container() for _ in range(10)]
    errors: list[Exception] = []

    def live(number: int) -> None:
        try:
            for turn in range(5):
                wanted = ("bridge", "back")[turn % 2]
                made = corten.reserve(wanted, ports=(PortRequest(80),), id=f"{number:032x}{turn:032x}")
                with boxes[number].join() as join:
                    corten.networks.join(made.sandbox.container, join)
                    made.close_fds()
                    corten.networks.release(made.sandbox.container)
                    join.route.send([rtnetlink.delete_link("eth0")])
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=live, args=(number,)) for number in range(len(boxes))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for box in boxes:
        box.end()
    assert errors == []
    assert eventually(lambda: not [link for link in rtnetlink.links(route) if link.name.startswith("vc")], 3)
    assert corten.networks.inspect("back")["Containers"] == {}
    assert elements("any4") == ""
    assert corten.run("bridge").address() == "172.17.0.2"


def elements(name: str) -> str:
    listed = subprocess.run(["nft", "list", "map", "inet", "corten", name], capture_output=True, text=True, check=True)
    return listed.stdout.partition("elements")[2]


def eventually(holds: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def test_a_failed_reservation_takes_nothing(corten: Engine) -> None:
    corten.run("bridge", ports=WEB)
    wanted = (PortRequest(81, "tcp", "", "8081"), *WEB)
    with pytest.raises(Internal, match="driver failed programming external connectivity on endpoint"):
        corten.reserve("bridge", ports=wanted)
    with socket.socket() as other:
        other.bind(("0.0.0.0", 8081))
    with pytest.raises(NotFound, match="network nowhere not found"):
        corten.reserve("bridge", "nowhere")
    assert corten.run("bridge").address() == "172.17.0.3"


def test_reset_leaves_the_host_as_it_was(corten: Engine) -> None:
    corten.networks.create(NetworkSpec(name="back"))
    corten.stop(corten.run("back", "bridge", ports=WEB))
    corten.networks.reset()
    assert subprocess.run(["nft", "list", "ruleset"], capture_output=True, check=True).stdout == b""
    left = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True).stdout
    assert "corten0" not in left
    assert "br-" not in left


def test_host_and_none_have_endpoints_without_addresses(corten: Engine) -> None:
    host, none = corten.reserve("host"), corten.reserve("none")
    assert (host.netns, none.netns) == ("host", "new")
    assert corten.networks.endpoints(host.sandbox.container)["host"]["IPAddress"] == ""
    box = corten.run("none")
    assert "eth0" not in box.run("ip", "link")
    assert "UP" in box.run("ip", "link", "show", "lo")
    with pytest.raises(PermissionDenied, match="networks in private"):
        corten.networks.connect(box.id, EndpointRequest(network="bridge"), box.netns_fd)


@pytest.mark.parametrize(
    ("endpoint", "message"),
    [
        (EndpointRequest(network="bridge", ip="172.17.0.9"), "supported on user defined networks only"),
        (EndpointRequest(network="bridge", aliases=("db",)), "alias is supported only for containers in user defined"),
        (
            EndpointRequest(network="auto", ip="172.18.0.9"),
            "only when connecting to networks with user configured subnets",
        ),
        (EndpointRequest(network="own", ip="10.9.0.9"), "no configured subnet contains IP address 10.9.0.9"),
        (EndpointRequest(network="own", ip="nonsense"), "invalid IP address nonsense"),
        (EndpointRequest(network="own", mac="01:00:00:00:00:01"), "invalid mac address"),
    ],
)
def test_what_an_endpoint_cannot_have_is_refused_in_dockers_words(
    corten: Engine, endpoint: EndpointRequest, message: str
) -> None:
    corten.networks.create(NetworkSpec(name="auto"))
    corten.networks.create(NetworkSpec(name="own", ipam=(Ipam(subnet="10.20.0.0/24"),)))
    with pytest.raises(InvalidArgument, match=message):
        corten.reserve(endpoints=[endpoint])


def test_an_existing_bridge_is_adopted_and_outlives_the_network(corten: Engine, route: Netlink) -> None:
    subprocess.run(["ip", "link", "add", "lan", "type", "bridge"], check=True)
    spec = NetworkSpec(name="lan", options={"com.docker.network.bridge.name": "lan"})
    corten.networks.create(spec)
    corten.stop(corten.run("lan"))
    corten.networks.remove("lan")
    assert rtnetlink.link(route, "lan").kind == "bridge"
    with pytest.raises(FailedPrecondition, match="exists and is not a bridge"):
        corten.networks.create(NetworkSpec(name="odd", options={"com.docker.network.bridge.name": "lo0"} | _veth()))


def _veth() -> dict[str, str]:
    subprocess.run(["ip", "link", "add", "odd0", "type", "veth", "peer", "name", "odd1"], check=True)
    return {"com.docker.network.bridge.name": "odd0"}


def test_a_subnet_that_the_host_uses_is_not_chosen(corten: Engine) -> None:
    subprocess.run(["ip", "link", "add", "vpn", "type", "bridge"], check=True)
    subprocess.run(["ip", "address", "add", "172.16.0.1/12", "dev", "vpn"], check=True)
    network = corten.networks.create(NetworkSpec(name="away"))
    assert network.subnets[0][0] == "192.168.0.0/20"
    # The default network was designed before, and nobody is in it: it moves too.
    assert corten.run("bridge").address() == "192.168.16.2"


def test_the_default_network_makes_way_while_nobody_is_in_it(corten: Engine) -> None:
    """It lies where the engine's root says; who names a subnet cannot know that."""
    place = corten.networks.get("bridge").subnets[0][0]
    assert corten.networks.create(NetworkSpec(name="named", ipam=(Ipam(subnet=place),))).subnets[0][0] == place
    box = corten.run("bridge")
    moved = corten.networks.get("bridge").subnets[0][0]
    assert ip_address(box.address()) in ip_network(moved)
    assert not ip_network(moved).overlaps(ip_network(place))
    with pytest.raises(PermissionDenied, match="Pool overlaps"):
        corten.networks.create(NetworkSpec(name="late", ipam=(Ipam(subnet=moved),)))


def test_a_neighbouring_container_cannot_be_a_router(corten: Engine) -> None:
    """CVE-2020-10749: router advertisements of a container reach nobody."""
    corten.networks.create(NetworkSpec(name="six", ipv6=True, ipam=(Ipam(subnet="fd00:9::/64"),)))
    evil, good = corten.run("six"), corten.run("six")
    with evil.inside():
        raw = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
        index = socket.if_nametoindex("eth0")
    with raw:
        raw.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
        raw.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
        link_local = wait_for_link_local(evil)
        raw.bind((link_local, 0, 0, index))
        advertisement = bytes((134, 0, 0, 0, 64, 0, 7, 8)) + bytes(8)
        for _ in range(5):
            raw.sendto(advertisement, ("ff02::1", 0, 0, index))
    subprocess.run(["sleep", "0.2"], check=True)
    assert "proto ra" not in good.run("ip", "-6", "route")


def wait_for_link_local(box: Container) -> str:
    for _ in range(300):
        for line in box.run("ip", "-6", "-o", "address", "show", "dev", "eth0", "scope", "link").splitlines():
            if "tentative" not in line:
                return line.split()[3].partition("/")[0]
        subprocess.run(["sleep", "0.01"], check=True)
    raise AssertionError("no link-local address")
