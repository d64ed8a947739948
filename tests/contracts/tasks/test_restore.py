"""Engines come and go, monitors stay: kill -9 at every stage, and find everything again."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from corten.model.errors import Conflict, FailedPrecondition, Unimplemented
from corten.tasks.exit import UNKNOWN_CODE
from corten.tasks.protocol import VERSION
from corten.tasks.task import Task
from corten.tasks.tasks import Tasks
from tests.contracts.tasks.conftest import ROOT, build_monitor
from tests.contracts.tasks.container import Workshop, ended


def engine(workshop: Workshop, count: int, step: str, *argv: str) -> subprocess.Popen[str]:
    """Another engine on the same run directory, which has got to `step`."""
    workshop.cgroup = f"{workshop.cgroup}e"
    code = "import tests.contracts.tasks.engine as e, tests.contracts.tasks.container as c\n"
    arguments = [workshop.tasks.run_dir, str(workshop.rootfs), str(workshop.scratch), str(count), step, *argv]
    command = [sys.executable, "-c", f"{code}c.CGROUP = {workshop.cgroup!r}\ne.main(*{arguments!r})"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    while line := process.stdout.readline():
        if line == "ready\n":
            return process
    raise AssertionError("the engine did not start")


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    assert process.stdout
    process.stdout.close()


def monitors(run_dir: str) -> list[int]:
    """Monitors whose listening socket is below this run directory."""
    found = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            line = Path(f"/proc/{entry}/cmdline").read_bytes().split(b"\0")
            if line[1:2] == [b"@monitor"] and os.readlink(f"/proc/{entry}/fd/4").startswith(run_dir):
                found.append(int(entry))
        except OSError:
            pass
    return found


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "it does not come true"
        time.sleep(0.01)


@pytest.mark.parametrize("step", ["create", "created"])
def test_an_engine_that_dies_before_start_takes_everything_along(workshop: Workshop, step: str) -> None:
    process = engine(workshop, 1, step, "/bin/sleep", "60")
    assert len(monitors(workshop.tasks.run_dir)) == 1
    kill(process)
    until(lambda: not monitors(workshop.tasks.run_dir))
    assert workshop.reopen() == []
    assert os.listdir(workshop.tasks.run_dir) == []


def test_twenty_containers_survive_kill_9_and_tell_their_true_end(workshop: Workshop) -> None:
    script = "echo begin; read x; echo $x; exit 9"
    process = engine(workshop, 20, "running", "/bin/sh", "-c", script)
    kill(process)
    tasks = workshop.reopen()
    assert [task.status() for task in tasks] == ["running"] * 20
    for task in tasks:
        workshop.attach(task, stdin=True).send(b"after\n")
    assert {ended(task).code for task in tasks} == {9}
    assert {workshop.logged(task) for task in tasks} == {"begin\nafter\n"}


def test_an_attached_client_survives_the_engine(workshop: Workshop) -> None:
    task = workshop.shell("read x; echo $x", open_stdin=True)
    client = workshop.attach(task, stdin=True, multiplex=False)
    workshop.tasks.close()
    client.send(b"still here\n")
    assert client.all() == b"still here\n"
    workshop.reopen()


def test_an_end_while_no_engine_was_there_has_its_true_time(workshop: Workshop) -> None:
    task = workshop.shell("sleep 0.1; exit 6")
    workshop.tasks.close()
    until(lambda: not monitors(workshop.tasks.run_dir))
    after = time.time_ns()
    time.sleep(0.1)
    (found,) = workshop.reopen()
    end = ended(found)
    assert (end.code, end.signal) == (6, 0)
    assert 0 < end.at < after
    assert task.record.pid == found.pid


def test_execs_and_terminals_work_after_adoption(workshop: Workshop) -> None:
    workshop.run("/bin/sleep", "60", terminal=True, open_stdin=True)
    (task,) = workshop.reopen()
    task.resize(10, 20)
    process = workshop.exec(task, "/bin/sh", "-c", "echo in; exit 4")
    assert workshop.attach(process, multiplex=False).all() == b"in\n"
    assert ended(process).code == 4
    assert task.pids() == [task.pid]


def test_a_container_whose_monitor_was_killed_is_still_watched(workshop: Workshop) -> None:
    def orphaned(task: Task) -> None:
        with pytest.raises((FailedPrecondition, Conflict)):
            workshop.attach(task)
        task.kill(signal.SIGKILL)
        assert ended(task).code == UNKNOWN_CODE
        task.delete()

    task = workshop.run("/bin/sleep", "60")
    os.kill(task.record.monitor, signal.SIGKILL)
    until(lambda: not monitors(workshop.tasks.run_dir))
    orphaned(task)
    task = workshop.run("/bin/sleep", "60")
    workshop.tasks.close()
    os.kill(task.record.monitor, signal.SIGKILL)
    os.waitpid(task.record.monitor, 0)
    (found,) = workshop.reopen()
    assert found.status() == "running"
    orphaned(found)


def test_after_a_reboot_the_end_is_unknown(workshop: Workshop) -> None:
    task = workshop.run("/bin/sleep", "60")
    record = Path(workshop.tasks.run_dir, task.id, "task.json")
    task.kill(signal.SIGKILL)
    ended(task)
    workshop.tasks.close()
    os.unlink(record.with_name("exit"))
    record.write_text(record.read_text().replace(task.record.boot, "0" * 36))
    (found,) = workshop.reopen()
    assert (ended(found).code, ended(found).at) == (UNKNOWN_CODE, 0)


def test_rubbish_in_the_run_directory_is_removed(workshop: Workshop) -> None:
    os.makedirs(f"{workshop.tasks.run_dir}/half-made")
    assert workshop.reopen() == []
    assert os.listdir(workshop.tasks.run_dir) == []


def test_a_newer_engine_adopts_an_older_monitor(workshop: Workshop, builds: Path) -> None:
    """The older one says version 0 and does not know some request: the engine adopts it, and says what it lacks."""
    for source in (ROOT / "native").glob("monitor*.c"):
        text = source.read_text().replace("SIZE(LOG_REOPEN, log_reopen)\n", "\n")
        (builds / source.name).write_text(text)
    older = build_monitor(builds, "older", "-DMONITOR_VERSION=0", sources=builds)
    workshop.tasks.close()
    workshop.tasks = Tasks(workshop.tasks.run_dir, monitor=older)
    workshop.shell("read x; exit 8", open_stdin=True)
    workshop.tasks.close()
    workshop.tasks = Tasks(workshop.tasks.run_dir)
    (task,) = workshop.tasks.restore()
    assert task.monitor_version == 0 < VERSION
    with pytest.raises(Unimplemented, match="LOG_REOPEN") as raised:
        task.reopen_log()
    assert "version 0" in raised.value.hint
    workshop.attach(task, stdin=True).send(b"\n")
    assert ended(task).code == 8


def test_two_engines_are_told_the_same(workshop: Workshop) -> None:
    task = workshop.shell("read x; exit 2", open_stdin=True)
    other = Tasks(workshop.tasks.run_dir, workshop.tasks.program)
    (same,) = other.restore()
    workshop.attach(same, stdin=True).send(b"\n")
    assert ended(task) == ended(same)
    other.close()


def test_an_end_on_a_full_disk_is_told_all_the_same(workshop: Workshop) -> None:
    """Nobody but the monitor saw it: it took the space for the record when there was some."""
    run = Path(workshop.tasks.run_dir)
    run.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", run], check=True)
    try:
        task = workshop.shell("read x; exit 7", open_stdin=True, logged=False)
        pid = task.pid
        workshop.tasks.close()
        filler = run / "filler"
        with suppress(OSError), filler.open("wb", buffering=0) as file:
            while file.write(bytes(4096)):
                pass
        os.kill(pid, signal.SIGKILL)
        until(lambda: not os.path.exists(f"/proc/{pid}"))
        filler.unlink()
        (found,) = workshop.reopen()
        assert found.exit() is not None
        assert (found.exit().code, found.exit().signal) == (137, 9)  # type: ignore[union-attr]
        assert found.exit().at > 0  # type: ignore[union-attr]
        found.delete()
    finally:
        subprocess.run(["umount", run], check=True)
