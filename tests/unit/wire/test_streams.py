"""Frames and values survive being split anywhere."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corten.model.errors import DataLoss, InvalidArgument
from corten.wire import jsonstream, registry_auth, stdcopy

FRAMES = st.lists(st.tuples(st.sampled_from([1, 2]), st.binary(min_size=1, max_size=40)), max_size=8)


@given(FRAMES, st.data())
def test_stdcopy_frames_survive_any_split(frames: list[tuple[int, bytes]], data: st.DataObject) -> None:
    wire = b"".join(stdcopy.frame(*pair) for pair in frames)
    decoder, got = stdcopy.Decoder(), []
    while wire:
        cut = data.draw(st.integers(1, len(wire)))
        got += decoder.feed(wire[:cut])
        wire = wire[cut:]
    assert got == frames
    assert decoder.complete


def test_a_stream_that_is_no_stdcopy_is_told() -> None:
    with pytest.raises(DataLoss, match="unrecognized input header: 104"):
        stdcopy.Decoder().feed(b"hello, world")


@given(st.binary(max_size=200))
def test_the_stdcopy_decoder_takes_any_bytes_without_surprise(junk: bytes) -> None:
    streams = {0, 1, 2, 3}
    with contextlib.suppress(DataLoss):
        assert all(stream in streams for stream, _ in stdcopy.Decoder().feed(junk))


def test_json_values_survive_a_split_and_both_framings() -> None:
    decoder = jsonstream.Decoder()
    assert decoder.feed(b'\x1e{"a":1}\n\r\n{"b"') == [{"a": 1}]
    assert decoder.feed(b":2}\n") == [{"b": 2}]


def test_the_accept_header_chooses_the_framing() -> None:
    assert jsonstream.framing("text/plain, application/json-seq;q=1")[:2] == ("application/json-seq", b"\x1e")
    assert jsonstream.framing("*/*")[0] == "application/json"


@pytest.mark.parametrize(
    "header",
    ["eyJ1c2VybmFtZSI6ICJtZSIsICJwYXNzd29yZCI6ICJvPz4ifQ==", "eyJ1c2VybmFtZSI6ICJtZSIsICJwYXNzd29yZCI6ICJvPz4ifQ"],
)
def test_registry_auth_is_taken_with_and_without_padding_and_never_printed(header: str) -> None:
    auth = registry_auth.decode(header)
    assert (auth.username, auth.password) == ("me", "o?>")
    assert "o?>" not in repr(auth)


def test_registry_auth_refuses_what_is_no_credentials() -> None:
    assert registry_auth.decode("").anonymous
    assert registry_auth.decode_map("") == {}
    for header in ("!!", "bnVsbA==", "eyJ1c2VybmFtZSI6IDF9"):
        with pytest.raises(InvalidArgument):
            registry_auth.decode(header)
