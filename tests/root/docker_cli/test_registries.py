"""`docker login`, `push` and `pull` against a registry on the engine's own loopback."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.root.engines import IMAGE, OTHER_HOST, Engine

REGISTRY = """
import threading
from tests.fake_registry import FakeRegistry
print(FakeRegistry({"me": "secret"}).address, flush=True)
threading.Event().wait()
"""


@pytest.fixture
def registry(engine: Engine) -> Iterator[str]:
    """The address of a registry with one user, on the loopback of the engine's own network namespace."""
    assert engine.process is not None
    words = ["nsenter", "-t", str(engine.process.pid), "-n", "--", sys.executable, "-c", REGISTRY]
    root = Path(__file__).parents[3]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=root) as process:
        assert process.stdout
        yield process.stdout.readline().strip()
        process.kill()


@pytest.mark.skipif(bool(OTHER_HOST), reason="the registry must be in the engine's network namespace")
def test_an_image_travels_through_a_registry_with_a_login(engine: Engine, registry: str) -> None:
    name = f"{registry}/some/where:1"
    engine.docker("tag", IMAGE, name)
    before = engine.out("image", "inspect", name, "--format", "{{.Id}}")
    refused = engine.docker("push", name, check=False)
    assert refused.returncode == 1
    wrong = engine.docker("login", "-u", "me", "-p", "wrong", registry, check=False)
    assert wrong.returncode == 1
    assert "Login Succeeded" in engine.out("login", "-u", "me", "--password-stdin", registry, stdin="secret")
    assert re.search(r"1: digest: sha256:[0-9a-f]{64} size: \d+", engine.out("push", name))
    engine.docker("rmi", name)
    pulled = engine.out("pull", name)
    assert f"Status: Downloaded newer image for {name}" in pulled
    assert engine.out("image", "inspect", name, "--format", "{{.Id}}") == before
    assert f"Status: Image is up to date for {name}" in engine.out("pull", "--platform", "linux/amd64", name)
    engine.docker("rmi", name)
    assert engine.out("run", "--rm", name, "echo", "pulled and run") == "pulled and run"
    missing = engine.docker("pull", f"{registry}/some/where:2", check=False)
    assert missing.returncode == 1
    assert "not found" in missing.stderr
    engine.docker("logout", registry)
    engine.docker("rmi", name)
