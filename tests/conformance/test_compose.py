"""Docker Compose, Debian unstable's and unchanged, brings a project up on our engine, works in it and takes it down."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bench.peers import Corten, available
from tests.conformance.debian import unpacked
from tests.conformance.engine import started

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(not available("unshare", "nsenter", "ip"), reason="needs iproute2"),
]

PROJECT = """
services:
  db:
    image: busybox
    command: sh -c "mkdir -p /www && echo data > /www/index.html && httpd -f -p 8080 -h /www"
    healthcheck: {test: [CMD, wget, -q, -O, "-", "http://127.0.0.1:8080/"], interval: 0.5s, timeout: 3s, retries: 9}
    volumes: ["data:/data"]
    networks: [back]
    deploy: {resources: {limits: {memory: 64M, cpus: "0.5"}}}
  web:
    image: busybox
    command: sh -c "wget -q -O - http://db:8080/; sleep 1000"
    depends_on: {db: {condition: service_healthy}}
    environment: {WORD: from compose}
    ports: ["18080:80"]
    networks: [back, front]
    configs: [conf]
    secrets: [word]
  built:
    build: .
    profiles: [tool]
configs: {conf: {content: "the config "}}
secrets: {word: {file: ./word}}
volumes: {data: {}}
networks: {back: {}, front: {ipam: {config: [{subnet: 10.77.0.0/24}]}}}
"""


class Compose:
    """`docker-compose` in a project's directory, in the engine's namespaces."""

    def __init__(self, program: Path, engine: Corten, place: Path) -> None:
        self._command = [*engine.namespace.enter, str(program), "--project-directory", str(place), "-p", "project"]
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(place),
            "DOCKER_HOST": f"unix://{engine.socket}",
            "DOCKER_BUILDKIT": "0",
        }

    def __call__(self, *words: str) -> str:
        command = [*self._command, *words]
        env = self._environment
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout


@pytest.fixture
def compose(tmp_path: Path) -> Iterator[Compose]:
    try:
        program = unpacked("docker-compose") / "usr/libexec/docker/cli-plugins/docker-compose"
    except (RuntimeError, OSError) as error:
        pytest.skip(f"needs docker-compose of Debian unstable: {error}")
    (tmp_path / "compose.yaml").write_text(PROJECT)
    (tmp_path / "word").write_text("the secret")
    (tmp_path / "Dockerfile").write_text("FROM busybox\nCMD echo built\n")
    with started(Corten) as engine:
        assert isinstance(engine, Corten)
        yield Compose(program, engine, tmp_path)
    shutil.rmtree(tmp_path / ".docker", ignore_errors=True)


def test_a_project_comes_up_works_and_goes(compose: Compose) -> None:
    compose("up", "-d", "--wait")
    assert compose("ps", "--format", "{{.Service}} {{.State}} {{.Health}}").splitlines() == [
        "db running healthy",
        "web running ",
    ]
    assert "data" in compose("logs", "--no-log-prefix", "web")  # found by name, after it was healthy
    assert compose("exec", "-T", "web", "cat", "/conf", "/run/secrets/word") == "the config the secret"
    assert "WORD=from compose" in compose("exec", "-T", "web", "env")
    assert "inet 10.77.0." in compose("exec", "-T", "web", "ip", "addr")
    assert "httpd" in compose("top", "db")
    compose("stop", "-t", "0")
    compose("start")
    compose("restart", "-t", "0", "web")
    compose("kill", "db")
    compose("up", "-d", "--no-recreate")
    assert compose("run", "--rm", "--no-deps", "web", "echo", "one-off") == "one-off\n"
    compose("build", "built")
    assert "built" in compose("run", "--rm", "built")
    compose("down", "-v", "-t", "0", "--rmi", "local")
    assert compose("ps", "-aq") == ""
