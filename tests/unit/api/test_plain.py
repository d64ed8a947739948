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


METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE"]


def by_h11(data: bytes) -> tuple[plain.Request, bytes] | None:
    """What h11 makes of the same bytes; None when it refuses them, wants more, or finds more than one request."""
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(data)
    request, body = None, b""
    try:
        while not isinstance(event := connection.next_event(), h11.EndOfMessage):
            if isinstance(event, h11.Request):
                request = _request(event)
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            else:
                return None
    except h11.RemoteProtocolError:
        return None
    return (request, body) if request and not connection.trailing_data[0] else None


@given(
    st.sampled_from(METHODS),
    TARGETS,
    st.lists(st.tuples(NAMES, VALUES), max_size=5),
    st.binary(max_size=20),
    st.sampled_from([None, -1, 0, 1]),
)
def test_what_it_reads_h11_reads_the_same(
    method: str, target: str, headers: list[tuple[str, str]], body: bytes, off: int | None
) -> None:
    length = [] if off is None else [("Content-Length", str(max(0, len(body) + off)))]
    lines = "".join(f"{name}: {value}\r\n" for name, value in [("Host", "x"), *headers, *length])
    data = f"{method} {target} HTTP/1.1\r\n{lines}\r\n".encode("latin-1") + body
    found = plain.parse(data)
    assert found is None or found == by_h11(data)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
@pytest.mark.parametrize("body", [b"", b'{"Image":"x"}'])
def test_a_small_whole_body_is_read(method: str, body: bytes) -> None:
    head = f"{method} /containers/create HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    found = plain.parse(head.encode() + body)
    assert found is not None
    assert (found[0].method, found[1]) == (method, body)
    assert found == by_h11(head.encode() + body)


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
        b"POST / HTTP/1.1\r\nHost: x\r\n\r\nG",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n1",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n12",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 01\r\n\r\n1",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n1",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
        b"OPTIONS / HTTP/1.1\r\nHost: x\r\n\r\n",
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
