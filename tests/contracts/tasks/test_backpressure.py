"""Slow clients, with monitors whose backlog is 1 MiB and whose patience is one second."""

import hashlib
import os
import time

from tests.contracts.tasks.container import Workshop, ended

MANY = 400_000  # numbers; 2.7 MB


def numbers(count: int) -> bytes:
    return b"".join(b"%d\n" % n for n in range(1, count + 1))


def test_a_slow_client_loses_nothing_and_does_not_hold_up_the_log(careful: Workshop) -> None:
    task = careful.create("/bin/busybox", "seq", "1", "150000")
    slow = careful.attach(task, slow=True)
    task.start()
    assert ended(task).code == 0
    assert careful.logged(task).encode() == numbers(150_000)
    assert slow.frames()[1] == numbers(150_000)


def test_a_client_that_reads_a_little_all_the_time_slows_the_process_and_loses_nothing(careful: Workshop) -> None:
    task = careful.create("/bin/busybox", "seq", "1", str(MANY), logged=False)
    slow = careful.attach(task, slow=True, multiplex=False)
    task.start()
    data = b""
    for _ in range(4):
        time.sleep(0.4)
        assert task.exit() is None, "it waits for its reader"
        data += slow.socket.recv(100_000)
    assert data + slow.all() == numbers(MANY)
    assert ended(task).code == 0


def test_a_client_that_takes_nothing_is_cut_off_and_the_process_goes_on(careful: Workshop) -> None:
    task = careful.create("/bin/busybox", "seq", "1", str(MANY))
    stalled = careful.attach(task, slow=True, multiplex=False)
    other = careful.attach(task, multiplex=False)
    began = time.monotonic()
    task.start()
    assert other.all() == numbers(MANY)
    assert ended(task).code == 0
    assert time.monotonic() - began < 10
    assert len(stalled.all()) < len(numbers(MANY))


def test_a_client_that_stops_in_the_middle_holds_up_nobody_else(careful: Workshop) -> None:
    task = careful.create("/bin/sh", "-c", "busybox seq 1 60000; read x; busybox seq 1 20000", open_stdin=True)
    middle = careful.attach(task, slow=True, multiplex=False)
    other = careful.attach(task, stdin=True, multiplex=False)
    task.start()
    while len(other.seen()) < len(numbers(60_000)):
        time.sleep(0.01)
    taken = middle.socket.recv(150_000)  # its backlog moves on, and then it takes no more
    time.sleep(0.2)
    other.send(b"\n")
    assert other.all() == numbers(60_000) + numbers(20_000)
    assert ended(task).code == 0
    assert taken + middle.all() == numbers(60_000) + numbers(20_000)


def test_after_the_end_a_client_may_take_its_time_but_not_for_ever(careful: Workshop) -> None:
    task = careful.create("/bin/busybox", "seq", "1", "100000")
    late, never = careful.attach(task, slow=True, multiplex=False), careful.attach(task, slow=True, multiplex=False)
    task.start()
    ended(task)
    task.delete()
    monitor = task.record.monitor
    time.sleep(0.5)
    assert late.all() == numbers(100_000)
    os.waitpid(monitor, 0)  # it leaves when the other one's time is over
    never.socket.close()


def test_a_client_that_vanishes_stops_nobody(careful: Workshop) -> None:
    task = careful.create("/bin/busybox", "seq", "1", str(MANY))
    clients = [careful.attach(task, slow=True, multiplex=False) for _ in range(5)]
    task.start()
    for client in clients:
        client.socket.recv(1000)
        client.socket.close()
    assert ended(task).code == 0


def test_a_client_that_leaves_with_its_input_unread_still_gives_it(careful: Workshop) -> None:
    task = careful.shell("sleep 0.3; wc -c", open_stdin=True, stdin_once=True)
    client = careful.attach(task, stdin=True, slow=True)
    client.send(bytes(150_000))
    client.socket.close()
    ended(task)
    assert careful.logged(task) == "150000\n"


def test_the_same_for_a_terminal(careful: Workshop) -> None:
    task = careful.create("/bin/busybox", "seq", "1", "100000", terminal=True)
    slow = careful.attach(task, slow=True, multiplex=False)
    task.start()
    time.sleep(0.3)
    # Compared by digest: a difference of this size would take minutes to be shown.
    assert hashlib.sha256(slow.all()).digest() == hashlib.sha256(numbers(100_000).replace(b"\n", b"\r\n")).digest()
