"""Building the goldens by a peer: `python -m tests.conformance.dockerfiles [PEER]` prints what it makes of each."""

import difflib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from corten.client.address import Address
from corten.client.engine import Engine as Client
from tests.bench.peers import Dockerd, Podman
from tests.images import stand_ins
from tests.root.build import building
from tests.root.engines import IMAGE

__all__ = ["CASES", "KINDS", "PEERS", "Builder", "Outcome", "started"]

PLACE = Path(__file__).parents[1] / "dockerfiles"
CASES = sorted(path.parent for path in PLACE.glob("*/Dockerfile"))
PEERS = ("classic", "buildkit", "buildah")
# The docker command that comes with dockerd 20.10: a newer one wants its buildx plugin for BuildKit.
DOCKER = "/usr/bin/docker"
OURS = ("expected.txt", "query.json")


KINDS = ("equal", "differs", "refused")


class Outcome(NamedTuple):
    """`equal`; `differs`, with the difference; or `refused`, with the peer's words."""

    kind: str
    detail: str = ""


class Looked(building.Site):
    """An engine that is only looked at: what `building.Site` knows of an image."""

    def __init__(self, host: str) -> None:
        self.client = Client(Address(host))


class Builder:
    """A peer that builds, beside a dockerd that its images are looked at in."""

    def __init__(self, name: str, dockerd: Dockerd, podman: Podman | None) -> None:
        self.name = name
        self.dockerd = dockerd
        self.podman = podman
        self.site = Looked(f"unix://{dockerd.socket}")
        self.base = self.site.files(IMAGE)
        subprocess.run([*dockerd.cli, "import", "-", "nothing"], input=bytes(1024), check=True, capture_output=True)
        self.nothing = self.site.files("nothing")  # what dockerd adds to every container that it exports

    def compare(self, case: Path) -> Outcome:
        tag = f"built-{case.name.replace('_', '-')}:1"
        done = self.build(case, tag)
        if done.returncode:
            return Outcome("refused", (done.stderr or done.stdout)[-600:])
        expected = (case / "expected.txt").read_text().rpartition("\n\n")[0]
        base = self.nothing if building.stands_on_nothing(case) else self.base
        found = "\n".join(self.site.look(tag, base))
        if found == expected:
            return Outcome("equal")
        lines = difflib.unified_diff(expected.splitlines(), found.splitlines(), "golden", self.name, lineterm="", n=0)
        return Outcome("differs", "\n".join(lines))

    def build(self, case: Path, tag: str) -> "subprocess.CompletedProcess[str]":
        query = json.loads((case / "query.json").read_text()) if (case / "query.json").exists() else {}
        with tempfile.TemporaryDirectory() as place:
            context = Path(place, "context")
            shutil.copytree(case, context, symlinks=True, ignore=shutil.ignore_patterns(*OURS))
            words = ["-t", tag, *flags(query), "-f", str(context / query.get("dockerfile", "Dockerfile")), str(context)]
            if self.podman is None:
                mode = {"DOCKER_BUILDKIT": "1" if self.name == "buildkit" else "0"}
                return run([DOCKER, *self.dockerd.cli[1:], "build", *words], mode)
            return self.by_buildah(self.podman, words, tag, Path(place, "image.tar"))

    def by_buildah(
        self, podman: Podman, words: list[str], tag: str, archive: Path
    ) -> "subprocess.CompletedProcess[str]":
        entered = podman.cli[: podman.cli.index("podman")]
        store = [f"--root={podman.root}/data", f"--runroot={podman.root}/run"]
        buildah = [*entered, "buildah", *store]
        done = run([*buildah, "bud", "--layers", "--pull-never", "--identity-label=false", "--format=docker", *words])
        if done.returncode == 0:
            done = run([*buildah, "push", "-q", f"localhost/{tag}", f"docker-archive:{archive}:{tag}"])
            if done.returncode == 0:
                self.dockerd.load(archive)
        return done


def flags(query: dict[str, str]) -> list[str]:
    """The parameters of a golden as flags of docker and buildah."""
    found = []
    for name, value in json.loads(query.get("buildargs", "{}")).items():
        found += ["--build-arg", f"{name}={value}"]
    for name, value in json.loads(query.get("labels", "{}")).items():
        found += ["--label", f"{name}={value}"]
    return [*found, *(["--target", query["target"]] if "target" in query else [])]


def run(command: list[str], more: dict[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, **(more or {})}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


@contextmanager
def started(name: str) -> Iterator[Builder]:
    """A peer of that name with the stand-in image; nothing is left of it afterwards."""
    root = Path(tempfile.mkdtemp(prefix="corten-peers-", dir="/dev/shm"))
    archive = root / "tiny.tar"
    archive.write_bytes(stand_ins(IMAGE))
    dockerd = Dockerd(root / "docker")
    podman = Podman(root / "podman") if name == "buildah" else None
    try:
        dockerd.load(archive)
        if podman:
            podman.load(archive)
        yield Builder(name, dockerd, podman)
    finally:
        if podman:
            podman.close()
        dockerd.close()
        shutil.rmtree(root, ignore_errors=True)


def main() -> None:
    chosen = sys.argv[1:] or list(PEERS)
    for name in chosen:
        with started(name) as builder:
            counts = dict.fromkeys(KINDS, 0)
            for case in CASES:
                outcome = builder.compare(case)
                counts[outcome.kind] += 1
                detail = re.sub(r"\s+", " ", outcome.detail) if outcome.kind == "refused" else outcome.detail
                print(f"{name:9} {case.name:28} {outcome.kind:8} {detail}", flush=True)
            print(f"{name}: {counts}", flush=True)


if __name__ == "__main__":
    main()
