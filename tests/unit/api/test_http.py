"""HTTP as engines need it: keep-alive, bodies of every kind, hijack with early bytes and half-close."""

import os
import socket
import threading
from pathlib import Path

import pytest

from corten.api.http.connection import Exchange, Response
from tests.unit.api.serving import Client, serving


async def echo(exchange: Exchange) -> None:
    """The target and the size of the body; `/hijack` echoes raw bytes from a thread that owns the socket."""
    if exchange.request.target == "/hijack":
        fd, early = await exchange.hijack("application/x-raw", [("Server", "test")])
        threading.Thread(target=parrot, args=(fd, early)).start()
        return
    if exchange.request.target == "/stream":
        outflow = exchange.stream(200, [])
        for number in range(3):
            await outflow.write(b"%d" % number)
        await outflow.end()
        return
    if exchange.request.target == "/unread":
        await exchange.respond(Response(200, [], b"early"))
        return
    size = len(await exchange.body.read_all(1 << 26))
    await exchange.respond(
        Response(200, [("X-Method", exchange.request.method)], f"{exchange.request.target} {size}".encode())
    )


def parrot(fd: int, early: bytes) -> None:
    with socket.socket(fileno=fd) as sock:
        sock.setblocking(True)
        sock.sendall(b"<" + early)
        while data := sock.recv(4096):
            sock.sendall(data)
        sock.sendall(b">")


def test_requests_on_one_connection_are_answered_in_turn_also_when_sent_at_once(scratch: Path) -> None:
    with serving(scratch, echo) as path, Client(path) as client:
        client.sock.sendall(
            b"GET /a HTTP/1.1\r\nHost: x\r\n\r\nPOST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc" * 3
        )
        answers = [client.answer()[2] for _ in range(6)]
    assert answers == [b"/a 0", b"/b 3"] * 3


def test_a_chunked_body_of_many_megabytes_arrives_whole(scratch: Path) -> None:
    chunk = b"8000\r\n" + bytes(0x8000) + b"\r\n"
    with serving(scratch, echo) as path, Client(path) as client:
        client.send("PUT /big HTTP/1.1", "Transfer-Encoding: chunked")
        for _ in range(200):
            client.sock.sendall(chunk)
        client.sock.sendall(b"0\r\n\r\n")
        assert client.answer()[2] == b"/big %d" % (200 * 0x8000)
        client.send("GET /again HTTP/1.1")
        assert client.answer()[2] == b"/again 0"


def test_expect_100_continue_is_answered_when_the_body_is_wanted(scratch: Path) -> None:
    with serving(scratch, echo) as path, Client(path) as client:
        client.send("POST /x HTTP/1.1", "Content-Length: 2", "Expect: 100-continue")
        assert client.until(b"\r\n\r\n").startswith(b"HTTP/1.1 100 ")
        client.sock.sendall(b"ok")
        assert client.answer()[2] == b"/x 2"


def test_a_body_nobody_wanted_does_not_confuse_the_next_request(scratch: Path) -> None:
    with serving(scratch, echo) as path, Client(path) as client:
        client.send("POST /unread HTTP/1.1", "Content-Length: 5", body=b"GET /")
        assert client.answer()[2] == b"early"
        client.send("GET /next HTTP/1.1")
        assert client.answer()[2] == b"/next 0"


def test_head_has_the_length_and_no_body(scratch: Path) -> None:
    with serving(scratch, echo) as path, Client(path) as client:
        client.send("HEAD /x HTTP/1.1")
        head = client.until(b"\r\n\r\n")
        assert b"Content-Length: 4" in head
        client.send("GET /x HTTP/1.1")
        assert client.until(b"\r\n").startswith(b"HTTP/1.1 200")


def test_a_stream_is_chunked(scratch: Path) -> None:
    with serving(scratch, echo) as path, Client(path) as client:
        client.send("GET /stream HTTP/1.1")
        assert client.until(b"0\r\n\r\n").endswith(b"1\r\n0\r\n1\r\n1\r\n1\r\n2\r\n0\r\n\r\n")


def test_bytes_that_are_no_http_are_refused_once_and_the_connection_ends(scratch: Path) -> None:
    with serving(scratch, echo) as path, Client(path) as client:
        client.sock.sendall(b"\x16\x03\x01 nonsense\r\n\r\n")
        assert client.to_the_end().startswith(b"HTTP/1.1 400 ")


def test_an_endless_head_is_refused(scratch: Path) -> None:
    with serving(scratch, echo) as path, Client(path) as client:
        with pytest.raises(ConnectionError):
            client.send("GET / HTTP/1.1", "X: " + "a" * (64 << 20))


@pytest.mark.parametrize("upgrade", [True, False])
def test_a_hijack_keeps_early_bytes_and_survives_half_close(scratch: Path, upgrade: bool) -> None:
    headers = ["Connection: Upgrade", "Upgrade: tcp"] if upgrade else []
    with serving(scratch, echo) as path, Client(path) as client:
        client.send("POST /hijack HTTP/1.1", *headers, "Content-Length: 0", body=b"early")
        head = client.until(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 UPGRADED\r\n" if upgrade else b"HTTP/1.1 200 OK\r\n")
        assert b"Content-Type: application/x-raw\r\n" in head
        assert (b"Upgrade: tcp" in head) is upgrade
        assert b"chunked" not in head.lower()
        assert client.until(b"<early")
        client.sock.sendall(b"later")
        client.sock.shutdown(socket.SHUT_WR)
        assert client.to_the_end() == b"later>"


def test_a_hijack_after_a_json_body_takes_the_body_first(scratch: Path) -> None:
    with serving(scratch, echo) as path, Client(path) as client:
        client.send(
            "POST /hijack HTTP/1.1", "Connection: Upgrade", "Upgrade: tcp", "Content-Length: 2", body=b"{}stdin"
        )
        client.until(b"\r\n\r\n")
        assert client.until(b"stdin") == b"<stdin"
        client.sock.shutdown(socket.SHUT_WR)
        assert client.to_the_end() == b">"


def test_a_client_that_goes_away_leaves_no_descriptor(scratch: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with serving(scratch, echo) as path:
        for _ in range(20):
            with Client(path) as client:
                client.send("POST /x HTTP/1.1", "Content-Length: 10", body=b"abc")
        with Client(path) as client:
            client.send("GET /x HTTP/1.1")
            client.answer()
    assert len(os.listdir("/proc/self/fd")) == before
