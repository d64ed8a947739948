"""Netlink messages as bytes."""

import struct

from hypothesis import given
from hypothesis import strategies as st

from corten.kernel import nftables, rtnetlink
from corten.kernel.netlink import attribute, attributes, decoded, nested, text


@given(st.dictionaries(st.integers(1, 0x3FFF), st.binary(max_size=50), max_size=8))
def test_attributes_are_read_back_as_they_were_written(pairs: dict[int, bytes]) -> None:
    assert attributes(b"".join(attribute(kind, value) for kind, value in pairs.items())) == pairs


@given(st.binary(max_size=100))
def test_no_bytes_make_the_reader_of_attributes_stumble(body: bytes) -> None:
    attributes(body)


def test_nesting_is_marked_and_strings_end_with_nul() -> None:
    inner = attributes(nested(18, text(1, "veth")))[18]
    assert attributes(inner) == {1: b"veth\0"}


def test_an_error_carries_the_kernels_own_sentence() -> None:
    request = struct.pack("=IHHII", 32, 16, 5, 1, 0)
    body = struct.pack("=i", -17) + request + text(1, "device exists")
    error = decoded(body, 0x300, "add link x")
    assert (error.errno, str(error)) == (17, "add link x: File exists (device exists)")


def test_messages_say_what_they_do() -> None:
    assert rtnetlink.set_link("lo", up=True).what == "change link lo"
    assert nftables.add_rule(nftables.INET, "t", "c", "why", nftables.drop()).what == "add rule t c (why)"


def test_a_key_of_several_fields_is_padded_to_registers() -> None:
    assert nftables.fields(b"\x06", b"\0\x50") == b"\x06\0\0\0\0\x50\0\0"
    assert len(nftables.ifname("corten0")) == 16
