"""Two things at the same moment: a container ends while something is asked of it, or two clients ask at once."""

import os
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from corten.engine.ending import Exits
from corten.engine.requests import AttachOptions, ExecStart
from corten.model.container import ContainerConfig, EndpointSettings, ExecConfig, HostConfig, RestartPolicy
from corten.model.errors import Cancelled, Conflict, CortenError, NotFound, NotModified
from corten.tasks import Task
from corten.tasks.spawn import reap
from tests.root.engine.workbench import Workbench

OUTPUT = AttachOptions(stdin=False, stdout=True, stderr=True)
SCRATCH = HostConfig(network_mode="none", auto_remove=True)


def gone(bench: Workbench, id: str) -> bool:
    return id not in [row["Id"] for row in bench.containers.list(all=True)]


def ended_unnoticed(bench: Workbench, monkeypatch: pytest.MonkeyPatch, **host: Any) -> str:
    """A container that has just ended; the engine's thread that records ends is a second late."""
    id = bench.start("sleep", "1000", host=HostConfig(**{"network_mode": "none", **host}))
    settle: Any = Exits._settle

    def late(*arguments: Any) -> None:
        time.sleep(1)
        settle(*arguments)

    monkeypatch.setattr(Exits, "_settle", late)
    os.kill(bench.state(id)["Pid"], 9)
    bench.until(lambda: bench.tasks.get(id).exit())
    assert bench.state(id)["Running"]
    return id


def in_threads(*work: Callable[[], object]) -> list[BaseException]:
    failures: list[BaseException] = []

    def guarded(one: Callable[[], object]) -> None:
        try:
            one()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(one,)) for one in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    return failures


def test_a_container_that_removes_itself_survives_many_restarts_at_once(bench: Workbench) -> None:
    id = bench.start("sleep", "1000", host=SCRATCH)
    for _ in range(5):
        failures = in_threads(*[lambda: bench.containers.restart(id, timeout=0) for _ in range(4)])
        assert failures == []
        assert bench.state(id)["Running"]
    bench.containers.kill(id)
    bench.until(lambda: gone(bench, id))


def test_a_container_that_ends_right_after_its_restart_still_removes_itself(bench: Workbench) -> None:
    id = bench.start("sh", "-c", "test -e /ran && exit; touch /ran; sleep 1000", host=SCRATCH)
    bench.until(lambda: bench.exec(id, "test", "-e", "/ran")[0] == 0)
    bench.containers.restart(id, timeout=0)
    bench.until(lambda: gone(bench, id))


def test_a_container_that_has_just_ended_counts_as_stopped(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    id = ended_unnoticed(bench, monkeypatch)
    bench.containers.stop(id)
    assert bench.state(id)["Status"] == "exited"


def test_a_container_that_is_being_killed_is_not_frozen_any_more(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On cgroup v1 a frozen process does not die, and the kill would wait for ever."""
    id = bench.start("sleep", "1000")
    kill: Any = Task.kill

    def slowly(task: Task, signal: int) -> None:
        """The moment between the signal and the death, made longer: frozen first, the process cannot be quicker."""
        task.pause()
        kill(task, signal)

    with monkeypatch.context() as patch:
        patch.setattr(Task, "kill", slowly)
        killing = threading.Thread(target=bench.containers.kill, args=(id,))
        killing.start()
        bench.until(lambda: "kill" in bench.actions())
        with pytest.raises(Conflict, match="is not running"):
            bench.containers.pause(id)
        bench.tasks.get(id).resume()
        killing.join()
    assert bench.state(id)["Status"] == "exited"


def test_a_client_of_a_container_that_has_just_ended_sees_the_end(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = ended_unnoticed(bench, monkeypatch)
    ours, theirs = socket.socketpair()
    descriptor = theirs.detach()
    with ours:
        ours.settimeout(10)
        bench.containers.attach(id, OUTPUT, lambda tty: (descriptor, b""))  # noqa: ARG005
        assert ours.recv(100) == b""


def test_a_container_that_has_just_ended_joins_no_network(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its pid may be somebody else's by now."""
    from corten.engine.requests import NetworkCreate

    id = ended_unnoticed(bench, monkeypatch, network_mode="bridge")
    bench.engine.networks.create(NetworkCreate(name="other"))
    with pytest.raises(Conflict, match="it has ended"):
        bench.engine.networks.connect("other", id, EndpointSettings())
    with pytest.raises(Conflict, match="it has ended"):
        bench.engine.networks.disconnect("bridge", id)


def test_a_container_between_two_runs_joins_a_network_with_its_next_run(bench: Workbench) -> None:
    from corten.engine.requests import NetworkCreate

    policy = HostConfig(network_mode="bridge", restart_policy=RestartPolicy("always"))
    id = bench.start("sh", "-c", "test -e /ran && exec sleep 1000; touch /ran; exit 1", host=policy)
    container = bench.engine._services.catalog.find(id)
    with container.lock:
        bench.until(lambda: True)
    bench.until(lambda: container.state.status == "restarting" or container.state.restart_count)
    bench.engine.networks.create(NetworkCreate(name="other"))
    with container.lock:
        if container.state.status == "restarting":
            bench.engine.networks.connect("other", id, EndpointSettings())
    bench.until(lambda: bench.state(id)["Running"])
    assert "other" in bench.containers.inspect(id)["NetworkSettings"]["Networks"]


def test_a_restart_that_is_due_does_not_bring_a_stopped_container_back(bench: Workbench) -> None:
    """Stop comes between two runs, at every distance from the moment at which the next would begin."""
    policy = HostConfig(network_mode="none", restart_policy=RestartPolicy("always"))
    for delay in range(0, 160, 10):
        id = bench.start("false", host=policy)
        time.sleep(delay / 1000)
        with suppress(NotModified):  # it is stopped just now, and must stay so
            bench.containers.stop(id, timeout=0)
        time.sleep(0.15)
        assert bench.state(id)["Status"] == "exited"
        bench.containers.remove(id)


def test_an_exec_whose_client_went_away_before_it_began_has_ended(bench: Workbench) -> None:
    id = bench.start("sleep", "1000")
    exec_id = bench.engine.execs.create(id, ExecConfig(cmd=("true",), attach_stdout=True))

    def take(*, tty: bool) -> tuple[int, bytes]:  # noqa: ARG001
        raise Cancelled("the client went away")

    with pytest.raises(Cancelled):
        bench.engine.execs.start(exec_id, ExecStart(), take)
    assert bench.engine.execs.inspect(exec_id)["ExitCode"] == 126
    assert bench.containers.inspect(id)["ExecIDs"] is None


def test_execs_while_the_container_ends_finish_or_say_why_not(bench: Workbench) -> None:
    for _ in range(4):
        id = bench.start("sleep", "1000")
        killing = threading.Timer(0.03, bench.containers.kill, (id,))
        killing.start()
        failures = in_threads(*[partial(bench.exec, id, "true")] * 6)
        killing.join()
        assert all(isinstance(failure, CortenError) for failure in failures), failures
        bench.until(lambda id=id: not bench.state(id)["Running"])  # type: ignore[misc]
        assert bench.containers.inspect(id)["ExecIDs"] is None


def test_one_of_many_renames_to_the_same_name_wins(bench: Workbench) -> None:
    ids = [bench.create("true", name=f"one{number}") for number in range(4)]
    failures = in_threads(*[partial(bench.containers.rename, id, "wanted") for id in ids])
    assert len(failures) == 3
    assert all(isinstance(failure, Conflict) for failure in failures), failures
    names = sorted(row["Names"][0] for row in bench.containers.list(all=True))
    assert names.count("/wanted") == 1
    free = ({f"/one{number}" for number in range(4)} - set(names)).pop()
    bench.create("true", name=free[1:])  # the winner's old name


def test_a_rename_and_a_removal_at_once_leave_no_name_behind(bench: Workbench) -> None:
    for _ in range(6):
        id = bench.create("true", name="before")
        failures = in_threads(partial(bench.containers.rename, id, "after"), partial(bench.containers.remove, id))
        assert all(isinstance(failure, NotFound | Conflict) for failure in failures), failures
        for name in ("before", "after"):
            bench.containers.remove(bench.create("true", name=name))


def test_networks_come_and_go_while_the_container_stops_and_starts(bench: Workbench) -> None:
    from corten.engine.requests import NetworkCreate

    bench.engine.networks.create(NetworkCreate(name="other"))
    id = bench.start("sleep", "1000", host=HostConfig(network_mode="bridge"))

    def connections() -> None:
        for _ in range(6):
            bench.engine.networks.connect("other", id, EndpointSettings())
            bench.engine.networks.disconnect("other", id)

    def restarts() -> None:
        for _ in range(4):
            bench.containers.restart(id, timeout=0)

    failures = in_threads(connections, restarts)
    assert all(isinstance(failure, Conflict) for failure in failures), failures
    assert bench.state(id)["Running"]
    networks = bench.containers.inspect(id)["NetworkSettings"]["Networks"]
    assert bench.exec(id, "sh", "-c", "ls /sys/class/net | grep -c eth")[1] == b"%d\n" % len(networks)


def test_what_a_power_cut_tore_in_the_run_directory_does_not_keep_the_engine_from_starting(bench: Workbench) -> None:
    """Nothing there was ever asked to outlive one; files that were renamed into place come back empty."""
    ids = [bench.start("sleep", "1000", host=HostConfig(network_mode="none")) for _ in range(3)]
    pids = [bench.state(id)["Pid"] for id in ids]
    monitors = [bench.tasks.get(id).record.monitor for id in ids]
    bench.close()
    for id, pid, name in zip(ids, pids, ("task.json", "config.json", "exit"), strict=True):
        os.kill(pid, 9)
        directory = bench.root / "run/tasks" / id
        deadline = time.monotonic() + 5
        while not (directory / "exit").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        (directory / name).write_bytes(b"")
    bench.open()
    reap(monitors[0], 5)  # nothing says any more that it was ours
    for id in ids:
        assert bench.state(id)["Status"] == "exited"
        bench.containers.start(id)
        assert bench.state(id)["Running"]


def test_a_monitor_that_served_a_slow_client_is_reaped(bench: Workbench) -> None:
    id = bench.create("sh", "-c", "yes | head -c 2000000")
    monitor = None
    ours, theirs = socket.socketpair()
    descriptor = theirs.detach()
    with ours:
        bench.containers.attach(id, OUTPUT, lambda tty: (descriptor, b""))  # noqa: ARG005
        ended = bench.containers.wait(id, "next-exit")
        bench.containers.start(id)
        monitor = bench.tasks.get(id).record.monitor
        ended.result(10)
        bench.until(lambda: bench.engine._services.catalog.find(id).task is None)
        assert os.path.exists(f"/proc/{monitor}")
    bench.until(lambda: ") Z" in Path(f"/proc/{monitor}/stat").read_text())
    bench.containers.remove(bench.start("true", host=HostConfig(network_mode="none")), force=True)
    bench.until(lambda: not os.path.exists(f"/proc/{monitor}"))


def test_an_identity_that_is_asked_for_in_vain_leaves_nothing(bench: Workbench) -> None:
    """A start that fails before anything runs, many times: no descriptor stays."""
    wanted = ContainerConfig(image="busybox", cmd=("true",), user="nobody-of-that-name")
    from corten.model.container import NetworkingConfig

    id = bench.containers.create(wanted, HostConfig(network_mode="none"), NetworkingConfig()).id
    with pytest.raises(CortenError):
        bench.containers.start(id)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        with pytest.raises(CortenError):
            bench.containers.start(id)
    assert len(os.listdir("/proc/self/fd")) == before
