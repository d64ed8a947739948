"""Every docker command line that can be had here, unchanged, against one engine of ours.

A test takes `engine` and runs once a client: those on PATH (Debian's docker.io brings 20.10) and Debian unstable's,
which `tests.conformance.debian` fetches. `CORTEN_TEST_HOST` points all of them at another engine.
"""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.debian import unpacked
from tests.root.engines import Engine

UNSTABLE = "unstable"


def version(program: Path) -> str:
    """As in `Docker version 28.2.2, build e6534b4`; empty for what is something else, such as podman's stand-in."""
    told = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
    return told.removeprefix("Docker version ").partition(",")[0] if told.startswith("Docker version ") else ""


def on_path() -> dict[str, str]:
    """The docker commands in the directories of PATH, by version; of one version the first."""
    found: dict[str, str] = {}
    for directory in os.get_exec_path():
        program = Path(directory, "docker")
        if os.access(program, os.X_OK) and (name := version(program)):
            found.setdefault(name, str(program))
    return found


CLIENTS = on_path()


@pytest.fixture(scope="package")
def served() -> Iterator[Engine]:
    engine = Engine.temporary()
    try:
        engine.start()
        engine.load()
        yield engine
    finally:
        engine.end()


@pytest.fixture(scope="package", params=[*CLIENTS, UNSTABLE])
def client(request: pytest.FixtureRequest) -> str:
    """The path of a docker command."""
    if request.param in CLIENTS:
        return CLIENTS[request.param]
    try:
        program = unpacked("docker-cli") / "usr/bin/docker"
    except (RuntimeError, OSError) as error:
        pytest.skip(f"needs docker-cli of Debian unstable: {error}")
    if version(program) in CLIENTS:
        pytest.skip(f"needs docker-cli of Debian unstable: {version(program)} is on PATH already")
    return str(program)


@pytest.fixture
def engine(served: Engine, client: str) -> Iterator[Engine]:
    """The engine, driven by one of the clients; the containers of a test end with it."""
    served.client = client
    yield served
    served.remove_everything()
