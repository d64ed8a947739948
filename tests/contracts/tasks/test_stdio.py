"""What a container writes and reads: log, attached clients, terminals."""

import time

from tests.contracts.tasks.container import Workshop, ended


def test_a_container_that_ends_at_once_loses_no_byte(either: Workshop) -> None:
    task = either.create("/bin/busybox", "seq", "1", "20000")
    client = either.attach(task)
    task.start()
    expected = "".join(f"{n}\n" for n in range(1, 20001))
    assert client.frames()[1].decode() == expected
    assert ended(task).code == 0
    assert either.logged(task) == expected


def test_the_two_streams_are_framed_apart_and_the_log_names_them(either: Workshop) -> None:
    task = either.create("/bin/sh", "-c", "echo out; echo err >&2; printf unfinished")
    client = either.attach(task)
    task.start()
    assert client.frames() == {1: b"out\nunfinished", 2: b"err\n"}
    ended(task)
    assert [(record["stream"], record["log"]) for record in either.log(task)] == [
        ("stdout", "out\n"),
        ("stderr", "err\n"),
        ("stdout", "unfinished"),
    ]
    assert all(record["time"].endswith("Z") for record in either.log(task))


def test_a_client_gets_only_the_streams_it_asked_for(either: Workshop) -> None:
    task = either.create("/bin/sh", "-c", "echo out; echo err >&2")
    client = either.attach(task, stdout=False, multiplex=False)
    task.start()
    assert client.all() == b"err\n"


def test_early_bytes_come_first_and_a_half_close_is_the_end_of_input(either: Workshop) -> None:
    task = either.create("/bin/cat", open_stdin=True, stdin_once=True)
    client = either.attach(task, stdin=True, early=b"early ", multiplex=False)
    task.start()
    client.send(b"late\n")
    client.half_close()
    assert client.all() == b"early late\n"
    assert ended(task).code == 0


def test_much_input_passes_a_process_that_reads_slowly(either: Workshop) -> None:
    task = either.create("/bin/sh", "-c", "sleep 0.2; wc -c", open_stdin=True, stdin_once=True)
    client = either.attach(task, stdin=True, multiplex=False, early=bytes(300_000))
    task.start()
    client.send(bytes(3_000_000))
    client.half_close()
    assert client.all() == b"3300000\n"


def test_without_stdin_once_the_clients_end_is_not_the_containers(either: Workshop) -> None:
    task = either.shell("read a; read b; echo $a $b", open_stdin=True)
    first = either.attach(task, stdin=True, multiplex=False)
    first.send(b"one\n")
    first.half_close()
    first.all()
    second = either.attach(task, stdin=True, multiplex=False)
    second.send(b"two\n")
    assert second.all() == b"one two\n"
    assert either.logged(task) == "one two\n"


def test_a_container_without_open_stdin_reads_the_end_at_once(either: Workshop) -> None:
    task = either.create("/bin/cat")
    client = either.attach(task, stdin=True, multiplex=False)
    task.start()
    assert client.all() == b""
    assert ended(task).code == 0


def test_close_stdin_ends_the_input(either: Workshop) -> None:
    task = either.run("/bin/cat", open_stdin=True)
    task.close_stdin()
    assert ended(task).code == 0


def test_many_clients_see_the_same(either: Workshop) -> None:
    task = either.create("/bin/sh", "-c", "busybox seq 1 3000; read x; echo $x", open_stdin=True)
    clients = [either.attach(task, stdin=number == 3, multiplex=False) for number in range(20)]
    task.start()
    clients[3].send(b"end\n")
    assert len({client.all() for client in clients}) == 1


def test_a_terminal_has_its_size_before_the_program_runs_and_can_be_resized(either: Workshop) -> None:
    task = either.create(
        "/bin/sh",
        "-c",
        "busybox stty size; read x; busybox stty size",
        terminal=True,
        open_stdin=True,
        console_size=(33, 99),
    )
    client = either.attach(task, stdin=True, multiplex=False)
    task.start()
    while b"33 99" not in client.seen():
        time.sleep(0.01)
    task.resize(40, 120)
    client.send(b"\r")
    assert client.all() == b"33 99\r\n\r\n40 120\r\n"


def test_the_detach_sequence_ends_the_session_and_nothing_else(either: Workshop) -> None:
    detached: list[str] = []
    task = either.create("/bin/sh", "-c", "read x; echo got $x", terminal=True, open_stdin=True)
    task.on_detach(lambda: detached.append(task.id))
    task.start()
    client = either.attach(task, stdin=True, detach_keys=b"\x10\x11")
    client.send(b"a\x10")
    client.send(b"b\x10\x10")
    client.send(b"\x11")
    client.all()
    assert task.status() == "running"
    other = either.attach(task, stdin=True, detach_keys=b"\x10\x11")
    other.send(b"c\r")
    # What turned out not to be the sequence was typed after all; the terminal shows a control character as ^P.
    assert b"got a\x10b\x10c\r\n" in other.all()
    assert ended(task).code == 0
    assert detached == [task.id]


def test_a_late_client_sees_everything_once(either: Workshop) -> None:
    script = "busybox seq 1 5000; printf half; read x; echo way; busybox seq 1 5000"
    task = either.shell(script, open_stdin=True, log=None)
    while "5000\n" not in either.logged(task):
        time.sleep(0.01)
    clients = [either.attach(task, logs=True, multiplex=False) for _ in range(3)]
    only_past = either.attach(task, logs=True, stream=False, multiplex=False)
    either.attach(task, stdin=True).send(b"\n")
    numbers = "".join(f"{n}\n" for n in range(1, 5001))
    for client in clients:
        assert client.all().decode() == f"{numbers}halfway\n{numbers}"
    assert only_past.all().decode() in (numbers, f"{numbers}half")
