"""Digests, platforms and documents: what exists is well formed, what has a digest keeps its bytes."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

import corten.model
from corten.model import mediatype
from corten.model.descriptor import Descriptor
from corten.model.digest import Digest
from corten.model.errors import InvalidArgument
from corten.model.image import ImageConfig, chain_ids, parse_config
from corten.model.manifest import Manifest, document_of, parse, parse_index, parse_manifest
from corten.model.mount import Mount
from corten.model.platform import Platform, choose

EMPTY = Digest("sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a")


def manifest_json(**changes: object) -> bytes:
    config = {"mediaType": mediatype.OCI_CONFIG, "digest": EMPTY, "size": 2}
    return json.dumps({"schemaVersion": 2, "config": config, "layers": [], **changes}).encode()


def test_the_package_lists_its_nouns() -> None:
    assert corten.model.__all__ == sorted(corten.model.__all__)


@given(st.binary(), st.sampled_from(["sha256", "sha512"]))
def test_a_digest_of_bytes_is_a_safe_file_name(data: bytes, algorithm: str) -> None:
    digest = Digest.of(data, algorithm)
    assert Digest(str(digest)) == digest
    assert digest.encoded.isalnum()
    assert digest.algorithm == algorithm


HOSTILE_DIGESTS = [
    "",
    "sha256:",
    "sha256:../../../../etc/passwd",
    "sha256:" + "A" * 64,
    "sha256:" + "a" * 63,
    "sha256:" + "a" * 65,
    "SHA256:" + "a" * 64,
    "../x:" + "a" * 64,
    "sha256:" + "a" * 63 + "\n",
    "sha256:" + "a" * 63 + "é",
    "md5:" + "a" * 32,
]


@pytest.mark.parametrize("text", HOSTILE_DIGESTS)
def test_no_other_text_becomes_a_digest(text: str) -> None:
    with pytest.raises(InvalidArgument):
        Digest(text)


def test_the_empty_config_has_its_registered_digest() -> None:
    assert Digest.of(b"{}") == EMPTY


PLATFORMS = [
    ("linux/amd64", "linux/amd64"),
    ("x86_64", "linux/amd64"),
    ("aarch64", "linux/arm64"),
    ("linux/arm64/v8", "linux/arm64"),
    ("linux/arm", "linux/arm/v7"),
    ("armhf", "linux/arm/v7"),
    ("armel", "linux/arm/v6"),
    ("linux/arm/6", "linux/arm/v6"),
    ("i386", "linux/386"),
    ("windows", "windows"),
]


@pytest.mark.parametrize(("text", "normal"), PLATFORMS)
def test_platform_names_fold_into_one_spelling(text: str, normal: str) -> None:
    assert str(Platform.parse(text)) == normal


@pytest.mark.parametrize("text", ["", "/", "linux/", "a/b/c/d", "linux/../x", "no-such-cpu"])
def test_a_malformed_platform_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument):
        Platform.parse(text)


def test_a_machine_chooses_the_best_variant_that_it_runs() -> None:
    names = ["windows/amd64", "linux/arm/v5", "linux/arm/v7", "linux/386", "linux/amd64"]
    offered = [Platform.parse(name) for name in names]

    def pick(machine: str) -> str:
        return str(choose(Platform.parse(machine), offered, lambda platform: platform))

    assert pick("linux/arm64") == "linux/arm/v7"
    assert pick("linux/arm/v6") == "linux/arm/v5"
    assert pick("linux/amd64") == "linux/amd64"
    assert choose(Platform.parse("linux/s390x"), offered, lambda p: p) is None


def test_a_document_keeps_the_bytes_that_came() -> None:
    raw = manifest_json(unknown={"kept": True})
    document = parse_manifest(raw)
    assert document.raw is raw
    assert document.descriptor() == Descriptor(mediatype.OCI_MANIFEST, Digest.of(raw), len(raw))


def test_a_new_document_is_serialised_the_same_way_twice() -> None:
    value = Manifest(Descriptor(mediatype.OCI_CONFIG, EMPTY, 2), [])
    document = document_of(value)
    assert document.raw == document_of(value).raw
    assert document.raw.startswith(b'{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json"')
    assert parse(document.raw) == document


REFUSED_MANIFESTS = [
    (b"[]", "object"),
    (b"{", "truncated"),
    (b'{"schemaVersion":1,"config":{},"layers":[]}', "schemaVersion is 1"),
    (manifest_json(manifests=[]), "both manifests and layers"),
    (manifest_json(layers=None), "Expected `array`"),
    (manifest_json(mediaType=mediatype.OCI_INDEX), ""),
    (manifest_json(mediaType="text/plain"), "unsupported manifest media type"),
    (manifest_json(layers=[{"mediaType": "x", "digest": "sha256:../..", "size": 1}]), "invalid digest"),
    (b"[" * 200_000, ""),
    (b"\xff\xfe", ""),
    (manifest_json(pad="x" * (9 << 20)), "at most"),
]


@pytest.mark.parametrize(("raw", "cause"), REFUSED_MANIFESTS, ids=range(len(REFUSED_MANIFESTS)))
def test_a_hostile_manifest_is_an_invalid_argument(raw: bytes, cause: str) -> None:
    with pytest.raises(InvalidArgument) as error:
        parse(raw)
    assert cause in str(error.value)


def test_a_wrong_type_names_its_place() -> None:
    with pytest.raises(InvalidArgument) as error:
        parse(manifest_json(layers=[{"mediaType": "x", "digest": EMPTY, "size": "1"}]))
    assert error.value.place == "/layers/0/size"


def test_an_announced_media_type_must_agree() -> None:
    with pytest.raises(InvalidArgument, match="announced"):
        parse(manifest_json(mediaType=mediatype.OCI_MANIFEST), mediatype.DOCKER_MANIFEST)
    with pytest.raises(InvalidArgument, match="found a manifest"):
        parse_index(manifest_json())


def test_a_config_reads_docker_extensions_and_tells_null_from_empty() -> None:
    raw = b"""{"os":"linux","architecture":"arm64","variant":"v8","os.version":"1","x":1,
      "config":{"Entrypoint":null,"Cmd":[],"Healthcheck":{"Test":["NONE"]},"ExposedPorts":{"80/tcp":{}}},
      "rootfs":{"type":"layers","diff_ids":["%s"]}}""" % EMPTY.encode()
    config = parse_config(raw).value
    assert (config.run.entrypoint, config.run.cmd) == (None, [])
    assert config.run.healthcheck is not None
    assert config.run.exposed_ports == {"80/tcp": {}}
    assert config.platform == Platform("arm64", "linux", os_version="1", variant="v8")
    assert config.diff_ids == [EMPTY]
    assert parse_config(b"{}").value == ImageConfig()


def test_a_chain_id_names_the_whole_stack() -> None:
    one, two = Digest.of(b"1"), Digest.of(b"2")
    assert chain_ids([one]) == [one]
    assert chain_ids([one, two])[1] == Digest.of(f"{one} {two}".encode())
    assert chain_ids([two, one])[1] != chain_ids([one, two])[1]


def test_a_mount_finds_its_options() -> None:
    mount = Mount("overlay", "overlay", ("ro", "lowerdir=a:b"))
    assert (mount.option("lowerdir"), mount.option("upperdir")) == ("a:b", None)
