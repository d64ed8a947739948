"""Every form an image may have, made by somebody else's tools, sent through our registry, run by us and by others.

The formats of manifests (Docker's schema 2, OCI), of layers (tar, gzip, zstd), of lists for several platforms. The
table of docs/conformance.md is what these tests found.
"""

import json
from pathlib import Path

import pytest

from tests.conformance.test_registry_peers import HOST, WORDS, Fleet, digest_of, fleet, pull_and_run, run
from tests.images import Layer, config, docker_archive, system_layer

__all__ = ["fleet"]

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.timeout(300)]
PLAIN = "--tls-verify=false"


@pytest.fixture
def rootfs(scratch: Path) -> Path:
    """A directory with a small system that says the words."""
    directory = scratch / "rootfs"
    directory.mkdir()
    (scratch / "layer.tar").write_bytes(system_layer())
    run("tar", "-xf", scratch / "layer.tar", "-C", directory)
    (directory / "words").write_text(WORDS)
    return directory


@pytest.mark.parametrize("form", ["oci", "docker"])
def test_what_buildah_built_runs_here_and_there(fleet: Fleet, rootfs: Path, form: str) -> None:
    buildah, target = fleet["buildah"].cli, f"{HOST}/built/{form}:1"
    made = run(*buildah, "from", "scratch").strip()
    run(*buildah, "copy", made, rootfs, "/")
    run(*buildah, "config", "--cmd", '["cat", "/words"]', made)
    run(*buildah, "commit", f"--format={form}", made, f"built-{form}")
    with fleet.registry(at="buildah"):
        run(*buildah, "push", PLAIN, f"built-{form}", f"docker://{target}")
        digest = digest_of(fleet["buildah"], target)
    for runner in ("corten", "podman", "docker"):
        with fleet.registry(at=runner):
            assert pull_and_run(fleet[runner], f"{HOST}/built/{form}@{digest}") == WORDS


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_layers_of_either_compression_run_here_and_go_on_unchanged(
    fleet: Fleet, scratch: Path, compression: str
) -> None:
    target = f"{HOST}/packed/{compression}:1"
    # Layers that are nowhere yet: skopeo would take over what it knows in another compression.
    layers = [system_layer(compression), Layer().file("words", f"{WORDS} by {compression}".encode()).close()]
    archive = scratch / "image.tar"
    archive.write_bytes(docker_archive([(config(layers, Cmd=["cat", "/words"]), layers, ["packed:1"])]))
    with fleet.registry(at="skopeo"):
        source = f"docker-archive:{archive}:packed:1"
        packed = [f"--dest-compress-format={compression}", "--dest-compress", "--format=oci"]
        run(*fleet["skopeo"].cli, "copy", *packed, "--dest-tls-verify=false", source, f"docker://{target}")
        raw = json.loads(run(*fleet["skopeo"].cli, "inspect", "--raw", PLAIN, f"docker://{target}"))
        assert raw["layers"][-1]["mediaType"].endswith(f"+{compression}")
        digest = digest_of(fleet["skopeo"], target)
    with fleet.registry(at="corten"):
        name = f"{HOST}/packed/{compression}@{digest}"
        assert pull_and_run(fleet["corten"], name) == f"{WORDS} by {compression}"
        again = f"{HOST}/again/{compression}:1"
        run(*fleet["corten"].cli, "tag", name, again)
        run(*fleet["corten"].cli, "push", again)
        assert digest_of(fleet["corten"], again) == digest
    with fleet.registry(at="podman"):
        assert pull_and_run(fleet["podman"], f"{HOST}/again/{compression}:1") == f"{WORDS} by {compression}"


@pytest.mark.parametrize("form", ["v2s2", "oci"])
def test_a_list_for_several_platforms_gives_each_its_own(fleet: Fleet, scratch: Path, form: str) -> None:
    buildah, target = fleet["buildah"].cli, f"{HOST}/many/{form}:1"
    listed = f"list-{form}"
    run(*buildah, "manifest", "create", listed)
    for architecture in ("amd64", "arm64"):
        layers = [system_layer()]
        body = json.loads(config(layers, Cmd=["echo", architecture]))
        body["architecture"] = architecture
        archive = scratch / f"{architecture}.tar"
        archive.write_bytes(docker_archive([(json.dumps(body).encode(), layers, [f"{architecture}-{form}:1"])]))
        run(*buildah, "pull", f"docker-archive:{archive}")
        run(*buildah, "manifest", "add", listed, f"{architecture}-{form}:1")
    with fleet.registry(at="buildah"):
        run(*buildah, "manifest", "push", PLAIN, "--all", f"--format={form}", listed, f"docker://{target}")
    for runner in ("corten", "podman", "docker"):
        with fleet.registry(at=runner):
            assert pull_and_run(fleet[runner], target).strip() == "amd64"
    with fleet.registry(at="corten"):
        run(*fleet["corten"].cli, "pull", "--platform=linux/arm64", target)
        shown = run(*fleet["corten"].cli, "image", "inspect", "--format={{.Architecture}} {{.Config.Cmd}}", target)
        assert shown.strip() == "arm64 [echo arm64]"
