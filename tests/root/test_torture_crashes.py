"""The engine is killed at random instants of a busy life: the next one starts, agrees with reality, and leaks nothing.

`CORTEN_TORTURE=50` kills that often; `CORTEN_SEED` repeats a run.
"""

import gc
import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from corten.client.address import Address
from corten.client.connection import Connection, EngineError
from corten.client.engine import Engine as Client
from corten.model.errors import CortenError
from tests.root.engines import IMAGE, OTHER_HOST, Engine, eventually

pytestmark = pytest.mark.skipif(bool(OTHER_HOST), reason="kills the engine it tests")

ROUNDS = int(os.environ.get("CORTEN_TORTURE", "8"))
SEED = int(os.environ.get("CORTEN_SEED", "0")) or random.SystemRandom().randrange(1 << 32)
WORKERS = 3
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
        name = f"n{self.random.randrange(10**9)}"
        volume = {"Type": "volume", "Source": f"v{name}", "Target": "/data"}
        host: dict[str, Any] = {"Mounts": [volume], "AutoRemove": self.random.random() < 0.3}
        if self.random.random() < 0.4:
            engine.networks.create({"Name": name})
            host["NetworkMode"] = name
        container = engine.containers.create({"Image": IMAGE, "Cmd": ["sleep", "1000"], "HostConfig": host}, name=name)
        container.start()
        if self.random.random() < 0.5:
            container.exec({"Cmd": ["true"], "AttachStdout": True}).run()
        if self.random.random() < 0.7:
            container.stop(timeout=0)
        if self.random.random() < 0.7 and not host["AutoRemove"]:
            container.remove(force=True)
            engine.volumes.remove(f"v{name}")


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
    engine.remove_everything()
    asked = client(engine)
    for network in asked.networks.list():
        if network["Name"] not in ("bridge", "host", "none"):
            asked.networks.remove(network["Id"])
    for volume in asked.volumes.list():
        asked.volumes.remove(volume["Name"])
    nothing_is_left(engine)


def agrees_with_reality(engine: Engine) -> None:
    """What the engine tells is what there is: processes, monitors, snapshots, cgroups, directories."""
    asked = client(engine)
    eventually(lambda: all(row["State"] in ("created", "running", "exited") for row in asked.containers.list(all=True)))
    rows = asked.containers.list(all=True)
    running = {row["Id"] for row in rows if row["State"] == "running"}
    for row in rows:
        found = asked.containers.get(row["Id"]).inspect()["State"]
        assert os.path.exists(f"/proc/{found['Pid']}") if row["Id"] in running else found["Pid"] == 0
    for row in rows:
        asked.containers.get(row["Id"]).changes()  # its snapshot is there
    eventually(lambda: set(monitors(engine)) == running)
    assert cgroups(engine) == running
    assert set(names(engine.root / "run/tasks")) <= {row["Id"] for row in rows}
    assert set(names(engine.root / "data/containers")) <= {row["Id"] for row in rows}
    assert len(links(engine)) <= len(running)


def nothing_is_left(engine: Engine) -> None:
    eventually(lambda: not monitors(engine))
    assert cgroups(engine) == set()
    assert names(engine.root / "run/tasks") == []
    assert names(engine.root / "data/containers") == []
    assert names(engine.root / "data/volumes") == []
    assert len(names(engine.root / "data/snapshots")) == 1, "more than the image's layer"
    assert links(engine) == []
    assert len(bridges(engine)) <= 1
    for volume_path in (engine.root / "data").rglob("new-*"):
        raise AssertionError(f"left: {volume_path}")


def monitors(engine: Engine) -> list[str]:
    """The ids of the containers that have a monitor in this engine's namespaces."""
    assert engine.holder is not None
    here = os.stat(f"/proc/{engine.holder.pid}/ns/net").st_ino
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (process / "cmdline").read_text().split("\0")
            if "@monitor" in words and (process / "ns/net").stat().st_ino == here:
                found.append(words[2])
    return found


def cgroups(engine: Engine) -> set[str]:
    """The ids of the containers that have a cgroup."""
    from corten.model import roots

    name = f"corten-{roots.below(str(engine.root)).identity}"
    parents = [*Path("/sys/fs/cgroup").glob(name), *Path("/sys/fs/cgroup").glob(f"*/{name}")]
    return {entry.name for parent in parents for entry in parent.iterdir() if entry.is_dir()}


def links(engine: Engine) -> list[str]:
    return [name for name in net(engine) if name.startswith("vc")]


def bridges(engine: Engine) -> list[str]:
    return [name for name in net(engine) if name != "lo" and not name.startswith("vc")]


def net(engine: Engine) -> list[str]:
    lines = engine.inside("cat", "/proc/net/dev").stdout.splitlines()[2:]
    return [line.split(":")[0].strip() for line in lines]


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
