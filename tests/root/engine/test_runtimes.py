"""Containers of the engine on runc and crun: everything that Docker's commands do works there too."""

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bench.peers import Corten
from tests.images import stand_ins
from tests.root.runtime.bundle import wait_for

pytestmark = pytest.mark.root
SBIN = f"{os.environ['PATH']}:/usr/sbin:/sbin"


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Corten]:
    """An engine whose mount namespace lacks the empty v2 tree, since Debian's crun refuses a hybrid host."""
    scratch = tmp_path_factory.mktemp("runtimes")
    archive = scratch / "busybox.tar"
    archive.write_bytes(stand_ins("busybox:latest"))
    made = Corten(scratch / "root")
    made.load(archive)
    yield made
    made.close()


@pytest.fixture(params=["runc", "crun"])
def runtime(request: pytest.FixtureRequest) -> str:
    if not shutil.which(request.param, path=SBIN):
        pytest.skip(f"needs {request.param}")
    return str(request.param)


@pytest.fixture
def cli(engine: Corten) -> Iterator[list[str]]:
    yield engine.cli
    left = run(engine.cli, "ps", "-aq").split()
    if left:
        run(engine.cli, "rm", "-f", *left)


def run(cli: list[str], *words: str, status: int = 0, input: str | None = None) -> str:
    done = subprocess.run([*cli, *words], capture_output=True, text=True, timeout=60, check=False, input=input)
    assert done.returncode == status, f"{words}\n{done.stdout}{done.stderr}"
    return done.stdout + (done.stderr if status else "")


def listens(path: Path | None) -> bool:
    with socket.socket(socket.AF_UNIX) as sock:
        return sock.connect_ex(str(path)) == 0


def inspect(cli: list[str], name: str, template: str) -> str:
    return run(cli, "inspect", "-f", template, name).strip()


def test_output_input_and_exit_codes_pass_through(cli: list[str], runtime: str) -> None:
    base = ("run", "--rm", "--runtime", runtime)
    assert run(cli, *base, "busybox", "echo", "hello") == "hello\n"
    run(cli, *base, "busybox", "sh", "-c", "exit 7", status=7)
    assert run(cli, *base, "-i", "busybox", "cat", input="typed") == "typed"
    assert "not found" in run(cli, *base, "busybox", "/not/here", status=127).lower().replace(
        "no such file", "not found"
    )


def test_a_container_lives_and_obeys(cli: list[str], runtime: str) -> None:
    words = ("run", "-d", "--name", "one", "-m", "64m", "--runtime", runtime, "busybox")
    run(cli, *words, "sh", "-c", "echo begun; sleep 1000")
    assert inspect(cli, "one", "{{.HostConfig.Runtime}}") == runtime
    pid = inspect(cli, "one", "{{.State.Pid}}")
    assert Path(f"/proc/{pid}/root/bin/busybox").exists()
    assert run(cli, "exec", "one", "cat", "/sys/fs/cgroup/memory/memory.limit_in_bytes") == f"{64 << 20}\n"
    run(cli, "exec", "one", "sh", "-c", "exit 3", status=3)
    assert run(cli, "exec", "-i", "one", "cat", input="typed") == "typed"
    assert "/not/here" in run(cli, "exec", "one", "/not/here", status=127)
    assert run(cli, "logs", "one") == "begun\n"
    run(cli, "pause", "one")
    assert inspect(cli, "one", "{{.State.Status}}") == "paused"
    run(cli, "unpause", "one")
    run(cli, "update", "-m", "32m", "--memory-swap", "32m", "one")
    assert run(cli, "exec", "one", "cat", "/sys/fs/cgroup/memory/memory.limit_in_bytes") == f"{32 << 20}\n"
    assert run(cli, "stats", "--no-stream", "--format", "{{.Name}}", "one") == "one\n"
    assert "sleep 1000" in run(cli, "top", "one")
    run(cli, "cp", "/etc/hostname", "one:/copied")
    assert run(cli, "exec", "one", "ls", "/copied") == "/copied\n"
    run(cli, "kill", "one")
    assert run(cli, "wait", "one") == "137\n"
    run(cli, "start", "one")
    assert run(cli, "exec", "one", "ls", "/copied") == "/copied\n"
    run(cli, "rm", "-f", "one")


def test_networks_and_names_are_the_engines(cli: list[str], runtime: str) -> None:
    run(
        cli,
        "run",
        "-d",
        "--name",
        "server",
        "--runtime",
        runtime,
        "busybox",
        "nc",
        "-ll",
        "-p",
        "7",
        "-e",
        "echo",
        "hi",
    )
    address = inspect(cli, "server", "{{.NetworkSettings.Networks.bridge.IPAddress}}")
    assert address in run(cli, "exec", "server", "ip", "address")
    assert run(cli, "run", "--rm", "busybox", "nc", address, "7") == "hi\n"


def test_a_terminal_is_one(cli: list[str], runtime: str) -> None:
    assert "/dev/pts/" in run(cli, "run", "--rm", "-t", "--runtime", runtime, "busybox", "sh", "-c", "tty; sleep 0.3")


def test_a_restarted_engine_finds_them(engine: Corten, cli: list[str], runtime: str) -> None:
    run(cli, "run", "-d", "--name", "kept", "--runtime", runtime, "busybox", "sleep", "1000")
    engine.process.kill()
    engine.process.wait()
    command = [*engine.namespace.enter, *engine.cli, "serve"]
    engine.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(lambda: listens(engine.socket), seconds=20)  # a command would start one by itself, but not in there
    assert run(cli, "exec", "kept", "echo", "there") == "there\n"
    run(cli, "stop", "-t", "0", "kept")
    assert inspect(cli, "kept", "{{.State.ExitCode}}") == "137"


def test_info_lists_them_and_an_unknown_one_is_refused(cli: list[str], runtime: str) -> None:
    shown = json.loads(run(cli, "info", "--format", "{{json .Runtimes}}"))
    assert shown[runtime]["path"] == shutil.which(runtime, path=SBIN)
    assert "corten" in shown
    assert "unknown or invalid runtime name: magic" in run(cli, "run", "--runtime", "magic", "busybox", status=125)


def test_a_path_names_one_too(cli: list[str], runtime: str) -> None:
    path = shutil.which(runtime, path=SBIN) or ""
    assert run(cli, "run", "--rm", "--runtime", path, "busybox", "echo", "by path") == "by path\n"
