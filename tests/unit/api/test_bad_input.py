"""Invalid JSON, wrong types and wrong parameters on every endpoint that takes any: 400 with the place, nothing done.

Behind these requests stands no engine: one that reached it would be answered by 500.
"""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import msgspec
import pytest

from corten.api import bodies, query
from corten.api.docker import routes
from corten.api.docker.archive import PathQuery
from corten.api.router import Route
from corten.model.container import ContainerConfig, wire_fields
from corten.model.errors import InvalidArgument
from corten.wire.filters import Filters
from tests.unit.api.serving import Client, api

TABLE = routes()
WRONG: list[tuple[Any, Any]] = [("text", 7), (7, "text"), ([], "text")]


class Untouchable:
    """In the engine's place: whoever asks it to do anything fails the test."""

    def __getattr__(self, name: str) -> "Untouchable":
        return self

    def __call__(self, *_: object, **__: object) -> None:
        raise AssertionError("a refused request reached the engine")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with api(tmp_path_factory.mktemp("api"), TABLE, Untouchable()) as path:
        yield path


def path_of(route: Route[Any, Any]) -> str:
    return route.pattern.replace("{id}", "x").replace("{name:path}", "a/b").replace("{id:path}", "x")


def required(route: Route[Any, Any]) -> str:
    fields = [field for field in msgspec.structs.fields(route.query) if field.required]
    return "&".join(f"{field.encode_name}=1" for field in fields)


def refused(server: str, route: Route[Any, Any], query: str, body: bytes | None = None) -> dict[str, Any]:
    headers = [] if body is None else ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    with Client(server) as client:
        client.send(f"{route.method} {path_of(route)}?{query} HTTP/1.1", *headers, body=body or b"")
        status, _, answer = client.answer()
    assert status == 400, (route.name, query, body, answer)
    document: dict[str, Any] = json.loads(answer)
    assert document["kind"] == "InvalidArgument"
    assert document["message"]
    return document


def wrong_value(hint: Any) -> Any:
    """A JSON value that no field of this type takes."""
    return {"no": ["such", "type"]} if hint in (bool, int, str) else 7.5


BODIES = [route for route in TABLE if route.body]
# An answer to HEAD has no body to look into; its GET is in the table.
QUERIES = [route for route in TABLE if msgspec.structs.fields(route.query) and route.method != "HEAD"]


@pytest.mark.parametrize("route", BODIES, ids=lambda route: route.name)
def test_a_body_that_is_no_json_object_is_refused(server: str, route: Route[Any, Any]) -> None:
    for body in (b"{", b"[]", b'"text"', b"7", b"\xff\xfe", b'{"a":}', b"{} {}"):
        assert refused(server, route, required(route), body)["place"] == "/"


@pytest.mark.parametrize("route", BODIES, ids=lambda route: route.name)
def test_a_field_of_the_wrong_type_is_refused_at_its_place(server: str, route: Route[Any, Any]) -> None:
    assert route.body
    for name, hint in wire_fields(route.body).items():  # type: ignore[arg-type]
        answer = refused(server, route, required(route), json.dumps({name: wrong_value(hint)}).encode())
        assert answer["place"].split("/")[1] == name


@pytest.mark.parametrize("route", QUERIES, ids=lambda route: route.name)
def test_a_parameter_of_the_wrong_type_is_refused_at_its_place(server: str, route: Route[Any, Any]) -> None:
    body = b"{}" if route.body else None
    for field in msgspec.structs.fields(route.query):
        if field.type in (int, int | None):
            others = required(route).replace(f"{field.encode_name}=1", "")
            answer = refused(server, route, f"{others}&{field.encode_name}=many", body)
            assert answer["place"] == f"?{field.encode_name}"
        if field.type is Filters:
            for text in ("{", "[]", '{"label":7}', '{"no-such-key":["x"]}'):
                refused(server, route, f"{required(route)}&{field.encode_name}={quote(text)}", body)
        if field.required:
            others = required(route).replace(f"{field.encode_name}=1", "")
            assert refused(server, route, others, body)["place"] == f"?{field.encode_name}"


def test_times_that_are_none_are_refused(server: str) -> None:
    for target in (
        "/events?since=noon",
        "/events?until=1e9",
        "/containers/x/logs?stdout=1&since=-",
        "/events?since=2&until=1",
    ):
        with Client(server) as client:
            client.send(f"GET {target} HTTP/1.1")
            assert client.answer()[0] == 400, target


def test_a_log_without_a_stream_is_refused_in_dockers_words(server: str) -> None:
    with Client(server) as client:
        client.send("GET /containers/x/logs HTTP/1.1")
        assert b"Bad parameters: you must choose at least one stream" in client.answer()[2]


def test_what_needs_buildkit_names_the_way_without(server: str) -> None:
    for path in ("/session", "/grpc"):
        with Client(server) as client:
            client.send(f"POST {path} HTTP/1.1", "Connection: Upgrade", "Upgrade: h2c", "Content-Length: 0")
            status, _, answer = client.answer()
        assert status == 501
        assert b"DOCKER_BUILDKIT=0" in answer


def test_an_engine_in_no_swarm_says_so(server: str) -> None:
    for path in ("/nodes", "/services", "/tasks", "/secrets", "/configs", "/swarm"):
        with Client(server) as client:
            client.send(f"GET {path} HTTP/1.1")
            status, _, answer = client.answer()
        assert status == 503
        assert b"This node is not a swarm manager." in answer


def test_a_nul_and_a_number_beyond_64_bits_are_refused_where_they_are() -> None:
    for body, place in (
        (b'{"Env": ["A=\\u0000"]}', "/Env/0"),
        (b'{"StopTimeout": 99999999999999999999}', "/StopTimeout"),
    ):
        with pytest.raises(InvalidArgument) as caught:
            bodies.decode(ContainerConfig, body)
        assert caught.value.place == place
    assert bodies.decode(ContainerConfig, rb'{"Env": ["A=\\u0000"]}').env == (r"A=\u0000",)
    with pytest.raises(InvalidArgument, match="parameter path: it holds a NUL"):
        query.read(PathQuery, "path=%00")
