"""Pull and push against a registry on loopback: what goes out comes back, what breaks is kept and goes on."""

import gzip
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from corten.images.transfer import Done, Notice, Step, Told
from corten.model import mediatype
from corten.model.cancel import Cancel
from corten.model.digest import Digest
from corten.model.errors import DataLoss, InvalidArgument, NotFound, Unavailable
from corten.model.platform import Platform
from corten.model.reference import Reference
from corten.remote import Registries, Repository
from tests.fake_registry import FakeRegistry
from tests.image_rig import Rig
from tests.images import Layer, config, docker_archive

pytestmark = pytest.mark.root

BASE = Layer().directory("etc").file("etc/hostname", b"base\n").close()
BIG = Layer().file("big", os.urandom(3_000_000)).close()


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    registry = FakeRegistry()
    yield registry
    registry.close()


@pytest.fixture
def rig(scratch: Path) -> Iterator[Rig]:
    made = Rig(scratch / "engine")
    yield made
    made.close()


@pytest.fixture
def other(scratch: Path) -> Iterator[Rig]:
    made = Rig(scratch / "other")
    yield made
    made.close()


def name(registry: FakeRegistry, tag: str = "1") -> Reference:
    return Reference.parse(f"{registry.address}/team/app:{tag}")


def repository(registry: FakeRegistry, cancel: Cancel | None = None) -> Repository:
    return Registries(patience=0.01).repository(name(registry), cancel=cancel)


def pull(rig: Rig, registry: FakeRegistry, platform: str = "", tag: str = "1") -> list[Told]:
    wanted = Platform.parse(platform) if platform else None
    return list(rig.images.pull(repository(registry), name(registry, tag), wanted))


def push(rig: Rig, registry: FakeRegistry, image: str = "app:1", tag: str = "1") -> list[Told]:
    return list(rig.images.push(image, name(registry, tag), repository(registry)))


def offer(registry: FakeRegistry, *layers: bytes, tag: str = "1", **changes: Any) -> str:
    """Put an image of gzip layers at the registry; returns its manifest's digest."""
    document = config(layers)
    packed = [gzip.compress(layer, mtime=0) for layer in layers]
    for blob in (document, *packed):
        registry.add_blob(blob)

    def descriptor(data: bytes, media_type: str) -> dict[str, Any]:
        return {"mediaType": media_type, "digest": Digest.of(data), "size": len(data)}

    manifest = {
        "schemaVersion": 2,
        "mediaType": mediatype.OCI_MANIFEST,
        "config": descriptor(document, mediatype.OCI_CONFIG),
        "layers": [descriptor(blob, mediatype.OCI_LAYER_GZIP) for blob in packed],
        **changes,
    }
    return registry.add_manifest("team/app", tag, mediatype.OCI_MANIFEST, json.dumps(manifest).encode())


def statuses(told: list[Told]) -> list[str]:
    return [one.status for one in told if isinstance(one, Step)]


def test_what_is_pulled_is_unpacked_and_named_by_tag_and_digest(rig: Rig, registry: FakeRegistry) -> None:
    digest = offer(registry, BASE, BIG)
    told = pull(rig, registry)
    image = rig.images.get(str(name(registry)))
    assert image.digests == [f"{registry.address}/team/app@{digest}"]
    assert rig.snapshots.find(image.chain[-1])
    assert statuses(told).count("Pull complete") == 2
    assert told[-2:] == [
        Notice(f"Digest: {digest}"),
        Notice(f"Status: Downloaded newer image for {name(registry).familiar}"),
    ]


def test_a_second_pull_says_that_it_is_up_to_date(rig: Rig, registry: FakeRegistry) -> None:
    offer(registry, BASE)
    pull(rig, registry)
    told = pull(rig, registry)
    assert told[-1] == Notice(f"Status: Image is up to date for {name(registry).familiar}")
    assert statuses(told) == ["Already exists"]


def test_an_index_leads_to_this_machines_platform(rig: Rig, registry: FakeRegistry) -> None:
    ours, foreign = offer(registry, BASE, tag="ours"), offer(registry, BIG, tag="foreign")
    platform = rig.images.platform
    manifests = [
        {
            "mediaType": mediatype.OCI_MANIFEST,
            "digest": digest,
            "size": len(registry.manifests["team/app", digest][1]),
            "platform": {"architecture": architecture, "os": "linux"},
        }
        for digest, architecture in ((foreign, "s390x"), (ours, platform.architecture))
    ]
    index = json.dumps({"schemaVersion": 2, "mediaType": mediatype.OCI_INDEX, "manifests": manifests}).encode()
    digest = registry.add_manifest("team/app", "1", mediatype.OCI_INDEX, index)
    pull(rig, registry)
    image = rig.images.get(str(name(registry)))
    assert image.manifest.digest == ours
    assert image.digests == [f"{registry.address}/team/app@{digest}"]
    with pytest.raises(NotFound, match="no matching manifest for linux/arm/v7") as caught:
        pull(rig, registry, platform="linux/arm/v7")
    assert "linux/s390x" in caught.value.hint


def test_a_pushed_image_comes_back_with_the_same_id(rig: Rig, other: Rig, registry: FakeRegistry) -> None:
    rig.load(docker_archive([(config([BASE, BIG]), [BASE, BIG], ["app:1"])]))
    told = push(rig, registry)
    assert statuses(told).count("Pushed") == 2
    done = told[-1]
    assert isinstance(done, Done)
    assert registry.manifests["team/app", "1"][1] == registry.manifests["team/app", done.digest][1]
    pull(other, registry)
    assert other.images.get(str(name(registry))).id == rig.images.get("app:1").id
    assert f"{registry.address}/team/app@{done.digest}" in rig.images.get("app:1").digests


def test_a_second_push_sends_nothing_and_compresses_nothing(rig: Rig, registry: FakeRegistry) -> None:
    rig.load(docker_archive([(config([BIG]), [BIG], ["app:1"])]))
    first = push(rig, registry)
    before = len(registry.seen)
    second = push(rig, registry)
    assert statuses(second) == ["Preparing", "Layer already exists"]
    assert first[-1] == second[-1]
    assert not [path for method, path, _ in registry.seen[before:] if method == "POST"]


def test_a_pulled_image_is_pushed_on_byte_for_byte(rig: Rig, registry: FakeRegistry) -> None:
    digest = offer(registry, BASE)
    pull(rig, registry)
    told = push(rig, registry, image=str(name(registry)), tag="2")
    assert isinstance(told[-1], Done)
    assert told[-1].digest == digest


def test_a_broken_pull_goes_on_where_it_stopped(rig: Rig, registry: FakeRegistry) -> None:
    offer(registry, BIG)
    registry.break_at = [1_000_000, *[0] * 9]
    with pytest.raises(Unavailable):
        pull(rig, registry)
    registry.break_at = []
    before = len(registry.seen)
    pull(rig, registry)
    assert rig.images.get(str(name(registry)))
    assert len(registry.seen) > before


@pytest.mark.parametrize("lie", ["size", "digest", "diff_id"])
def test_a_registry_that_lies_leaves_nothing(rig: Rig, registry: FakeRegistry, lie: str) -> None:
    before = rig.everything()
    packed = gzip.compress(BASE, mtime=0)
    layer = {"mediaType": mediatype.OCI_LAYER_GZIP, "digest": Digest.of(packed), "size": len(packed)}
    if lie == "size":
        layer["size"] = len(packed) - 1
    elif lie == "digest":
        layer["digest"] = Digest.of(b"promised")
        registry.blobs[str(layer["digest"])] = packed
    else:
        layer = {"mediaType": mediatype.OCI_LAYER_TAR, "digest": Digest.of(BIG), "size": len(BIG)}
        registry.add_blob(BIG)
    offer(registry, BASE, layers=[layer])
    with pytest.raises(DataLoss):
        pull(rig, registry)
    rig.images.collect()
    assert rig.everything() == before


def test_a_manifest_that_is_index_and_manifest_at_once_is_refused(rig: Rig, registry: FakeRegistry) -> None:
    offer(registry, BASE, manifests=[])
    with pytest.raises(InvalidArgument):
        pull(rig, registry)


def test_who_stops_listening_stops_the_pull(rig: Rig, registry: FakeRegistry) -> None:
    offer(registry, BIG)
    gone = threading.Event()
    registry.hook = lambda handler: "/blobs/" in handler.path and not gone.wait(20)  # no blob comes before we leave
    cancel = Cancel()
    telling = rig.images.pull(repository(registry, cancel), name(registry), cancel=cancel)
    next(telling)
    telling.close()  # type: ignore[attr-defined]
    assert cancel.is_set()
    gone.set()
    with pytest.raises(NotFound):
        rig.images.get(str(name(registry)))
    pull(rig, registry)


def test_a_push_needs_a_tag(rig: Rig, registry: FakeRegistry) -> None:
    rig.load(docker_archive([(config([BASE]), [BASE], ["app:1"])]))
    with pytest.raises(InvalidArgument, match="a tag is needed"):
        rig.images.push("app:1", Reference.parse_name(f"{registry.address}/team/app"), repository(registry))
