"""Containers where cgroups are v2 alone: limits, device rules, the freezer, delegation, and an ordinary user's share.

`./dev test root --vm tests/root/runtime/test_unified.py` runs them on a machine that has a unified hierarchy.
"""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from corten.kernel.bpf import device_programs
from corten.kernel.cgroups import read_layout
from tests.root.runtime.bundle import Bundle, Runtime, wait_for
from tests.root.runtime.ordinary_user import USER, Rootless

TOP = Path("/sys/fs/cgroup")
pytestmark = pytest.mark.skipif(read_layout().mode != "v2", reason="needs cgroup v2 alone: ./dev test root --vm")
MEMORY = {"limit": 64 << 20, "swap": 96 << 20, "reservation": 32 << 20}
CPU = {"shares": 512, "quota": 50000, "period": 100000, "burst": 1000}


HOME = read_layout().unified


def home() -> Path:
    """The cgroup that the test run began in."""
    assert HOME
    return TOP / HOME.own.strip("/")


@pytest.fixture
def parent() -> Iterator[Path]:
    """A cgroup of the test's own; whoever is left in it goes back to where the test is."""
    made = TOP / f"corten-test-{os.getpid()}"
    made.mkdir()
    back = home() / "cgroup.procs"
    yield made
    for directory, _, _ in os.walk(made, topdown=False):
        for pid in Path(directory, "cgroup.procs").read_text().split():
            back.write_text(pid)
        os.rmdir(directory)


def test_every_limit_reaches_its_file_below_a_parent_that_is_new(runtime: Runtime) -> None:
    runtime.bundle.linux["cgroupsPath"] = f"/{runtime.bundle.id}/inner/box"
    runtime.bundle.linux["resources"] = {
        "memory": MEMORY,
        "cpu": CPU,
        "pids": {"limit": 20},
        "hugepageLimits": [{"pageSize": "2MB", "limit": 4 << 20}],
        "blockIO": {"weight": 500},
        "unified": {"memory.high": str(48 << 20)},
    }
    runtime.start()
    box = TOP / runtime.bundle.id / "inner/box"
    try:
        wanted: dict[str, int | str] = {
            "memory.max": 64 << 20,
            "memory.swap.max": 32 << 20,
            "memory.low": 32 << 20,
            "memory.high": 48 << 20,
        }
        wanted |= {"pids.max": 20, "cpu.weight": 59, "cpu.max.burst": 1000, "hugetlb.2MB.max": 4 << 20}
        wanted |= {"hugetlb.2MB.rsvd.max": 4 << 20, "cpu.max": "50000 100000", "io.weight": "default 4950"}
        found = {name: (box / name).read_text().strip() for name in wanted}
        assert found == {name: str(value) for name, value in wanted.items()}
        runtime("update", "--memory", "32m", "--memory-swap", "-1", "--cpu-share", "1024", runtime.bundle.id)
        names = ("memory.max", "memory.swap.max", "cpu.weight")
        assert [(box / name).read_text().strip() for name in names] == [str(32 << 20), "max", "100"]
    finally:
        runtime.end()
        for left in (TOP / runtime.bundle.id / "inner", TOP / runtime.bundle.id):
            left.rmdir()


@pytest.mark.parametrize("path", ["", "beside/box"])
def test_a_relative_path_is_beside_our_own_cgroup_and_can_be_limited(runtime: Runtime, path: str) -> None:
    runtime.bundle.linux.update(cgroupsPath=path, resources={"memory": {"limit": 64 << 20}})
    assert runtime.sh("cat /proc/self/cgroup /sys/fs/cgroup/memory.max") == f"0::/\n{64 << 20}\n"
    if path:
        (TOP / "beside").rmdir()


def test_a_cgroup_with_processes_in_it_is_named_when_it_cannot_pass_a_limit_on(runtime: Runtime, parent: Path) -> None:
    with subprocess.Popen(["sleep", "100"]) as other:
        (parent / "cgroup.procs").write_text(str(other.pid))
        runtime.bundle.linux["cgroupsPath"] = f"/{parent.name}/box"
        assert runtime.sh("echo without limits") == "without limits\n"
        runtime.bundle.linux["resources"] = {"memory": {"limit": 64 << 20}}
        refused = runtime.result("/bin/true")
        other.kill()
    assert (refused.returncode, "/linux/resources/memory/limit" in refused.stderr) == (1, True)
    assert parent.name in refused.stderr
    assert not (parent / "box").exists()


def test_in_a_cgroup_namespace_our_own_processes_make_room(runtime: Runtime, parent: Path) -> None:
    runtime.bundle.linux["resources"] = {"memory": {"limit": 64 << 20}}
    runtime.bundle.process["args"] = ["/bin/cat", "/sys/fs/cgroup/memory.max"]
    runtime.bundle.write()
    command = f"{runtime.command} --root {runtime.root} run -b {runtime.bundle.path} {runtime.bundle.id}"
    inside = f"umount /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup; {command}; cat /proc/self/cgroup"
    outside = f"echo 0 > {parent}/cgroup.procs; exec unshare -m -C sh -c '{inside}'"
    shown = subprocess.run(["sh", "-c", outside], stdout=subprocess.PIPE, text=True, check=True, timeout=600).stdout
    assert shown == f"{64 << 20}\n0::/corten-init\n"


NODES = "mknod /dev/k c 10 200 && true < /dev/k && echo open; echo x > /dev/null && echo null"


def test_device_rules_are_an_ebpf_program_that_an_update_replaces(runtime: Runtime) -> None:
    denied = {"allow": False, "access": "rwm"}
    runtime.bundle.linux["resources"]["devices"] = [denied]
    for kind in ("bounding", "effective", "permitted"):
        runtime.bundle.process["capabilities"][kind].append("CAP_MKNOD")
    id = runtime.start()
    first = runtime.exec("/bin/sh", "-c", f"{NODES}; rm /dev/k", check=False)
    assert (first.stdout.split(), "not permitted" in first.stderr) == (["null"], True)
    [before] = device_programs(str(runtime.cgroup("devices")))
    allowed = {"allow": True, "type": "c", "major": 10, "minor": 200, "access": "r"}
    runtime("update", "-r", "-", id, input=json.dumps({"devices": [denied, allowed]}))
    [after] = device_programs(str(runtime.cgroup("devices")))
    assert before != after
    assert runtime.exec("/bin/sh", "-c", NODES).stdout.split() == ["open", "null"]
    assert "not permitted" in runtime.exec("/bin/sh", "-c", "echo > /dev/k", check=False).stderr


def test_the_freezer_holds_and_one_write_kills_all(runtime: Runtime) -> None:
    id = runtime.start("/bin/sh", "-c", "sleep 1000 & sleep 1000 & while :; do :; done")
    runtime("pause", id)
    assert "frozen 1" in (runtime.cgroup("") / "cgroup.events").read_text()
    usage = [json.loads(runtime("events", "--stats", id).stdout)["data"]["cpu"]["usage"]["total"] for _ in range(2)]
    assert usage[0] == usage[1]
    runtime("resume", id)
    assert runtime.state()["status"] == "running"
    runtime("pause", id)
    runtime("kill", "--all", id, "KILL")  # a frozen v2 cgroup can be killed
    wait_for(lambda: runtime.state()["status"] == "stopped")
    assert json.loads(runtime("ps", "-f", "json", id).stdout) == []


def test_a_kill_for_lack_of_memory_is_an_event_and_is_counted(runtime: Runtime) -> None:
    runtime.bundle.linux["resources"]["memory"] = {"limit": 16 << 20, "swap": 16 << 20}
    id = runtime.start()
    argv = [runtime.command, "--root", str(runtime.root), "events", "--interval", "500ms", id]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as events:
        assert events.stdout
        assert json.loads(events.stdout.readline())["data"]["memory"]["usage"]["limit"] == 16 << 20
        assert runtime.exec("/bin/dd", "if=/dev/zero", "of=/dev/null", "bs=64M", "count=1", check=False).returncode
        assert any(json.loads(line)["type"] == "oom" for line in events.stdout)
        events.kill()
    assert "oom_kill 1" in (runtime.cgroup("memory") / "memory.events").read_text()


def test_the_root_of_a_user_namespace_divides_its_cgroup_and_exec_still_joins(runtime: Runtime, bundle: Bundle) -> None:
    ids = [{"containerID": 0, "hostID": 70000, "size": 1000}]
    bundle.linux.update(uidMappings=ids, gidMappings=ids)
    bundle.linux["namespaces"].append({"type": "user"})
    for mount in bundle.spec["mounts"]:
        if mount["type"] == "cgroup":
            mount["options"].remove("ro")
    os.chmod(bundle.path, 0o755)
    os.chmod(bundle.path.parent, 0o755)
    script = "cd /sys/fs/cgroup && mkdir init below && echo 1 > init/cgroup.procs && "
    script += "echo +memory +pids > cgroup.subtree_control && echo 7 > below/pids.max; sleep 1000"
    runtime.start("/bin/sh", "-c", script)
    wait_for((runtime.cgroup("") / "below/pids.max").exists, 60)
    wait_for(lambda: (runtime.cgroup("") / "below/pids.max").read_text() == "7\n", 60)
    assert runtime.cgroup("").stat().st_uid == 70000
    assert (runtime.cgroup("") / "memory.max").stat().st_uid == 0
    assert runtime.exec("/bin/cat", "/proc/self/cgroup").stdout == "0::/init\n"


def test_an_ordinary_user_limits_within_what_was_delegated(rootless: Rootless, parent: Path) -> None:
    shell = parent / "shell"
    shell.mkdir()
    (parent / "cgroup.subtree_control").write_text("+memory +pids")
    for path in (parent, parent / "cgroup.procs", parent / "cgroup.subtree_control", shell, shell / "cgroup.procs"):
        os.chown(path, USER, USER)
    rootless.configure("/bin/cat", "/sys/fs/cgroup/pids.max", resources={"pids": {"limit": 7}})
    (shell / "cgroup.procs").write_text(str(os.getpid()))  # the user's command is born where we are
    try:
        done = rootless("run", "mine")
    finally:
        (home() / "cgroup.procs").write_text(str(os.getpid()))
    assert (done.stdout, done.stderr) == ("7\n", "")
    assert not list(parent.glob("mine"))


def test_an_ordinary_user_without_a_cgroup_is_told_that_nothing_limits(rootless: Rootless) -> None:
    rootless.configure("/bin/echo", "runs", resources={"pids": {"limit": 7}})
    done = rootless("run", "mine")
    assert (done.stdout, "limits are not enforced" in done.stderr) == ("runs\n", True)
