"""A container's control groups while it lives: numbers, freezer, changed limits, the end.

The plan makes them (`compiler.control_groups`); here they are read and changed from outside. The statistics have runc's
form (``runc events --stats``), whatever the version underneath, and Docker's can be made of them.

>>> groups = Cgroups(read_layout(), "/docker/4f1d", "4f1d")
>>> groups.pause(); groups.resume()
>>> groups.stats()["memory"]["usage"]["usage"]
1048576
"""

from __future__ import annotations

import os
import time

from corten.model.errors import Conflict, FailedPrecondition, InvalidArgument, Unavailable
from corten.runtime import limits
from corten.runtime.compiler.control_groups import place

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from corten.kernel.cgroups import Layout
    from corten.model.runtime_spec import Resources

__all__ = ["Cgroups", "fields", "read"]

_SIGKILL, _ENOENT = 9, 2
_PATIENCE_S = 10.0
_STEP_S = 0.001


class Cgroups:
    """The cgroups of one container, found by the same rule that made them."""

    def __init__(self, layout: Layout, cgroups_path: str, id: str) -> None:
        self.layout = layout
        self.path = place(cgroups_path, id)

    def directories(self) -> list[str]:
        return [hierarchy.directory(self.path) for hierarchy in self.layout.hierarchies]

    def directory(self, controller: str) -> str:
        """Where `controller` keeps its files for this container; "" on a machine without it."""
        hierarchy = self.layout.of(controller) or self.layout.unified
        return hierarchy.directory(self.path) if hierarchy else ""

    @property
    def unified(self) -> bool:
        """Whether limits are cgroup v2's."""
        return self.layout.mode == "v2"

    def exists(self) -> bool:
        return any(os.path.isdir(directory) for directory in self.directories())

    def pids(self) -> list[int]:
        """Every process in the container, those of cgroups it made itself included, in the caller's PID namespace."""
        found: set[int] = set()
        for directory, _, _ in os.walk(self._listing()):
            found |= {int(line) for line in read(f"{directory}/cgroup.procs").split()}
        return sorted(found - {0})

    def pause(self) -> None:
        """Freeze every process. Returns when all are frozen."""
        self._freeze(frozen=True)

    def resume(self) -> None:
        self._freeze(frozen=False)

    def paused(self) -> bool:
        if freezer := self.layout.of("freezer"):
            return read(f"{freezer.directory(self.path)}/freezer.state").strip() in ("FROZEN", "FREEZING")
        return "frozen 1" in read(f"{self.directory('')}/cgroup.events")

    def kill(self, signal: int = _SIGKILL) -> None:
        """Send a signal to all of it: by cgroup.kill where the kernel can, else until nothing new has been forked."""
        unified = self.layout.unified
        whole = f"{unified.directory(self.path)}/cgroup.kill" if unified else ""
        if signal == _SIGKILL and os.path.exists(whole):
            _write(whole, "1")
            return
        sent: set[int] = set()
        while fresh := set(self.pids()) - sent:
            for pid in fresh:
                try:  # noqa: SIM105 contextlib is not for this path
                    os.kill(pid, signal)
                except ProcessLookupError:
                    pass
            sent |= fresh

    def delete(self) -> None:
        """Remove the directories with all below. Raises Unavailable when a process will not leave them."""
        end = time.monotonic() + _PATIENCE_S
        for directory in self.directories():
            while not _removed(directory):
                if time.monotonic() > end:
                    hint = "a process in it does not die; see its cgroup.procs"
                    raise Unavailable(f"cannot remove the cgroup {directory}: device or resource busy", hint=hint)
                self.kill()
                time.sleep(_STEP_S)

    def update(self, resources: Resources) -> None:
        """Change limits of the running container; fields that are not there stay as they are."""
        if resources.get("memory", {}).get("checkBeforeUpdate"):
            self._check_usage(resources)
        for file, value, pointer in self._writes(resources):
            try:
                _write(file, value)
            except OSError as error:
                if error.errno == _ENOENT and limits.may_be_missing(os.path.basename(file), value):
                    continue
                message = f"cannot set {os.path.basename(file)} to {value}: {str(error.strerror).lower()}"
                raise FailedPrecondition(message, hint=f"see {os.path.dirname(file)}", place=pointer) from error
        if "devices" in resources:
            self._update_devices(resources)

    def oom_kills(self) -> int:
        """How many processes the kernel has killed here for lack of memory."""
        name = "memory.events" if self.unified else "memory.oom_control"
        return fields(f"{self.directory('memory')}/{name}").get("oom_kill", 0)

    def stats(self) -> dict[str, Any]:
        """Usage and limits of every controller, times in nanoseconds, sizes in bytes."""
        from corten.runtime import statistics

        return statistics.v2(self) if self.unified else statistics.v1(self)

    def _listing(self) -> str:
        """A hierarchy in which every process of the container is: v1's freezer or devices, else the v2 tree."""
        for controller in ("freezer", "devices", "pids", "memory", "cpu"):
            if self.layout.of(controller):
                return self.directory(controller)
        return self.directory("")

    def _freeze(self, *, frozen: bool) -> None:
        freezer = self.layout.of("freezer")
        if freezer:
            file, value, done = f"{freezer.directory(self.path)}/freezer.state", "FROZEN" if frozen else "THAWED", ""
        else:
            file, value, done = f"{self.directory('')}/cgroup.freeze", str(int(frozen)), f"frozen {int(frozen)}"
        events = f"{os.path.dirname(file)}/cgroup.events"
        end = time.monotonic() + _PATIENCE_S
        try:
            _write(file, value)
            # v1 may say FREEZING for ever while a process forks; writing again moves it on (runc#2774).
            while (read(events).find(done) < 0) if done else (read(file).strip() != value):
                if time.monotonic() > end:
                    _write(file, "THAWED" if freezer else "0")
                    raise Unavailable("cannot freeze the container: a process in it does not stop in time")
                time.sleep(_STEP_S)
                if freezer:
                    _write(file, value)
        except FileNotFoundError as error:
            raise Conflict("container not running", hint=f"it has no {file}") from error

    def _writes(self, resources: Resources) -> list[tuple[str, str, str]]:
        bfq = os.path.exists(f"{self.directory('blkio')}/blkio.bfq.weight")
        if self.unified:
            writes = limits.v2_writes(self._with_present_limit(resources), bfq=bfq)
        else:
            writes = self._ordered(limits.v1_writes(resources, bfq=bfq))
        return [(f"{self.directory(controller)}/{file}", value, pointer) for controller, file, value, pointer in writes]

    def _with_present_limit(self, resources: Resources) -> Resources:
        """On v2 a swap limit alone needs the memory limit that stands, since the specification counts both together."""
        memory = resources.get("memory") or {}
        if "swap" not in memory or "limit" in memory:
            return resources
        present = read(f"{self.directory('memory')}/memory.max").strip()
        return {**resources, "memory": {**memory, "limit": -1 if present == "max" else int(present or -1)}}

    def _ordered(self, writes: list[limits.Write]) -> list[limits.Write]:
        """v1 refuses a memory limit above that of memory and swap together: the order depends on the direction."""
        wanted = {write[1]: write for write in writes}
        memory, both = wanted.get("memory.limit_in_bytes"), wanted.get("memory.memsw.limit_in_bytes")
        if memory and both:
            present = int(read(f"{self.directory('memory')}/memory.limit_in_bytes") or 0)
            if int(both[2]) < 0 or int(both[2]) > present:
                rest = [write for write in writes if write not in (memory, both)]
                return [both, memory, *rest]
        return writes

    def _check_usage(self, resources: Resources) -> None:
        limit = resources.get("memory", {}).get("limit") or 0
        name = "memory.current" if self.unified else "memory.usage_in_bytes"
        used = int(read(f"{self.directory('memory')}/{name}") or 0)
        if 0 < limit < used:
            hint = "the kernel would have to kill processes"
            message = f"rejecting memory limit {limit}: the container uses {used} bytes"
            raise InvalidArgument(message, hint=hint, place="/linux/resources/memory/limit")

    def _update_devices(self, resources: Resources) -> None:
        from corten.runtime import device_rules

        table = device_rules.fold(resources.get("devices") or ())
        if not self.layout.of("devices"):
            from corten.kernel import bpf

            bpf.replace_device_program(self.directory("devices"), device_rules.program(table))
            return
        for file, line in device_rules.v1_lines(table):
            _write(f"{self.directory('devices')}/{file}", line)


def read(path: str) -> str:
    """A control file's text, or "" where there is none to read."""
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return ""


def _write(path: str, value: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, value.encode())
    finally:
        os.close(fd)


def fields(path: str) -> dict[str, int]:
    """A control file of lines ``name number`` as a dictionary, empty where there is none."""
    pairs = (line.split() for line in read(path).splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdecimal()}


def _removed(directory: str) -> bool:
    """Remove a cgroup with those below it; False while a process is in there."""
    try:
        os.rmdir(directory)
    except FileNotFoundError:
        return True
    except OSError:
        below = [entry.path for entry in os.scandir(directory) if entry.is_dir(follow_symlinks=False)]
        if not below:
            return False
        return all(map(_removed, below)) and _removed(directory)
    return True
