"""Further processes in a running container."""

import signal

import pytest

from corten.model.errors import Conflict, NotFound, PermissionDenied
from tests.contracts.tasks.container import Workshop, ended


def test_an_exec_runs_in_the_container_and_its_output_is_not_logged(either: Workshop) -> None:
    task = either.run("/bin/sleep", "60")
    process = either.exec(task, "/bin/sh", "-c", "echo $$; ps; echo err >&2; exit 7")
    found = either.attach(process).frames()
    assert b"sleep 60" in found[1]
    assert found[2] == b"err\n"
    assert process.exit() is not None, "known as soon as the client has seen the end"
    assert ended(process).code == 7
    assert either.log(task) == []


def test_an_exec_that_ends_before_anybody_attached_loses_nothing(either: Workshop) -> None:
    task = either.run("/bin/sleep", "60")
    process = either.exec(task, "/bin/busybox", "seq", "1", "5000")
    assert ended(process).code == 0
    assert either.attach(process, multiplex=False).all().decode() == "".join(f"{n}\n" for n in range(1, 5001))


def test_its_input_ends_with_the_clients(either: Workshop) -> None:
    task = either.run("/bin/sleep", "60")
    process = either.exec(task, "/bin/cat", open_stdin=True)
    client = either.attach(process, stdin=True, multiplex=False, early=b"a")
    client.send(b"b")
    client.half_close()
    assert client.all() == b"ab"


def test_an_exec_with_a_terminal(either: Workshop) -> None:
    task = either.run("/bin/sleep", "60")
    process = either.exec(task, "/bin/sh", "-c", "read x; busybox stty size; echo $x", terminal=True, open_stdin=True)
    client = either.attach(process, stdin=True, multiplex=False)
    process.resize(20, 50)
    client.send(b"hello\r")
    assert client.all() == b"hello\r\n20 50\r\nhello\r\n"


def test_detaching_from_an_exec_leaves_it_running(either: Workshop) -> None:
    task = either.run("/bin/sleep", "60")
    process = either.exec(task, "/bin/sleep", "60", terminal=True, open_stdin=True)
    client = either.attach(process, stdin=True, detach_keys=b"\x10\x11")
    client.send(b"\x10\x11")
    client.all()
    assert process.exit() is None
    process.kill(signal.SIGTERM)
    assert ended(process).signal == signal.SIGTERM


def test_a_detached_exec_does_not_block_on_its_output(either: Workshop) -> None:
    task = either.run("/bin/sleep", "60")
    process = either.exec(task, "/bin/busybox", "seq", "1", "200000", detached=True)
    assert ended(process).code == 0


@pytest.mark.parametrize(
    ("argv", "kind", "text"),
    [
        (("nothing-there",), NotFound, "executable file not found in $PATH"),
        (("/etc",), PermissionDenied, "is a directory"),
    ],
)
def test_a_program_that_cannot_be_executed_is_an_error_and_no_stream(
    either: Workshop, argv: tuple[str, ...], kind: type[Exception], text: str
) -> None:
    task = either.run("/bin/sleep", "60")
    with pytest.raises(kind) as raised:
        either.exec(task, *argv)
    assert text in str(raised.value)
    assert ended(either.exec(task, "/bin/true", detached=True)).code == 0


def test_execs_end_with_the_container_and_clients_see_it(either: Workshop) -> None:
    task = either.run("/bin/sleep", "60")
    process = either.exec(task, "/bin/sleep", "60")
    client = either.attach(process)
    task.kill(signal.SIGKILL)
    client.all()
    assert ended(task).signal == signal.SIGKILL
    assert ended(process).signal == signal.SIGKILL
    with pytest.raises(Conflict, match="not running"):
        either.exec(task, "/bin/true")


def test_a_child_that_writes_for_ever_does_not_keep_the_stream_open(either: Workshop) -> None:
    task = either.run("/bin/sleep", "60")
    process = either.exec(task, "/bin/sh", "-c", "busybox yes & exit 3")
    assert either.attach(process, multiplex=False).all().startswith(b"y\n") or ended(process)
    assert ended(process).code == 3
    assert task.status() == "running"


def test_a_hundred_execs_leave_no_slot_behind(workshop: Workshop) -> None:
    task = workshop.run("/bin/sleep", "60")
    for number in range(140):  # more than the monitor's table holds
        process = workshop.exec(task, "/bin/true", detached=number % 2 == 0)
        if number % 2:
            workshop.attach(process).all()
        assert ended(process).code == 0
        process.forget()


def test_started_twice_is_a_conflict(workshop: Workshop) -> None:
    task = workshop.run("/bin/sleep", "60")
    process = workshop.exec(task, "/bin/true", detached=True)
    with pytest.raises(Conflict, match="already"):
        process.start()
    ended(process)
