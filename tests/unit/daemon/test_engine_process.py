"""One engine per root: started when first needed, by many at once, after a crash, at any depth of path."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from corten.client.starting import answers, start_engine
from corten.daemon import config
from corten.daemon.lock import EngineLock, holder
from corten.model import roots
from corten.model.errors import AlreadyExists, InvalidArgument, Unavailable

START = """
import os
from corten.client.starting import start_engine
from corten.model import roots
start_engine(roots.of(os.environ, 0))
"""


@pytest.fixture
def root(scratch: Path) -> Iterator[roots.Roots]:
    found = roots.below(str(scratch / "root"))
    yield found
    if pid := holder(found.lock):
        os.kill(pid, signal.SIGTERM)
        wait_for(lambda: holder(found.lock) is None)


def wait_for(condition: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def ping(path: str) -> bytes:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(10)
        sock.connect(path)
        sock.sendall(b"GET /_ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        return sock.makefile("rb").read()


def test_ten_commands_at_once_start_one_engine(root: roots.Roots) -> None:
    environment = {**os.environ, "CORTEN_ROOT": os.path.dirname(root.socket)}
    commands = [subprocess.Popen([sys.executable, "-c", START], env=environment) for _ in range(10)]
    assert [command.wait(60) for command in commands] == [0] * 10
    assert ping(root.socket).endswith(b"OK")
    assert Path(root.log).read_text().count("ready:") == 1


def test_a_killed_engines_socket_is_stale_and_replaced(root: roots.Roots) -> None:
    start_engine(root)
    first = holder(root.lock)
    assert first is not None
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: holder(root.lock) is None)
    assert Path(root.socket).exists()
    assert not answers(root.socket)
    start_engine(root)
    assert holder(root.lock) not in (None, first)
    assert ping(root.socket).endswith(b"OK")


def test_sigterm_ends_it_cleanly_and_takes_the_socket_away(root: roots.Roots) -> None:
    start_engine(root)
    os.kill(holder(root.lock) or 0, signal.SIGTERM)
    wait_for(lambda: holder(root.lock) is None)
    assert not Path(root.socket).exists()
    assert "stopped; containers go on" in Path(root.log).read_text()


def test_only_the_owner_reaches_the_socket_and_the_data(root: roots.Roots) -> None:
    start_engine(root)
    assert os.stat(root.socket).st_mode & 0o777 == 0o600
    assert os.stat(root.data).st_mode & 0o777 == 0o700


def test_a_root_deeper_than_a_sockets_address_works(scratch: Path) -> None:
    deep = roots.below(str(scratch / ("d" * 120)))
    start_engine(deep)
    try:
        assert answers(deep.socket)
    finally:
        os.kill(holder(deep.lock) or 0, signal.SIGTERM)
        wait_for(lambda: holder(deep.lock) is None)


def test_an_idle_engine_leaves_and_comes_back_when_needed(root: roots.Roots) -> None:
    os.makedirs(root.data, mode=0o700)
    Path(root.config).write_text('{"idle-timeout": 1}')
    start_engine(root)
    wait_for(lambda: holder(root.lock) is None)
    assert not Path(root.socket).exists()
    start_engine(root)
    assert ping(root.socket).endswith(b"OK")


def test_what_keeps_an_engine_from_starting_is_told_to_the_command(root: roots.Roots) -> None:
    os.makedirs(root.data, mode=0o700)
    Path(root.config).write_text('{"debug": "loud"}')
    with pytest.raises(Unavailable, match=r"cannot read the configuration .*Expected `bool`, got `str` at /debug"):
        start_engine(root)


def test_a_config_with_an_unknown_name_is_refused_as_docker_does(scratch: Path) -> None:
    path = scratch / "engine.json"
    assert config.load(str(path)) == config.Config()
    path.write_text('{"debug": true, "colour": "red"}')
    with pytest.raises(InvalidArgument, match="directives don't match any configuration option: colour"):
        config.load(str(path))


def test_a_held_lock_names_its_holder(scratch: Path) -> None:
    path = str(scratch / "lock")
    assert holder(path) is None
    held = EngineLock(path)
    assert holder(path) == os.getpid()
    with pytest.raises(AlreadyExists, match=f"pid {os.getpid()}"):
        EngineLock(path)
    held.release()
    assert holder(path) is None


def test_it_serves_the_sockets_that_systemd_passes_and_says_when_it_is_ready(scratch: Path) -> None:
    listener, service = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listener.bind(str(scratch / "passed.sock"))
    listener.listen()
    service.bind(str(scratch / "notify"))
    service.settimeout(20)
    # The shell's pid is the engine's after exec, as LISTEN_PID demands.
    script = f'exec 3<&0; LISTEN_PID=$$ LISTEN_FDS=1 exec "{sys.executable}" -m corten.daemon'
    environment = {**os.environ, "CORTEN_ROOT": str(scratch / "r"), "NOTIFY_SOCKET": str(scratch / "notify")}
    engine = subprocess.Popen(["sh", "-c", script], env=environment, stdin=listener.fileno())
    try:
        assert service.recv(100) == b"READY=1"
        assert ping(str(scratch / "passed.sock")).endswith(b"OK")
        engine.send_signal(signal.SIGHUP)
        assert [service.recv(100), service.recv(100)] == [b"RELOADING=1", b"READY=1"]
        engine.terminate()
        assert service.recv(100) == b"STOPPING=1"
        assert engine.wait(10) == 0
        assert (scratch / "passed.sock").exists()
    finally:
        with suppress(ProcessLookupError):
            engine.kill()
        listener.close()
        service.close()
