"""A start that fails at each of its steps: it says why, leaves nothing, and the same container starts afterwards."""

import errno
import os
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from corten.engine import ending, ledger, sandbox, sharedmemory, specification, start
from corten.engine.execs import Execs
from corten.engine.requests import AttachOptions
from corten.engine.volumes import Volumes
from corten.kernel.netns import NetworkJoin
from corten.model.container import ContainerConfig, HostConfig, Mount, NetworkingConfig, PortBinding
from corten.model.errors import CortenError
from corten.runtime.launch import Launch
from corten.snapshots import Overlay
from corten.spec import user
from corten.tasks import Task, Tasks
from corten.tasks import tasks as running
from corten.tasks.connection import Connection
from corten.tasks.state import StateDir
from tests.root.engine.workbench import Workbench

PUBLISHED = HostConfig(port_bindings={"80/tcp": (PortBinding("", "8123"),)}, binds=("kept:/data",))
FAILING = (CortenError, OSError)


def left(bench: Workbench) -> dict[str, Any]:
    """What a start makes; the container's own directory and the raised bridge may stay for the next one."""
    return {
        "tasks": os.listdir(bench.root / "run/tasks") if (bench.root / "run/tasks").exists() else [],
        "links": sorted(name for name in interfaces() if name.startswith("vc")),
        "cgroups": sorted(str(path) for path in Path("/sys/fs/cgroup").glob(f"*/corten-test-{os.getpid()}/*/")),
        "snapshots": sorted(os.listdir(bench.root / "data/snapshots")),
    }


def nothing_more_than(bench: Workbench, before: dict[str, Any], descriptors: int) -> bool:
    return left(bench) == before and opened() <= descriptors


def opened() -> int:
    return len(os.listdir("/proc/self/fd"))


def interfaces() -> list[str]:
    return [line.split(":")[0].strip() for line in Path("/proc/thread-self/net/dev").read_text().splitlines()[2:]]


class Faults:
    """Has the row `fault[0]` of every plan that is launched fail with the errno `fault[1]`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.fault: tuple[int, int] | None = None
        launch: Any = Tasks._launch

        def launched(*arguments: Any) -> Task:
            task: Task = launch(*arguments[:-1], self.fault)
            return task

        monkeypatch.setattr(Tasks, "_launch", launched)


def test_every_row_of_the_plan_may_fail(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    faults = Faults(monkeypatch)
    container = bench.create("sleep", "1000", host=PUBLISHED)
    bench.containers.start(container)
    plan = bench.tasks.plan(container)
    assert plan is not None
    bench.containers.stop(container, timeout=0)
    bench.until(lambda: not left(bench)["links"])  # they go with the namespace, a moment later
    rows = [index for index, step in enumerate(plan.steps) if step.actor != "controller"]
    assert len(rows) > 40
    before, descriptors = left(bench), opened()
    for row in rows:
        faults.fault = (row, errno.EIO)
        with pytest.raises(FAILING, match=r"."):
            bench.containers.start(container)
        bench.until(lambda: nothing_more_than(bench, before, descriptors))
    faults.fault = None
    bench.containers.start(container)
    assert bench.state(container)["Running"]


def test_a_monitor_that_cannot_be_spawned(bench: Workbench) -> None:
    container = bench.create("sleep", "1000", host=PUBLISHED)
    bench.containers.start(container)  # the bridge is up from here on
    bench.containers.stop(container, timeout=0)
    bench.until(lambda: not left(bench)["links"])  # they go with the namespace, a moment later
    before, descriptors = left(bench), opened()
    right, bench.tasks.monitor_program = bench.tasks.monitor_program, str(bench.root / "nowhere")
    with pytest.raises(FAILING, match=r"nowhere|No such file"):
        bench.containers.start(container)
    bench.tasks.monitor_program = right
    assert nothing_more_than(bench, before, descriptors)
    bench.containers.start(container)


def test_a_network_that_cannot_be_joined(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    container = bench.create("sleep", "1000", host=PUBLISHED)
    bench.containers.start(container)  # the bridge is up from here on
    bench.containers.stop(container, timeout=0)
    bench.until(lambda: not left(bench)["links"])  # they go with the namespace, a moment later
    before, descriptors = left(bench), opened()

    def refuse(*_: object) -> NetworkJoin:
        raise OSError(errno.ENOBUFS, "no room")

    with monkeypatch.context() as patch:
        patch.setattr(bench.networks, "join", refuse)
        with pytest.raises(FAILING, match="no room"):
            bench.containers.start(container)
    bench.until(lambda: nothing_more_than(bench, before, descriptors))
    bench.containers.start(container)


def test_a_full_disk_when_the_snapshot_is_made(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    before, descriptors = left(bench), opened()

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(Overlay, "prepare", full)
        with pytest.raises(FAILING, match="No space left"):
            bench.create("true", name="unlucky")
    assert nothing_more_than(bench, before, descriptors)
    assert bench.containers.list(all=True) == []
    bench.create("true", name="unlucky")


# Every step of a run that can fail, as the object and the name it is called by.
BEGINNING: list[tuple[Any, str]] = [
    (Volumes, "ensure"),
    (Overlay, "prepare"),
    (ledger, "add"),
    ("networks", "reserve"),
    (sandbox, "write_files"),
    (user, "lookup"),
    (specification, "build"),
    (Overlay, "mounts"),
    (StateDir, "make"),
    (running, "listen"),
    (Tasks, "_spawn"),
    (StateDir, "write"),
    (StateDir, "write_spec"),
    (running, "compile"),
    (running, "plan_file"),
    (Connection, "request"),
    (Launch, "until"),
    ("networks", "join"),
    (Connection, "hello"),
    (running, "send_ports"),
    (Task, "attach"),
    (Task, "_announce_start"),
    (Launch, "go"),
    (start, "record_start"),
]
END: list[tuple[Any, str]] = [
    (ending, "record_end"),
    (Execs, "forget"),
    (sharedmemory, "remove"),
    ("networks", "release"),
    (Task, "delete"),
    (Overlay, "remove"),
    (ledger, "drop"),
]
RUN = HostConfig(
    port_bindings={"80/tcp": (PortBinding("", "8123"),)},
    auto_remove=True,
    mounts=(Mount(type="volume", target="/data"),),
)


class Once:
    """Has one call of `place.name`, the first from now on, fail as on a full disk; `called` says that it came."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, place: Any, name: str) -> None:
        self.called = False
        right: Any = getattr(place, name)

        def failing(*arguments: Any, **named: Any) -> Any:
            if not self.called:
                self.called = True
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), name)
            return right(*arguments, **named)

        monkeypatch.setattr(place, name, failing)


def run_attached(bench: Workbench) -> None:
    """`run --rm` as a command does it; returns when its stream and its wait have ended, however the run went."""
    wanted = ContainerConfig(image="busybox", cmd=("true",))
    id = bench.containers.create(wanted, RUN, NetworkingConfig()).id
    ours, theirs = socket.socketpair()
    descriptor = theirs.detach()
    with ours:
        ours.settimeout(10)
        bench.containers.attach(id, AttachOptions(False, True, True), lambda tty: (descriptor, b""))  # noqa: ARG005
        removed = bench.containers.wait(id, "removed")
        try:
            bench.containers.start(id)
        finally:
            assert ours.recv(100) == b""
            removed.result(10)


def everything(bench: Workbench) -> dict[str, Any]:
    """What a run may leave: as `left`, and what of it is recorded."""
    with bench.database.read() as rows:
        counts = {
            table: rows.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            for table in ("containers", "sandboxes", "ports", "volumes", "refs", "leases")
        }
    return {**left(bench), **counts, "volume directories": os.listdir(bench.root / "data/volumes")}


def settles(bench: Workbench, before: dict[str, Any], descriptors: int, what: str) -> None:
    deadline = time.monotonic() + 10
    while (found := everything(bench)) != before or opened() > descriptors:
        changed = {key: (before[key], found[key]) for key in before if before[key] != found[key]}
        assert time.monotonic() < deadline, f"{what}: {changed}, {opened() - descriptors} descriptors more"
        time.sleep(0.01)


def settled(bench: Workbench) -> tuple[dict[str, Any], int]:
    """What there is, and how many descriptors, after a run that went well."""
    run_attached(bench)
    bench.until(lambda: not left(bench)["links"])
    return everything(bench), opened()


def test_a_run_that_fails_at_any_step_leaves_nothing(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    before, descriptors = settled(bench)
    for place, name in BEGINNING:
        start.known_identities.clear()
        with monkeypatch.context() as patch:
            fault = Once(patch, getattr(bench, place) if isinstance(place, str) else place, name)
            with pytest.raises(FAILING, match=r"[Nn]o space left"):
                run_attached(bench)
            assert fault.called
        settles(bench, before, descriptors, name)
        run_attached(bench)
        settles(bench, before, descriptors, f"after {name}")


def test_a_run_whose_end_fails_at_any_step_ends_all_the_same(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    before, descriptors = settled(bench)
    for place, name in END:
        with monkeypatch.context() as patch:
            fault = Once(patch, getattr(bench, place) if isinstance(place, str) else place, name)
            run_attached(bench)
            assert fault.called
            settles(bench, before, descriptors, name)
