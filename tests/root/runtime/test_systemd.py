"""The systemd cgroup driver: what it asks a manager for, what the container gets, what is said without one."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from corten.kernel.cgroups import read_layout
from corten.model.errors import FailedPrecondition
from corten.runtime.systemd import Unit
from corten.runtime.systemd_manager import Manager
from tests.root.runtime.bundle import Runtime, wait_for
from tests.root.runtime.fake_systemd import FakeSystemd

SLICE = f"cortentest{os.getpid()}.slice"


@pytest.fixture
def systemd(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeSystemd]:
    made = FakeSystemd(scratch / "bus")
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", made.address)
    yield made
    made.close()


@pytest.fixture
def driven(runtime: Runtime, systemd: FakeSystemd) -> Iterator[Runtime]:  # noqa: ARG001
    runtime.bundle.linux["cgroupsPath"] = f"{SLICE}:test:{runtime.bundle.id}"
    runtime.bundle.linux["resources"]["memory"] = {"limit": 64 << 20}
    yield runtime
    runtime.end()
    for hierarchy in read_layout().hierarchies:
        if os.path.isdir(hierarchy.directory(f"/{SLICE}")):
            os.rmdir(hierarchy.directory(f"/{SLICE}"))


def begin(runtime: Runtime) -> str:
    runtime.bundle.process["args"] = ["/bin/sleep", "1000"]
    runtime.bundle.write()
    flags = ["--systemd-cgroup", "run", "--detach", "-b", str(runtime.bundle.path), runtime.bundle.id]
    done = subprocess.run(
        [runtime.command, "--root", str(runtime.root), *flags], stdin=subprocess.DEVNULL, check=False, timeout=30
    )
    assert done.returncode == 0
    return runtime.bundle.id


def test_a_container_runs_in_a_unit_that_systemd_was_asked_for(driven: Runtime, systemd: FakeSystemd) -> None:
    id = begin(driven)
    pid = driven.state()["pid"]
    assert systemd.names() == ["Hello", "AddMatch", "Subscribe", "StartTransientUnit"]
    name, mode, _, _ = systemd.calls[-1][1]
    assert (name, mode) == (f"test-{id}.scope", "replace")
    assert (
        systemd.properties()
        | {
            "PIDs": ("au", [pid]),
            "Slice": ("s", SLICE),
            "Delegate": ("b", True),
            "MemoryLimit": ("t", 64 << 20),
            "TasksAccounting": ("b", True),
        }
        == systemd.properties()
    )
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        assert line.endswith(f":/{SLICE}/test-{id}.scope"), line


def test_limits_hold_and_change_and_the_unit_is_stopped(driven: Runtime, systemd: FakeSystemd) -> None:
    id = begin(driven)
    groups = [Path(one.directory(f"/{SLICE}/test-{id}.scope")) for one in read_layout().hierarchies]
    limit = next(path for group in groups if (path := group / "memory.limit_in_bytes").exists())
    assert limit.read_text() == f"{64 << 20}\n"
    driven("update", "--memory", "32m", id)
    assert limit.read_text() == f"{32 << 20}\n"
    assert systemd.properties("SetUnitProperties") == {"MemoryLimit": ("t", 32 << 20)}
    assert driven.exec("/bin/cat", "/proc/self/cgroup").stdout.count("/\n") == len(groups)
    driven("kill", id, "KILL")
    wait_for(lambda: driven.state()["status"] == "stopped")
    driven("delete", id)
    assert systemd.names()[-2:] == ["StopUnit", "ResetFailedUnit"]
    assert not any(group.exists() for group in groups)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"result": "failed"}, "systemd could not make the unit"),
        ({"error": "org.freedesktop.DBus.Error.AccessDenied"}, "systemd refused StartTransientUnit: no"),
    ],
)
def test_a_refusal_fails_the_create_and_leaves_nothing(
    driven: Runtime, systemd: FakeSystemd, answer: dict[str, Any], words: str
) -> None:
    for name, value in answer.items():
        setattr(systemd, name, value)
    driven.bundle.write()
    done = driven("--systemd-cgroup", "run", "-b", str(driven.bundle.path), driven.bundle.id, check=False)
    assert (done.returncode, words in done.stderr) == (1, True), done.stderr
    assert not (driven.root / driven.bundle.id).exists()


def test_where_no_systemd_is_the_error_says_so(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nowhere/bus")
    runtime.bundle.linux["cgroupsPath"] = f"{SLICE}:test:{runtime.bundle.id}"
    runtime.bundle.write()
    done = runtime("--systemd-cgroup", "run", "-b", str(runtime.bundle.path), runtime.bundle.id, check=False)
    assert done.returncode == 1
    for word in ("systemd cannot be reached", "/nowhere/bus: no such file", "leave --systemd-cgroup out"):
        assert word in done.stderr


@pytest.mark.skipif(not shutil.which("dbus-daemon"), reason="needs dbus-daemon")
def test_a_real_bus_understands_us(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bus takes our greeting and our messages, and says itself that nobody there is systemd."""
    address = f"unix:path={scratch}/bus"
    command = ["dbus-daemon", "--session", "--nofork", f"--address={address}", "--print-address"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as daemon:
        assert daemon.stdout
        daemon.stdout.readline()
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", address)
        try:
            with pytest.raises(FailedPrecondition, match="systemd refused Subscribe") as caught:
                Manager.connect()
        finally:
            daemon.terminate()
        assert caught.value.hint.startswith("org.freedesktop.DBus.Error.")


def test_a_unit_that_is_gone_is_well(systemd: FakeSystemd) -> None:
    with Manager.connect() as manager:
        manager.stop(Unit.of("a.slice:x:y", "", uid=0))
    assert systemd.names()[-2:] == ["StopUnit", "ResetFailedUnit"]
