"""Published ports on the loopback of this machine: what is held, what conflicts, what is refused."""

import socket

import pytest

from corten.model.errors import CortenError
from corten.network.ports import PortRequest, PublishedPort, bind, port_map


def published(request: PortRequest, taken: tuple[PublishedPort, ...] = ()) -> PublishedPort:
    ports, sockets = bind([request], (4,), taken)
    for sock in sockets:
        sock.close()
    return ports[0]


def test_a_free_port_is_chosen_and_held() -> None:
    ports, sockets = bind([PortRequest(80, "tcp", "127.0.0.1")], (4, 6), ())
    with sockets[0], socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with pytest.raises(OSError, match="in use"):
            other.bind(("127.0.0.1", ports[0].host_port))
    assert port_map(ports) == {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(ports[0].host_port)}]}


def test_both_versions_get_the_same_port() -> None:
    ports, sockets = bind([PortRequest(80)], (4, 6), ())
    for sock in sockets:
        sock.close()
    assert [port.host_ip for port in ports] == ["0.0.0.0", "::"]
    assert ports[0].host_port == ports[1].host_port


def test_an_own_port_conflicts_where_addresses_meet() -> None:
    free = published(PortRequest(80, "udp", "127.0.0.1")).host_port
    every = PublishedPort(port=80, protocol="udp", host_ip="0.0.0.0", host_port=free)
    with pytest.raises(CortenError, match=rf"Bind for 127.0.0.1:{free} failed: port is already allocated"):
        published(PortRequest(80, "udp", "127.0.0.1", str(free)), (every,))
    elsewhere = PublishedPort(port=80, protocol="udp", host_ip="127.0.0.2", host_port=free)
    assert published(PortRequest(80, "udp", "127.0.0.1", str(free)), (elsewhere,)).host_port == free
    other_protocol = PublishedPort(port=80, protocol="tcp", host_ip="0.0.0.0", host_port=free)
    assert published(PortRequest(80, "udp", "127.0.0.1", str(free)), (other_protocol,)).host_port == free


def test_a_range_takes_its_first_free_port_and_says_when_there_is_none() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        number = other.getsockname()[1]
        with pytest.raises(CortenError, match="address already in use"):
            published(PortRequest(80, "tcp", "127.0.0.1", str(number)))
        taken = PublishedPort(port=1, protocol="tcp", host_ip="127.0.0.1", host_port=number + 1)
        with pytest.raises(CortenError, match="all ports are allocated"):
            published(PortRequest(80, "tcp", "127.0.0.1", f"{number}-{number + 1}"), (taken,))


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (PortRequest(80, "icmp"), "invalid proto: icmp"),
        (PortRequest(80, "tcp", "nowhere"), "invalid hostIP: nowhere"),
        (PortRequest(80, "tcp", "", "http"), "invalid port specification: http"),
        (PortRequest(80, "tcp", "", "70000"), "invalid port specification: 70000"),
        (PortRequest(80, "tcp", "", "-5"), "invalid port specification"),
        (PortRequest(80, "tcp", "::1", "0"), "the container has no IPv6 address"),
        (PortRequest(80, "tcp", "192.0.2.7", "0"), "cannot assign requested address"),
    ],
)
def test_a_port_that_cannot_be_published_is_refused(request_: PortRequest, message: str) -> None:
    with pytest.raises(CortenError, match=message):
        published(request_)
