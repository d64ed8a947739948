"""An engine over real stores in a scratch directory, in a network namespace of its own."""

import io
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from corten.content import Store
from corten.engine import Engine, settings_for
from corten.engine.record import WaitResult
from corten.engine.requests import ExecStart, LogQuery
from corten.images import Images
from corten.kernel import program
from corten.metadata import Database
from corten.model.container import ContainerConfig, ExecConfig, HostConfig, NetworkingConfig
from corten.network import Identity, Networks
from corten.remote import Registries
from corten.snapshots import Overlay
from corten.tasks import Tasks
from corten.wire import stdcopy

__all__ = ["Workbench"]

PATIENCE = 10.0


class Workbench:
    """`restart` is what `kill -9` and a new start amount to: nothing is told to the old engine's parts."""

    def __init__(self, root: Path, *, name: str = f"test-{os.getpid()}") -> None:
        self.root = root
        self.name = name
        self.events: list[dict[str, Any]] = []
        self.open()

    def open(self) -> None:
        data, run = self.root / "data", self.root / "run"
        data.mkdir(exist_ok=True)
        run.mkdir(exist_ok=True)
        identity = Identity.of(str(self.root))
        binary = Path(program.path())
        self.database = Database(data / "meta.db")
        content, self.snapshots = Store(data / "content"), Overlay(data / "snapshots")
        self.networks = Networks(self.database, identity, data / "network", program=str(binary))
        self.tasks = Tasks(str(run / "tasks"), str(binary))
        self.engine = Engine(
            settings_for(data, run, self.name, binary),
            database=self.database,
            content=content,
            images=Images(self.database, content, self.snapshots),
            snapshots=self.snapshots,
            networks=self.networks,
            tasks=self.tasks,
            registries=Registries(),
        )
        self.engine.events.subscribe(self.events.append)
        self.containers = self.engine.containers

    def close(self) -> None:
        self.tasks.close()
        self.engine.close()

    def restart(self) -> None:
        self.close()
        self.open()

    def load(self, archive: bytes) -> None:
        for _ in self.engine.images.load(io.BytesIO(archive)):
            pass

    def create(self, *command: str, host: HostConfig | None = None, name: str = "", **config: Any) -> str:
        wanted = ContainerConfig(image="busybox", cmd=command, **config)
        host = host or HostConfig(network_mode="none")
        return self.containers.create(wanted, host, NetworkingConfig(), name=name).id

    def start(self, *command: str, **options: Any) -> str:
        id = self.create(*command, **options)
        self.containers.start(id)
        return id

    def run(self, *command: str, **options: Any) -> tuple[int, bytes]:
        """Run to the end; exit code and output."""
        id = self.create(*command, **options)
        ended = self.containers.wait(id, "next-exit")
        self.containers.start(id)
        result: WaitResult = ended.result(PATIENCE)
        return result.status_code, self.output(id)

    def output(self, id: str) -> bytes:
        return b"".join(line for batch in self.containers.logs(id, LogQuery()).batches for _, line in batch)

    def exec(self, id: str, *command: str, **config: Any) -> tuple[int, bytes]:
        """Run in a running container; exit code and output, as a client that looks at once would see them."""
        wanted = ExecConfig(cmd=command, attach_stdout=True, attach_stderr=True, **config)
        exec_id = self.engine.execs.create(id, wanted)
        ours, theirs = socket.socketpair()
        with ours:
            descriptor = theirs.detach()
            self.engine.execs.start(exec_id, ExecStart(), lambda tty: (descriptor, b""))  # noqa: ARG005
            data = b""
            while piece := ours.recv(1 << 16):
                data += piece
        code = self.engine.execs.inspect(exec_id)["ExitCode"]
        return code, b"".join(payload for _, payload in stdcopy.Decoder().feed(data))

    def state(self, id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.containers.inspect(id)["State"]
        return found

    def actions(self, kind: str = "container") -> list[str]:
        return [event["Action"] for event in self.events if event["Type"] == kind]

    def until(self, true: Callable[[], object]) -> None:
        """Wait for something that happens on another thread."""
        deadline = time.monotonic() + PATIENCE
        while not true():
            assert time.monotonic() < deadline, "it did not happen"
            time.sleep(0.01)
