"""A web page reaches no engine on loopback, a client does."""

from pathlib import Path

import pytest

from corten.api.browsers import guarded, suspicion
from corten.api.http.connection import Exchange, Response
from tests.unit.api.serving import Client, serving


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "127.0.0.1:2375"},
        {"host": "localhost"},
        {"host": "LOCALHOST:80"},
        {"host": "api.moby.localhost"},
        {"host": "[::1]:2375"},
        {"host": "[::1]"},
        {"host": "127.8.9.1"},
        {"host": "127.0.0.1:2375", "origin": "http://127.0.0.1:2375"},
        {"host": "localhost:1", "sec-fetch-site": "none"},
        {"host": "localhost:1", "sec-fetch-site": "same-origin"},
    ],
)
def test_a_client_of_loopback_is_served(headers: dict[str, str]) -> None:
    assert suspicion(headers) == ""


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({}, "Host ''"),
        ({"host": "evil.example:2375"}, "Host 'evil.example:2375' is not a name"),
        ({"host": "127.0.0.1.evil.example"}, "is not a name of this machine's loopback"),
        ({"host": "localhost.evil.example:2375"}, "is not a name"),
        ({"host": "192.0.2.1:2375"}, "is not a name"),
        ({"host": "127.0.0.1:2375", "origin": "http://evil.example"}, "Origin 'http://evil.example' is another site"),
        ({"host": "127.0.0.1:2375", "origin": "http://127.0.0.1:3000"}, "is another site"),
        ({"host": "127.0.0.1:2375", "origin": "null"}, "Origin 'null'"),
        ({"host": "127.0.0.1:2375", "sec-fetch-site": "cross-site"}, "Sec-Fetch-Site"),
        ({"host": "127.0.0.1:2375", "sec-fetch-site": "same-site"}, "Sec-Fetch-Site"),
    ],
)
def test_a_web_page_is_not(headers: dict[str, str], reason: str) -> None:
    assert reason in suspicion(headers)


def test_an_engine_that_asks_for_certificates_may_have_any_name_but_serves_no_other_site() -> None:
    assert suspicion({"host": "engine.example:2376"}, any_name=True) == ""
    assert suspicion({"host": "engine.example:2376", "origin": "https://evil.example"}, any_name=True)


def test_the_refusal_is_an_answer_with_its_reason(scratch: Path) -> None:
    async def app(exchange: Exchange) -> None:
        await exchange.respond(Response(200, [], b"served"))

    with serving(scratch, guarded(app)) as path, Client(path) as client:
        client.sock.sendall(b"POST /containers/x/stop HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 0\r\n\r\n")
        status, _, body = client.answer()
        assert status == 403
        assert b"request refused: Host 'evil.example'" in body
        client.sock.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1:9\r\n\r\n")
        assert client.answer()[2] == b"served"
