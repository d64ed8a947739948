"""A container saved by CRIU goes on where it was. CORTEN_CRIU names another criu than the installed one."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.root.runtime.bundle import Runtime, wait_for

CRIU = shutil.which(os.environ.get("CORTEN_CRIU", "criu")) or ""
COUNT = "i=0; while true; do i=$((i+1)); echo $i > /tmp/n; sleep 0.05; done"


def works() -> bool:
    """Older ones do not start on a new kernel: 3.17 does not know the vDSO of 6.18."""
    return bool(CRIU) and subprocess.run([CRIU, "check"], capture_output=True, check=False).returncode == 0


needs_criu = pytest.mark.skipif(not works(), reason="needs a criu that can do with this kernel (criu check)")


@pytest.fixture
def counter(runtime: Runtime, scratch: Path) -> Runtime:
    """A container that counts up in a file of its root."""
    runtime.bundle.spec["root"]["readonly"] = False
    (scratch / "shared").mkdir()
    runtime.bundle.mount("/data", scratch / "shared", "bind", "rw")
    nowhere = subprocess.DEVNULL
    runtime("start", runtime.create("/bin/sh", "-c", COUNT, stdout=nowhere, stderr=nowhere))
    wait_for(lambda: number(runtime) > 2)
    return runtime


def number(runtime: Runtime) -> int:
    try:
        return int((runtime.bundle.rootfs / "tmp/n").read_text() or 0)
    except FileNotFoundError:
        return 0


def criu(runtime: Runtime, verb: str, *flags: str) -> None:
    words = [runtime.command, "--root", str(runtime.root), "--criu", CRIU, verb, *flags, runtime.bundle.id]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=False, timeout=60)
    assert done.returncode == 0


@needs_criu
def test_a_saved_container_is_gone_and_goes_on_where_it_was(counter: Runtime, scratch: Path) -> None:
    criu(counter, "checkpoint", "--image-path", str(scratch / "images"))
    assert not (counter.root / counter.bundle.id).exists()
    saved = number(counter)
    criu(counter, "restore", "--detach", "-b", str(counter.bundle.path), "--image-path", str(scratch / "images"))
    assert counter.state()["status"] == "running"
    wait_for(lambda: number(counter) > saved + 2)
    assert number(counter) < saved + 200
    assert counter.exec("/bin/ls", "-d", "/data").stdout == "/data\n"
    counter("pause", counter.bundle.id)
    assert counter.state()["status"] == "paused"
    counter("resume", counter.bundle.id)


@needs_criu
def test_a_container_may_run_on(counter: Runtime, scratch: Path) -> None:
    criu(counter, "checkpoint", "--leave-running", "--image-path", str(scratch / "images"))
    saved = number(counter)
    assert counter.state()["status"] == "running"
    wait_for(lambda: number(counter) > saved)


def test_images_that_are_none_are_an_error_that_leaves_nothing(runtime: Runtime, scratch: Path) -> None:
    runtime.bundle.write()
    words = ("--criu", "/bin/true", "restore", "-b", str(runtime.bundle.path), "--image-path", str(scratch / "none"))
    done = runtime(*words, runtime.bundle.id, check=False)
    assert (done.returncode, "holds no checkpoint" in done.stderr) == (1, True), done.stderr
    assert not (runtime.root / runtime.bundle.id).exists()


def test_a_failing_criu_is_told_with_its_log(runtime: Runtime, scratch: Path) -> None:
    id = runtime.start()
    words = ("--criu", "/bin/false", "checkpoint", "--image-path", str(scratch / "images"), id)
    done = runtime(*words, check=False)
    assert (done.returncode, "criu failed: type DUMP status 1" in done.stderr) == (1, True), done.stderr
    assert runtime.state()["status"] == "running"
