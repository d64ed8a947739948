"""Archives travel between our store and skopeo, umoci, dockerd and podman, and keep their digests and their files."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from corten.images import Untagged
from tests.bench.peers import Dockerd, Podman, available
from tests.image_rig import Rig
from tests.images import Layer, config, docker_archive, stand_in, system_layer
from tests.merged import listing, merged

pytestmark = pytest.mark.root

TOP = Layer().directory("etc").file("etc/.wh.hosts", b"").file(".wh.srv", b"").file("new", b"n").close()
NAMES = ["two:1", "reg.io/x/two:2"]


def needs(*programs: str) -> pytest.MarkDecorator:
    missing = [program for program in programs if not available(program)]
    return pytest.mark.skipif(bool(missing), reason=f"needs {', '.join(missing)}")


def run(*command: str | Path) -> str:
    return subprocess.run([str(word) for word in command], check=True, capture_output=True, text=True).stdout


@pytest.fixture
def rig(scratch: Path) -> Iterator[Rig]:
    made = Rig(scratch / "engine")
    made.load(docker_archive([(config([system_layer(), TOP], Cmd=["sh"]), [system_layer(), TOP], NAMES)]))
    made.load(docker_archive([stand_in("busybox:latest")]))
    yield made
    made.close()


@pytest.fixture
def saved(rig: Rig, scratch: Path) -> Path:
    path = scratch / "saved.tar"
    path.write_bytes(rig.save(*NAMES, "busybox"))
    return path


@needs("skopeo", "umoci")
def test_umoci_unpacks_our_layout_to_the_files_that_we_have(rig: Rig, saved: Path, scratch: Path) -> None:
    (scratch / "layout").mkdir()
    run("tar", "-xf", saved, "-C", scratch / "layout")
    run("skopeo", "--insecure-policy", "copy", f"oci:{scratch}/layout:1", f"oci:{scratch}/oci:two")
    run("umoci", "unpack", "--image", f"{scratch}/oci:two", scratch / "bundle")
    top = rig.images.unpack(rig.images.get("two:1"))
    assert top
    changes = rig.snapshots.changes(top)
    (scratch / "at").mkdir()
    assert merged([changes.path, *changes.lowers], scratch / "at") == listing(scratch / "bundle/rootfs")


@needs("skopeo")
@pytest.mark.parametrize("transport", ["docker-archive", "oci-archive"])
def test_what_skopeo_writes_is_the_image_that_it_read(rig: Rig, saved: Path, scratch: Path, transport: str) -> None:
    target = f"{transport}:{scratch}/out.tar:docker.io/library/copy:1"
    run("skopeo", "--insecure-policy", "copy", f"docker-archive:{saved}:two:1", target)
    other = Rig(scratch / "other")
    [loaded] = other.load((scratch / "out.tar").read_bytes())
    assert loaded.name is not None
    assert loaded.name.familiar == "copy:1"
    assert other.images.get(loaded.id).chain == rig.images.get("two:1").chain
    if transport == "docker-archive":  # on the way to OCI skopeo writes the config anew
        assert loaded.id == rig.images.get("two:1").id
    other.close()


@needs("dockerd", "docker")
def test_dockerd_and_we_load_what_the_other_saves_and_remove_alike(rig: Rig, saved: Path, scratch: Path) -> None:
    engine = Dockerd(scratch / "dockerd")
    other = Rig(scratch / "other")
    try:
        assert run(*engine.cli, "load", "-i", saved).split("\n")[:2] == [f"Loaded image: {name}" for name in NAMES]
        about = json.loads(run(*engine.cli, "image", "inspect", "two:1"))[0]
        image = rig.images.get("two:1")
        assert (about["Id"], about["RootFS"]["Layers"]) == (image.id, image.config.diff_ids)
        run(*engine.cli, "save", "-o", scratch / "theirs.tar", "two:1", "busybox")
        other.load((scratch / "theirs.tar").read_bytes())
        assert other.images.get("two:1").id == image.id
        sizes = run(*engine.cli, "history", "--human=false", "--format", "{{.Size}}", "two:1").split()
        assert sizes == [str(step.size) for step in rig.images.history("two:1")]
        for name in [*NAMES, "busybox"]:
            gone = rig.images.remove(name)
            said = [f"Untagged: {one.name}" if isinstance(one, Untagged) else f"Deleted: {one.id}" for one in gone]
            assert run(*engine.cli, "rmi", name).split("\n")[:-1] == said
    finally:
        engine.close()
        other.close()


@needs("podman")
def test_podman_loads_what_we_save(rig: Rig, saved: Path, scratch: Path) -> None:
    engine = Podman(scratch / "podman")
    try:
        engine.load(saved)
        ids = run(*engine.cli, "images", "--no-trunc", "--format", "{{.ID}}").split()
        assert sorted(set(ids)) == sorted({rig.images.get("two:1").id, rig.images.get("busybox").id})
    finally:
        engine.close()
