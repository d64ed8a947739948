"""From create to delete, and what is left when a step fails: nothing."""

import errno
import json
import os
import queue
import signal
import socket
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from corten.kernel.netns import NetworkJoin
from corten.model.cancel import Cancel
from corten.model.errors import (
    AlreadyExists,
    Cancelled,
    Conflict,
    CortenError,
    InvalidArgument,
    NotFound,
    Unimplemented,
)
from corten.plan import LaunchPlan, ops
from corten.runtime import Options, compile
from corten.runtime.cgroups import Cgroups
from corten.tasks.config import LogFile, TaskConfig
from corten.tasks.exit import Exit
from corten.tasks.tasks import Tasks
from tests.contracts.tasks.container import Workshop, ended
from tests.root.plans.bundle import docker_like


def test_created_running_stopped_deleted(either: Workshop) -> None:
    before = time.time_ns()
    task = either.create("/bin/sh", "-c", "exit 3")
    assert task.status() == "created"
    assert Path(f"/proc/{task.pid}").exists()
    ends: queue.SimpleQueue[Exit] = queue.SimpleQueue()
    task.subscribe(ends.put)
    task.start()
    found = ended(task)
    assert (found.code, found.signal, found.oom_killed) == (3, 0, False)
    assert before < found.at < time.time_ns()
    assert task.status() == "stopped"
    task.delete()
    with pytest.raises(NotFound):
        either.tasks.get(task.id)
    assert os.listdir(either.tasks.run_dir) == []
    assert ends.get(timeout=5) == found
    task.subscribe(ends.put)
    assert ends.get(timeout=5) == found, "told to whoever comes late, too"
    assert ends.empty()


def test_a_signal_is_told_as_a_signal(either: Workshop) -> None:
    task = either.run("/bin/sleep", "60")
    with pytest.raises(Conflict, match="running"):
        task.delete()
    task.kill(signal.SIGKILL)
    assert (ended(task).code, ended(task).signal) == (137, 9)
    with pytest.raises(Conflict, match="ended"):
        task.kill(signal.SIGTERM)


def test_all_processes_can_be_signalled(workshop: Workshop) -> None:
    task = workshop.shell("sleep 60 & wait")
    while len(task.pids()) < 2:
        time.sleep(0.01)
    task.kill(signal.SIGKILL, all=True)
    assert ended(task).signal == 9


def test_pause_update_and_numbers(workshop: Workshop) -> None:
    task = workshop.run("/bin/sleep", "60", resources={"pids": {"limit": 50}})
    task.pause()
    assert task.status() == "paused"
    task.resume()
    assert task.status() == "running"
    task.update({"pids": {"limit": 20}})
    assert task.stats()["pids"]["limit"] == 20
    assert task.pids() == [task.pid]
    with os.fdopen(os.open("bin/busybox", os.O_RDONLY, dir_fd=(root := task.root_fd())), "rb") as file:
        assert file.read(4) == b"\x7fELF"
    os.close(root)


def test_an_out_of_memory_kill_is_recorded(workshop: Workshop) -> None:
    if not workshop.tasks.host.layout.of("memory") and workshop.tasks.host.layout.mode != "v2":
        pytest.skip("needs a memory cgroup")
    resources = {"memory": {"limit": 16 << 20, "swap": 16 << 20}}
    task = workshop.run("/bin/busybox", "dd", "if=/dev/zero", "of=/dev/null", "bs=64M", "count=2", resources=resources)
    assert ended(task).oom_killed
    assert ended(task).signal == signal.SIGKILL


def test_a_program_that_is_not_there_is_an_error_of_create(either: Workshop) -> None:
    with pytest.raises(NotFound, match=r'exec: "nothing": executable file not found in \$PATH'):
        either.create("nothing")
    assert os.listdir(either.tasks.run_dir) == []


def test_a_program_that_cannot_be_executed_is_an_error_of_start_and_nothing_is_left(either: Workshop) -> None:
    script = either.rootfs / "bin/garbage"
    script.write_bytes(b"\x7fELFgarbage")
    script.chmod(0o755)
    task = either.create("/bin/garbage")
    with pytest.raises(CortenError, match="exec /bin/garbage"):
        task.start()
    assert os.listdir(either.tasks.run_dir) == []


def test_whichever_row_fails_nothing_is_left(either: Workshop) -> None:
    spec = either.spec("/bin/true")
    config = TaskConfig(id="failing", bundle=str(either.scratch), log=LogFile(either.log_path("failing")))
    host, options = either.tasks.host, Options(pid_file=True, network=True, streams=(1, 2))
    plan = compile(spec, host, bundle=config.bundle, id=config.id, options=options)
    groups = Cgroups(host.layout, spec["linux"]["cgroupsPath"], config.id)
    created = next(row for row, step in enumerate(plan.steps) if step.args[:1] == ("created",))
    for row, step in enumerate(plan.steps[:created]):
        if step.actor == "controller" or errno.EIO in step.accept:
            continue
        with pytest.raises(CortenError, match=r"(?i)input/output error"):
            either.tasks.launch(plan, config, cgroups=groups, fault=(row, errno.EIO))
        assert os.listdir(either.tasks.run_dir) == [], step
        assert not any(os.path.isdir(each) for each in groups.directories()), step


def test_a_failure_of_the_network_is_raised_and_nothing_is_left(either: Workshop) -> None:
    def refuse(join: NetworkJoin) -> None:
        assert join.pid > 0
        raise Conflict("no address left")

    with pytest.raises(Conflict, match="no address left"):
        either.tasks.create(either.spec("/bin/true"), TaskConfig(id="x", bundle="/"), on_network=refuse)
    assert os.listdir(either.tasks.run_dir) == []


def test_the_network_is_joined_from_outside_before_anything_runs(either: Workshop) -> None:
    seen: list[int] = []
    join = lambda join: seen.append(os.fstat(join.netns_fd).st_ino)  # noqa: E731
    task = either.tasks.create(either.spec("/bin/sleep", "60"), TaskConfig(id="x", bundle="/"), on_network=join)
    assert seen == [os.stat(f"/proc/{task.pid}/ns/net").st_ino]


def test_a_create_that_hangs_can_be_cancelled(workshop: Workshop) -> None:
    cancel = Cancel()

    def hang(_: NetworkJoin) -> None:
        threading.Timer(0.05, cancel.set).start()
        time.sleep(0.2)

    with pytest.raises(Cancelled):
        workshop.tasks.create(workshop.spec("/bin/true"), TaskConfig(id="x"), on_network=hang, cancel=cancel)


def test_a_log_that_cannot_be_opened_fails_the_create(either: Workshop) -> None:
    with pytest.raises(FileNotFoundError):
        either.create("/bin/true", log=LogFile("/nowhere/at/all.log"))
    (either.scratch / "taken").mkdir()
    with pytest.raises(CortenError, match="refuses CREATE"):
        either.create("/bin/true", log=LogFile(f"{either.scratch}/taken"))
    assert os.listdir(either.tasks.run_dir) == []


def test_an_id_that_is_in_use_or_no_name_is_refused(workshop: Workshop) -> None:
    workshop.tasks.create(workshop.spec("/bin/true"), TaskConfig(id="x"))
    with pytest.raises(AlreadyExists):
        workshop.tasks.create(workshop.spec("/bin/true"), TaskConfig(id="x"))
    for id in ("", "..", "a/b"):
        with pytest.raises(InvalidArgument):
            workshop.tasks.create(workshop.spec("/bin/true"), TaskConfig(id=id))
    with pytest.raises(Unimplemented, match="compress"):
        workshop.create("/bin/true", log=LogFile("/tmp/x", compress=True))


def test_a_program_that_is_no_monitor_fails_the_create(workshop: Workshop) -> None:
    tasks = Tasks(f"{workshop.scratch}/other", monitor="/bin/true")
    try:
        with pytest.raises(CortenError):
            tasks.create(workshop.spec("/bin/true"), TaskConfig(id="x"))
        assert os.listdir(tasks.run_dir) == []
    finally:
        tasks.close()


def test_a_hand_made_plan_needs_no_specification(workshop: Workshop) -> None:
    steps = docker_like(workshop.rootfs, ("/bin/sh", "-c", "echo $0; exit 5")).steps
    reporting = [ops.report("pidfd", "pid-file") if step.op == "report" else step for step in steps]
    plan = LaunchPlan(reporting, inherit=((5, "pid-file"),))
    task = workshop.tasks.launch(plan, TaskConfig(id="x", log=LogFile(workshop.log_path("x"))))
    task.start()
    assert ended(task).code == 5
    assert workshop.logged(task) == "/bin/sh\n"


def test_published_ports_are_held_until_the_container_ends(either: Workshop) -> None:
    with socket.socket() as bound, socket.socket() as other:
        bound.bind(("127.0.0.1", 0))
        address = bound.getsockname()
        task = either.create("/bin/sleep", "60", ports=(bound.fileno(),))
        bound.close()
        task.start()
        with pytest.raises(OSError, match="in use"):
            other.bind(address)
        task.kill(signal.SIGKILL)
        ended(task)
        other.bind(address)


def test_thousands_of_ports_fit(workshop: Workshop) -> None:
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(600)]
    task = workshop.run("/bin/sleep", "60", ports=tuple(each.fileno() for each in sockets))
    for each in sockets:
        each.close()

    def held() -> int:
        found = 0
        for entry in os.scandir(directory):
            with suppress(FileNotFoundError):  # it closes others meanwhile
                found += os.readlink(entry.path).startswith("socket:")
        return found

    directory = f"/proc/{task.record.monitor}/fd"
    before = held()
    task.hold_ports(())
    assert 600 <= before - held() <= 601  # the report socket may have been closed in between


def test_hooks_run_in_their_places_with_the_state(workshop: Workshop) -> None:
    kinds = ("createRuntime", "createContainer", "startContainer", "poststart", "poststop")
    told = workshop.scratch / "told"
    shell = f'read state; echo "$0 $state" >> {told}'
    inside = 'read state; echo "$0" > /dev/null'
    hooks = {
        kind: [{"path": "/bin/sh", "args": ["sh", "-c", inside if kind == "startContainer" else shell, kind]}]
        for kind in kinds
    }
    spec = workshop.spec("/bin/true", hooks=hooks)
    task = workshop.tasks.create(spec, TaskConfig(id="hooked", bundle="/bundle"))
    task.start()
    ended(task)
    task.delete()
    lines = [line.split(" ", 1) for line in told.read_text().splitlines()]
    assert [kind for kind, _ in lines] == ["createRuntime", "createContainer", "poststart", "poststop"]
    states = {kind: json.loads(state) for kind, state in lines}
    assert [states[kind]["status"] for kind in states] == ["creating", "creating", "running", "stopped"]
    assert states["poststart"] == {**states["poststart"], "id": "hooked", "pid": task.pid, "bundle": "/bundle"}
    assert "pid" not in states["poststop"]


@pytest.mark.parametrize("kind", ["createRuntime", "poststart"])
def test_a_hook_that_fails_takes_the_container_along(workshop: Workshop, kind: str) -> None:
    spec = workshop.spec("/bin/sleep", "60", hooks={kind: [{"path": "/bin/false"}]})
    with pytest.raises(CortenError, match=f"running {kind} hook /bin/false"):
        workshop.tasks.create(spec, TaskConfig(id="hooked", bundle="/")).start()
    assert os.listdir(workshop.tasks.run_dir) == []


def test_a_paused_container_can_be_deleted_by_force(workshop: Workshop) -> None:
    task = workshop.run("/bin/sleep", "60")
    task.pause()
    task.delete(force=True)
    assert ended(task).signal == signal.SIGKILL


def test_many_at_once(workshop: Workshop) -> None:
    def one(number: int) -> None:
        config = TaskConfig(id=f"t{number}", log=LogFile(workshop.log_path(f"t{number}")))
        spec = workshop.spec("/bin/sh", "-c", f"echo {number}; exit {number}")
        spec["linux"]["cgroupsPath"] = f"{workshop.cgroup}/t{number}"
        task = workshop.tasks.create(spec, config)
        task.start()
        codes[number] = ended(task).code
        task.delete()

    codes: dict[int, int] = {}
    threads = [threading.Thread(target=one, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == {number: number for number in range(20)}
    assert [*workshop.tasks] == []


def test_a_monitor_is_small(workshop: Workshop) -> None:
    task = workshop.shell("busybox seq 1 20000; sleep 60")
    while "20000\n" not in workshop.logged(task):
        time.sleep(0.01)
    rollup = Path(f"/proc/{task.record.monitor}/smaps_rollup").read_text().splitlines()
    private = sum(int(line.split()[1]) for line in rollup if line.startswith("Anonymous:"))
    assert private <= 128, f"{private} KiB"
