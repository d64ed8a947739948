"""A task's state directory: what must be found again after the engine's death.

::

    RUN/ID/task.json      who it is: written before anything is started, and again once its pid is known
    RUN/ID/config.json    the RuntimeSpec, from which further processes are compiled
    RUN/ID/monitor.sock   where the monitor listens while it lives
    RUN/ID/exit           how it ended, written by the monitor, which keeps the space for it (exit.new) from the start

A run directory does not outlive a boot, so files appear by rename and need no fsync.
"""

import os
import shutil
import socket

import msgspec

from corten.kernel import pidfd
from corten.model.errors import AlreadyExists, DataLoss
from corten.model.runtime_spec import RuntimeSpec
from corten.tasks import exit as exits
from corten.tasks import spawn

__all__ = ["Record", "StateDir"]


class Record(msgspec.Struct, frozen=True):
    """task.json. `start` and `boot` tell the process from a later one with its pid; `cgroup` is None when it has
    none; `runtime` is the command of the foreign runtime it is on."""

    id: str
    bundle: str
    cgroup: str | None
    terminal: bool
    open_stdin: bool
    stdin_once: bool
    boot: str
    monitor: int = 0
    pid: int = 0
    start: int = 0
    started: bool = False
    runtime: tuple[str, ...] = ()

    def alive(self) -> bool:
        """Whether the very process that was recorded still exists."""
        try:
            return self.pid > 0 and self.boot == pidfd.boot_id() and pidfd.start_time(self.pid) == self.start
        except ProcessLookupError:
            return False


class StateDir:
    """One directory, by its path below our own run directory (mode 0700, so that nobody else is inside)."""

    def __init__(self, path: str) -> None:
        self.path = path

    @classmethod
    def make(cls, path: str) -> "StateDir":
        """Make it; AlreadyExists when there is one."""
        os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
        try:
            os.mkdir(path, 0o700)
        except FileExistsError:
            raise AlreadyExists(f"a task has its state in {path} already", hint="delete that task first") from None
        return cls(path)

    def write(self, record: Record) -> None:
        self._write("task.json", msgspec.json.encode(record))

    def read(self) -> Record | None:
        """The record; None when the engine died before it wrote one."""
        try:
            with open(f"{self.path}/task.json", "rb") as file:
                return msgspec.json.decode(file.read(), type=Record)
        except FileNotFoundError:
            return None
        except msgspec.MsgspecError as error:
            raise DataLoss(f"cannot read {self.path}/task.json: {error}") from error

    def write_spec(self, spec: RuntimeSpec) -> None:
        self._write("config.json", msgspec.json.encode(spec))

    def read_spec(self) -> RuntimeSpec:
        with open(f"{self.path}/config.json", "rb") as file:
            spec: RuntimeSpec = msgspec.json.decode(file.read())
        return spec

    def exit(self) -> exits.Exit | None:
        """What the monitor recorded of the container's end."""
        fd = self.open()
        try:
            return exits.read(fd)
        finally:
            os.close(fd)

    def open(self) -> int:
        """A descriptor of the directory; the caller closes it."""
        return os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)

    def connect(self) -> socket.socket | None:
        """A connection to the monitor, None when it is gone."""
        try:
            fd = self.open()
        except FileNotFoundError:
            return None
        try:
            return spawn.connect(fd)
        except (ConnectionRefusedError, FileNotFoundError):
            return None
        finally:
            os.close(fd)

    def remove(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)

    def _write(self, name: str, data: bytes) -> None:
        temporary = f"{self.path}/{name}.new"
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as file:
            file.write(data)
        os.rename(temporary, f"{self.path}/{name}")
