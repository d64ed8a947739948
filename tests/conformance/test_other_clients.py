"""Clients from PyPI, unchanged, against our engine: testcontainers and python-on-whales do what users do first."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bench.peers import Corten, available
from tests.conformance.cache import run, suite
from tests.conformance.engine import started

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(not available("docker", "ip"), reason="needs docker's command"),
]

TESTCONTAINERS = """
from testcontainers.core.container import DockerContainer
with DockerContainer("busybox:latest").with_env("WORD", "hello").with_command("sleep 100") as box:
    code, output = box.exec(["sh", "-c", "echo $WORD"])
    assert (code, output) == (0, b"hello\\n"), (code, output)
"""

WHALES = """
from python_on_whales import DockerException, docker
assert docker.run("busybox:latest", ["echo", "hello"], remove=True) == "hello"
with docker.run("busybox:latest", ["sleep", "100"], detach=True, name="whale", volumes=[("data", "/data")]) as box:
    assert box.state.running and docker.container.inspect("whale").id == box.id
    assert box.execute(["sh", "-c", "echo kept > /data/file && cat /data/file"]) == "kept"
assert "data" in [volume.name for volume in docker.volume.list()]
docker.volume.remove("data")
try:
    docker.run("busybox:latest", ["sh", "-c", "exit 3"], remove=True)
except DockerException as error:
    assert error.return_code == 3
else:
    raise AssertionError("an exit status was lost")
"""


def prepare(place: Path) -> None:
    run(sys.executable, "-m", "venv", place / "venv")
    run(place / "venv/bin/pip", "install", "-q", "testcontainers==4.8.2", "python-on-whales==0.73.0")


@pytest.fixture(scope="module")
def python() -> Path:
    try:
        return suite("other-clients-1", prepare) / "venv/bin/python"
    except (RuntimeError, OSError) as error:
        pytest.skip(f"the clients cannot be installed here: {error}")


@pytest.fixture(scope="module")
def engine() -> Iterator[Corten]:
    with started(Corten) as peer:
        assert isinstance(peer, Corten)
        yield peer


@pytest.mark.parametrize("script", [TESTCONTAINERS, WHALES], ids=["testcontainers", "python-on-whales"])
def test_a_client_of_pypi_works_unchanged(engine: Corten, python: Path, script: str, tmp_path: Path) -> None:
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "DOCKER_HOST": f"unix://{engine.socket}",
        "TESTCONTAINERS_RYUK_DISABLED": "true",  # its own image, which no hub gives us
    }
    command = [*engine.namespace.enter, str(python), "-c", script]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
