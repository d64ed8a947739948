"""The engine is killed at random instants of a busy life: the next one starts, agrees with reality, and leaks nothing.

`CORTEN_TORTURE=50` kills that often; `CORTEN_SEED` repeats a run.
"""

import gc
import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from corten.client.address import Address
from corten.client.connection import Connection, EngineError
from corten.client.engine import Engine as Client
from corten.model.errors import CortenError
from tests.registries import CommandRegistry
from tests.root.engines import IMAGE, OTHER_HOST, Engine, eventually
from tests.root.invariants import devices, hold

pytestmark = pytest.mark.skipif(bool(OTHER_HOST), reason="kills the engine it tests")

ROUNDS = int(os.environ.get("CORTEN_TORTURE", "8"))
SEED = int(os.environ.get("CORTEN_SEED", "0")) or random.SystemRandom().randrange(1 << 32)
WORKERS = 3
CROWD = 30  # containers that earlier rounds have left; more only make each restart slower
LIFE = ["sh", "-c", "while :; do echo tick; sleep 0.3; done"]
PUBLISHED = {"AutoRemove": True, "PortBindings": {"80/tcp": [{"HostPort": ""}]}}
RUN: dict[str, Any] = {"Image": IMAGE, "Cmd": ["true"], "HostConfig": PUBLISHED, "Volumes": {"/data": {}}}


@pytest.fixture
def engine(leaves_nothing: None) -> Iterator[Engine]:  # noqa: ARG001
    engine = Engine.temporary()
    engine.start()
    engine.load()
    yield engine
    engine.end()
    gc.collect()  # the SDK's nouns refer to each other; with them go their connections


def client(engine: Engine) -> Client:
    return Client(Address(engine.host))


class Worker(threading.Thread):
    """A life of containers, networks and volumes, until the engine is gone."""

    def __init__(self, engine: Engine, seed: int) -> None:
        super().__init__(daemon=True)
        self.engine = engine
        self.random = random.Random(seed)
        self.unexpected: list[str] = []

    def run(self) -> None:
        while True:
            try:
                self.turn(client(self.engine))
            except EngineError as error:
                if error.status >= 500 and "cannot reach" not in str(error):
                    self.unexpected.append(str(error))
            except (OSError, CortenError, ValueError):
                return  # the engine is gone

    def turn(self, engine: Client) -> None:
        likely = self.random.random
        if likely() < 0.1:
            self.pull(engine)
            return
        name = f"n{self.random.randrange(10**9)}"
        config = {"Image": IMAGE, "Cmd": LIFE, "HostConfig": self.host(engine, name)}
        container = engine.containers.create(config, name=name)
        attached = container.attach() if likely() < 0.4 else None
        container.start()
        if likely() < 0.4:
            container.exec({"Cmd": ["echo", "hello"], "AttachStdout": True}).run()
        if likely() < 0.2:
            container.restart(timeout=0)
        if likely() < 0.1:
            container.pause()
        elif likely() < 0.3:
            container.kill("SIGUSR1")  # it dies of that, and its restart policy has a say
        if likely() < 0.7:
            container.stop(timeout=0)
        if likely() < 0.7:
            container.remove(force=True)
            engine.volumes.remove(f"v{name}")
        if attached:
            attached.close()

    def host(self, engine: Client, name: str) -> dict[str, Any]:
        volume = {"Type": "volume", "Source": f"v{name}", "Target": "/data"}
        host: dict[str, Any] = {"Mounts": [volume]}
        if self.random.random() < 0.6:
            host["PortBindings"] = {"80/tcp": [{"HostPort": ""}], "53/udp": [{"HostIp": "127.0.0.1", "HostPort": ""}]}
        if self.random.random() < 0.3:
            host["AutoRemove"] = True
        elif self.random.random() < 0.5:
            host["RestartPolicy"] = {"Name": self.random.choice(("always", "unless-stopped", "on-failure"))}
        if self.random.random() < 0.4:
            engine.networks.create({"Name": name})
            host["NetworkMode"] = name
        return host

    def pull(self, engine: Client) -> None:
        name = self.engine.settings["TORTURE_REGISTRY"]
        for _ in engine.stream("POST", "/images/create", {"fromImage": name, "tag": "1"}):
            pass
        engine.images.remove(f"{name}:1")


@pytest.fixture
def registry(engine: Engine) -> Iterator[str]:
    """Serves the image to the engine, where only the engine sees it; its name there."""
    with closing(CommandRegistry(engine.root.parent / "registry", enter=(*engine.enter(),))) as served:
        name = f"{served.address}/tiny"
        asked = client(engine)
        asked.images.tag(IMAGE, name, "1")
        for line in asked.stream("POST", f"/images/{name}/push", {"tag": "1"}):
            assert "error" not in line, line
        asked.images.remove(f"{name}:1")
        asked.close()
        engine.settings["TORTURE_REGISTRY"] = name
        yield name


@pytest.mark.timeout(60 + 10 * ROUNDS)
@pytest.mark.usefixtures("registry")
def test_an_engine_killed_at_random_instants_loses_and_leaks_nothing(engine: Engine) -> None:
    print(f"CORTEN_SEED={SEED}")
    dice = random.Random(SEED)
    for _ in range(ROUNDS):
        workers = [Worker(engine, dice.randrange(1 << 32)) for _ in range(WORKERS)]
        for worker in workers:
            worker.start()
        time.sleep(dice.uniform(0.02, 0.6))
        engine.kill()
        for worker in workers:
            worker.join(20)
        assert [text for worker in workers for text in worker.unexpected] == []
        engine.start()
        agrees_with_reality(engine)
        if len(client(engine).containers.list(all=True)) > CROWD:
            engine.remove_everything()
            hold(engine)
    engine.remove_everything()
    asked = client(engine)
    for network in asked.networks.list():
        if network["Name"] not in ("bridge", "host", "none"):
            asked.networks.remove(network["Id"])
    for volume in asked.volumes.list():
        asked.volumes.remove(volume["Name"])
    nothing_is_left(engine)


def agrees_with_reality(engine: Engine) -> None:
    """What the engine tells is what there is, and of every container what it wrote."""
    hold(engine, 20)
    asked = client(engine)
    for row in asked.containers.list(all=True):
        asked.containers.get(row["Id"]).changes()  # its snapshot is there


def nothing_is_left(engine: Engine) -> None:
    hold(engine)
    assert client(engine).containers.list(all=True) == []
    assert names(engine.root / "data/containers") == []
    assert names(engine.root / "data/volumes") == []
    assert len(names(engine.root / "data/snapshots")) == 1, "more than the image's layer"
    assert len(devices(engine)) <= 2, "more than the loopback and the default bridge"


def names(directory: Path) -> list[str]:
    return sorted(os.listdir(directory)) if directory.exists() else []


def run_to_the_end(engine: Engine) -> None:
    """`run --rm` on the bridge with a port and a volume, as the command does it."""
    asked = client(engine)
    container = asked.containers.create(RUN)
    stream = container.attach()
    path = f"/containers/{container.id}/wait"
    ending = Connection(asked.address).request("POST", path, query={"condition": "removed"}).check()
    container.start()
    assert [line["StatusCode"] for line in ending.lines()] == [0]
    stream.close()


def in_parallel(count: int, work: Callable[[], None]) -> None:
    failures: list[BaseException] = []

    def guarded() -> None:
        try:
            work()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=guarded) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []


def descriptors(engine: Engine) -> int:
    assert engine.process is not None
    return len(os.listdir(f"/proc/{engine.process.pid}/fd"))


def resident(engine: Engine) -> int:
    """The engine's memory in KiB."""
    assert engine.process is not None
    status = Path(f"/proc/{engine.process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


def test_fifty_runs_at_once_and_two_hundred_in_turn_leave_nothing_and_need_no_more_memory(engine: Engine) -> None:
    in_parallel(50, lambda: run_to_the_end(engine))
    for _ in range(50):
        run_to_the_end(engine)
    gc.collect()
    eventually(lambda: descriptors(engine) < 60)
    fds, memory = descriptors(engine), resident(engine)
    for _ in range(150):
        run_to_the_end(engine)
    gc.collect()
    nothing_is_left(engine)
    assert client(engine).volumes.list() in (None, [])
    eventually(lambda: descriptors(engine) <= fds + 4)
    print(f"descriptors {fds} then {descriptors(engine)}, memory {memory} then {resident(engine)} KiB")
    assert resident(engine) - memory < 4096
