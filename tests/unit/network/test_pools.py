"""Which addresses are chosen, and that no two ever meet."""

from ipaddress import IPv4Network, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corten.model.errors import CortenError, InvalidArgument, PermissionDenied, ResourceExhausted, Unimplemented
from corten.network import EndpointRequest, Identity, Ipam, NetworkSpec
from corten.network.endpoint import gateway, place
from corten.network.network import Network, check, design
from corten.network.options import NETWORK
from corten.network.pools import DEFAULT_POOLS, Subnet, choose_ipv4, next_address

SYSTEM = Identity.of("/var/lib/corten")
OTHER = Identity.of("/srv/other")


def subnets(spec: NetworkSpec, taken: list[str] | None = None, own: dict[str, list[str]] | None = None) -> list[str]:
    networks = {name: [ip_network(each) for each in each_own] for name, each_own in (own or {}).items()}
    return [str(each.network) for each in design(spec, [ip_network(t) for t in taken or []], networks, SYSTEM)]


def network(*pools: Subnet, name: str = "net", internal: bool = False) -> Network:
    return Network(id=name, spec=NetworkSpec(name=name, internal=internal), created_ns=0).with_pools(pools)


def test_the_systems_engine_keeps_dockers_order() -> None:
    assert subnets(NetworkSpec(name="bridge")) == ["172.17.0.0/16"]
    assert subnets(NetworkSpec(name="a")) == ["172.18.0.0/16"]
    assert subnets(NetworkSpec(name="a"), own={"b": ["172.18.0.0/16"]}) == ["172.19.0.0/16"]
    assert subnets(NetworkSpec(name="a"), taken=["172.16.0.0/12"]) == ["192.168.0.0/20"]


def test_the_names_of_two_engines_differ_and_fit_into_a_device_name() -> None:
    assert (SYSTEM.bridge, SYSTEM.table) == ("corten0", "corten")
    assert OTHER.bridge != Identity.of("/srv/third").bridge
    assert len(OTHER.bridge) <= 15
    assert OTHER.ula() != SYSTEM.ula()


def test_thirty_one_networks_fit_and_the_next_is_refused_with_a_remedy() -> None:
    taken: list[IPv4Network] = []
    for _ in range(31):
        chosen = choose_ipv4(taken, OTHER, DEFAULT_POOLS, first=False).network
        assert isinstance(chosen, IPv4Network)
        taken.append(chosen)
    assert len(set(taken)) == 31
    with pytest.raises(ResourceExhausted, match="non-overlapping IPv4 address pool"):
        choose_ipv4(taken, OTHER, DEFAULT_POOLS, first=False)


@given(st.lists(st.integers(0, 2**32 - 256), max_size=8), st.integers(8, 24))
def test_a_chosen_subnet_never_meets_what_the_host_uses(addresses: list[int], length: int) -> None:
    taken = [IPv4Network((address, length), strict=False) for address in addresses]
    try:
        chosen = choose_ipv4(taken, OTHER, first=True)
    except ResourceExhausted:
        return
    assert not any(chosen.network.overlaps(other) for other in taken if other.version == 4)


@given(st.sets(st.integers(0, 15)))
def test_the_next_address_is_the_lowest_that_is_free(used: set[int]) -> None:
    block = ip_network("10.0.0.0/28")
    pool = Subnet(block, block[1], block, (("nas", block[3]),))
    taken = {block[number] for number in used}
    free = [a for a in block if a not in taken and a not in (block[0], block[1], block[3], block[15])]
    if free:
        assert next_address(pool, taken) == free[0]
    else:
        with pytest.raises(ResourceExhausted):
            next_address(pool, taken)


def test_ipv6_comes_from_the_engines_own_prefix() -> None:
    both = subnets(NetworkSpec(name="a", ipv6=True))
    assert both[0] == "172.18.0.0/16"
    assert ip_network(both[1]).subnet_of(ip_network("fd00::/8"))  # type: ignore[arg-type]
    alone = design(NetworkSpec(name="a", ipv4=False, ipv6=True), [], {}, SYSTEM)
    assert [each.network.version for each in alone] == [6]


@pytest.mark.parametrize(
    ("ipam", "error", "message"),
    [
        (Ipam(subnet="10.0.0.0/24", ip_range="10.0.1.0/25"), InvalidArgument, "not inside subnet"),
        (Ipam(subnet="10.0.0.0/24", gateway="10.0.1.1"), InvalidArgument, "no matching subnet for address"),
        (Ipam(subnet="10.0.0.0/24", auxiliary={"a": "10.0.1.1"}), InvalidArgument, "no matching subnet for address"),
        (Ipam(subnet="10.0.0.0/31"), InvalidArgument, "no room"),
        (Ipam(subnet="172.18.5.0/24"), PermissionDenied, "Pool overlaps with other one on this address space"),
        (Ipam(subnet="nonsense"), InvalidArgument, "invalid subnet nonsense"),
    ],
)
def test_a_subnet_that_cannot_be_is_refused(ipam: Ipam, error: type[CortenError], message: str) -> None:
    with pytest.raises(error, match=message):
        subnets(NetworkSpec(name="a", ipam=(ipam,)), own={"b": ["172.18.0.0/16"]})


def test_two_subnets_of_one_request_must_not_overlap() -> None:
    with pytest.raises(PermissionDenied, match="Pool overlaps"):
        subnets(NetworkSpec(name="a", ipam=(Ipam(subnet="10.0.0.0/8"), Ipam(subnet="10.1.0.0/16"))))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (NetworkSpec(name="../x"), "invalid network name"),
        (NetworkSpec(name=""), "invalid network name"),
        (NetworkSpec(name="h", driver="host"), 'only one instance of "host" network is allowed'),
        (NetworkSpec(name="m", driver="macvlan"), "macvlan is not built yet"),
        (NetworkSpec(name="m", driver="mine"), "could not find plugin mine"),
        (NetworkSpec(name="m", ipam_driver="dhcp"), "could not find IPAM driver dhcp"),
        (NetworkSpec(name="m", ipv4=False), "IPv4 or IPv6 must be enabled"),
    ],
)
def test_a_network_that_cannot_be_is_refused(spec: NetworkSpec, message: str) -> None:
    with pytest.raises(CortenError, match=message):
        check(spec)


@pytest.mark.parametrize("name", sorted(NETWORK))
def test_each_option_refuses_a_value_it_cannot_have(name: str) -> None:
    with pytest.raises((InvalidArgument, Unimplemented), match=r"com\.docker\.network") as refused:
        check(NetworkSpec(name="a", options={name: "no such value %"}))
    assert name in refused.value.message


def test_a_mac_is_made_from_the_address_so_that_cached_ones_stay_true() -> None:
    block = ip_network("10.0.0.0/24")
    made = place(
        network(Subnet(block, block[1], block)),
        EndpointRequest(network="net"),
        set(),
        id="ab" * 32,
        container="c",
        device="eth0",
    )
    assert (made.ipv4, made.mac, made.port) == ("10.0.0.2/24", "02:42:0a:00:00:02", "vcabababababab")
    assert made.address(4) == ip_address("10.0.0.2")
    assert made.address(6) is None


def test_the_gateway_goes_by_priority_then_name_and_never_inside() -> None:
    block = ip_network("10.0.0.0/24")
    pool = Subnet(block, block[1], block)
    pairs = []
    for name, internal, priority in (("b", False, 0), ("a", False, 0), ("z", True, 99)):
        net = network(pool, name=name, internal=internal)
        request = EndpointRequest(network=name, priority=priority)
        pairs.append((place(net, request, set(), id=name * 64, container="c", device="eth0"), net))
    chosen = gateway(pairs, 4)
    assert chosen is not None
    assert chosen[1].name == "a"
    assert gateway(pairs, 6) is None
    assert gateway(pairs[2:], 4) is None
