"""``/linux/netDevices``: the device is inside afterwards, with its address, and no more on the host."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from corten.model.errors import InvalidArgument
from corten.runtime import compile
from tests.root.runtime.bundle import Runtime
from tests.unit.runtime.hosts import host

SET_UP = """
ip link set lo up
ip link add near type veth peer name far
ip link set far address 02:00:00:00:00:07 mtu 1400
ip address add 10.9.8.7/24 dev far; ip address add fd00:9::7/64 dev far nodad; ip link set near up; ip link set far up
"""
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(runtime: Runtime) -> Run:
    """Run the bundle from a network namespace that has the devices `near` and `far`."""

    def within(devices: Any, script: str, *, host_script: str = "") -> subprocess.CompletedProcess[str]:
        runtime.bundle.linux["netDevices"] = devices
        runtime.bundle.process["args"] = ["/bin/sh", "-c", script]
        runtime.bundle.write()
        command = f"{runtime.command} --root {runtime.root} run -b {runtime.bundle.path} {runtime.bundle.id}"
        whole = f"set -e\n{SET_UP}\n{command}\n{host_script}"
        return subprocess.run(["unshare", "-n", "sh", "-c", whole], capture_output=True, text=True, check=False)

    return within


def test_a_device_moves_with_its_name_addresses_and_hardware_address(run: Run) -> None:
    done = run({"far": {}}, "ip address show dev far; cat /sys/class/net/far/mtu")
    assert done.returncode == 0, done.stderr
    for word in ("10.9.8.7/24", "fd00:9::7/64", "02:00:00:00:00:07", "1400", ",UP"):
        assert word in done.stdout


def test_a_device_takes_another_name(run: Run) -> None:
    done = run({"far": {"name": "net0"}}, "ls /sys/class/net; ip -4 address show dev net0")
    assert done.stdout.split()[:2] == ["lo", "net0"], done.stderr
    assert "10.9.8.7/24" in done.stdout


def test_a_template_takes_the_first_free_number(run: Run) -> None:
    done = run({"far": {"name": "eth%d"}, "near": {"name": "eth%d"}}, "ls /sys/class/net")
    assert done.stdout.split() == ["eth0", "eth1", "lo"], done.stderr


def test_a_name_that_is_taken_inside_is_an_error_and_nothing_has_moved(run: Run, runtime: Runtime) -> None:
    done = run({"far": {"name": "lo"}}, "true")
    assert (done.returncode, "the container has a lo already" in done.stderr) == (1, True), done.stderr
    assert not (runtime.root / runtime.bundle.id).exists()


def test_a_device_that_is_not_there_is_named(run: Run) -> None:
    assert "cannot move network device nothing: the host has none of that name" in run({"nothing": {}}, "true").stderr


def test_a_device_can_go_to_a_namespace_that_is_joined(run: Run, runtime: Runtime, scratch: Path) -> None:
    place = scratch / "joined"
    place.touch()
    subprocess.run(["unshare", f"--net={place}", "true"], check=True)
    try:
        spaces = [one for one in runtime.bundle.linux["namespaces"] if one["type"] != "network"]
        runtime.bundle.linux["namespaces"] = [*spaces, {"type": "network", "path": str(place)}]
        done = run({"far": {"name": "net0"}}, "ip -4 address show dev net0")
        assert "10.9.8.7/24" in done.stdout, done.stderr
    finally:
        subprocess.run(["umount", str(place)], check=True)


@pytest.mark.parametrize("name", ["a" * 16, "a/b", "a:b", "a b", "%d%d", "%s", ".."])
def test_what_is_no_name_of_a_device_is_refused(runtime: Runtime, name: str) -> None:
    runtime.bundle.linux["netDevices"] = {"far": {"name": name}}
    with pytest.raises(InvalidArgument, match="not the name of a network device"):
        compile(json.loads(json.dumps(runtime.bundle.spec)), host(), bundle="/b", id="web")


def test_devices_without_a_network_namespace_are_refused(runtime: Runtime) -> None:
    spec = runtime.bundle.spec
    spec["linux"]["namespaces"] = [one for one in spec["linux"]["namespaces"] if one["type"] != "network"]
    spec["linux"]["netDevices"] = {"far": {}}
    with pytest.raises(InvalidArgument, match="network devices need a network namespace"):
        compile(spec, host(), bundle="/b", id="web")
