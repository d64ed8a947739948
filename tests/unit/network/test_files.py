"""The three files a container's resolver reads."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corten.model.errors import InvalidArgument
from corten.network.files import (
    HostResolver,
    Resolver,
    check_servers,
    extra_host,
    host_hosts,
    hostname,
    hosts,
    link,
    reachable,
    read_resolver,
    resolver_for,
)

HOST = Resolver(("127.0.0.53", "10.0.0.1"), ("corp.example",), ("timeout:1",))


def test_a_resolv_conf_is_read_as_the_c_library_does() -> None:
    text = """
    # comment
    nameserver 10.0.0.1 ; trailing
    nameserver not-an-address
    nameserver fe80::1%eth0
    domain first.example
    search a.example b.example
    options timeout:1 rotate
    options edns0
    sortlist 10.0.0.0
    """
    want = Resolver(("10.0.0.1", "fe80::1%eth0"), ("a.example", "b.example"), ("timeout:1", "rotate", "edns0"))
    assert read_resolver(text) == want


@given(st.text(max_size=200))
def test_no_resolv_conf_makes_it_stumble(text: str) -> None:
    assert read_resolver(read_resolver(text).render().decode()) == read_resolver(text)


def test_the_default_network_gets_the_hosts_servers_without_stubs() -> None:
    made = resolver_for(HOST, service=False)
    assert made.render() == b"nameserver 10.0.0.1\nsearch corp.example\noptions timeout:1\n"
    assert resolver_for(HOST, service=False, own_loopback=True).servers == HOST.servers


def test_a_user_defined_network_asks_the_name_service_alone() -> None:
    made = resolver_for(HOST, dns=("9.9.9.9",), service=True)
    assert made.render() == b"nameserver 127.0.0.11\nsearch corp.example\noptions timeout:1 ndots:0\n"


@pytest.mark.parametrize("service", [True, False])
def test_the_users_options_replace_the_hosts(*, service: bool) -> None:
    made = resolver_for(HOST, search=("x.example",), options=("ndots:2",), dns=("9.9.9.9",), service=service)
    assert made.search == ("x.example",)
    assert made.options == ("ndots:2",)
    assert resolver_for(HOST, search=(".",), service=service).search == ()


def test_only_stubs_are_out_of_a_containers_reach() -> None:
    assert reachable(HOST)
    assert not reachable(Resolver(("127.0.0.1", "::1")))


def test_hosts_names_the_container_by_each_address() -> None:
    made = hosts(["web.example", "web"], ["172.17.0.2", "fd00::2"], [("db pg", "172.17.0.3")]).decode()
    assert made.startswith("127.0.0.1\tlocalhost\n")
    assert made.endswith("172.17.0.3\tdb pg\n172.17.0.2\tweb.example web\nfd00::2\tweb.example web\n")


def test_a_container_on_the_hosts_network_has_the_hosts_names_and_its_own_extra_ones() -> None:
    assert host_hosts("127.0.0.1 localhost", [("db", "10.0.0.9")]) == b"127.0.0.1 localhost\n10.0.0.9\tdb\n"


def test_extra_hosts_and_links_are_read_in_every_form() -> None:
    assert extra_host("db:10.0.0.9", "172.17.0.1") == ("db", "10.0.0.9")
    assert extra_host("db=[fd00::9]", "172.17.0.1") == ("db", "fd00::9")
    assert extra_host("six:::1", "172.17.0.1") == ("six", "::1")
    assert extra_host("up:host-gateway", "172.17.0.1") == ("up", "172.17.0.1")
    assert link("/postgres:/web/db") == ("db", "postgres")
    assert link("postgres") == ("postgres", "postgres")


@pytest.mark.parametrize("entry", ["db", "db:", ":10.0.0.1", "db:nowhere", "db\nx:10.0.0.1", "db:10.0.0.1\n8.8.8.8 x"])
def test_an_extra_host_cannot_smuggle_in_another_line(entry: str) -> None:
    with pytest.raises(InvalidArgument, match="bad format for add-host"):
        extra_host(entry, "172.17.0.1")


def test_a_name_server_is_an_address() -> None:
    check_servers(["10.0.0.1", "fd00::1"])
    with pytest.raises(InvalidArgument, match=r"dns.example is not an ip address"):
        check_servers(["dns.example"])


def test_hostname_ends_its_line() -> None:
    assert hostname("web") == b"web\n"


def test_the_hosts_file_is_read_again_only_when_it_changed(tmp_path: Path) -> None:
    path = tmp_path / "resolv.conf"
    resolver = HostResolver(path)
    assert resolver.read() == Resolver()
    path.write_text("nameserver 10.0.0.1\n")
    assert resolver.read().servers == ("10.0.0.1",)
    replacement = tmp_path / "new"
    replacement.write_text("nameserver 10.0.0.2\n")
    replacement.rename(path)
    assert resolver.read().servers == ("10.0.0.2",)
