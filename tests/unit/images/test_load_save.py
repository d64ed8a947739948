"""What is loaded is whole or not there; what is saved has the digests it came with."""

import bz2
import gzip
import io
import json
import lzma
import os
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from corten.model.digest import Digest
from corten.model.errors import CortenError, InvalidArgument, NotFound, Unimplemented
from tests.image_rig import Rig
from tests.images import Layer, config, docker_archive

pytestmark = pytest.mark.root


@pytest.fixture
def rig(scratch: Path) -> Iterator[Rig]:
    made = Rig(scratch / "engine")
    yield made
    made.close()


BASE = Layer().directory("etc").file("etc/hostname", b"base\n").file("gone", b"").close()
TOP = Layer().directory("etc").file("etc/added", b"top").file(".wh.gone", b"").close()
NAMES = ["app:1", "registry.local:5000/team/app:2"]


def archive(layers: list[bytes] | None = None, names: list[str] | None = None, **run: Any) -> bytes:
    chosen = [BASE, TOP] if layers is None else layers
    return docker_archive([(config(chosen, **run), chosen, NAMES if names is None else names)])


def files(data: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar if member.isfile()}  # type: ignore[union-attr]


def packed(contents: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, data in contents.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def test_a_docker_archive_becomes_a_named_image_with_a_filesystem(rig: Rig) -> None:
    loaded = rig.load(archive(Cmd=["sh"]))
    assert [(event.name.familiar if event.name else None) for event in loaded] == NAMES
    image = rig.images.get("app:1")
    assert image.id == Digest.of(config([BASE, TOP], Cmd=["sh"]))
    assert image.tags == sorted(NAMES)
    assert image.size == len(b"base\ntop")
    assert image.config.run.cmd == ["sh"]
    top = rig.images.unpack(image)
    assert top == image.chain[-1]
    changes = rig.snapshots.changes(top)
    assert (changes.path / "etc/added").read_text() == "top"
    assert (changes.lowers[0] / "etc/hostname").read_text() == "base\n"
    assert (changes.path / "gone").is_char_device()


def test_saving_is_deterministic_and_loads_back_with_the_same_digests(rig: Rig, scratch: Path) -> None:
    rig.load(archive())
    saved = rig.save(*NAMES)
    assert saved == rig.save(*NAMES)
    other = Rig(scratch / "other")
    other.load(saved)
    for name in NAMES:
        mine, theirs = rig.images.get(name), other.images.get(name)
        assert (mine.id, mine.manifest, mine.chain) == (theirs.id, theirs.manifest, theirs.chain)
        assert mine.names == theirs.names
    assert other.save(*NAMES) == saved
    other.close()


def test_a_saved_archive_is_a_layout_and_a_docker_archive(rig: Rig) -> None:
    rig.load(archive())
    found = files(rig.save("app:1"))
    assert json.loads(found["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}
    [descriptor] = json.loads(found["index.json"])["manifests"]
    assert descriptor["annotations"]["io.containerd.image.name"] == "docker.io/library/app:1"
    [item] = json.loads(found["manifest.json"])
    assert item["RepoTags"] == ["app:1"]
    assert all(path in found for path in (item["Config"], *item["Layers"]))
    for path, data in found.items():
        if path.startswith("blobs/"):
            assert path == "blobs/sha256/" + Digest.of(data).encoded


def test_a_repository_is_saved_with_all_its_tags_and_an_id_with_none(rig: Rig) -> None:
    rig.load(archive(names=["app:1", "app:2"]))
    by_name = json.loads(files(rig.save("app"))["manifest.json"])
    by_id = json.loads(files(rig.save(rig.images.get("app:1").id.short))["manifest.json"])
    assert (by_name[0]["RepoTags"], by_id[0]["RepoTags"]) == (["app:1", "app:2"], None)


COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "bzip2": bz2.compress, "xz": lzma.compress}


@pytest.mark.parametrize("compressor", sorted(COMPRESSORS))
def test_archives_and_layers_may_be_compressed(rig: Rig, compressor: str) -> None:
    compress = COMPRESSORS[compressor]
    contents = files(archive())
    inside = {name: compress(data) if name.endswith(".tar") else data for name, data in contents.items()}
    rig.load(compress(packed(inside)))
    assert rig.images.get("app:1").chain == [info.key for info in rig.snapshots.walk()][::-1]


def test_the_manifest_may_come_first_or_last_and_files_may_be_links(rig: Rig) -> None:
    contents = files(archive())
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, data in reversed(contents.items()):
            real = f"real/{name.replace('/', '_')}" if name.endswith(".tar") else name
            info = tarfile.TarInfo(real)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
            if real != name:
                link = tarfile.TarInfo(name)
                link.type, link.linkname = tarfile.SYMTYPE, f"../{real}"
                tar.addfile(link)
    rig.load(buffer.getvalue())
    assert rig.images.get("app:1").tags == sorted(NAMES)


def test_what_the_archive_has_beside_its_images_is_not_kept(rig: Rig) -> None:
    contents = {**files(archive()), "notes.txt": b"hello", "old/VERSION": b"1.0"}
    rig.load(packed(contents))
    image = rig.images.get("app:1")
    wanted = {image.id, image.manifest.digest, *(layer.digest for layer in image.manifest.value.layers)}
    assert rig.everything() == (sorted(wanted), sorted(image.chain), 0)


def test_loading_again_changes_nothing(rig: Rig) -> None:
    rig.load(archive())
    before = rig.everything()
    rig.load(archive())
    rig.load(rig.save("app:1"))
    assert rig.everything() == before


def test_everything_is_there_after_a_restart(rig: Rig) -> None:
    rig.load(archive())
    again = Rig(rig.content.root.parent)
    assert again.everything() == rig.everything()
    assert again.images.get("app:1") == rig.images.get("app:1")
    again.close()


def without(name: str) -> bytes:
    return packed({path: data for path, data in files(archive()).items() if not path.endswith(name)})


def changed(name: str, data: bytes) -> bytes:
    return packed({path: data if path.endswith(name) else old for path, old in files(archive()).items()})


EVIL = Layer().symlink("x", "/").file("../../evil", b"").close()

REFUSED: dict[str, tuple[bytes, type[CortenError]]] = {
    "empty": (b"", InvalidArgument),
    "noise": (os.urandom(2048), InvalidArgument),
    "no manifest": (without("manifest.json"), InvalidArgument),
    "no config": (packed({"manifest.json": files(archive())["manifest.json"]}), NotFound),
    "no layer": (without("layer.tar"), NotFound),
    "cut short": (archive()[:9000], InvalidArgument),
    "cut gzip": (gzip.compress(archive())[:-9], InvalidArgument),
    "manifest is no list": (changed("manifest.json", b"{}"), InvalidArgument),
    "manifest is no json": (changed("manifest.json", b"["), InvalidArgument),
    "manifest points outside": (
        changed("manifest.json", b'[{"Config":"../../etc/passwd","Layers":[]}]'),
        NotFound,
    ),
    "wrong name": (archive(names=["BAD NAME"]), InvalidArgument),
    "layer is another": (changed("layer.tar", BASE + b"x" * 512), InvalidArgument),
    "layer escapes": (archive([EVIL]), InvalidArgument),
    "before docker 1.10": (packed({"repositories": b"{}", "a/json": b"{}"}), Unimplemented),
    "blob is not its name": (
        packed({"index.json": b"{}", "oci-layout": b"{}", f"blobs/sha256/{'0' * 64}": b"x"}),
        InvalidArgument,
    ),
    "blob name is a path": (packed({"oci-layout": b"{}", "blobs/sha256/..": b"x"}), InvalidArgument),
}


@pytest.mark.parametrize("case", sorted(REFUSED))
def test_a_bad_archive_leaves_nothing_behind(rig: Rig, case: str) -> None:
    data, kind = REFUSED[case]
    with pytest.raises(kind):
        rig.load(data)
    assert rig.everything() == ([], [], 0)
    assert os.listdir(rig.content.root / "ingest") == []
    with pytest.raises(NotFound):
        rig.images.get("app:1")


def test_a_layer_with_another_content_is_data_loss(rig: Rig) -> None:
    swapped = docker_archive([(config([BASE]), [TOP], ["app:1"])])
    with pytest.raises(InvalidArgument, match="the config says"):
        rig.load(swapped)
    assert rig.everything() == ([], [], 0)


def layout(manifest: dict[str, object], *blobs: bytes) -> bytes:
    raw = json.dumps(manifest).encode()
    found = {f"blobs/sha256/{Digest.of(blob).encoded}": blob for blob in (raw, *blobs)}
    index = {"schemaVersion": 2, "manifests": [descriptor("application/vnd.oci.image.manifest.v1+json", raw)]}
    return packed({"oci-layout": b'{"imageLayoutVersion":"1.0.0"}', "index.json": json.dumps(index).encode(), **found})


def descriptor(media_type: str, data: bytes) -> dict[str, object]:
    return {"mediaType": media_type, "digest": Digest.of(data), "size": len(data)}


def test_a_layout_keeps_the_manifest_bytes_that_came(rig: Rig) -> None:
    cfg = config([BASE])
    manifest = {
        "schemaVersion": 2,
        "config": descriptor("application/vnd.oci.image.config.v1+json", cfg),
        "layers": [descriptor("application/vnd.oci.image.layer.v1.tar", BASE)],
        "x-unknown": {"kept": True},
    }
    [loaded] = rig.load(layout(manifest, cfg, BASE))
    assert loaded.name is None
    assert rig.images.get(loaded.id).manifest.raw == json.dumps(manifest).encode()


def test_a_manifest_with_layers_and_manifests_is_refused(rig: Rig) -> None:
    cfg = config([BASE])
    both = {
        "schemaVersion": 2,
        "config": descriptor("application/vnd.oci.image.config.v1+json", cfg),
        "layers": [],
        "manifests": [],
    }
    with pytest.raises(InvalidArgument, match="both"):
        rig.load(layout(both, cfg))
    assert rig.everything() == ([], [], 0)


def test_a_size_that_lies_is_refused(rig: Rig) -> None:
    cfg = config([BASE])
    manifest = {
        "schemaVersion": 2,
        "config": {**descriptor("application/vnd.oci.image.config.v1+json", cfg), "size": 5},
        "layers": [],
    }
    with pytest.raises(InvalidArgument, match="5 bytes"):
        rig.load(layout(manifest, cfg))


def test_a_scratch_image_without_layers_has_no_snapshot(rig: Rig) -> None:
    rig.load(archive(layers=[], names=["scratch-like"]))
    assert rig.images.unpack(rig.images.get("scratch-like")) is None
