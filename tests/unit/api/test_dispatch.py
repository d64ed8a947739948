"""What is the same for every endpoint: versions, headers, errors, parameters, bodies, lanes."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from corten.api import bodies, query, versions
from corten.api.call import Answer, Call, Empty, Flow, Json, Pieces
from corten.api.docker import routes
from corten.api.docker.system import ROUTES as SYSTEM
from corten.api.lanes import Lane
from corten.api.query import Nothing
from corten.api.router import Route, Router
from corten.model.container import ContainerCreate
from corten.model.errors import Conflict, InvalidArgument, NotModified
from tests.unit.api.serving import Client, api


class Limits(msgspec.Struct, frozen=True):
    all: bool = False
    limit: int = 0
    names: tuple[str, ...] = ()
    one_shot: bool = msgspec.field(default=False, name="one-shot")


class Needs(msgspec.Struct, frozen=True):
    path: str


def ask(path: str, *lines: str, body: bytes = b"") -> tuple[int, dict[str, str], dict[str, str]]:
    with Client(path) as client:
        client.send(*lines, body=body)
        status, headers, answer = client.answer()
        return status, headers, json.loads(answer) if answer.startswith(b"{") else {"": answer.decode()}


def test_every_answer_carries_dockers_headers(scratch: Path) -> None:
    with api(scratch, routes()) as path:
        for line in (
            "HEAD /_ping HTTP/1.1",
            "GET /nowhere HTTP/1.1",
            "GET /v1.9/info HTTP/1.1",
            "GET /version HTTP/1.1",
        ):
            with Client(path) as client:
                client.send(line)
                head = client.until(b"\r\n\r\n").decode()
            for header in ("Api-Version: 1.51", "Ostype: linux", "Server: Docker/"):
                assert header in head, line


@pytest.mark.parametrize(
    ("prefix", "status"), [("/v1.24", 200), ("/v1.51", 200), ("", 200), ("/v1.23", 400), ("/v1.52", 400), ("/vx", 404)]
)
def test_versions_that_are_not_spoken_are_refused_in_dockers_words(scratch: Path, prefix: str, status: int) -> None:
    with api(scratch, list(SYSTEM)) as path:
        got, _, answer = ask(path, f"GET {prefix}/version HTTP/1.1")
    assert got == status
    if status == 400:
        which = "too old. Minimum supported API version is 1.24" if prefix == "/v1.23" else "too new. Maximum supported"
        assert f"client version {prefix[2:]} is {which}" in answer["message"]


def test_errors_carry_kind_hint_and_place(scratch: Path) -> None:
    def clash(_: Call[Nothing, None]) -> Answer:
        raise Conflict("it is so", hint="do that", place="/there")

    def already(_: Call[Nothing, None]) -> Answer:
        raise NotModified("it runs")

    def bug(_: Call[Nothing, None]) -> Answer:
        raise ZeroDivisionError("oops")

    table = [Route("GET", "/clash", clash), Route("GET", "/already", already), Route("GET", "/bug", bug)]
    with api(scratch, table) as path:
        assert ask(path, "GET /clash HTTP/1.1")[::2] == (
            409,
            {"message": "it is so", "kind": "Conflict", "hint": "do that", "place": "/there"},
        )
        assert ask(path, "GET /already HTTP/1.1")[::2] == (304, {"": ""})
        assert ask(path, "GET /bug HTTP/1.1")[2]["kind"] == "Internal"
        assert ask(path, "GET /none HTTP/1.1")[2]["message"] == "page not found"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", True),
        ("true", True),
        ("yes", True),
        ("x", True),
        ("", False),
        ("0", False),
        ("No", False),
        ("FALSE", False),
        ("none", False),
    ],
)
def test_booleans_are_dockers(text: str, value: bool) -> None:
    assert query.read(Limits, f"all={text}").all is value


def test_parameters_have_names_defaults_and_types() -> None:
    assert query.read(Limits, "") == Limits()
    assert query.read(Limits, "names=a&names=b&one-shot=1&other=2") == Limits(names=("a", "b"), one_shot=True)
    for text, kind, place in (("limit=x", Limits, "?limit"), ("", Needs, "?path")):
        with pytest.raises(InvalidArgument) as caught:
            query.read(kind, text)
        assert caught.value.place == place


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (b'{"Env":["A=1",2]}', "/Env/1"),
        (b'{"HostConfig":{"Memory":"1g"}}', "/HostConfig/Memory"),
        (
            b'{"HostConfig":{"PortBindings":{"80/tcp":[{"HostPort":80}]}}}',
            "/HostConfig/PortBindings/80~1tcp/0/HostPort",
        ),
        (b'{"Labels":{"a":"b","c":1}}', "/Labels/c"),
        (b"[]", "/"),
        (b"", "/"),
        (b"{", "/"),
        (b"\xff", "/"),
        (b"[" * 100_000, "/"),
    ],
)
def test_a_wrong_body_is_refused_with_its_place(body: bytes, place: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        bodies.decode(ContainerCreate, body)
    assert caught.value.place == place


def test_a_body_is_read_as_go_reads_it() -> None:
    read = bodies.decode(ContainerCreate, b'{"Image":"x","Cmd":"true","User":null,"HostConfig":null,"Unknown":1}')
    assert (read.image, read.cmd, read.user) == ("x", ("true",), "")


def test_a_body_needs_its_content_type(scratch: Path) -> None:
    def make(call: Call[Nothing, ContainerCreate]) -> Answer:
        return Json({"Image": call.body.image}, 201)

    with api(scratch, [Route("POST", "/make", make, Lane.CHANGE, Nothing, ContainerCreate)]) as path:
        length = "Content-Length: 13"
        assert (
            ask(path, "POST /make HTTP/1.1", length, "Content-Type: application/json", body=b'{"Image":"x"}')[0] == 201
        )
        status, _, answer = ask(path, "POST /make HTTP/1.1", length, "Content-Type: text/plain", body=b'{"Image":"x"}')
    assert status == 400
    assert answer["message"] == "unsupported Content-Type header (text/plain): must be 'application/json'"


def test_names_hold_slashes_and_colons() -> None:
    async def none(_: Call[Nothing, None]) -> Answer:
        return Empty()

    router = Router(
        [Route("GET", "/images/{name:path}/json", none, Lane.LOOP), Route("GET", "/x/{id}", none, Lane.LOOP)]
    )
    found = router.find("GET", "/images/ghcr.io:443/me/app:1@sha256:ab/json")
    assert found is not None
    assert found[1] == {"name": "ghcr.io:443/me/app:1@sha256:ab"}
    assert router.find("GET", "/x/a/b") is None
    assert router.find("POST", "/x/a") is None


def test_no_two_endpoints_are_the_same() -> None:
    table = [(route.method, route.pattern) for route in routes()]
    assert len(table) == len(set(table))


def test_slow_work_in_one_lane_never_delays_another(scratch: Path) -> None:
    gate = threading.Event()

    def slow(_: Call[Nothing, None]) -> Answer:
        gate.wait(10)
        return Empty()

    def quick(_: Call[Nothing, None]) -> Answer:
        return Empty()

    with api(scratch, [Route("GET", "/slow", slow, Lane.IMAGE), Route("GET", "/quick", quick)]) as path:
        waiting = [Client(path) for _ in range(Lane.IMAGE.value[1] + 3)]
        for client in waiting:
            client.send("GET /slow HTTP/1.1")
        assert ask(path, "GET /quick HTTP/1.1")[0] == 204
        gate.set()
        assert [client.answer()[0] for client in waiting] == [204] * len(waiting)
        for client in waiting:
            client.sock.close()


def test_an_error_before_the_first_piece_is_an_error_and_after_it_breaks_the_answer_off(scratch: Path) -> None:
    def pieces(fail_at: int) -> Iterator[bytes]:
        for number in range(3):
            if number == fail_at:
                raise Conflict("no more")
            yield b"piece"

    def early(_: Call[Nothing, None]) -> Answer:
        return Pieces(pieces(0), "application/x-tar")

    def late(_: Call[Nothing, None]) -> Answer:
        return Pieces(pieces(2), "application/x-tar")

    def told(_: Call[Nothing, None]) -> Answer:
        return Pieces(pieces(2), "application/json", failure=lambda error: str(error).encode())

    table = [Route("GET", "/early", early), Route("GET", "/late", late), Route("GET", "/told", told)]
    with api(scratch, table) as path:
        assert ask(path, "GET /early HTTP/1.1")[0] == 409
        with Client(path) as client:
            client.send("GET /late HTTP/1.1")
            assert not client.to_the_end().endswith(b"0\r\n\r\n")
        with Client(path) as client:
            client.send("GET /told HTTP/1.1")
            assert client.until(b"\r\n0\r\n\r\n").endswith(b"no more\r\n0\r\n\r\n")


def test_a_flow_ends_when_its_client_goes_away(scratch: Path) -> None:
    import asyncio
    from collections.abc import AsyncGenerator

    ended = threading.Event()

    async def forever() -> AsyncGenerator[bytes, None]:
        try:
            yield b"first"
            await asyncio.Event().wait()
        finally:
            ended.set()

    async def flow(_: Call[Nothing, None]) -> Answer:
        return Flow(forever(), "application/json")

    with api(scratch, [Route("GET", "/flow", flow, Lane.LOOP)]) as path:
        with Client(path) as client:
            client.send("GET /flow HTTP/1.1")
            client.until(b"first")
        assert ended.wait(5)


def test_a_worker_learns_that_its_client_went_away(scratch: Path) -> None:
    learned = threading.Event()

    def long(call: Call[Nothing, None]) -> Answer:
        call.cancel.on_set(learned.set)
        learned.wait(10)
        return Empty()

    with api(scratch, [Route("GET", "/long", long)]) as path:
        with Client(path) as client:
            client.send("GET /long HTTP/1.1")
        assert learned.wait(5)


def test_the_versions_text_is_its_number() -> None:
    assert versions.split("/v1.44/a/b") == ((1, 44), "/a/b")
    assert versions.split("/volumes") == (versions.NEWEST, "/volumes")
