"""podman, dockerd and containerd run their containers with our runtime, through every verb that they have for it."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bench.peers import Containerd, Dockerd, Podman, available
from tests.images import stand_ins

pytestmark = pytest.mark.root

RUNTIME = str(Path(sys.executable).with_name("corten-runtime"))


def needs(*programs: str) -> pytest.MarkDecorator:
    missing = [program for program in programs if not available(program)]
    return pytest.mark.skipif(bool(missing), reason=f"needs {', '.join(missing)}")


def run(*words: str, status: int = 0) -> str:
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == status, f"{' '.join(words)}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture
def image(scratch: Path) -> Path:
    path = scratch / "busybox.tar"
    path.write_bytes(stand_ins("busybox:latest"))
    return path


@pytest.fixture
def docker(scratch: Path, image: Path) -> Iterator[list[str]]:
    engine = Dockerd(scratch / "docker", "docker", f"--add-runtime=corten={RUNTIME}", "--default-runtime=corten")
    try:
        engine.load(image)
        yield engine.cli
    finally:
        engine.close()


@pytest.fixture
def podman(scratch: Path, image: Path) -> Iterator[list[str]]:
    engine = Podman(scratch / "podman")
    engine.cli = [*engine.cli, f"--runtime={RUNTIME}"]
    try:
        engine.load(image)
        yield engine.cli
    finally:
        engine.close()


@pytest.fixture
def ctr(scratch: Path, image: Path) -> Iterator[list[str]]:
    engine = Containerd(scratch / "containerd")
    try:
        engine.load(image)
        yield [*engine.namespace.enter, *engine.cli]
    finally:
        engine.close()


def life(cli: list[str], *options: str, missing: int = 127) -> None:
    """A container of a docker-like command: run, exec, logs, pause, stats, kill, delete; `missing` is its exit status
    for an exec of a program that is not there."""
    assert run(*cli, "run", "--rm", *options, "busybox", "echo", "hello") == "hello\n"
    run(*cli, "run", "--rm", *options, "busybox", "sh", "-c", "exit 7", status=7)
    run(*cli, "run", "-d", "--name", "one", "-m", "64m", *options, "busybox", "sh", "-c", "echo begun; sleep 1000")
    assert run(*cli, "exec", "one", "hostname").strip()
    run(*cli, "exec", "one", "sh", "-c", "exit 3", status=3)
    run(*cli, "exec", "one", "/not/here", status=missing)
    assert run(*cli, "logs", "one") == "begun\n"
    run(*cli, "pause", "one")
    assert run(*cli, "inspect", "-f", "{{.State.Status}}", "one") == "paused\n"
    run(*cli, "unpause", "one")
    assert run(*cli, "stats", "--no-stream", "--format", "{{.Name}}", "one") == "one\n"
    run(*cli, "kill", "one")
    assert run(*cli, "wait", "one") == "137\n"
    run(*cli, "rm", "one")


@needs("dockerd", "docker")
def test_dockerd_runs_its_containers_with_our_runtime(docker: list[str]) -> None:
    life(docker, missing=126)  # 20.10 has this status for every failed exec, with runc too
    run(*docker, "run", "-d", "--name", "two", "-m", "64m", "busybox", "sleep", "1000")
    assert run(*docker, "inspect", "-f", "{{.HostConfig.Runtime}}", "two") == "corten\n"
    run(*docker, "update", "-m", "32m", "--memory-swap", "32m", "two")
    shown = run(*docker, "exec", "two", "cat", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
    assert shown == f"{32 << 20}\n"
    run(*docker, "rm", "-f", "two")


@needs("podman", "conmon")
def test_podman_runs_its_containers_with_our_runtime(podman: list[str]) -> None:
    life(podman, "--net=host")


@needs("containerd", "ctr")
def test_containerd_runs_its_containers_with_our_runtime(ctr: list[str]) -> None:
    image = "docker.io/library/busybox:latest"
    assert run(*ctr, "run", "--rm", "--runc-binary", RUNTIME, image, "one", "echo", "hello") == "hello\n"
    run(*ctr, "run", "-d", "--null-io", "--runc-binary", RUNTIME, image, "two", "sleep", "1000")
    tasks = [*ctr, "tasks"]
    run(*tasks, "exec", "--exec-id", "x", "two", "true")
    run(*tasks, "pause", "two")
    assert "PAUSED" in run(*tasks, "ls")
    run(*tasks, "resume", "two")
    assert json.loads(run(*tasks, "metrics", "--format", "json", "two"))
    run(*tasks, "kill", "-s", "KILL", "two")
    deadline = time.monotonic() + 10
    while "STOPPED" not in run(*tasks, "ls") and time.monotonic() < deadline:
        time.sleep(0.05)
    run(*tasks, "rm", "two")
    run(*ctr, "containers", "rm", "two")
