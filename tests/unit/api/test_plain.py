"""The short way reads exactly what h11 reads, or leaves the request to h11."""

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corten.api.http import plain
from corten.api.http.connection import _request

NAMES = st.text("abcXYZ-0!#~", min_size=1, max_size=8)
VALUES = st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, blacklist_categories=["Cc"]), max_size=12)
TARGETS = st.text("abc/%?&=.:@", max_size=20).map(lambda text: "/" + text)


def by_h11(data: bytes) -> plain.Request | None:
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(data)
    try:
        event = connection.next_event()
    except h11.RemoteProtocolError:
        return None
    return _request(event) if isinstance(event, h11.Request) else None


@given(st.sampled_from(["GET", "HEAD"]), TARGETS, st.lists(st.tuples(NAMES, VALUES), max_size=5))
def test_what_it_reads_h11_reads_the_same(method: str, target: str, headers: list[tuple[str, str]]) -> None:
    lines = "".join(f"{name}: {value}\r\n" for name, value in [("Host", "x"), *headers])
    data = f"{method} {target} HTTP/1.1\r\n{lines}\r\n".encode("latin-1")
    request = plain.parse(data)
    assert request is None or request == by_h11(data)


@given(st.binary(max_size=80))
def test_junk_is_never_read(junk: bytes) -> None:
    assert plain.parse(junk) is None
    assert plain.parse(b"GET / HTTP/1.1\r\n" + junk) is None or by_h11(b"GET / HTTP/1.1\r\n" + junk) is not None


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\nG",
        b"GET / HTTP/1.1\r\nHost: x\r\n",
        b"GET / HTTP/1.0\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nA: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n",
        b"GET / HTTP/1.1\nHost: x\n\n",
        b"GET /a b HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nA: \0\r\n\r\n",
    ],
)
def test_everything_unusual_is_left_to_h11(data: bytes) -> None:
    assert plain.parse(data) is None
