"""The messages between engine and monitor: one table, two sides, and partners of every age."""

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corten.tasks import header, protocol
from corten.tasks.protocol import FLAGS, MESSAGES, Message, decode, encode

ROOT = Path(__file__).resolve().parents[3]

# Records as version 1 sent them. A monitor may run for years: none of these may ever read differently.
VERSION_1 = {
    "010004000700000001000000": ("HELLO", {"version": 1}),
    "030004000200000000000000": ("START", {"reserved": 0}),
    "06000800090000000000000018005000": ("RESIZE", {"target": 0, "rows": 24, "cols": 80}),
    "40000800050000001600000000000000": ("REPLY", {"error": 22, "value": 0}),
    "6000180000000000020000008900000009000000010000000100000000000000": (
        "EXIT",
        {"target": 2, "code": 137, "signal": 9, "oom": 1, "at": 1},
    ),
    "610004000000000003000000": ("DETACHED", {"target": 3}),
}


def test_the_c_header_is_what_the_table_says() -> None:
    assert (ROOT / "native" / "monitor.gen.h").read_text() == header.render(), (
        "python -m corten.tasks.header > native/monitor.gen.h"
    )


@pytest.mark.parametrize("raw", VERSION_1)
def test_records_of_version_1_read_as_ever(raw: str) -> None:
    received = decode(bytes.fromhex(raw))
    name, fields = VERSION_1[raw]
    assert (received.name, received.fields) == (name, fields)


def test_numbers_flags_and_the_fields_of_version_1_never_change() -> None:
    assert [message.number for message in MESSAGES] == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 64, 65, 96, 97]
    assert [*FLAGS.values()] == [1 << bit for bit in range(13)]
    layouts = {message.name: message.layout().format for message in MESSAGES}
    assert layouts["CREATE"] == "<IHHQII"
    assert layouts["STATE"] == "<IIIIiIIIQ"
    assert layouts["EXIT"] == "<IiIIQ"


def test_fields_that_an_older_partner_does_not_send_are_zero() -> None:
    old = struct.pack("<HHI", 96, 8, 0) + struct.pack("<Ii", 4, 7)
    assert decode(old).fields == {"target": 4, "code": 7, "signal": 0, "oom": 0, "at": 0}


def test_fields_of_a_newer_partner_are_skipped_and_the_tail_is_still_the_tail() -> None:
    newer = struct.pack("<HHI", 97, 12, 0) + struct.pack("<III", 5, 6, 7) + b"tail"
    assert decode(newer) == ("DETACHED", 0, {"target": 5}, b"tail")


def test_a_message_of_a_newer_partner_is_told_by_its_number() -> None:
    assert decode(struct.pack("<HHI", 999, 0, 3)).name == "#999"


@pytest.mark.parametrize("raw", [b"", b"\1\0\4", struct.pack("<HHI", 1, 5, 0) + b"1234"])
def test_a_record_that_was_cut_short_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match="short"):
        decode(raw)


@given(st.sampled_from(MESSAGES), st.integers(0, 2**32 - 1), st.binary(max_size=64), st.data())
def test_what_is_encoded_is_decoded(message: Message, seq: int, tail: bytes, data: st.DataObject) -> None:
    top = {"u16": 2**16 - 1, "u32": 2**32 - 1, "i32": 2**31 - 1, "u64": 2**64 - 1}
    fields = {name: data.draw(st.integers(0, top[kind])) for kind, name in message.columns()}
    assert decode(encode(message.name, seq, tail, **fields)) == (message.name, seq, fields, tail)


def test_a_field_that_the_message_does_not_have_is_an_error() -> None:
    with pytest.raises(TypeError, match="no field colour"):
        encode("HELLO", 1, colour=3)


def test_a_struct_that_c_would_pad_is_refused() -> None:
    with pytest.raises(ValueError, match="aligned"):
        header._struct(Message(200, "BAD", "u16 a, u32 b", "", ""))
    with pytest.raises(ValueError, match="aligned"):
        header._struct(Message(200, "BAD", "u64 a, u32 b", "", ""))


def test_the_version_is_in_the_header() -> None:
    assert f"#define MONITOR_VERSION {protocol.VERSION}" in header.render()
