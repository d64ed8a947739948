"""`run --rm IMAGE echo x` prints x: always, also while engine, monitors and clients are stopped at random moments.

Each hand-over of a stream has a window in which the other side may be slow. (Once an attach was answered before the
container knew of it, and a start that came quickly ran without its client: nothing printed, status 0.)
`CORTEN_TORTURE_OUTPUT=500` runs that often.
"""

import gc
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from corten.client.address import Address
from corten.client.connection import EngineError
from corten.client.engine import Engine as Client
from tests.root.engines import IMAGE, OTHER_HOST, Engine, docker_command
from tests.root.invariants import hold, processes

pytestmark = pytest.mark.skipif(bool(OTHER_HOST), reason="stops the engine it tests")

OURS = str(Path(sys.executable).with_name("corten"))
RUNS = int(os.environ.get("CORTEN_TORTURE_OUTPUT", "24"))
AT_ONCE = 4
SEED = int(os.environ.get("CORTEN_SEED", "0")) or random.SystemRandom().randrange(1 << 32)


class Disturber(threading.Thread):
    """Stops processes of the engine's namespace, and `clients`, for some milliseconds each."""

    def __init__(self, engine: Engine, clients: list["subprocess.Popen[bytes]"]) -> None:
        super().__init__(daemon=True)
        self.engine = engine
        self.clients = clients
        self.dice = random.Random(SEED)
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.wait(self.dice.uniform(0, 0.01)):
            holder = self.engine.holder.pid if self.engine.holder else 0
            pids = [process.pid for process in processes(self.engine) if process.pid != holder]
            pids += [client.pid for client in self.clients if client.poll() is None]
            if pids:
                self.hold_up(self.dice.choice(pids))

    def hold_up(self, pid: int) -> None:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
            time.sleep(self.dice.choice((0.001, 0.005, 0.02, 0.05)))
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


class Busy(threading.Thread):
    """Keeps the engine's threads busy, as a pull does: whoever lets another run first is late by some milliseconds."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(daemon=True)
        self.address = Address(engine.host)
        self.failures: list[str] = []
        self.over = threading.Event()

    def run(self) -> None:
        with closing(Client(self.address)) as asked:
            while not self.over.is_set():
                try:
                    asked.ask("GET", "/info")
                    asked.ask("GET", "/system/df")  # also of a container that goes this moment
                except EngineError as error:
                    self.failures.append(str(error))


@pytest.fixture
def engine(leaves_nothing: None) -> Iterator[Engine]:  # noqa: ARG001
    engine = Engine.temporary()
    engine.start()
    engine.load()
    yield engine
    engine.end()
    gc.collect()  # the SDK's nouns refer to each other; with them go their connections


@pytest.mark.timeout(60 + RUNS)
@pytest.mark.parametrize("client", ["corten", "docker"])
def test_no_pause_of_anybody_loses_output(engine: Engine, client: str) -> None:
    if client == "docker" and docker_command() is None:
        pytest.skip("needs docker's command line")
    command = [OURS, "--host", engine.host] if client == "corten" else [str(docker_command())]
    clients: list[subprocess.Popen[bytes]] = []
    disturber = Disturber(engine, clients)
    print(f"CORTEN_SEED={SEED}")
    busy = [Busy(engine) for _ in range(4)]
    for thread in (disturber, *busy):
        thread.start()
    try:
        for first in range(0, RUNS, AT_ONCE):
            numbers = range(first, first + AT_ONCE)
            clients[:] = [started(engine, command, number) for number in numbers]
            told = [running.communicate(timeout=60) for running in clients]
            assert told == [(f"out {n}\n".encode(), f"err {n}\n".encode()) for n in numbers]
            assert [running.returncode for running in clients] == [n % 7 for n in numbers]
    finally:
        disturber.over.set()
        disturber.join()
        for thread in busy:
            thread.over.set()
            thread.join()
        for running in clients:
            with suppress(ProcessLookupError):
                running.send_signal(signal.SIGCONT)
    assert [failure for thread in busy for failure in thread.failures] == []
    hold(engine)


def started(engine: Engine, command: list[str], number: int) -> "subprocess.Popen[bytes]":
    script = f"echo out {number}; echo err {number} >&2; exit {number % 7}"
    words = [*command, "run", "--rm", "--network", "none", IMAGE, "sh", "-c", script]
    return subprocess.Popen(words, env=engine.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
