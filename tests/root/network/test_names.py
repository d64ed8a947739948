"""The name service with live queries: resolvers inside containers, a name server of the outside on the host's cable."""

import contextlib
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from dnslib import QTYPE, RCODE, RR, A, DNSRecord

from corten.network import EndpointRequest, NetworkSpec
from tests.root.network.engines import Box, Engine, engine
from tests.root.network.namespaces import Container, lan

pytestmark = [pytest.mark.root, pytest.mark.skipif(not shutil.which("ip"), reason="needs iproute2")]


@pytest.fixture
def corten(host: None, scratch: Path) -> Iterator[Engine]:  # noqa: ARG001
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    with engine(scratch) as made:
        made.networks.create(NetworkSpec(name="back"))
        yield made


@pytest.fixture
def outside(corten: Engine) -> Iterator[list[bytes]]:  # noqa: ARG001
    """A name server at 10.99.0.2 that calls every name 192.0.2.1; it yields the queries it got."""
    got: list[bytes] = []
    with Container() as box:
        lan(box)
        with box.inside():
            udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            tcp = socket.socket()
        udp.bind(("10.99.0.2", 53))
        tcp.bind(("10.99.0.2", 53))
        tcp.listen()
        threads = [threading.Thread(target=work, args=(sock, got)) for work, sock in ((by_udp, udp), (by_tcp, tcp))]
        for thread in threads:
            thread.start()
        yield got
        for sock in (udp, tcp):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join(5)
        udp.close()
        tcp.close()


def by_udp(sock: socket.socket, got: list[bytes]) -> None:
    while True:
        query, peer = sock.recvfrom(4096)
        if not query:
            return
        got.append(query)
        sock.sendto(everything(query), peer)


def by_tcp(sock: socket.socket, got: list[bytes]) -> None:
    with contextlib.suppress(OSError):
        while True:
            client, _ = sock.accept()
            with client:
                query = client.recv(4096)[2:]
                got.append(query)
                reply = everything(query)
                client.sendall(len(reply).to_bytes(2, "big") + reply)


def everything(query: bytes) -> bytes:
    record = DNSRecord.parse(query)
    reply = record.reply()
    reply.add_answer(RR(record.q.qname, QTYPE.A, rdata=A("192.0.2.1"), ttl=1))
    return bytes(reply.pack())


def query(box: Box, name: str, kind: str = "A", *, tcp: bool = False, seconds: float = 5) -> DNSRecord:
    """Ask 127.0.0.11 port 53 from inside `box`."""
    asked = DNSRecord.question(name, kind)
    with box.inside():
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM)
    with sock:
        sock.settimeout(seconds)
        sock.connect(("127.0.0.11", 53))
        packed = asked.pack()
        sock.sendall((len(packed).to_bytes(2, "big") if tcp else b"") + packed)
        reply = sock.recv(65535)
        while tcp and len(reply) < 2 + int.from_bytes(reply[:2], "big"):
            reply += sock.recv(65535)
    record = DNSRecord.parse(reply[2:] if tcp else reply)
    assert record.header.id == asked.header.id
    return record


def answers(record: DNSRecord) -> list[str]:
    return [str(answer.rdata) for answer in record.rr]


@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
def test_containers_find_each_other_by_name_alias_and_short_id(corten: Engine, *, tcp: bool) -> None:
    one = corten.run(endpoints=[EndpointRequest(network="back", aliases=("db", "cache"))], name="one", hostname="uno")
    two = corten.run("back", name="two")
    for name in ("one", "ONE", "db", "cache", "uno", one.id[:12], "one.back", "db.back"):
        assert answers(query(two, name, tcp=tcp)) == [one.address("back")], name
    assert answers(query(two, "one", "AAAA", tcp=tcp)) == []
    assert query(two, "one", "MX", tcp=tcp).header.rcode == RCODE.NOERROR
    reverse = ".".join(reversed(one.address("back").split("."))) + ".in-addr.arpa"
    assert answers(query(two, reverse, "PTR", tcp=tcp)) == ["one.back."]


def test_an_alias_of_several_is_answered_in_turn_and_only_while_they_run(corten: Engine) -> None:
    web = [EndpointRequest(network="back", aliases=("web",))]
    one, two, asker = corten.run(endpoints=web), corten.run(endpoints=web), corten.run("back")
    both = {one.address("back"), two.address("back")}
    first = [answers(query(asker, "web")) for _ in range(4)]
    assert all(set(each) == both for each in first)
    assert {each[0] for each in first} == both
    corten.stop(one)
    assert answers(query(asker, "web")) == [two.address("back")]


def test_names_stay_within_their_network(corten: Engine, outside: list[bytes]) -> None:
    corten.networks.create(NetworkSpec(name="front"))
    corten.run("back", name="secret")
    stranger = corten.run("front", name="stranger")
    assert answers(query(stranger, "secret")) == ["192.0.2.1"]
    assert DNSRecord.parse(outside[0]).q.qname == "secret"
    corten.networks.connect(stranger.id, EndpointRequest(network="back"), stranger.netns_fd)
    assert answers(query(stranger, "secret")) == ["172.18.0.2"]


@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
def test_names_of_the_outside_are_asked_of_the_hosts_servers(
    corten: Engine, outside: list[bytes], *, tcp: bool
) -> None:
    box = corten.run("back")
    record = query(box, "www.example.org", tcp=tcp)
    assert answers(record) == ["192.0.2.1"]
    assert len(outside) == 1


def test_an_internal_network_asks_nobody(corten: Engine, outside: list[bytes]) -> None:
    """CVE-2024-29018: name queries must not leave an internal network."""
    corten.networks.create(NetworkSpec(name="closed", internal=True))
    box, friend = corten.run("closed"), corten.run("closed", name="friend")
    assert query(box, "secret-data.example.org").header.rcode == RCODE.SERVFAIL
    assert answers(query(box, "friend")) == [friend.address("closed")]
    assert outside == []


def test_links_are_names_for_one_container_alone(corten: Engine) -> None:
    target = corten.run("back", name="postgres")
    linked = corten.run(endpoints=[EndpointRequest(network="back", links=("postgres:db",))])
    other = corten.run("back")
    assert answers(query(linked, "db")) == [target.address("back")]
    assert query(other, "db").header.rcode == RCODE.SERVFAIL


def test_a_rename_is_known_at_once(corten: Engine) -> None:
    box, asker = corten.run("back", name="before"), corten.run("back")
    corten.networks.rename(box.id, "after")
    assert answers(query(asker, "after")) == [box.address("back")]
    assert answers(query(asker, "before")) == []


def test_a_container_may_run_a_name_server_of_its_own(corten: Engine) -> None:
    corten.run("back", name="one")
    box = corten.run("back")
    with box.inside(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
        own.bind(("0.0.0.0", 53))
        assert answers(query(box, "one"))


def test_nonsense_is_answered_with_an_error_or_not_at_all(corten: Engine) -> None:
    box = corten.run("back", name="box")
    with box.inside():
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with sock:
        sock.settimeout(2)
        sock.connect(("127.0.0.11", 53))
        for junk in (b"", b"x", b"\0" * 11, b"\xff" * 40):
            sock.send(junk)
        sock.send(b"\x12\x34" + bytes(2) + b"\0\x01" + bytes(6) + b"\x3fshort")
        assert sock.recv(100)[:2] == b"\x12\x34"
    assert answers(query(box, "box")) == [box.address("back")]


def test_the_successor_of_a_dead_engine_answers_again(corten: Engine) -> None:
    one, two = corten.run("back", name="one"), corten.run("back", name="two")
    corten.restart()
    with pytest.raises(TimeoutError):
        query(two, "one", seconds=0.2)
    corten.networks.restore({one.id: one.pid, two.id: two.pid})
    assert answers(query(two, "one")) == [one.address("back")]


def test_the_default_network_has_no_name_service_unless_the_hosts_servers_are_out_of_reach(
    corten: Engine, outside: list[bytes]
) -> None:
    assert b"nameserver 10.99.0.2\n" in corten.reserve("bridge").files.resolv_conf
    (corten.root / "resolv.conf").write_text("nameserver 127.0.0.1\nnameserver 10.99.0.2\n")
    assert corten.reserve("bridge").files.resolv_conf == b"nameserver 10.99.0.2\n"
    (corten.root / "resolv.conf").write_text("nameserver 127.0.0.1\n")
    assert b"nameserver 127.0.0.11\n" in corten.reserve("bridge").files.resolv_conf
    box = corten.run("bridge", dns=("10.99.0.2",))
    assert outside == []
    assert corten.reserve("bridge", dns=("10.99.0.2",)).files.resolv_conf == b"nameserver 10.99.0.2\n"
    corten.stop(box)
