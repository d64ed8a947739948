"""A repository keeps blobs, manifests, tags and referrers, byte by byte, and names things only when they are there."""

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corten.model.digest import Digest
from corten.model.errors import CortenError, FailedPrecondition, InvalidArgument
from corten.registry import LIMIT, Registry, Repository
from corten.registry.refusals import (
    BlobUnknown,
    DigestInvalid,
    ManifestBlobUnknown,
    ManifestInvalid,
    ManifestTooLong,
    ManifestUnknown,
    NameInvalid,
    OutOfOrder,
    RepositoryUnknown,
    SizeInvalid,
    TagInvalid,
    UploadUnknown,
)
from tests.registries import manifest_of

OCI = "application/vnd.oci.image.manifest.v1+json"


@pytest.fixture
def registry(scratch: Path) -> Iterator[Registry]:
    made = Registry.open(scratch / "registry", durable=False)
    yield made
    made.close()


@pytest.fixture
def app(registry: Registry) -> Repository:
    return registry.repository("team/app")


def push(repository: Repository, data: bytes, algorithm: str = "sha256") -> Digest:
    upload = repository.begin_upload()
    upload.append(io.BytesIO(data))
    digest = Digest.of(data, algorithm)
    upload.finish(digest)
    repository.end_upload(upload)
    return digest


def image(repository: Repository, *tags: str, mark: str = "") -> Digest:
    config, layer = push(repository, b"{}"), push(repository, b"layer" + mark.encode())
    return repository.put_manifest(tags[0], OCI, manifest_of(config, {layer: 5 + len(mark)}), tags[1:]).digest


@pytest.mark.parametrize(
    "name", ["", "A", "a//b", "../etc", "a/../b", "_blobs", "a/_tags", ".a", "a.", "a" * 256, "a\n"]
)
def test_a_hostile_repository_name_is_refused(registry: Registry, name: str) -> None:
    with pytest.raises(NameInvalid):
        registry.repository(name)


@settings(deadline=None, max_examples=50)
@given(name=st.text(max_size=40), tag=st.text(max_size=40))
def test_no_text_makes_a_path_that_leaves_the_root(name: str, tag: str) -> None:
    from corten.registry import names

    for check, text in ((names.name, name), (names.tag, tag), (names.digest, tag)):
        try:
            safe = check(text)
        except InvalidArgument:
            continue
        assert ".." not in safe.split("/")
        assert not safe.startswith("/")
        assert "\0" not in safe


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_a_blob_is_there_under_the_digest_it_was_promised_by(app: Repository, algorithm: str) -> None:
    digest = push(app, b"some bytes", algorithm)
    with app.open_blob(digest) as blob:
        assert blob.read_at(0, 100) == b"some bytes"


def test_a_blob_shows_in_no_repository_it_was_not_pushed_or_mounted_to(registry: Registry, app: Repository) -> None:
    digest, other = push(app, b"x"), registry.repository("other")
    with pytest.raises(BlobUnknown):
        other.open_blob(digest)
    assert not other.mount_blob(digest, registry.repository("third"))
    assert other.mount_blob(digest, app)
    assert other.has_blob(digest)
    app.delete_blob(digest)
    assert other.has_blob(digest)
    with pytest.raises(BlobUnknown):
        app.delete_blob(digest)


def test_an_upload_with_another_digest_than_promised_leaves_nothing(app: Repository) -> None:
    upload = app.begin_upload()
    upload.append(io.BytesIO(b"one"))
    with pytest.raises(DigestInvalid):
        upload.finish(Digest.of(b"two"))
    app.end_upload(upload)
    assert not app.has_blob(Digest.of(b"one"))
    with pytest.raises(UploadUnknown):
        app.upload(upload.id)


def test_chunks_come_in_order_and_as_long_as_they_say(app: Repository) -> None:
    upload = app.begin_upload()
    upload.append(io.BytesIO(b"abc"), 0, 3)
    with pytest.raises(OutOfOrder) as caught:
        upload.append(io.BytesIO(b"x"), 2, 1)
    assert caught.value.offset == 3
    with pytest.raises(SizeInvalid):
        upload.append(io.BytesIO(b"de"), 3, 5)
    assert upload.offset == 5  # what came is kept: the sender asks where to go on
    upload.finish(Digest.of(b"abcde"))
    assert app.has_blob(Digest.of(b"abcde"))


def test_an_upload_goes_on_in_another_process(scratch: Path) -> None:
    first = Registry.open(scratch / "registry")
    upload = first.repository("a").begin_upload()
    upload.append(io.BytesIO(b"hello "))
    first.close()
    second = Registry.open(scratch / "registry")
    resumed = second.repository("a").upload(upload.id)
    assert resumed.offset == 6
    resumed.append(io.BytesIO(b"world"))
    resumed.finish(Digest.of(b"hello world"))
    assert second.repository("a").has_blob(Digest.of(b"hello world"))
    second.close()


@pytest.mark.parametrize("id", ["x", "../../lock", "0" * 36, "-" * 36])
def test_an_upload_nobody_began_is_unknown(app: Repository, id: str) -> None:
    with pytest.raises(UploadUnknown):
        app.upload(id)


def test_a_manifest_goes_out_as_it_came_in(app: Repository) -> None:
    config = push(app, b"{}")
    raw = b' {"schemaVersion": 2,\n "config": {"mediaType":"a/b","digest":"%s","size":2}, "layers":[], "x": 1}' % (
        config.encode()
    )
    accepted = app.put_manifest("v1", OCI + "; charset=utf-8", raw, ("v2",))
    for reference in ("v1", "v2", str(accepted.digest)):
        assert app.manifest(reference).raw == raw
        assert app.manifest(reference).media_type == OCI
    assert app.tags() == ["v1", "v2"]


def test_a_tag_moves_and_the_older_manifest_stays(app: Repository) -> None:
    first, second = image(app, "latest", mark="1"), image(app, "latest", mark="2")
    assert app.manifest("latest").digest == second
    assert app.manifest(str(first)).digest == first


def test_a_manifest_under_a_digest_must_have_it(app: Repository) -> None:
    raw = manifest_of(push(app, b"{}"), {})
    accepted = app.put_manifest(str(Digest.of(raw, "sha512")), OCI, raw)
    assert app.manifest(str(accepted.digest)).raw == raw
    with pytest.raises(DigestInvalid):
        app.put_manifest(str(Digest.of(b"other")), OCI, raw)


def test_a_manifest_comes_after_what_it_names(registry: Registry, app: Repository) -> None:
    absent = Digest.of(b"absent")
    with pytest.raises(ManifestBlobUnknown):
        app.put_manifest("v1", OCI, manifest_of(push(app, b"{}"), {absent: 6}))
    elsewhere = push(registry.repository("other"), b"elsewhere")
    with pytest.raises(ManifestBlobUnknown):
        app.put_manifest("v1", OCI, manifest_of(push(app, b"{}"), {elsewhere: 9}))
    index = b'{"schemaVersion":2,"manifests":[{"mediaType":"%s","digest":"%s","size":6}]}' % (
        OCI.encode(),
        absent.encode(),
    )
    with pytest.raises(ManifestBlobUnknown):
        app.put_manifest("v1", "application/vnd.oci.image.index.v1+json", index)
    assert app.tags() == []


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (b"", OCI),
        (b"[]", OCI),
        (b"{" * 100_000, OCI),
        (b'{"schemaVersion":1}', OCI),
        (b'{"schemaVersion":2,"config":{},"layers":[],"manifests":[]}', OCI),
        (manifest_of(Digest.of(b""), {}), "application/vnd.oci.image.index.v1+json"),
        (manifest_of(Digest.of(b""), {}).replace(b"sha256:", b"sha256:../"), OCI),
    ],
)
def test_what_is_no_manifest_is_refused(app: Repository, raw: bytes, kind: str) -> None:
    with pytest.raises(ManifestInvalid):
        app.put_manifest("v1", kind, raw)


def test_a_manifest_has_its_limit(app: Repository) -> None:
    raw = manifest_of(push(app, b"{}"), {}, annotations={"long": ""})
    room = LIMIT - len(raw)
    app.put_manifest("fits", OCI, raw.replace(b'"long":""', b'"long":"%s"' % (b"x" * room)))
    with pytest.raises(ManifestTooLong):
        app.put_manifest("not", OCI, raw.replace(b'"long":""', b'"long":"%s"' % (b"x" * (room + 1))))


@pytest.mark.parametrize("tag", ["", ".a", "-a", "a/b", "../a", "a" * 129, "a b"])
def test_a_hostile_tag_is_refused(app: Repository, tag: str) -> None:
    raw = manifest_of(push(app, b"{}"), {})
    with pytest.raises(TagInvalid):
        app.put_manifest(tag, OCI, raw)
    with pytest.raises(TagInvalid):
        app.put_manifest(str(Digest.of(raw)), OCI, raw, (tag,))
    assert app.tags() == []


def test_deleting_by_tag_takes_the_tag_and_by_digest_the_manifest_with_its_tags(app: Repository) -> None:
    digest = image(app, "a", "b")
    other = image(app, "c", mark="other")
    app.delete_manifest("a")
    assert app.manifest(str(digest))
    app.delete_manifest(str(digest))
    assert app.tags() == ["c"]
    for reference in ("a", "b", str(digest)):
        with pytest.raises(ManifestUnknown):
            app.delete_manifest(reference)
    assert app.manifest("c").digest == other


def test_referrers_are_listed_before_their_subject_comes_and_until_they_go(app: Repository) -> None:
    subject = Digest.of(b"not pushed yet")
    assert list(app.referrers(subject)) == []
    raw = manifest_of(push(app, b"{}"), {}, subject, artifactType="application/x.sbom", annotations={"a": "b"})
    accepted = app.put_manifest(str(Digest.of(raw)), OCI, raw)
    assert accepted.subject == subject
    [text] = app.referrers(subject)
    assert '"artifactType":"application/x.sbom"' in text
    assert '"annotations":{"a":"b"}' in text
    app.delete_manifest(str(accepted.digest))
    assert list(app.referrers(subject)) == []


def test_a_repository_nobody_pushed_to_has_no_tags(registry: Registry) -> None:
    with pytest.raises(RepositoryUnknown):
        registry.repository("nobody").tags()


def test_collection_frees_what_nothing_names_and_nothing_else(registry: Registry, app: Repository) -> None:
    kept = image(app, "kept", mark="kept")
    gone = image(app, "gone", mark="gone")
    loose = push(registry.repository("loose"), b"loose")
    stopped = app.begin_upload()
    stopped.append(io.BytesIO(b"half"))
    assert registry.collect() == 0  # all of it is young
    app.delete_manifest(str(gone))
    assert registry.collect(grace=-10) > 0
    assert not registry.repository("loose").has_blob(loose)
    assert not app.has_blob(Digest.of(b"layergone"))
    assert app.has_blob(Digest.of(b"layerkept"))
    assert app.has_blob(Digest.of(b"{}"))
    assert app.manifest("kept").digest == kept
    assert app.upload(stopped.id).offset == 4  # silent for less than a second
    assert registry.collect(grace=-10) == 0


def test_an_upload_that_nobody_goes_on_with_expires(registry: Registry, app: Repository) -> None:
    import os

    upload = app.begin_upload()
    upload.append(io.BytesIO(b"half"))
    os.utime(upload.marker, (0, 0))
    registry.collect()
    with pytest.raises(UploadUnknown):
        app.upload(upload.id)
    assert not list((registry.root / "content/ingest").iterdir())


def test_one_process_writes_a_root(registry: Registry) -> None:
    with pytest.raises(FailedPrecondition):
        Registry.open(registry.root)


def test_a_damaged_blob_is_not_served_as_a_manifest(registry: Registry, app: Repository) -> None:
    digest = image(app, "v1")
    path = registry.root / "content/blobs/sha256" / digest.encoded
    path.chmod(0o600)
    path.write_bytes(b"{}")
    with pytest.raises(CortenError, match="damaged"):
        app.manifest("v1")


def test_the_catalog_names_repositories_that_hold_a_manifest(registry: Registry) -> None:
    for name in ("b", "a/b/c", "a"):
        image(registry.repository(name), "latest")
    push(registry.repository("only/blobs"), b"x")
    assert registry.catalog() == ["a", "a/b/c", "b"]
