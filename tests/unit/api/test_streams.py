"""Endpoints that stream, over a small engine that is real as far as it goes."""

import json
import os
import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import pytest
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, BytesMessage, CloseConnection, Event
from wsproto.events import Request as Handshake

from corten.api.docker import routes
from corten.engine.requests import AttachOptions, ExecStart
from corten.model.errors import Conflict, NotFound
from corten.wire.filters import Filters
from tests.unit.api.serving import Client, api


class WaitResult(NamedTuple):
    status_code: int
    error: str = ""


class Small:
    """One container, `c`, that echoes its stdin; everything it is asked is counted."""

    def __init__(self) -> None:
        self.containers = self.execs = self.events = self
        self.generation = 0
        self.lists = 0
        self.exit: Future[WaitResult] = Future()
        self.waiting = threading.Event()
        self.subscribers: list[Callable[[dict[str, Any]], None]] = []
        self.closed = threading.Event()

    def list(self, **_: object) -> list[dict[str, Any]]:
        self.lists += 1
        return [{"Id": f"c{self.generation}"}]

    def wait(self, ref: str, condition: str) -> Future[WaitResult]:
        if ref != "c":
            raise NotFound(f"No such container: {ref}")
        assert condition == "next-exit"
        self.waiting.set()
        return self.exit

    def attach(self, ref: str, options: AttachOptions, take: Callable[..., tuple[int, bytes]]) -> None:
        if ref != "c":
            raise NotFound(f"No such container: {ref}")
        self.echo(*take(tty=not options.multiplex))

    def start(self, ref: str, options: ExecStart, take: Callable[..., tuple[int, bytes]] | None) -> None:  # noqa: ARG002
        if ref == "gone":
            raise Conflict("container is not running")
        if take is None:
            return
        fd, _ = take(tty=False)
        os.close(fd)
        raise Conflict("exec failed: no such file")

    def echo(self, fd: int, early: bytes) -> None:
        def parrot() -> None:
            with socket.socket(fileno=fd) as sock:
                sock.setblocking(True)
                sock.sendall(early)
                while data := sock.recv(100):
                    sock.sendall(data)

        threading.Thread(target=parrot).start()

    def subscribe(self, callback: Callable[[dict[str, Any]], None], *, since: int | None, filters: Filters) -> "Small":
        assert not filters
        if since is not None:
            callback(self.event("old", 1))
        self.subscribers.append(callback)
        return self

    def event(self, action: str, at: int) -> dict[str, Any]:
        actor = {"ID": "c", "Attributes": {"image": "tiny"}}
        return {"Type": "container", "Action": action, "Actor": actor, "scope": "local", "time": 0, "timeNano": at}

    def close(self) -> None:
        self.closed.set()


def test_the_list_is_made_once_for_as_long_as_it_is_true(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1000.0]
    monkeypatch.setattr("corten.api.docker.containers.time.time", lambda: clock[0])
    engine = Small()
    with api(scratch, routes(), engine) as path, Client(path) as client:

        def ids(query: str = "") -> str:
            client.send(f"GET /containers/json{query} HTTP/1.1")
            found: str = json.loads(client.answer()[2])[0]["Id"]
            return found

        assert [ids() for _ in range(5)] == ["c0"] * 5
        assert engine.lists == 1
        engine.generation = 1
        assert ids() == "c1"
        assert ids("?all=1") == "c1"
        assert engine.lists == 3
        clock[0] += 1
        ids()
        assert engine.lists == 4


def test_wait_registers_before_it_answers_and_answers_before_the_exit(scratch: Path) -> None:
    engine = Small()
    with api(scratch, routes(), engine) as path, Client(path) as client:
        client.send("POST /containers/c/wait?condition=next-exit HTTP/1.1", "Content-Length: 0")
        assert client.until(b"\r\n\r\n").startswith(b"HTTP/1.1 200")
        assert engine.waiting.is_set()
        engine.exit.set_result(WaitResult(137))
        assert b'{"StatusCode":137}' in client.until(b"0\r\n\r\n")
        client.send("POST /containers/x/wait?condition=next-exit HTTP/1.1", "Content-Length: 0")
        assert client.answer()[0] == 404


@pytest.mark.parametrize(
    ("version", "kind"),
    [("/v1.41", "application/vnd.docker.raw-stream"), ("", "application/vnd.docker.multiplexed-stream")],
)
def test_attach_upgrades_only_when_the_engine_agrees(scratch: Path, version: str, kind: str) -> None:
    upgrade = ("Connection: Upgrade", "Upgrade: tcp", "Content-Length: 0")
    with api(scratch, routes(), Small()) as path:
        with Client(path) as client:
            client.send("POST /containers/nobody/attach?stdin=1 HTTP/1.1", *upgrade)
            assert client.answer()[0] == 404
        with Client(path) as client:
            client.send(f"POST {version}/containers/c/attach?stdin=1 HTTP/1.1", *upgrade, body=b"early ")
            head = client.until(b"\r\n\r\n").decode()
            assert head.startswith("HTTP/1.1 101 UPGRADED\r\n")
            assert f"Content-Type: {kind}\r\n" in head
            assert "Api-Version: 1.51\r\n" in head
            client.sock.sendall(b"late")
            client.sock.shutdown(socket.SHUT_WR)
            assert client.to_the_end() == b"early late"


def test_what_fails_after_the_upgrade_is_told_in_the_stream(scratch: Path) -> None:
    body = ("Content-Type: application/json", "Content-Length: 2")
    with api(scratch, routes(), Small()) as path:
        with Client(path) as client:
            client.send("POST /exec/e/start HTTP/1.1", "Connection: Upgrade", "Upgrade: tcp", *body, body=b"{}")
            client.until(b"\r\n\r\n")
            assert client.to_the_end() == b"\x01\0\0\0\0\0\0\x1bexec failed: no such file\r\n"
        with Client(path) as client:
            client.send("POST /exec/gone/start HTTP/1.1", *body, body=b"{}")
            assert client.answer()[0] == 409


def test_events_replay_then_go_on_and_end_with_their_client(scratch: Path) -> None:
    engine = Small()
    with api(scratch, routes(), engine) as path:
        with Client(path) as client:
            client.send("GET /events?since=1 HTTP/1.1", "Accept: application/json-seq")
            head = client.until(b"\r\n\r\n")
            assert b"Content-Type: application/json-seq" in head
            first = client.until(b"\n\r\n")
            assert b'\x1e{"status":"old","id":"c","from":"tiny","Type":"container"' in first
            engine.subscribers[0](engine.event("new", 2))
            assert b'"Action":"new"' in client.until(b"\n\r\n")
        assert engine.closed.wait(5)


def test_events_end_at_until(scratch: Path) -> None:
    engine = Small()
    with api(scratch, routes(), engine) as path, Client(path) as client:
        client.send("GET /events?since=0.000000001&until=1 HTTP/1.1")
        assert b'"Action":"old"' in client.until(b"\r\n0\r\n\r\n")
    assert engine.closed.is_set()


def test_a_search_has_its_term_limit_and_filters(scratch: Path) -> None:
    asked: list[tuple[str, int]] = []

    class Searching(Small):
        def __init__(self) -> None:
            super().__init__()
            self.registries = self

        def search(self, term: str, limit: int, *_: object) -> list[dict[str, Any]]:
            asked.append((term, limit))
            return [{"name": "a", "star_count": 5, "is_official": True}, {"name": "b", "star_count": 1}]

    filters = quote('{"stars":["3"],"is-official":["true"]}')
    with api(scratch, routes(), Searching()) as path, Client(path) as client:
        client.send(f"GET /images/search?term=web&limit=7&filters={filters} HTTP/1.1")
        assert [row["name"] for row in json.loads(client.answer()[2])] == ["a"]
    assert asked == [("web", 7)]


def test_a_websocket_carries_plain_bytes_both_ways(scratch: Path) -> None:
    websocket = WSConnection(ConnectionType.CLIENT)
    with api(scratch, routes(), Small()) as path, Client(path) as client:
        client.sock.sendall(websocket.send(Handshake(host="x", target="/containers/c/attach/ws?stdin=1&stdout=1")))
        events: list[Event] = []

        def receive() -> Event:
            while not events:
                websocket.receive_data(client.sock.recv(4096) or None)
                events.extend(websocket.events())
            return events.pop(0)

        assert isinstance(receive(), AcceptConnection)
        client.sock.sendall(websocket.send(BytesMessage(data=b"hello")))
        answer = receive()
        assert isinstance(answer, BytesMessage)
        assert bytes(answer.data) == b"hello"
        client.sock.sendall(websocket.send(CloseConnection(code=1000)))
        assert isinstance(receive(), CloseConnection)


def test_a_websocket_to_nobody_is_an_ordinary_error(scratch: Path) -> None:
    with api(scratch, routes(), Small()) as path, Client(path) as client:
        client.send("GET /containers/nobody/attach/ws HTTP/1.1")
        assert client.answer()[0] == 404
        client.send("GET /containers/c/attach/ws HTTP/1.1")
        assert client.answer()[0] == 400
