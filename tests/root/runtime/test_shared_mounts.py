"""A container without a mount namespace has the host's, and yet a root of its own, of which the host sees nothing."""

import os
from pathlib import Path

import pytest

from corten.model.errors import InvalidArgument
from corten.plan import check
from corten.runtime import compile
from tests.root.runtime.bundle import Runtime
from tests.unit.runtime.hosts import host

pytestmark = pytest.mark.skipif(
    tuple(int(part) for part in os.uname().release.split(".")[:2]) < (6, 15),
    reason="mounts below a detached mount came with Linux 6.15",
)


@pytest.fixture
def shared(runtime: Runtime) -> Runtime:
    runtime.bundle.linux["namespaces"] = []
    runtime.bundle.spec.pop("hostname")
    return runtime


def mounts() -> str:
    return Path("/proc/self/mounts").read_text()


def test_the_namespace_is_the_hosts_and_no_mount_is_made_in_it(shared: Runtime) -> None:
    before = mounts()
    shown = shared.sh("readlink /proc/self/ns/mnt; ls /; ls /proc/1/comm; test -c /dev/null && echo null")
    namespace, *names, process, null = shown.split()
    assert namespace == os.readlink("/proc/self/ns/mnt")
    assert names == sorted(entry.name for entry in shared.bundle.rootfs.iterdir())
    assert (process, null) == ("/proc/1/comm", "null")
    assert mounts() == before


def test_exec_gets_the_containers_root_and_not_the_hosts(shared: Runtime) -> None:
    shared.start()
    assert shared.exec("/bin/ls", "/").stdout.split() == sorted(entry.name for entry in shared.bundle.rootfs.iterdir())
    assert shared.exec("/bin/pwd").stdout == "/\n"


def test_an_older_kernel_refuses_it_by_name(shared: Runtime) -> None:
    with pytest.raises(InvalidArgument, match="without a mount namespace") as caught:
        compile(shared.bundle.spec, host(release=(6, 14)), bundle="/bundle", id="web")
    assert "6.15" in caught.value.hint


def test_its_plan_obeys_the_rules(shared: Runtime) -> None:
    assert check(compile(shared.bundle.spec, host(release=(6, 18)), bundle="/bundle", id="web")) == []
