"""`corten serve`, the engine that starts itself, and `corten system reset`, from outside."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bench.peers import Namespace, available

pytestmark = pytest.mark.skipif(not available("unshare", "nsenter", "ip"), reason="needs iproute2")

OURS = str(Path(sys.executable).with_name("corten"))


@pytest.fixture
def inside() -> Iterator[list[str]]:
    """The prefix that runs a command in namespaces of its own."""
    namespace = Namespace()
    yield namespace.enter
    namespace.close()


def answers(*words: str) -> bool:
    done = subprocess.run([*words, "version", "--format", "json"], capture_output=True, text=True, check=False)
    return done.returncode == 0 and json.loads(done.stdout)["Server"] is not None


def test_serve_listens_where_it_is_told_and_says_when_it_is_ready(inside: list[str], scratch: Path) -> None:
    reader, writer = os.pipe()
    port = 23750 + os.getpid() % 1000
    words = [
        *inside,
        OURS,
        "serve",
        "--root",
        str(scratch),
        "--host",
        f"tcp://127.0.0.1:{port}",
        "--ready-fd",
        str(writer),
    ]
    engine = subprocess.Popen(words, pass_fds=[writer])
    os.close(writer)
    assert os.read(reader, 100) == b""
    os.close(reader)
    assert answers(OURS, "-H", f"unix://{scratch}/corten.sock")
    assert answers(*inside, OURS, "-H", f"tcp://127.0.0.1:{port}")
    engine.terminate()
    assert engine.wait(20) in (0, 143, -15)


def test_serve_in_the_background_holds_nothing_of_its_starter(inside: list[str], scratch: Path) -> None:
    words = [*inside, OURS, "--root", str(scratch), "serve", "--background"]
    engine = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 20
    while not answers(OURS, "-H", f"unix://{scratch}/corten.sock"):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert (scratch / "data/engine.log").exists()
    assert os.readlink(f"/proc/{holder(scratch)}/cwd") == "/"
    engine.terminate()
    engine.wait(20)


def runs(pid: int) -> bool:
    """Whether a process is alive; one that only waits for init to notice its end is not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def holder(scratch: Path) -> int:
    return int((scratch / "data/engine.lock").read_text().split()[0])


def test_the_first_command_starts_an_engine_and_reset_leaves_nothing(inside: list[str], scratch: Path) -> None:
    root = scratch / "root"
    listed = subprocess.run(
        [*inside, OURS, "--root", str(root), "ps", "-q"], capture_output=True, text=True, check=False
    )
    assert (listed.returncode, listed.stdout, listed.stderr) == (0, "", "")
    pid = holder(root)
    asked = subprocess.run(
        [*inside, OURS, "--root", str(root), "system", "reset"],
        input="n\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert "running ones too" in asked.stdout
    assert root.exists()
    done = subprocess.run(
        [*inside, OURS, "--root", str(root), "system", "reset", "--force"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert not (root / "data").exists()
    assert not (root / "corten.sock").exists()
    with pytest.raises(OSError), socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(root / "corten.sock"))
    assert not runs(pid)
