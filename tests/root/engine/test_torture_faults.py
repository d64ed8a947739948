"""A start that fails at each of its steps: it says why, leaves nothing, and the same container starts afterwards."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from corten.kernel.netns import NetworkJoin
from corten.model.container import HostConfig, PortBinding
from corten.model.errors import CortenError
from corten.snapshots import Overlay
from corten.tasks import Task, Tasks
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
