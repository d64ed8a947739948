"""What packets may do: live traffic between containers, the host and a neighbour on its cable."""

import errno
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from corten.model.errors import Internal
from corten.network import Ipam, NetworkSpec, PortRequest
from tests.root.network.engines import Engine, engine
from tests.root.network.namespaces import Container, lan
from tests.root.network.talk import SECONDS, ask, echo

pytestmark = [pytest.mark.root, pytest.mark.skipif(not shutil.which("ip"), reason="needs iproute2")]

WEB = (PortRequest(80, "tcp", "", "8080"),)


@pytest.fixture
def corten(host: None, scratch: Path) -> Iterator[Engine]:  # noqa: ARG001
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    with engine(scratch) as made:
        yield made


@pytest.fixture
def neighbour(corten: Engine) -> Iterator[Container]:  # noqa: ARG001
    with Container() as box:
        lan(box)
        yield box


def test_containers_of_one_network_meet_and_see_each_others_addresses(corten: Engine) -> None:
    one, two = corten.run("bridge"), corten.run("bridge")
    with echo(one, 80):
        assert ask(two, one.address(), 80) == two.address()
        assert ask(None, one.address(), 80) == "172.17.0.1"


def test_containers_of_two_networks_do_not_meet(corten: Engine) -> None:
    corten.networks.create(NetworkSpec(name="other"))
    one, two = corten.run("bridge"), corten.run("other")
    with echo(one, 80):
        assert ask(two, one.address(), 80) is None
        assert ask(one, one.address(), 80) == one.address()


def test_a_container_goes_out_under_the_hosts_address(corten: Engine, neighbour: Container) -> None:
    box = corten.run("bridge")
    with echo(neighbour, 53), echo(neighbour, 53, kind=socket.SOCK_DGRAM):
        assert ask(box, "10.99.0.2", 53) == "10.99.0.1"
        assert ask(box, "10.99.0.2", 53, kind=socket.SOCK_DGRAM) == "10.99.0.1"


def test_an_internal_network_is_closed_both_ways(corten: Engine, neighbour: Container) -> None:
    corten.networks.create(NetworkSpec(name="inside", internal=True))
    one, two = corten.run("inside"), corten.run("inside")
    neighbour.run("ip", "route", "add", "default", "via", "10.99.0.1")
    one.run("ip", "route", "add", "default", "via", "172.18.0.1")
    with echo(neighbour, 80), echo(one, 80):
        assert ask(one, "10.99.0.2", 80) is None
        assert ask(neighbour, one.address("inside"), 80) is None
        assert ask(two, one.address("inside"), 80) == two.address("inside")


def test_a_port_that_is_not_published_stays_closed_to_the_neighbours(corten: Engine, neighbour: Container) -> None:
    box = corten.run("bridge", ports=WEB)
    neighbour.run("ip", "route", "add", "172.17.0.0/16", "via", "10.99.0.1")
    with echo(box, 80), echo(box, 81):
        assert ask(neighbour, box.address(), 81) is None
        assert ask(neighbour, box.address(), 80) is None
        assert ask(neighbour, "10.99.0.1", 8080) == "10.99.0.2"


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM], ids=["tcp", "udp"])
def test_a_published_port_is_reached_from_everywhere(corten: Engine, neighbour: Container, kind: int) -> None:
    corten.networks.create(NetworkSpec(name="other"))
    protocol = "tcp" if kind == socket.SOCK_STREAM else "udp"
    box = corten.run("bridge", ports=(PortRequest(80, protocol, "", "8080"),))
    friend, stranger = corten.run("bridge"), corten.run("other")
    with echo(box, 80, kind=kind):
        assert ask(neighbour, "10.99.0.1", 8080, kind=kind) == "10.99.0.2"
        assert ask(None, "127.0.0.1", 8080, kind=kind) == "172.17.0.1"
        assert ask(None, "10.99.0.1", 8080, kind=kind)
        assert ask(friend, "172.17.0.1", 8080, kind=kind) == "172.17.0.1"
        assert ask(box, "10.99.0.1", 8080, kind=kind) == "172.17.0.1"
        assert ask(stranger, "10.99.0.1", 8080, kind=kind)
    corten.stop(box)
    assert ask(neighbour, "10.99.0.1", 8080, kind=kind) is None


def test_without_masquerade_a_container_goes_out_under_its_own_address(corten: Engine, neighbour: Container) -> None:
    options = {"com.docker.network.bridge.enable_ip_masquerade": "false"}
    corten.networks.create(NetworkSpec(name="plain", options=options))
    box = corten.run("plain")
    neighbour.run("ip", "route", "add", "172.18.0.0/16", "via", "10.99.0.1")
    with echo(neighbour, 80):
        assert ask(box, "10.99.0.2", 80) == box.address("plain")


def test_a_networks_host_binding_is_where_its_ports_are_published(corten: Engine, neighbour: Container) -> None:
    options = {"com.docker.network.bridge.host_binding_ipv4": "127.0.0.1"}
    corten.networks.create(NetworkSpec(name="local", options=options))
    box = corten.run("local", ports=WEB)
    assert corten.networks.ports(box.id) == {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}]}
    with echo(box, 80):
        assert ask(None, "127.0.0.1", 8080)
        assert ask(neighbour, "10.99.0.1", 8080) is None


def test_localhost_by_ipv6_reaches_a_container_without_ipv6(corten: Engine) -> None:
    box = corten.run("bridge", ports=WEB)
    with socket.socket(socket.AF_INET6) as client:
        # Nothing listens in the container yet: the connection ends at once and does not hang.
        client.settimeout(5)
        client.connect(("::1", 8080))
        assert client.recv(1) == b""
    with echo(box, 80):
        assert ask(None, "::1", 8080) == "172.17.0.1"
    corten.stop(box)
    assert ask(None, "::1", 8080) is None


def test_a_udp_client_finds_the_next_container_on_its_port(corten: Engine) -> None:
    """The connection table must forget the container that is gone."""
    ports = (PortRequest(53, "udp", "", "5353"),)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(SECONDS)
        client.connect(("127.0.0.1", 5353))
        old = corten.run("bridge", ports=ports)
        keeper = corten.run("bridge")
        with echo(old, 53, kind=socket.SOCK_DGRAM):
            client.send(b"?")
            assert client.recv(100)
        corten.stop(old)
        held = corten.run("bridge")
        new = corten.run("bridge", ports=ports)
        assert len({keeper.address(), held.address(), new.address()}) == 3
        with echo(new, 53, kind=socket.SOCK_DGRAM):
            client.send(b"?")
            assert client.recv(100)


def test_firewalls_of_others_that_drop_are_found(corten: Engine) -> None:
    corten.run("bridge")
    assert corten.networks.obstacles() == []
    for command in (
        "nft add table ip filter",
        "nft add chain ip filter FORWARD { type filter hook forward priority 0 ; policy drop ; }",
        "nft add chain ip filter INPUT { type filter hook input priority 0 ; policy drop ; }",
        "nft add table inet strict",
        "nft add chain inet strict passing { type filter hook forward priority 10 ; policy drop ; }",
    ):
        subprocess.run(command.split(), check=True)
    found = corten.networks.obstacles()
    assert [(each.family, each.table, each.chain) for each in found] == [
        ("ip", "filter", "FORWARD"),
        ("inet", "strict", "passing"),
    ]
    one, two = corten.run("bridge"), corten.run("bridge")
    with echo(one, 80):
        assert ask(two, one.address(), 80) is None
        for each in found:
            if "iptables" not in each.remedy("corten0"):
                subprocess.run(["sh", "-ec", each.remedy("corten0")], check=True)
        subprocess.run(["nft", "delete", "table", "ip", "filter"], check=True)
        assert ask(two, one.address(), 80)


def test_a_port_published_on_one_address_is_not_on_another(corten: Engine, neighbour: Container) -> None:
    box = corten.run("bridge", ports=(PortRequest(80, "tcp", "127.0.0.1", "8080"),))
    with echo(box, 80):
        assert ask(None, "127.0.0.1", 8080)
        assert ask(None, "10.99.0.1", 8080) is None
        assert ask(neighbour, "10.99.0.1", 8080) is None


def test_loopback_is_reached_from_neither_containers_nor_neighbours(corten: Engine, neighbour: Container) -> None:
    """CVE-2020-8558: route_localnet on a bridge must not open the host's 127.0.0.1."""
    box = corten.run("bridge", ports=(PortRequest(80, "tcp", "127.0.0.1", "8080"),))
    for client, gateway in ((box, "172.17.0.1"), (neighbour, "10.99.0.1")):
        client.run("ip", "address", "delete", "127.0.0.1/8", "dev", "lo")
        client.run("ip", "route", "add", "127.0.0.1/32", "via", gateway, "dev", "eth0")
        client.run("sysctl", "-qw", "net.ipv4.conf.all.route_localnet=1")
        client.run("ip", "rule", "add", "pref", "0", "to", "127.0.0.1", "lookup", "main")
        client.run("ip", "rule", "add", "pref", "1", "lookup", "local")
        client.run("ip", "rule", "delete", "pref", "0", "lookup", "local")
    with echo(None, 7777, address="127.0.0.1"), echo(box, 80):
        for client in (box, neighbour):
            assert ask(client, "127.0.0.1", 7777) is None
        assert ask(neighbour, "127.0.0.1", 8080) is None
        assert ask(None, "127.0.0.1", 8080)


def test_a_network_without_icc_separates_its_containers_but_not_their_published_ports(corten: Engine) -> None:
    options = {"com.docker.network.bridge.enable_icc": "false"}
    corten.networks.create(NetworkSpec(name="apart", options=options))
    one, two = corten.run("apart", ports=WEB), corten.run("apart")
    with echo(one, 80):
        assert ask(two, one.address("apart"), 80) is None
        assert ask(None, one.address("apart"), 80)
        assert ask(two, "172.18.0.1", 8080)


def test_ipv6_containers_meet_and_their_ports_are_published(corten: Engine) -> None:
    corten.networks.create(NetworkSpec(name="six", ipv6=True, ipam=(Ipam(subnet="fd00:9::/64"),)))
    one, two = corten.run("six", ports=WEB), corten.run("six")
    assert one.address("six", "GlobalIPv6Address") == "fd00:9::2"
    with echo(one, 80, address="::"):
        assert ask(two, "fd00:9::2", 80) == "fd00:9::3"
        assert ask(two, "fd00:9::1", 8080) == "fd00:9::1"
        assert ask(None, "fd00:9::1", 8080)
        with socket.socket(socket.AF_INET6) as client:
            assert client.connect_ex(("::1", 8080)) == errno.ECONNREFUSED


def test_the_host_cannot_bind_a_published_port_nor_publish_a_bound_one(corten: Engine) -> None:
    corten.run("bridge", ports=WEB)
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with pytest.raises(OSError, match="Address already in use"):
            other.bind(("0.0.0.0", 8080))
    taken = r"programming external .* 0.0.0.0:9090: bind: address already in use"
    with echo(None, 9090):
        with pytest.raises(Internal, match=taken):
            corten.reserve("bridge", ports=(PortRequest(80, "tcp", "", "9090"),))
    with pytest.raises(Internal, match=r"Bind for 0.0.0.0:8080 failed: port is already allocated"):
        corten.reserve("bridge", ports=WEB)


def test_free_ports_and_ranges_are_chosen_by_the_engine(corten: Engine) -> None:
    ports = (PortRequest(80), PortRequest(81, "udp"), PortRequest(82, "tcp", "", "9000-9001"))
    one = corten.run("bridge", ports=ports)
    two = corten.run("bridge", ports=ports)
    assert one.port("80/tcp") != two.port("80/tcp")
    assert (one.port("82/tcp"), two.port("82/tcp")) == (9000, 9001)
    with echo(two, 80):
        assert ask(None, "127.0.0.1", two.port("80/tcp"))


def test_a_flushed_ruleset_is_made_again_with_the_next_container(corten: Engine) -> None:
    box = corten.run("bridge", ports=WEB)
    subprocess.run(["nft", "flush", "ruleset"], check=True)
    with echo(box, 80):
        assert ask(None, "127.0.0.1", 8080) is None
        corten.run("bridge", ports=(PortRequest(80, "tcp", "", "8081"),))
        assert ask(None, "127.0.0.1", 8080)


def test_two_engines_on_one_host_do_not_meet(corten: Engine, scratch: Path) -> None:
    with engine(scratch / "second", "/srv/second") as second:
        one, two = corten.run("bridge", ports=WEB), second.run("bridge", ports=(PortRequest(80, "tcp", "", "8081"),))
        assert one.address() != two.address()
        with echo(one, 80), echo(two, 80):
            assert ask(None, "127.0.0.1", 8080)
            assert ask(None, "127.0.0.1", 8081)
            assert ask(two, one.address(), 80) is None
        with pytest.raises(Internal, match="8080"):
            second.reserve("bridge", ports=WEB)
    with echo(one, 80):
        assert ask(None, "127.0.0.1", 8080)


def test_forwarding_opens_nothing_between_devices_that_were_there_before(corten: Engine, neighbour: Container) -> None:
    """Switching ip_forward on must not make a router of a host that was none."""
    with Container() as other:
        other.run("ip", "link", "set", "lo", "up")
        for command in (
            f"ip link add lan1 type veth peer name eth0 netns {other.pid}",
            "ip address add 10.98.0.1/24 dev lan1",
            "ip link set lan1 up",
        ):
            subprocess.run(command.split(), check=True)
        subprocess.run(["sysctl", "-qw", "net.ipv4.ip_forward=0"], check=True)
        other.run("ip", "address", "add", "10.98.0.2/24", "dev", "eth0")
        other.run("ip", "link", "set", "eth0", "up")
        other.run("ip", "route", "add", "default", "via", "10.98.0.1")
        neighbour.run("ip", "route", "add", "default", "via", "10.99.0.1")
        box = corten.run("bridge")
        assert Path("/proc/sys/net/ipv4/ip_forward").read_text() == "1\n"
        with echo(other, 80):
            assert ask(neighbour, "10.98.0.2", 80) is None
            assert ask(box, "10.98.0.2", 80) == "10.98.0.1"
        corten.stop(box)
        corten.networks.reset()
        assert Path("/proc/sys/net/ipv4/ip_forward").read_text() == "0\n"
