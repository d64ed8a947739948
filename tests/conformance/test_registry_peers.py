"""Images travel through our registry between docker, podman, skopeo, buildah and us, keep their digests, and run.

Every engine has a network namespace of its own, so the registry moves: one root, served where it is needed.
"""

import json
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.bench.peers import Corten, Dockerd, Namespace, Podman, available
from tests.images import Layer, config, docker_archive, system_layer
from tests.registries import CommandRegistry, DebianRegistry

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.timeout(300)]
PORT = 5000
HOST = f"127.0.0.1:{PORT}"
WORDS = "it came a long way"
TOP = Layer().file("words", WORDS.encode()).file("etc/.wh.hosts", b"").close()
KINDS = {"ours": CommandRegistry, "docker-registry": DebianRegistry}


def run(*command: str | Path) -> str:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


class Tool:
    """skopeo and buildah: no engine, but a namespace in which they meet the registry."""

    socket = None

    def __init__(self, name: str, root: Path) -> None:
        self.name = name
        self.namespace = Namespace()
        self.root = root
        root.mkdir()
        buildah = ["buildah", f"--root={root}/data", f"--runroot={root}/run", "--storage-driver=vfs"]
        self.cli = [*self.namespace.enter, *(buildah if name == "buildah" else ["skopeo", "--insecure-policy"])]

    def close(self) -> None:
        self.namespace.close()


ENGINES: dict[str, Callable[[Path], Corten | Dockerd | Podman]] = {
    "corten": Corten,
    "docker": Dockerd,
    "podman": Podman,
}


Peer = Corten | Dockerd | Podman | Tool


class Fleet:
    """The engines and tools, each started when it is first needed."""

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch
        self.archive = scratch / "image.tar"
        layers = [system_layer(), TOP]
        self.archive.write_bytes(docker_archive([(config(layers, Cmd=["cat", "/words"]), layers, ["voyager:1"])]))
        self.started: dict[str, Corten | Dockerd | Podman | Tool] = {}

    def __getitem__(self, name: str) -> Peer:
        if name not in self.started:
            programs = {"docker": ("dockerd", "docker"), "corten": ()}.get(name, (name,))
            if not available(*programs):
                pytest.skip(f"needs {name}")
            make = ENGINES.get(name)
            engine = make(self.scratch / name) if make else Tool(name, self.scratch / name)
            self.started[name] = engine
            if not isinstance(engine, Tool):
                engine.load(self.archive)
        return self.started[name]

    @contextmanager
    def registry(self, at: str, kind: str = "ours") -> Iterator[None]:
        """The registry, served in the namespace of that engine."""
        root = self.scratch / (kind if kind == "ours" else f"{kind}-{len(list(self.scratch.iterdir()))}")
        made = KINDS[kind](root, port=PORT, enter=tuple(self[at].namespace.enter))
        try:
            yield
        finally:
            made.close()

    def close(self) -> None:
        for engine in self.started.values():
            engine.close()


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    scratch = Path(tempfile.mkdtemp(prefix="corten-fleet-", dir="/dev/shm"))
    made = Fleet(scratch)
    yield made
    made.close()
    shutil.rmtree(scratch, ignore_errors=True)


def push_by_engine(engine: Peer, _: Path, target: str) -> None:
    run(*engine.cli, "tag", "voyager:1", target)
    run(*engine.cli, "push", *(["--tls-verify=false"] if engine.name == "podman" else []), target)


def push_by_skopeo(engine: Peer, archive: Path, target: str) -> None:
    run(*engine.cli, "copy", "--dest-tls-verify=false", f"docker-archive:{archive}:voyager:1", f"docker://{target}")


def push_by_buildah(engine: Peer, archive: Path, target: str) -> None:
    run(*engine.cli, "pull", f"docker-archive:{archive}:voyager:1")
    run(*engine.cli, "push", "--tls-verify=false", "voyager:1", f"docker://{target}")


PUSH: dict[str, Callable[[Peer, Path, str], None]] = {
    "corten": push_by_engine,
    "docker": push_by_engine,
    "podman": push_by_engine,
    "skopeo": push_by_skopeo,
    "buildah": push_by_buildah,
}


def digest_of(engine: Peer, target: str) -> str:
    """What the registry says the name stands for now, asked where that engine is."""
    repository, _, tag = target.removeprefix(f"{HOST}/").rpartition(":")
    accept = "application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json"
    script = (
        "import http.client,sys; c=http.client.HTTPConnection(sys.argv[1]); "
        "c.request('HEAD', sys.argv[2], headers={'Accept': sys.argv[3]}); "
        "print(c.getresponse().headers['Docker-Content-Digest'])"
    )
    where = f"/v2/{repository}/manifests/{tag}"
    return run(*engine.namespace.enter, "python3", "-c", script, HOST, where, accept).strip()


def pull_and_run(engine: Peer, name: str) -> str:
    run(*engine.cli, "pull", *(["--tls-verify=false"] if engine.name == "podman" else []), name)
    return run(*engine.cli, "run", "--rm", "--network=none", name)


@pytest.mark.parametrize("pusher", PUSH)
def test_what_anybody_pushed_to_our_registry_runs_here(fleet: Fleet, pusher: str) -> None:
    target = f"{HOST}/from/{pusher}:1"
    with fleet.registry(at=pusher):
        PUSH[pusher](fleet[pusher], fleet.archive, target)
        digest = digest_of(fleet[pusher], target)
    with fleet.registry(at="corten"):
        assert pull_and_run(fleet["corten"], f"{HOST}/from/{pusher}@{digest}") == WORDS


@pytest.mark.parametrize("puller", ["docker", "podman"])
@pytest.mark.parametrize("pusher", ["corten", "skopeo"])
def test_what_we_and_skopeo_pushed_runs_there(fleet: Fleet, pusher: str, puller: str) -> None:
    target = f"{HOST}/from/{pusher}:1"
    with fleet.registry(at=pusher):
        PUSH[pusher](fleet[pusher], fleet.archive, target)
        digest = digest_of(fleet[pusher], target)
    with fleet.registry(at=puller):
        assert pull_and_run(fleet[puller], f"{HOST}/from/{pusher}@{digest}") == WORDS


def test_skopeo_and_buildah_read_what_we_pushed(fleet: Fleet) -> None:
    target = f"{HOST}/from/corten:1"
    with fleet.registry(at="corten"):
        push_by_engine(fleet["corten"], fleet.archive, target)
        digest = digest_of(fleet["corten"], target)
    with fleet.registry(at="skopeo"):
        said = json.loads(run(*fleet["skopeo"].cli, "inspect", "--tls-verify=false", f"docker://{target}"))
        assert said["Digest"] == digest
        copied = f"docker://{HOST}/copied/app:1"
        plain = ["--src-tls-verify=false", "--dest-tls-verify=false", "--preserve-digests"]
        run(*fleet["skopeo"].cli, "copy", *plain, f"docker://{target}", copied)
        assert digest_of(fleet["skopeo"], f"{HOST}/copied/app:1") == digest
    with fleet.registry(at="buildah"):
        run(*fleet["buildah"].cli, "pull", "--tls-verify=false", f"{HOST}/from/corten@{digest}")


@pytest.mark.parametrize("other", ["docker", "podman", "skopeo"])
def test_debians_registry_takes_our_push_and_gives_the_same_digest_back(fleet: Fleet, other: str) -> None:
    if not available("docker-registry"):
        pytest.skip("needs docker-registry")
    target = f"{HOST}/there/app:1"
    with fleet.registry(at="corten", kind="docker-registry"):
        push_by_engine(fleet["corten"], fleet.archive, target)
        digest = digest_of(fleet["corten"], target)
        run(*fleet["corten"].cli, "rmi", target)
        assert pull_and_run(fleet["corten"], f"{HOST}/there/app@{digest}") == WORDS
    with fleet.registry(at=other, kind="docker-registry"):
        PUSH[other](fleet[other], fleet.archive, f"{HOST}/there/{other}:1")
        there = digest_of(fleet[other], f"{HOST}/there/{other}:1")
    with fleet.registry(at=other):
        PUSH[other](fleet[other], fleet.archive, f"{HOST}/there/{other}:1")
        assert digest_of(fleet[other], f"{HOST}/there/{other}:1") == there


def test_dockers_command_line_pushes_and_pulls_by_our_engine(fleet: Fleet) -> None:
    if not available("docker"):
        pytest.skip("needs docker")
    engine = fleet["corten"]
    docker = ["docker", "-H", f"unix://{engine.socket}"]
    target = f"{HOST}/by/docker:1"
    with fleet.registry(at="corten"):
        run(*docker, "tag", "voyager:1", target)
        pushed = run(*docker, "push", target)
        digest = digest_of(engine, target)
        assert f"1: digest: {digest} size: " in pushed
        assert any(words in pushed for words in (": Pushed", ": Layer already exists", ": Mounted from"))
        run(*docker, "rmi", target)
        pulled = run(*docker, "pull", target)
        assert f"Digest: {digest}" in pulled
        assert f"Status: Downloaded newer image for {target}" in pulled
        assert run(*docker, "run", "--rm", "--network=none", target) == WORDS
        assert f"Image is up to date for {target}" in run(*docker, "pull", target)
