"""Containers made quickly, and what their clients see."""

import json
import os
import socket
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from corten.model.errors import CortenError
from corten.model.runtime_spec import RuntimeSpec
from corten.tasks.config import AttachOptions, ExecConfig, LogFile, TaskConfig
from corten.tasks.exec import Exec
from corten.tasks.exit import Exit
from corten.tasks.process import Process
from corten.tasks.task import Task
from corten.tasks.tasks import Tasks

NAMESPACES = ("pid", "mount", "uts", "ipc", "network")
PROC = {"destination": "/proc", "type": "proc", "source": "proc"}
DEV = {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755", "size=65536k"]}
CGROUP = f"/corten-test-{os.getpid()}"  # of this test run
PTS = {"destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": ["newinstance", "ptmxmode=0666"]}


class Client:
    """One end of a socket whose other end a monitor pumps; a thread reads all that comes, unless it is `slow`."""

    def __init__(self, *, slow: bool = False) -> None:
        self.socket, self.theirs = socket.socketpair()
        self.socket.settimeout(20)
        self._data = bytearray()
        self._thread = threading.Thread(target=self._read, daemon=True)
        if not slow:
            self._thread.start()

    def _read(self) -> None:
        with suppress(OSError):  # `all` tells when it has not ended by itself
            while piece := self.socket.recv(65536):
                self._data += piece

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def half_close(self) -> None:
        self.socket.shutdown(socket.SHUT_WR)

    def seen(self) -> bytes:
        return bytes(self._data)

    def all(self) -> bytes:
        """Everything up to the end of the stream."""
        if not self._thread.ident:
            self._thread.start()
        self._thread.join(20)
        assert not self._thread.is_alive(), f"the stream has no end: {bytes(self._data[-200:])!r}"
        self.socket.close()
        return bytes(self._data)

    def frames(self) -> dict[int, bytes]:
        """The multiplexed stream's content by stream number; every frame must be whole."""
        data, found = self.all(), {1: b"", 2: b""}
        while data:
            length = int.from_bytes(data[4:8], "big")
            assert data[0] in found
            assert data[1:4] == bytes(3)
            assert len(data) >= 8 + length
            found[data[0]] += data[8 : 8 + length]
            data = data[8 + length :]
        return found


class Workshop:
    """Makes containers with `Tasks` and sees to it that none is left."""

    def __init__(self, tasks: Tasks, rootfs: Path, scratch: Path) -> None:
        self.tasks = tasks
        self.rootfs = rootfs
        self.scratch = scratch
        self.count = 0
        self.cgroup = CGROUP

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self.tasks:
            with suppress(CortenError):
                task.delete(force=True)
        self.tasks.close()
        for hierarchy in self.tasks.host.layout.hierarchies:
            with suppress(FileNotFoundError):
                os.rmdir(hierarchy.directory(self.cgroup))

    def reopen(self) -> list[Task]:
        """As a new engine would: let go of everything and find it again."""
        old = self.tasks
        self.tasks = Tasks(old.run_dir, old.program, monitor=old.monitor_program)
        old.close()
        return self.tasks.restore()

    def process(self, argv: tuple[str, ...], *, terminal: bool = False) -> dict[str, Any]:
        capabilities = {kind: ["CAP_KILL"] for kind in ("bounding", "effective", "permitted")}
        return {
            "terminal": terminal,
            "cwd": "/",
            "args": list(argv),
            "env": ["PATH=/bin", "TERM=xterm"],
            "user": {"uid": 0, "gid": 0},
            "capabilities": capabilities,
        }

    def spec(
        self, *argv: str, terminal: bool = False, resources: Mapping[str, Any] | None = None, **more: Any
    ) -> RuntimeSpec:
        linux = {
            "cgroupsPath": f"{self.cgroup}/{self.count}",
            "namespaces": [{"type": kind} for kind in NAMESPACES],
            "resources": dict(resources or {}),
        }
        found: Any = {
            "ociVersion": "1.0.2",
            "root": {"path": str(self.rootfs)},
            "process": self.process(argv, terminal=terminal),
            "mounts": [PROC, DEV, PTS],
            "linux": linux,
            **more,
        }
        spec: RuntimeSpec = found
        return spec

    def log_path(self, task: Task | str) -> str:
        return f"{self.scratch}/{task if isinstance(task, str) else task.id}.log"

    def create(
        self, *argv: str, log: LogFile | None = None, logged: bool = True, resources: Any = None, **config: Any
    ) -> Task:
        """A created container that would run `argv`."""
        self.count += 1
        id = f"c{self.count}"
        file = log or (LogFile(self.log_path(id)) if logged else None)
        spec = self.spec(*argv, terminal=config.get("terminal", False), resources=resources)
        return self.tasks.create(spec, TaskConfig(id=id, bundle=str(self.scratch), log=file, **config))

    def run(self, *argv: str, **config: Any) -> Task:
        """A started one."""
        task = self.create(*argv, **config)
        task.start()
        return task

    def shell(self, script: str, **config: Any) -> Task:
        return self.run("/bin/sh", "-c", script, **config)

    def exec(self, task: Task, *argv: str, **config: Any) -> Exec:
        """A further process that has been started."""
        process: Any = self.process(argv, terminal=config.get("terminal", False))
        made = task.exec(process, ExecConfig(id="x", **config))
        made.start()
        return made

    def attach(self, process: Process, *, slow: bool = False, early: bytes = b"", **options: Any) -> Client:
        """A client that is attached to the process."""
        client = Client(slow=slow)
        try:
            process.attach(client.theirs.fileno(), AttachOptions(**options), early)
        except BaseException:
            client.socket.close()
            raise
        finally:
            client.theirs.close()
        return client

    def log(self, task: Task) -> list[dict[str, Any]]:
        """The whole records of the log file."""
        whole = Path(self.log_path(task)).read_text().rpartition("\n")[0]
        return [json.loads(line) for line in whole.split("\n") if line]

    def logged(self, task: Task, stream: str = "stdout") -> str:
        return "".join(record["log"] for record in self.log(task) if record["stream"] == stream)


def ended(process: Process) -> Exit:
    """The process's end, which must come within twenty seconds."""
    found = process.wait(20)
    assert found, "the process does not end"
    return found


__all__ = ["Client", "Exec", "Workshop", "ended"]
