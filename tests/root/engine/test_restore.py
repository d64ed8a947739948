"""An engine that comes back finds everything as it is: what ran, what ended meanwhile, what was half done."""

import time

import pytest

from corten.engine.requests import LogQuery
from corten.model.container import HostConfig, RestartPolicy
from tests.root.engine.workbench import Workbench

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
