"""Every endpoint is given what it does not expect: it answers with a clear 4xx, never with a 500, and goes on."""

import io
import json
import tarfile
from operator import attrgetter
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
import pytest

from corten.api.docker import routes
from corten.api.router import Route
from corten.client.address import Address
from corten.client.connection import Connection
from corten.client.engine import Engine as Client
from corten.model.container import ContainerCreate, HostConfig
from tests.root.engines import IMAGE, OTHER_HOST, Engine

pytestmark = pytest.mark.skipif(bool(OTHER_HOST), reason="asks for what our tables declare")

HOSTILE_NAMES = ["..%2f..%2fetc", "a%00b", "%0a", "x" * 5000, "-v", "%2e%2e", "a%20b", "é", "%ff", "{}", "a:b@sha256:0"]
BROKEN_BODIES = [b"{", b"[]", b"1", b'"text"', b"\xff\xfe", b"[" * 100_000, b'{"a": ' + b"9" * 5000 + b"}"]
WRONG_VALUES = ["x", "-1", "99999999999999999999999", "{", '{"a": 1}', "[]", "\0", "true false"]
# Answers without an end, and those that are about a registry on the network.
ENDLESS = ("/events", "/images/create", "/images/search", "/distribution", "/build", "/session", "/grpc", "/auth")
NAMES = attrgetter("name")
ROUTES = [route for route in routes() if not route.pattern.startswith(ENDLESS)]


def ask(engine: Engine, method: str, path: str, body: bytes = b"", kind: str = "application/json") -> tuple[int, bytes]:
    connection = Connection(Address(engine.host))
    try:
        answer = connection.request(method, path, body=body, headers={"Content-Type": kind} if body else {})
        return answer.status, answer.read()
    finally:
        connection.close()


def refused(route: Route[Any, Any], said: tuple[int, bytes], given: object) -> None:
    status, body = said
    # 501: not there yet; 503: swarm, in Docker's words.
    assert status < 500 or status in (501, 503), f"{route.name} answers {status} to {given!r:.80}: {body[:300]!r}"
    if status >= 400 and route.method != "HEAD":
        assert json.loads(body)["message"], f"{route.name} gives no reason for {status}"


def filled(route: Route[Any, Any], name: str) -> str:
    parts = [name if part.startswith("{") else part for part in route.pattern.split("/")]
    return "/".join(parts)


@pytest.mark.parametrize("route", [route for route in ROUTES if "{" in route.pattern], ids=NAMES)
def test_a_hostile_name_is_no_name(engine: Engine, route: Route[Any, Any]) -> None:
    for name in HOSTILE_NAMES:
        refused(route, ask(engine, route.method, filled(route, quote(name, safe="%"))), name)


@pytest.mark.parametrize("route", [route for route in ROUTES if route.body], ids=NAMES)
def test_a_broken_body_is_refused(engine: Engine, route: Route[Any, Any]) -> None:
    for body in BROKEN_BODIES:
        status, said = ask(engine, route.method, filled(route, "nobody"), body)
        refused(route, (status, said), body)
        assert status >= 400, f"{route.name} accepts {body[:50]!r}"


@pytest.mark.parametrize("route", ROUTES, ids=NAMES)
def test_a_parameter_of_the_wrong_type_is_refused(engine: Engine, route: Route[Any, Any]) -> None:
    if "prune" in route.pattern and not msgspec.structs.fields(route.query):
        return
    for field in msgspec.structs.fields(route.query):
        for value in WRONG_VALUES:
            path = f"{filled(route, 'nobody')}?{field.encode_name}={quote(value)}"
            refused(route, ask(engine, route.method, path), (field.encode_name, value))


def test_each_field_of_create_refuses_another_type(engine: Engine) -> None:
    (create,) = [route for route in ROUTES if route.name == "POST /containers/create"]
    before = Client(Address(engine.host)).containers.list(all=True)
    for struct in (ContainerCreate, HostConfig):
        for field in msgspec.structs.fields(struct):
            values: tuple[Any, ...] = ({"a": [{}]}, [[1]], -(10**30), "\0")
            for value in values:
                wrong: dict[str, Any] = {field.encode_name: value}
                nested = wrong if struct is ContainerCreate else {"HostConfig": wrong}
                body = json.dumps({"Image": "nobody", **nested}).encode()
                said = ask(engine, "POST", "/containers/create", body)
                refused(create, said, (field.encode_name, value))
                assert said[0] >= 400
    assert Client(Address(engine.host)).containers.list(all=True) == before


def archive(*members: tuple[str, bytes, dict[str, Any]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, data, attributes in members:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            for key, value in attributes.items():
                setattr(member, key, value)
            tar.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


LINK = {"type": tarfile.SYMTYPE, "linkname": "/etc"}
MANIFEST = json.dumps([{"Config": "config.json", "RepoTags": ["evil:1"], "Layers": ["../../etc/passwd"]}]).encode()
BROKEN_ARCHIVES = {
    "empty": b"",
    "noise": b"\x99" * 4096,
    "cut": archive(("manifest.json", b"[]" * 600, {}))[:700],
    "no images": archive(("readme", b"hello", {})),
    "manifest of another type": archive(("manifest.json", b'{"a": 1}', {})),
    "a layer outside": archive(("manifest.json", MANIFEST, {}), ("config.json", b"{}", {})),
    "a link as manifest": archive(("manifest.json", b"", LINK)),
    "a wrong digest": archive(
        ("oci-layout", b'{"imageLayoutVersion": "1.0.0"}', {}),
        (
            "index.json",
            json.dumps(
                {
                    "schemaVersion": 2,
                    "manifests": [
                        {
                            "mediaType": "application/vnd.oci.image.manifest.v1+json",
                            "digest": "sha256:" + "0" * 64,
                            "size": 2,
                        }
                    ],
                }
            ).encode(),
            {},
        ),
        ("blobs/sha256/" + "0" * 64, b"{}", {}),
    ),
}


@pytest.mark.parametrize("name", BROKEN_ARCHIVES)
def test_a_broken_archive_is_not_loaded(engine: Engine, name: str) -> None:
    before = Client(Address(engine.host)).images.list()
    status, said = ask(engine, "POST", "/images/load", BROKEN_ARCHIVES[name], "application/x-tar")
    assert 400 <= status < 500 or b'"error' in said, f"{status}: {said!r}"
    assert Client(Address(engine.host)).images.list() == before


def test_a_truncated_image_is_not_loaded(engine: Engine) -> None:
    whole = engine.archive.read_bytes()
    before = Client(Address(engine.host)).images.list()
    for length in (600, len(whole) // 2, len(whole) - 20_000):
        status, said = ask(engine, "POST", "/images/load", whole[:length], "application/x-tar")
        assert 400 <= status < 500 or b'"error' in said, f"{length}: {status}: {said!r}"
    assert Client(Address(engine.host)).images.list() == before


@pytest.mark.parametrize(
    "name", ["../../../../tmp/corten-escaped", "/tmp/../../../tmp/corten-escaped", "way/corten-escaped"]
)
def test_an_archive_put_into_a_container_stays_there(engine: Engine, name: str) -> None:
    container = Client(Address(engine.host)).containers.run({"Image": IMAGE, "Cmd": ["sleep", "1000"]})
    out = {"type": tarfile.SYMTYPE, "linkname": "../../../../../../../../tmp"}
    path = f"/containers/{container.id}/archive?path=/srv"
    status, said = ask(engine, "PUT", path, archive(("way", b"", out), (name, b"x", {})), "application/x-tar")
    assert status < 500, said
    assert not Path("/tmp/corten-escaped").exists()
    status, said = ask(engine, "PUT", path, b"\x99" * 2000, "application/x-tar")
    assert 400 <= status < 500, said
    container.remove(force=True)
