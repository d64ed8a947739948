"""`corten manifest …`: what docker's own command prints, keeps and pushes, to the byte."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from corten.model import mediatype
from corten.model.digest import Digest
from tests.registries import Client, ServedRegistry

OURS = str(Path(sys.executable).with_name("corten"))
FORMS = {
    "schema2": (
        mediatype.DOCKER_MANIFEST,
        mediatype.DOCKER_CONFIG,
        mediatype.DOCKER_LAYER_GZIP,
        mediatype.DOCKER_INDEX,
    ),
    "oci": (mediatype.OCI_MANIFEST, mediatype.OCI_CONFIG, mediatype.OCI_LAYER_GZIP, mediatype.OCI_INDEX),
}


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedRegistry]:
    with ServedRegistry(tmp_path_factory.mktemp("registry") / "root") as served, served.client() as client:
        for form in FORMS:
            offer_list(client, form)
        yield served


def offer_list(client: Client, form: str) -> None:
    manifest, config, layer, index = FORMS[form]
    members = []
    for architecture in ("amd64", "arm64"):
        body = json.dumps({"architecture": architecture, "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}})
        parts = [(config, body.encode()), (layer, architecture.encode())]
        digests = [client.push_blob("team/app", data) for _, data in parts]
        described = [
            {"mediaType": kind, "digest": str(digest), "size": len(data)}
            for (kind, data), digest in zip(parts, digests, strict=True)
        ]
        document = {"schemaVersion": 2, "mediaType": manifest, "config": described[0], "layers": described[1:]}
        raw = json.dumps(document, indent=5).encode()
        assert (
            client.ask("PUT", f"/v2/team/app/manifests/{form}-{architecture}", raw, Content_Type=manifest).status == 201
        )
        platform = {"architecture": architecture, "os": "linux"}
        members.append({"mediaType": manifest, "digest": Digest.of(raw), "size": len(raw), "platform": platform})
    raw = json.dumps({"schemaVersion": 2, "mediaType": index, "manifests": members}).encode()
    assert client.ask("PUT", f"/v2/team/app/manifests/{form}", raw, Content_Type=index).status == 201


def said(program: str, home: Path, *words: str) -> tuple[int, str, str]:
    env = {**os.environ, "HOME": str(home), "DOCKER_CONFIG": str(home)}
    done = subprocess.run([program, "manifest", *words], env=env, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def files(home: Path) -> dict[str, object]:
    return {str(path.relative_to(home)): json.loads(path.read_text()) for path in home.rglob("*") if path.is_file()}


def story(program: str, home: Path, address: str) -> list[object]:
    """Everything there is to do with a list, each step with what it said and left."""
    app, new = f"{address}/team/app", f"{address}/team/new:1"
    told: list[object] = []
    for name in ("schema2-amd64", "oci-arm64", "schema2", "oci"):
        told += [said(program, home, "inspect", "--insecure", *more, f"{app}:{name}") for more in ((), ("-v",))]
    create = ("create", "--insecure", new, f"{app}:oci-amd64")
    told += [said(program, home, *create, f"{app}:oci-arm64"), said(program, home, *create)]
    told += [said(program, home, *create, "--amend", f"{app}:oci-arm64")]
    annotation = ("--os", "linux", "--arch", "arm64", "--variant", "v8", "--os-version", "6", "--os-features", "a,b")
    told += [said(program, home, "annotate", new, f"{app}:oci-arm64", *annotation)]
    told += [said(program, home, "annotate", new, f"{app}:oci-arm64", "--os", "beos"), files(home)]
    told += [said(program, home, "inspect", new), said(program, home, "inspect", "-v", new, f"{app}:oci-arm64")]
    told += [said(program, home, "push", "--insecure", new), said(program, home, "rm", new, "none:1"), files(home)]
    told += [said(program, home, *create), said(program, home, "push", "--insecure", "--purge", new), files(home)]
    told += [said(program, home, "inspect", "--insecure", f"{address}/team/none:1")]
    told += [said(program, home, "push", "none:1"), said(program, home, "annotate", new, f"{app}:oci")]
    return told


def test_a_list_is_made_shown_corrected_and_pushed(registry: ServedRegistry, tmp_path: Path) -> None:
    ours = story(OURS, tmp_path / "ours", registry.address)
    pushed = [step[1] for step in ours if isinstance(step, tuple) and "Pushed ref" in step[1]]
    last = pushed[0].splitlines()[-1]
    with registry.client() as client:
        answer = client.ask("GET", f"/v2/team/new/manifests/{last}")
        members = json.loads(answer.body)["manifests"]
    assert str(Digest.of(answer.body)) == last
    assert members[1]["platform"] == {
        "architecture": "arm64",
        "os": "linux",
        "os.version": "6",
        "os.features": ["a", "b"],
        "variant": "v8",
    }
    if not shutil.which("docker"):
        pytest.skip("docker's own command is not installed")
    assert ours == story("docker", tmp_path / "theirs", registry.address)


def test_what_docker_began_we_finish(registry: ServedRegistry, tmp_path: Path) -> None:
    if not shutil.which("docker"):
        pytest.skip("docker's own command is not installed")
    name = f"{registry.address}/team/shared:1"
    begun = said("docker", tmp_path, "create", "--insecure", name, f"{registry.address}/team/app:schema2-amd64")
    assert begun[0] == 0, begun
    assert said(OURS, tmp_path, "push", "--insecure", "-p", name)[0] == 0
    assert said("docker", tmp_path, "inspect", "--insecure", name) == said(
        OURS, tmp_path, "inspect", "--insecure", name
    )


def test_members_of_another_registry_and_lists_within_lists_are_refused(
    registry: ServedRegistry, tmp_path: Path
) -> None:
    app = f"{registry.address}/team/app"
    assert said(OURS, tmp_path, "create", "other.test/x:1", f"{app}:oci-amd64")[0] == 0
    status, _, words = said(OURS, tmp_path, "push", "other.test/x:1")
    assert status == 1
    assert "cannot use source images from a different registry" in words
    status, _, words = said(OURS, tmp_path, "create", "other.test/y:1", f"{app}:oci")
    assert status == 1
    assert "is a manifest list" in words
