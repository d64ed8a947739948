"""The registry client against a registry on loopback that behaves, breaks and lies."""

import json
import os
from collections.abc import Iterator

import pytest

from corten.model import mediatype
from corten.model.cancel import Cancel
from corten.model.descriptor import Descriptor
from corten.model.digest import Digest
from corten.model.errors import (
    Cancelled,
    DataLoss,
    InvalidArgument,
    NotFound,
    ResourceExhausted,
    Unauthenticated,
    Unavailable,
)
from corten.model.reference import Reference
from corten.remote import ANONYMOUS, Credentials, HostRules, Registries, Repository
from corten.remote.challenge import parse
from tests.fake_registry import FakeRegistry

MANIFEST = json.dumps({"schemaVersion": 2, "mediaType": mediatype.OCI_MANIFEST, "layers": []}).encode()
BLOB = os.urandom(300_000)


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    registry = FakeRegistry()
    yield registry
    registry.close()


@pytest.fixture
def guarded() -> Iterator[FakeRegistry]:
    registry = FakeRegistry(users={"me": "secret"})
    yield registry
    registry.close()


def repository(
    registry: FakeRegistry, credentials: Credentials = ANONYMOUS, cancel: Cancel | None = None
) -> Repository:
    reference = Reference.parse(f"{registry.address}/team/app:1")
    return Registries(patience=0.01).repository(reference, credentials, cancel)


def blob_of(data: bytes) -> Descriptor:
    return Descriptor(media_type=mediatype.OCI_LAYER_TAR, digest=Digest.of(data), size=len(data))


def read_all(repo: Repository, descriptor: Descriptor, offset: int = 0) -> bytes:
    with repo.blob(descriptor, offset) as stream:
        return b"".join(iter(lambda: stream.read(10_000), b""))


def test_a_manifest_comes_with_its_exact_bytes_and_their_digest(registry: FakeRegistry) -> None:
    digest = registry.add_manifest("team/app", "1", mediatype.OCI_MANIFEST, MANIFEST)
    fetched = repository(registry).manifest("1")
    assert (fetched.raw, fetched.digest, fetched.media_type) == (MANIFEST, digest, mediatype.OCI_MANIFEST)
    found = repository(registry).head("1")
    assert found
    assert (found.digest, found.size) == (digest, len(MANIFEST))
    assert repository(registry).head("2") is None


def test_a_manifest_that_is_not_what_its_digest_says_is_refused(registry: FakeRegistry) -> None:
    wanted = str(Digest.of(b"other"))
    registry.manifests["team/app", wanted] = (mediatype.OCI_MANIFEST, MANIFEST)
    with pytest.raises(DataLoss, match="bytes whose digest is"):
        repository(registry).manifest(wanted)


def test_what_is_absent_is_not_found_with_the_registrys_words(registry: FakeRegistry) -> None:
    with pytest.raises(NotFound, match="manifest unknown"):
        repository(registry).manifest("1")


def test_a_token_is_fetched_once_and_used_for_every_request(guarded: FakeRegistry) -> None:
    guarded.add_manifest("team/app", "1", mediatype.OCI_MANIFEST, MANIFEST)
    data = guarded.add_blob(BLOB)
    repo = repository(guarded, Credentials("me", "secret"))
    repo.manifest("1")
    assert repo.has_blob(Digest(data))
    assert read_all(repo, blob_of(BLOB)) == BLOB
    assert sum(path.startswith("/token") for _, path, _ in guarded.seen) == 1


@pytest.mark.parametrize("credentials", [ANONYMOUS, Credentials("me", "wrong")])
def test_wrong_credentials_are_unauthenticated_with_a_hint(guarded: FakeRegistry, credentials: Credentials) -> None:
    with pytest.raises(Unauthenticated) as caught:
        repository(guarded, credentials).manifest("1")
    assert "corten login" in caught.value.hint
    assert "wrong" not in str(caught.value)
    with pytest.raises(Unauthenticated):
        Registries().login(guarded.address, credentials)
    Registries().login(guarded.address, Credentials("me", "secret"))


def test_a_broken_transfer_goes_on_where_it_stopped(registry: FakeRegistry) -> None:
    registry.add_blob(BLOB)
    registry.break_at = [100_000, 250_000]
    assert read_all(repository(registry), blob_of(BLOB)) == BLOB
    assert read_all(repository(registry), blob_of(BLOB), offset=299_000) == BLOB[299_000:]


def test_a_registry_without_ranges_is_read_past_what_we_have(registry: FakeRegistry) -> None:
    registry.add_blob(BLOB)
    registry.ranges = False
    registry.break_at = [120_000]
    assert read_all(repository(registry), blob_of(BLOB)) == BLOB


def test_a_transfer_that_makes_no_progress_ends_with_what_to_do(registry: FakeRegistry) -> None:
    registry.add_blob(BLOB)
    registry.break_at = [0] * 20
    with pytest.raises(Unavailable) as caught:
        read_all(repository(registry), blob_of(BLOB))
    assert "goes on from there" in caught.value.hint


def test_a_blob_longer_than_promised_is_refused(registry: FakeRegistry) -> None:
    registry.add_blob(BLOB)
    with pytest.raises(DataLoss, match="longer than the 1000 bytes promised"):
        read_all(repository(registry), shorter(blob_of(BLOB)))


def shorter(descriptor: Descriptor) -> Descriptor:
    return Descriptor(media_type=descriptor.media_type, digest=descriptor.digest, size=1000)


def test_too_many_requests_are_waited_for_and_then_told(registry: FakeRegistry) -> None:
    registry.add_manifest("team/app", "1", mediatype.OCI_MANIFEST, MANIFEST)
    registry.busy = 2
    repo = repository(registry)
    registry.busy = 2
    assert repo.manifest("1").raw == MANIFEST
    registry.busy = 100
    with pytest.raises(ResourceExhausted, match="toomanyrequests"):
        repo.manifest("1")


def test_credentials_do_not_follow_a_redirect_to_another_host(guarded: FakeRegistry, registry: FakeRegistry) -> None:
    guarded.add_blob(BLOB)
    registry.add_blob(BLOB)
    guarded.redirect = f"http://{registry.address}/v2/cdn/blobs/{{digest}}"
    assert read_all(repository(guarded, Credentials("me", "secret")), blob_of(BLOB)) == BLOB
    assert registry.seen
    assert all(not authorization for _, _, authorization in registry.seen)


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/x"])
def test_a_redirect_off_http_is_refused(registry: FakeRegistry, target: str) -> None:
    registry.add_blob(BLOB)
    registry.redirect = target
    with pytest.raises(InvalidArgument, match="not http"):
        read_all(repository(registry), blob_of(BLOB))


def test_a_loop_of_redirects_ends(registry: FakeRegistry) -> None:
    registry.add_blob(BLOB)
    registry.redirect = "/v2/team/app/blobs/{digest}"
    with pytest.raises(InvalidArgument, match="more than 5 redirects"):
        read_all(repository(registry), blob_of(BLOB))


def test_an_image_is_pushed_blob_by_blob(guarded: FakeRegistry) -> None:
    repo = repository(guarded, Credentials("me", "secret"))
    digest = Digest.of(BLOB)
    assert not repo.has_blob(digest)
    repo.push_blob(digest, len(BLOB), lambda: iter([BLOB[:1000], BLOB[1000:]]))
    assert guarded.blobs[str(digest)] == BLOB
    assert repo.push_manifest("1", mediatype.OCI_MANIFEST, MANIFEST) == Digest.of(MANIFEST)
    assert guarded.manifests["team/app", "1"] == (mediatype.OCI_MANIFEST, MANIFEST)


def test_a_blob_of_a_neighbour_is_mounted_instead_of_sent(registry: FakeRegistry) -> None:
    digest = Digest(registry.add_blob(BLOB))
    source = Reference.parse(f"{registry.address}/other/base")
    assert repository(registry).mount_blob(digest, source) == ""
    session = repository(registry).mount_blob(Digest.of(b"new"), source)
    repository(registry).push_blob(Digest.of(b"new"), 3, lambda: [b"new"], upload=session)
    assert registry.blobs[str(Digest.of(b"new"))] == b"new"
    assert "state=a%2Fb&digest=sha256" in registry.seen[-1][1]


def test_tags_are_read_page_by_page(registry: FakeRegistry) -> None:
    for tag in ("a", "b", "c", "d", "e"):
        registry.add_manifest("team/app", tag, mediatype.OCI_MANIFEST, MANIFEST)
    assert list(repository(registry).tags()) == ["a", "b", "c", "d", "e"]


def test_a_mirror_is_asked_first_and_never_told_the_credentials(registry: FakeRegistry, guarded: FakeRegistry) -> None:
    registry.add_manifest("library/busybox", "latest", mediatype.OCI_MANIFEST, MANIFEST)
    rules = HostRules(mirrors=(f"http://{registry.address}",))
    repo = Registries(rules).repository(Reference.parse("busybox"), Credentials("me", "secret"))
    assert repo.manifest("latest").raw == MANIFEST
    assert all(not authorization for _, _, authorization in registry.seen)
    assert not guarded.seen


def test_a_registry_that_is_away_is_unavailable() -> None:
    gone = FakeRegistry()
    gone.close()
    with pytest.raises(Unavailable, match="Connection refused") as caught:
        repository(gone).manifest("1")
    assert caught.value.hint


def test_a_cancelled_pull_stops(registry: FakeRegistry) -> None:
    registry.add_blob(BLOB)
    cancel = Cancel()
    stream = repository(registry, cancel=cancel).blob(blob_of(BLOB))
    stream.read(10)
    cancel.set()
    registry.break_at = [0] * 9
    with pytest.raises(Cancelled):
        list(iter(lambda: stream.read(100_000), b""))


@pytest.mark.parametrize(
    ("address", "insecure"),
    [("127.0.0.1:5000", True), ("localhost", True), ("[::1]:5000", True), ("example.test", False), ("10.0.0.1", False)],
)
def test_only_loopback_may_speak_plain_http_by_default(address: str, insecure: bool) -> None:
    assert next(HostRules().hosts(address)).insecure is insecure
    assert next(HostRules(insecure=("10.0.0.0/8", "example.test")).hosts(address)).insecure or insecure


def test_challenges_are_read_with_quotes_and_commas() -> None:
    header = r'Bearer realm="https://a.test/t",service="x, \"y\"",scope="repository:a:pull,push", Basic realm=z'
    bearer, basic = parse(header)
    assert bearer.parameters == {"realm": "https://a.test/t", "service": 'x, "y"', "scope": "repository:a:pull,push"}
    assert (basic.scheme, basic.parameters) == ("basic", {"realm": "z"})
