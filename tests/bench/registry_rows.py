"""Push and pull of an image through Debian's docker-registry over plain HTTP, in each engine's own namespace."""

import shutil
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tests.bench.peers import Corten, Dockerd, Engine, Podman
from tests.bench.turns import Figure, Measured, measure, spawn
from tests.registries import DebianRegistry

__all__ = ["push_and_pull"]

PORT = 5000
TARGET = f"127.0.0.1:{PORT}/bench/big:1"
Peer = Corten | Dockerd | Podman


def push_and_pull(engines: list[Engine], rounds: int, archive: Path, image: str) -> list[Measured]:
    """Both rows for the image that `archive` holds as `image`.

    A push begins with the image freshly loaded and an empty registry, so its layers are compressed on the way; a
    pull without the image, and everybody pulls the same bytes, those that the first engine pushed.
    """
    taking_part = [one for one in engines if isinstance(one, Corten | Dockerd | Podman)]
    taking_part.sort(key=lambda one: not isinstance(one, Dockerd))
    stores = {one.name: archive.parent / f"registry-{one.name}" for one in taking_part}
    pushes = {one.name: partial(push, one, stores[one.name], archive, image) for one in taking_part}
    pushed = measure("push of a loaded image, 160 MB", named(pushes), rounds)
    seed = stores[taking_part[0].name]
    shared = archive.parent / "registry-seed"
    seed.rename(shared)
    pulls = {one.name: partial(pull, one, shared) for one in taking_part}
    pulled = measure("pull, 160 MB", named(pulls), rounds)
    for path in (*stores.values(), shared):
        shutil.rmtree(path, ignore_errors=True)
    return [pushed, pulled]


def named(contenders: dict[str, "partial[Figure]"]) -> dict[str, Callable[[], Figure]]:
    return dict(contenders.items())


def push(engine: Peer, root: Path, archive: Path, image: str) -> Figure:
    """Into an empty registry, from a store that has just loaded the image."""
    forget(engine, TARGET, image)
    engine.load(archive)
    quietly(engine, "tag", image, TARGET)
    shutil.rmtree(root, ignore_errors=True)
    return served(engine, root, "push")


def pull(engine: Peer, root: Path) -> Figure:
    """The image is removed before, outside of what is measured."""
    forget(engine, TARGET, "big:latest")
    return served(engine, root, "pull")


def served(engine: Peer, root: Path, verb: str) -> Figure:
    """Run one command of the engine while the registry of `root` is up where the engine is."""
    registry = DebianRegistry(root, port=PORT, enter=tuple(engine.namespace.enter))
    try:
        plain = ["--tls-verify=false"] if engine.name == "podman" else []
        return spawn([*engine.cli, verb, *plain, TARGET])
    finally:
        registry.close()


def forget(engine: Peer, *images: str) -> None:
    for image in images:
        quietly(engine, "rmi", "-f", image)


def quietly(engine: Peer, *words: str) -> None:
    subprocess.run([*engine.cli, *words], check=False, capture_output=True)
