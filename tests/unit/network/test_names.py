"""The name service's answers as a pure function, also to hostile queries."""

from ipaddress import ip_address

from dnslib import RCODE, DNSRecord
from hypothesis import given
from hypothesis import strategies as st

from corten.network.names import Directory, Resident, Zone, answer, failure


def directory() -> Directory:
    made = Directory("back")
    made.add(Resident("c1", ("web", "www"), (ip_address("10.0.0.2"), ip_address("fd00::2"))))
    made.add(Resident("c2", ("db", "www"), (ip_address("10.0.0.3"),)))
    return made


def ask(zone: Zone, name: str, kind: str = "A", limit: int = 512) -> DNSRecord | None:
    reply = answer(zone, DNSRecord.question(name, kind).pack(), limit=limit)
    return DNSRecord.parse(reply) if reply else None


def data(record: DNSRecord | None) -> list[str]:
    assert record is not None
    return [str(each.rdata) for each in record.rr]


def test_names_are_answered_by_kind_and_without_regard_to_case() -> None:
    zone = Zone((directory(),))
    assert data(ask(zone, "Web.BACK.")) == ["10.0.0.2"]
    assert data(ask(zone, "web", "AAAA")) == ["fd00::2"]
    assert data(ask(zone, "db", "AAAA")) == []
    assert data(ask(zone, "db", "TXT")) == []


def test_addresses_have_names_in_both_versions() -> None:
    zone = Zone((directory(),))
    assert data(ask(zone, "2.0.0.10.in-addr.arpa", "PTR")) == ["web.back."]
    assert data(ask(zone, ip_address("fd00::2").reverse_pointer, "PTR")) == ["web.back."]
    assert ask(zone._replace(outside=True), "9.9.9.9.in-addr.arpa", "PTR") is None


def test_what_is_not_ours_goes_to_an_upstream_or_fails() -> None:
    assert ask(Zone((directory(),), outside=True), "example.org") is None
    refused = ask(Zone((directory(),)), "example.org")
    assert refused is not None
    assert refused.header.rcode == RCODE.SERVFAIL


def test_a_link_is_known_by_its_alias_and_only_where_its_target_runs() -> None:
    zone = Zone((directory(),), links=(("postgres", "db"), ("gone", "stopped")))
    assert data(ask(zone, "postgres")) == ["10.0.0.3"]
    assert data(ask(zone, "gone")) == []


def test_an_answer_that_does_not_fit_is_cut_and_says_so() -> None:
    crowd = Directory("back")
    for number in range(100):
        crowd.add(Resident(f"c{number}", ("web",), (ip_address(0x0A000002 + number),)))
    cut, whole = ask(Zone((crowd,)), "web"), ask(Zone((crowd,)), "web", limit=65535)
    assert cut is not None
    assert cut.header.tc == 1
    assert len(data(whole)) == 100


def test_a_resident_that_left_is_forgotten_under_all_its_names() -> None:
    names = directory()
    names.remove("c1")
    names.remove("c1")
    assert names.addresses("web") is None
    assert names.addresses("www") == [ip_address("10.0.0.3")]


def test_failure_keeps_the_question() -> None:
    query = DNSRecord.question("example.org")
    reply = DNSRecord.parse(failure(query.pack()))
    assert (reply.header.id, str(reply.q.qname)) == (query.header.id, "example.org.")


@given(st.binary(max_size=600))
def test_no_bytes_make_it_stumble(query: bytes) -> None:
    for zone in (Zone((directory(),)), Zone((directory(),), outside=True)):
        answer(zone, query)


@given(st.data())
def test_damaged_queries_make_it_neither_stumble_nor_answer_another(data: st.DataObject) -> None:
    packed = bytearray(DNSRecord.question("web.back").pack())
    for _ in range(data.draw(st.integers(1, 4))):
        packed[data.draw(st.integers(0, len(packed) - 1))] = data.draw(st.integers(0, 255))
    reply = answer(Zone((directory(),)), bytes(packed))
    assert not reply or reply[:2] == packed[:2]
