"""sd_notify(3): a container's readiness reaches the supervisor of whoever runs it, and nothing else of it does."""

import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.root.runtime.bundle import Runtime, wait_for


@pytest.fixture
def supervisor(scratch: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(scratch / "notify.sock"))
        sock.settimeout(5)
        yield sock


def environment(supervisor: socket.socket) -> dict[str, str]:
    return {**os.environ, "NOTIFY_SOCKET": supervisor.getsockname()}


def test_the_program_finds_a_socket_below_the_path_that_the_supervisor_named(
    runtime: Runtime, supervisor: socket.socket
) -> None:
    path = supervisor.getsockname()
    shown = runtime.sh("echo $NOTIFY_SOCKET; test -S $NOTIFY_SOCKET && echo socket", env=environment(supervisor))
    assert shown == f"{path}/notify\nsocket\n"


def test_readiness_is_passed_on_and_other_orders_are_not(runtime: Runtime, supervisor: socket.socket) -> None:
    id = runtime.create("/bin/sleep", "1000", env=environment(supervisor))
    started = subprocess.Popen([runtime.command, "--root", str(runtime.root), "start", id])
    inside = runtime.root / id / "notify/notify"  # the very socket that the program has
    wait_for(inside.exists)
    assert started.poll() is None
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as program:
        for message in (b"STATUS=warming up", b"MAINPID=1\nREADY=1"):
            program.sendto(message, str(inside))
    assert started.wait(5) == 0
    assert supervisor.recv(4096) == b"READY=1"
    assert supervisor.recv(4096).decode() == f"MAINPID={runtime.state()['pid']}"


def test_start_returns_when_the_program_ends_without_being_ready(runtime: Runtime, supervisor: socket.socket) -> None:
    id = runtime.create("/bin/true", env=environment(supervisor))
    runtime("start", id)
    supervisor.setblocking(False)
    with pytest.raises(BlockingIOError):
        supervisor.recv(4096)


def test_without_a_supervisor_nothing_is_told(runtime: Runtime) -> None:
    assert runtime.sh("env").find("NOTIFY_SOCKET") < 0
