"""An engine that comes back finds everything as it is: what ran, what ended meanwhile, what was half done."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from corten.engine.requests import LogQuery
from corten.model.container import HostConfig, RestartPolicy
from corten.model.errors import Conflict, NotFound
from corten.snapshots import Kind
from tests.root.engine.conftest import remove_cgroups
from tests.root.engine.workbench import Workbench
from tests.root.network.namespaces import own_namespace

pytestmark = pytest.mark.root


def none(**options: object) -> HostConfig:
    return HostConfig(network_mode="none", **options)  # type: ignore[arg-type]


def test_running_containers_are_adopted_and_their_end_is_noticed(bench: Workbench) -> None:
    id = bench.start("sh", "-c", "echo one; sleep 100", name="web")
    pid = bench.state(id)["Pid"]
    bench.restart()
    assert (bench.state(id)["Status"], bench.state(id)["Pid"]) == ("running", pid)
    assert bench.exec(id, "echo", "hi") == (0, b"hi\n")
    ended = bench.containers.wait(id, "next-exit")
    bench.containers.kill(id)
    assert ended.result(10).status_code == 137
    assert bench.output(id) == b"one\n"


def test_an_end_that_nobody_saw_has_its_true_time_and_code(bench: Workbench) -> None:
    id = bench.start("sh", "-c", "sleep 0.2; echo late; exit 9")
    bench.close()
    time.sleep(0.5)
    came_back = time.time_ns()
    bench.open()
    state = bench.state(id)
    assert (state["Status"], state["ExitCode"]) == ("exited", 9)
    assert bench.output(id) == b"late\n"
    from corten.engine.logfile import moment

    assert came_back - moment(state["FinishedAt"]) > 100_000_000


def test_a_restart_policy_goes_on_after_an_end_that_nobody_saw(bench: Workbench) -> None:
    id = bench.start("sh", "-c", "sleep 0.2; exit 1", host=none(restart_policy=RestartPolicy("always")))
    bench.close()
    time.sleep(0.4)
    bench.open()
    bench.until(lambda: bench.containers.inspect(id)["RestartCount"] >= 1)
    bench.containers.remove(id, force=True)


def test_a_container_that_removes_itself_is_gone_when_its_end_was_missed(bench: Workbench) -> None:
    id = bench.start("sleep", "0.1", host=none(auto_remove=True))
    bench.close()
    time.sleep(0.3)
    bench.open()
    assert id not in [found["Id"] for found in bench.containers.list(all=True)]


def test_a_half_done_removal_is_finished(bench: Workbench) -> None:
    id = bench.create("true")
    services = bench.engine._services
    container = services.catalog.find(id)
    from corten.engine.services import commit

    with container.lock:
        commit(services, container, state=container.changed(status="removing"))
    bench.restart()
    assert bench.containers.list(all=True) == []
    assert not services.settings.container_directory(id).exists()


def test_a_follower_of_an_adopted_container_sees_its_end(bench: Workbench) -> None:
    id = bench.start("sh", "-c", "sleep 0.3; echo end")
    bench.restart()
    followed = bench.containers.logs(id, LogQuery(follow=True))
    assert [line for batch in followed.batches for _, line in batch] == [b"end\n"]


def test_names_volumes_and_networks_are_still_known(bench: Workbench) -> None:
    id = bench.start("sleep", "100", name="web", host=HostConfig(binds=("data:/data",)))
    address = bench.containers.inspect(id)["NetworkSettings"]["IPAddress"]
    bench.restart()
    shown = bench.containers.inspect("web")
    assert shown["NetworkSettings"]["IPAddress"] == address != ""
    assert [volume["Name"] for volume in bench.engine.volumes.list()["Volumes"]] == ["data"]


NAME = f"killed-{os.getpid()}"
KILLED = """
import os, sys
from pathlib import Path
from corten.model.container import HostConfig
from tests.root.engine.workbench import Workbench

bench = Workbench(Path(sys.argv[1]), name=sys.argv[3])
bench.load(Path(sys.argv[2]).read_bytes())
print("ready", flush=True)
while True:
    id = bench.start("sleep", "0.05", host=HostConfig(network_mode="none", auto_remove=True))
    kept = bench.create("true")
"""


@pytest.mark.usefixtures("leaves_nothing")
def test_an_engine_killed_at_any_moment_leaves_nothing_half_done(scratch: Path, archive: bytes) -> None:
    (scratch / "images.tar").write_bytes(archive)
    with own_namespace():
        for delay in (0.11, 0.17, 0.23, 0.31):
            arguments = [sys.executable, "-c", KILLED, str(scratch), str(scratch / "images.tar"), NAME]
            engine = subprocess.Popen(arguments, stdout=subprocess.PIPE, cwd=Path(__file__).parents[3])
            with engine:
                assert engine.stdout is not None
                assert engine.stdout.readline() == b"ready\n"
                time.sleep(delay)
                engine.send_signal(signal.SIGKILL)
            time.sleep(0.2)
        bench = Workbench(scratch, name=NAME)
        try:
            listed = bench.containers.list(all=True)
            assert {found["State"] for found in listed} == {"created"}
            for found in listed:
                ended = bench.containers.wait(found["Id"], "next-exit")
                bench.containers.start(found["Id"])
                assert ended.result(10).status_code == 0
                with suppress(NotFound, Conflict):  # it may be one that removes itself
                    bench.containers.remove(found["Id"])
            bench.until(lambda: not bench.containers.list(all=True))
            actives = [info.key for info in bench.snapshots.walk() if info.kind is Kind.ACTIVE]
            assert (actives, os.listdir(scratch / "run/tasks")) == ([], [])
        finally:
            bench.close()
            remove_cgroups(NAME)
