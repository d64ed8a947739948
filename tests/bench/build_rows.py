"""A two-stage build, cold and cached, against dockerd 20.10 (BuildKit and the classic builder) and buildah."""

import os
import shutil
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tests.bench.peers import Corten, Dockerd, Engine, Podman, available
from tests.bench.turns import Figure, Measured, measure, spawn

__all__ = ["builds"]

DOCKERFILE = """\
FROM tiny AS make
WORKDIR /src
COPY . .
RUN mkdir out && for n in 0 1 2 3 4 5 6 7 8 9; do cat seed file* > out/$n; done
RUN sha256sum out/* > out/sums
FROM tiny
COPY --from=make /src/out /app/
RUN echo app:x:1234:1234::/app:/bin/sh >> /etc/passwd
ENV MODE=bench
USER app
CMD ["cat", "/app/sums"]
"""
FILES = 200
# The docker command that comes with dockerd 20.10: a newer one wants its buildx plugin for BuildKit.
DOCKER = "/usr/bin/docker"


def context(place: Path) -> Path:
    place.mkdir()
    (place / "Dockerfile").write_text(DOCKERFILE)
    for number in range(FILES):
        (place / f"file{number}").write_bytes(os.urandom(4096))
    return place


def commands(engines: list[Engine], place: Path) -> dict[str, list[str]]:
    """How each contender builds `place` as built:1."""
    found: dict[str, list[str]] = {}
    rest = ["-t", "built:1", str(place)]
    for engine in engines:
        match engine:
            case Corten():
                found["corten"] = [*engine.cli, "build", *rest]
            case Dockerd():
                old = [DOCKER, *engine.cli[1:], "build", *rest]
                found["docker classic"] = ["env", "DOCKER_BUILDKIT=0", *old]
                found["docker BuildKit"] = ["env", "DOCKER_BUILDKIT=1", *old]
            case Podman() if available("buildah"):
                entered = engine.cli[: engine.cli.index("podman")]
                store = [f"--root={engine.root}/data", f"--runroot={engine.root}/run"]
                flags = ["--layers", "--pull-never", "--network=none"]
                found["buildah"] = [*entered, "buildah", *store, "bud", *flags, *rest]
    return found


def cold(command: list[str], place: Path) -> Figure:
    """Nothing of it was built before: another file, and no cache."""
    (place / "seed").write_bytes(os.urandom(64))
    at = len(command) - 3
    return spawn([*command[:at], "--no-cache", *command[at:]])


def cached(command: list[str], place: Path, last: list[str]) -> Figure:
    if not last or last[0] != str(place):
        last[:] = [str(place)]
        subprocess.run(command, check=True, capture_output=True)
    return spawn(command)


def builds(engines: list[Engine], rounds: int, scratch: Path) -> list[Measured]:
    """Both rows; every contender has a context of its own, so that a cold one does not spoil another's cache."""
    places = {}
    contenders: dict[str, list[str]] = {}
    for name in commands(engines, scratch):
        places[name] = context(scratch / f"context-{name.replace(' ', '-')}")
        contenders[name] = commands(engines, places[name])[name]
    colds: dict[str, Callable[[], Figure]] = {n: partial(cold, c, places[n]) for n, c in contenders.items()}
    first = measure("two-stage build, cold", colds, max(3, rounds // 2))
    warm: dict[str, Callable[[], Figure]] = {n: partial(cached, c, places[n], []) for n, c in contenders.items()}
    second = measure("two-stage build, cached", warm, rounds)
    for place in places.values():
        shutil.rmtree(place)
    return [first, second]
