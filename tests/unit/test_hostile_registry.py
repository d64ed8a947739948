"""Registries that lie, stall and lure: each gets an error of ours, none our credentials, our files or our patience."""

import json
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from corten.images.pull import resolve
from corten.model import mediatype
from corten.model.digest import Digest
from corten.model.errors import (
    CortenError,
    DataLoss,
    InvalidArgument,
    ResourceExhausted,
    Unauthenticated,
    Unavailable,
)
from corten.model.platform import Platform
from corten.model.reference import Reference
from corten.remote import Credentials, HostRules, Registries
from corten.remote.challenge import Challenge
from corten.remote.tokens import Tokens
from corten.remote.transport import Origin, Transport
from tests.fake_registry import FakeRegistry, RegistryHandler
from tests.unit.test_remote import BLOB, MANIFEST, blob_of, guarded, read_all, registry, repository

__all__ = ["guarded", "registry"]

ME = Credentials("me", "secret")
DEEP = b"[" * 100_000
DOCUMENT = {"schemaVersion": 2, "mediaType": mediatype.OCI_MANIFEST, "layers": []}


def answering(body: bytes, status: int = 200, **headers: str) -> Callable[[RegistryHandler], bool]:
    def hook(handler: RegistryHandler) -> bool:
        handler.body()
        handler.answer(status, body, **headers)
        return True

    return hook


# where credentials go


def test_a_host_we_were_redirected_to_cannot_ask_for_our_credentials(
    guarded: FakeRegistry, registry: FakeRegistry
) -> None:
    guarded.add_blob(BLOB)
    registry.users = {"me": "secret"}  # it answers 401 and names a token server of its own
    guarded.redirect = f"http://{registry.address}/v2/cdn/blobs/{{digest}}"
    with pytest.raises(Unauthenticated):
        read_all(repository(guarded, ME), blob_of(BLOB))
    assert registry.seen
    assert not any(authorization or path.startswith("/token") for _, path, authorization in registry.seen)


@pytest.mark.parametrize("realm", ["http://auth.test/token", "file:///etc/passwd", "javascript:x", "//auth.test/x"])
def test_credentials_of_a_tls_registry_never_go_out_in_the_clear(realm: str) -> None:
    challenge = Challenge("bearer", {"realm": realm})
    with pytest.raises(Unauthenticated):
        Tokens(Transport(), ME).answer([challenge], "", Origin("https", "registry.test"))


def test_an_upload_that_is_led_elsewhere_takes_no_credentials_along(
    guarded: FakeRegistry, registry: FakeRegistry
) -> None:
    repo = repository(guarded, ME)
    assert not repo.has_blob(Digest.of(BLOB))

    def lure(handler: RegistryHandler) -> bool:
        if handler.command != "POST":
            return False
        handler.body()
        handler.answer(202, Location=f"http://{registry.address}/v2/x/blobs/uploads/1")
        return True

    guarded.hook = lure
    repo.push_blob(Digest.of(BLOB), len(BLOB), lambda: [BLOB])
    assert [authorization for _, _, authorization in registry.seen] == [""]


@pytest.mark.parametrize("target", ["file:///etc/passwd", "gopher://127.0.0.1/", "http:///nowhere", "http://[::1"])
def test_an_upload_cannot_be_led_off_http(registry: FakeRegistry, target: str) -> None:
    registry.hook = answering(b"", 202, Location=target)
    with pytest.raises(InvalidArgument, match="go on at"):
        repository(registry).push_blob(Digest.of(BLOB), len(BLOB), lambda: [BLOB])


def test_a_tls_registry_that_writes_http_for_itself_is_asked_by_tls_and_others_are_not_asked() -> None:
    origin = Origin("https", "registry.test:444")
    assert Transport()._kept_secure(origin, "http://registry.test:444/v2/up") == "https://registry.test:444/v2/up"
    with pytest.raises(InvalidArgument, match="leads off TLS"):
        Transport()._kept_secure(origin, "http://other.test/v2/up")


@pytest.mark.parametrize(
    "target", ["http://me:pw@127.0.0.1:1/x", "http://127.0.0.1:99999/x", "http://127.0.0.1:x/y", "http://[::1/x"]
)
def test_a_redirect_to_no_address_is_refused(registry: FakeRegistry, target: str) -> None:
    registry.add_blob(BLOB)
    registry.redirect = target
    with pytest.raises((InvalidArgument, Unavailable)):
        read_all(repository(registry), blob_of(BLOB))


# what is sent


def ranged(status: int, header: str, data: bytes) -> Callable[[RegistryHandler], bool]:
    """Answers every Range with this."""

    def hook(handler: RegistryHandler) -> bool:
        if not handler.headers.get("Range"):
            return False
        handler.answer(status, data, **({"Content_Range": header} if header else {}))
        return True

    return hook


@pytest.mark.parametrize(
    ("status", "header"), [(206, "bytes 5-9/10"), (206, ""), (206, "bytes x"), (206, "items 0-1"), (416, "bytes */10")]
)
def test_a_wrong_part_is_not_taken_and_the_whole_is_read_past_what_we_have(
    registry: FakeRegistry, status: int, header: str
) -> None:
    registry.add_blob(BLOB)
    registry.break_at = [100_000]
    registry.hook = ranged(status, header, b"junk!")
    assert read_all(repository(registry), blob_of(BLOB)) == BLOB


def test_a_part_that_nobody_asked_for_is_refused(registry: FakeRegistry) -> None:
    registry.hook = answering(BLOB[10:], 206, Content_Range=f"bytes 10-{len(BLOB) - 1}/{len(BLOB)}")
    with pytest.raises(DataLoss, match="nobody asked for"):
        read_all(repository(registry), blob_of(BLOB))


def test_trouble_of_the_server_is_waited_out_and_a_refusal_is_not(registry: FakeRegistry) -> None:
    registry.add_manifest("team/app", "1", mediatype.OCI_MANIFEST, MANIFEST)
    repo = repository(registry)
    repo.manifest("1")
    codes = iter([500, 503, 502])

    def trouble(handler: RegistryHandler) -> bool:
        code = next(codes, 0)
        if code:
            handler.problem(code, "UNKNOWN")
        return bool(code)

    registry.hook = trouble
    assert repo.manifest("1").raw == MANIFEST
    registry.hook, registry.seen = answering(b"", 500), []
    with pytest.raises(Unavailable):
        repo.manifest("1")
    assert len(registry.seen) == 4
    registry.hook, registry.seen = answering(b"", 418), []
    with pytest.raises(InvalidArgument):
        repo.manifest("1")
    assert len(registry.seen) == 1


@pytest.mark.parametrize("words", ["0", "Mon, 23 Nov 2015 10:00:00 GMT", "²", "-5", "soon", ""])
def test_retry_after_is_seconds_or_a_date_and_nonsense_is_not_waited_for(registry: FakeRegistry, words: str) -> None:
    repo = repository(registry)
    repo.head("1")
    registry.hook = answering(b"", 429, Retry_After=words)
    began = time.monotonic()
    with pytest.raises(ResourceExhausted):
        repo.manifest("1")
    assert time.monotonic() - began < 5


def test_the_words_of_a_registry_reach_no_terminal_as_commands_and_are_bounded(registry: FakeRegistry) -> None:
    one = {"code": "X\x1b[2J", "message": "\x1b]0;owned\x07" + "long " * 1000}
    registry.hook = answering(json.dumps({"errors": [one] * 500}).encode(), 404)
    with pytest.raises(CortenError) as caught:
        repository(registry).manifest("1")
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 2000


@pytest.mark.parametrize("body", [DEEP, b"\xff", b"7", b'{"errors": 7}', b'{"errors": [[]]}', b'{"tags": [1]}', b""])
def test_answers_that_are_no_documents_are_told_as_such(registry: FakeRegistry, body: bytes) -> None:
    repo = repository(registry)
    registry.hook = answering(body, 400)
    with pytest.raises(InvalidArgument):
        repo.manifest("1")
    registry.hook = answering(body)
    with pytest.raises(DataLoss, match="not a list of tags"):
        list(repo.tags())
    with pytest.raises(Unavailable, match="not a list of results"):
        Registries().search(f"{registry.address}/x", 5, ME)
    assert repo.head("1") is None


@pytest.mark.parametrize(
    "body", [DEEP, b"{}", b"[]", b'{"token": 7}', b'{"token": "a\\nb"}', '{"token": "ü"}'.encode()]
)
def test_a_token_that_is_none_is_no_token(guarded: FakeRegistry, body: bytes) -> None:
    def hook(handler: RegistryHandler) -> bool:
        return handler.path.startswith("/token") and answering(body)(handler)

    guarded.hook = hook
    with pytest.raises(Unauthenticated, match="holds none"):
        repository(guarded, ME).manifest("1")


def test_pages_of_tags_end(registry: FakeRegistry) -> None:
    registry.hook = answering(b'{"tags": ["a"]}', Link='</v2/team/app/tags/list?last=a>; rel="next"')
    with pytest.raises(InvalidArgument, match="pages"):
        list(repository(registry).tags())


def test_a_length_that_is_none_is_not_believed(registry: FakeRegistry) -> None:
    def hook(handler: RegistryHandler) -> bool:
        handler.send_response(200)
        handler.send_header("Docker-Content-Digest", str(Digest.of(b"x")))
        handler.send_header("Content-Length", "many")
        handler.end_headers()
        handler.close_connection = True
        return True

    registry.hook = hook
    found = repository(registry).head("1")
    assert found is not None
    assert found.size == 0


def test_a_mirror_that_lies_about_a_digest_is_passed_over(registry: FakeRegistry) -> None:
    mirror = FakeRegistry()
    try:
        digest = registry.add_manifest("library/busybox", "latest", mediatype.OCI_MANIFEST, MANIFEST)
        mirror.manifests["library/busybox", digest] = (mediatype.OCI_MANIFEST, b"{}")
        rules = HostRules(mirrors=(f"http://{mirror.address}", f"http://{registry.address}"))
        repo = Registries(rules, patience=0.01).repository(Reference.parse("busybox"))
        assert repo.manifest(digest).raw == MANIFEST
        assert mirror.seen
    finally:
        mirror.close()


# how long it takes


def dripping(before: bytes, drop: bytes, stop: threading.Event) -> Callable[[RegistryHandler], bool]:
    """Sends `before`, then a drop at a time without an end."""

    def hook(handler: RegistryHandler) -> bool:
        handler.close_connection = True
        try:
            handler.wfile.write(before)
            while not stop.wait(0.02):
                handler.wfile.write(drop)
        except OSError:
            pass
        return True

    return hook


@pytest.fixture
def stop() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


@pytest.mark.parametrize(
    ("before", "drop"),
    [
        (b"HTTP/1.1 200 OK\r\nX: ", b"a"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", b" "),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    ],
    ids=["head", "continue", "body", "chunks"],
)
def test_a_server_that_drips_is_left(
    registry: FakeRegistry, stop: threading.Event, monkeypatch: pytest.MonkeyPatch, before: bytes, drop: bytes
) -> None:
    repo = repository(registry)
    repo.head("1")
    monkeypatch.setattr("corten.remote.head.HEAD", 0.2)
    monkeypatch.setattr("corten.remote.transport.PATIENCE", 0.2)
    registry.hook = dripping(before, drop, stop)
    began = time.monotonic()
    with pytest.raises(Unavailable):
        repo.manifest("1")
    assert time.monotonic() - began < 10


def test_a_document_without_an_end_is_cut_off(registry: FakeRegistry) -> None:
    def hook(handler: RegistryHandler) -> bool:
        handler.close_connection = True
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
        try:
            while True:
                handler.wfile.write(b" " * 65536)
        except OSError:
            return True

    registry.hook = hook
    with pytest.raises(InvalidArgument, match="larger than"):
        repository(registry).manifest("1")


# what a manifest says

DESCRIPTOR = {"mediaType": mediatype.OCI_LAYER_GZIP, "digest": str(Digest.of(b"x")), "size": 1}
CONFIG = {"mediaType": mediatype.OCI_CONFIG, "digest": str(Digest.of(b"y")), "size": 1}


@pytest.mark.parametrize(
    "document",
    [
        {**DOCUMENT, "config": CONFIG, "manifests": []},
        {**DOCUMENT, "config": CONFIG, "mediaType": mediatype.OCI_INDEX},
        {**DOCUMENT, "config": {**CONFIG, "size": -1}},
        {**DOCUMENT, "config": {**CONFIG, "size": 1 << 80}},
        {**DOCUMENT, "config": {**CONFIG, "digest": "sha256:../../etc/passwd"}},
        {**DOCUMENT, "config": {**CONFIG, "digest": "md5:d41d8cd98f00b204e9800998ecf8427e"}},
        {**DOCUMENT, "config": CONFIG, "layers": [{**DESCRIPTOR, "size": "1"}]},
        {**DOCUMENT, "config": CONFIG, "layers": {}},
        {**DOCUMENT, "config": {**CONFIG, "mediaType": "application/vnd.example"}},
        {**DOCUMENT, "schemaVersion": 1, "config": CONFIG},
        {**DOCUMENT},
        [],
        7,
    ],
)
def test_a_manifest_that_is_two_things_or_none_is_refused(registry: FakeRegistry, document: object) -> None:
    registry.add_manifest("team/app", "1", mediatype.OCI_MANIFEST, json.dumps(document).encode())
    with pytest.raises(InvalidArgument):
        resolve(repository(registry), "1", Platform.parse("linux/amd64"))


@pytest.mark.parametrize("raw", [DEEP, b'{"x":' * 50_000, b"\0", b"", b"{", b'{"schemaVersion":2,"x":' + DEEP])
def test_a_manifest_that_is_no_document_is_refused(registry: FakeRegistry, raw: bytes) -> None:
    registry.add_manifest("team/app", "1", mediatype.OCI_MANIFEST, raw)
    with pytest.raises(InvalidArgument):
        resolve(repository(registry), "1", Platform.parse("linux/amd64"))


def test_an_index_that_holds_itself_ends(registry: FakeRegistry) -> None:
    platform = {"os": "linux", "architecture": "amd64"}
    inner = {"mediaType": mediatype.OCI_INDEX, "platform": platform}
    raw = json.dumps({"schemaVersion": 2, "mediaType": mediatype.OCI_INDEX, "manifests": []}).encode()
    for _ in range(8):
        member = {**inner, "digest": str(Digest.of(raw)), "size": len(raw)}
        registry.add_manifest("team/app", "1", mediatype.OCI_INDEX, raw)
        raw = json.dumps({"schemaVersion": 2, "mediaType": mediatype.OCI_INDEX, "manifests": [member]}).encode()
    with pytest.raises(InvalidArgument, match="nested"):
        resolve(repository(registry), "1", Platform.parse("linux/amd64"))
