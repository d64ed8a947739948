"""A container's first process, and through it the container, seen from the engine."""

import os
import signal
import warnings
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec

from corten.kernel import pidfd
from corten.model.errors import Conflict, CortenError, FailedPrecondition
from corten.model.runtime_spec import Process as ProcessSpec
from corten.model.runtime_spec import Resources, RuntimeSpec
from corten.plan import LaunchPlan
from corten.runtime import Options, compile_exec
from corten.runtime.cgroups import Cgroups
from corten.runtime.launch import Launch
from corten.tasks.config import ExecConfig
from corten.tasks.connection import Connection, send_ports
from corten.tasks.controller import Controller
from corten.tasks.exec import Exec
from corten.tasks.exit import UNKNOWN_CODE, Exit
from corten.tasks.foreign import Foreign
from corten.tasks.hooks import Hooks
from corten.tasks.process import Process
from corten.tasks.protocol import STATUS, Received
from corten.tasks.spawn import reap
from corten.tasks.state import Record, StateDir

if TYPE_CHECKING:
    from corten.tasks.tasks import Tasks

__all__ = ["Task"]

_DYING = 10.0  # seconds a killed process is waited for


class Task(Process):
    """Made by `Tasks.create`, found again by `Tasks.restore`; `record` is what its state directory says."""

    def __init__(
        self, tasks: "Tasks", state: StateDir, record: Record, connection: Connection, cgroups: Cgroups | None
    ) -> None:
        super().__init__(connection, tasks.watcher, terminal=record.terminal, open_stdin=record.open_stdin, number=0)
        self.id = record.id
        self.record = record
        self.pid = record.pid
        self.cgroups = cgroups
        self._tasks = tasks
        self._state = state
        self._watched = False
        self._launch: Launch | None = None
        self._controller: Controller | None = None
        self._execs: dict[int, Exec] = {}
        self._foreign = Foreign(record.runtime, record.id, state.path) if record.runtime else None
        self._until_started: list[int] = []
        self._strangers: dict[int, Exit] = {}  # ends of execs that are not registered yet, or another engine's
        connection.on_event = self.on_event

    @property
    def monitor_version(self) -> int:
        """The protocol version of the container's monitor, which may be older or newer than this engine's."""
        return self._connection.version

    # -- life

    def status(self) -> str:
        """``created``, ``running``, ``paused`` or ``stopped``."""
        if self.exit() is not None:
            return "stopped"
        if self._launch:
            return "created"
        return "paused" if self.cgroups and self.cgroups.paused() else "running"

    def start(self) -> None:
        """Let the program run. When it cannot be executed this raises why, and the task is deleted."""
        if self._launch is None or self._controller is None:
            raise Conflict(f"task {self.id} has been started already")
        launch, self._launch = self._launch, None
        try:
            self._announce_start()
            launch.go()  # the checkpoint `created`,
            launch.go()  # and the row that awaits the start
            launch.until("", self._controller)
            if self._foreign:
                self._begun(self._foreign)
            else:
                self._hooks().run_all("poststart", self.pid)
        except BaseException:
            launch.control.close()
            self.delete(force=True)
            raise
        finally:
            self._let_go()
        launch.control.close()

    def exec(self, process: ProcessSpec, config: ExecConfig) -> Exec:
        """One more process (a `process` of the runtime-spec), to be started by `Exec.start`. Conflict unless it
        runs."""
        if self._foreign:
            return self.exec_plan(self._foreign.exec_plan(process, config, self._tasks.host), config)
        spec = self._state.read_spec()
        spec["process"] = process
        streams = () if config.terminal else (0, 1, 2) if config.open_stdin else (1, 2)
        options = Options(pid_file=True, console=config.terminal, streams=streams)
        host, record = self._tasks.host, self.record
        plan = compile_exec(spec, host, id=self.id, pid=record.pid, start=record.start, options=options)
        return self.exec_plan(plan, config)

    def exec_plan(self, plan: LaunchPlan, config: ExecConfig) -> Exec:
        """The same with a plan of one's own."""
        if self.status() != "running":
            raise Conflict(f"cannot exec in task {self.id}: it is not running")
        program = self._tasks.program_fd()
        return Exec(self._connection, self._watcher, config, plan, program, self._register, self._foreign)

    def kill(self, signal: int, *, all: bool = False) -> None:
        """Send a signal to the first process, or to every process of the container; Conflict when it has ended."""
        if all and self.cgroups and self.exit() is None:
            self.cgroups.kill(signal)
        else:
            super().kill(signal)

    # -- resources

    def pause(self) -> None:
        """Freeze every process of the container; returns when all are."""
        self._groups().pause()

    def resume(self) -> None:
        self._groups().resume()

    def update(self, resources: Resources) -> None:
        """Change limits; what is not named stays as it is."""
        self._groups().update(resources)

    def pids(self) -> list[int]:
        """Every process of the container, by its number on the host."""
        return self._groups().pids()

    def stats(self) -> dict[str, Any]:
        """Usage and limits in runc's form (`runtime.statistics`)."""
        return self._groups().stats()

    def _groups(self) -> Cgroups:
        if self.cgroups is None:
            raise FailedPrecondition(f"task {self.id} has no cgroups")
        if self.exit() is not None:
            raise Conflict(f"task {self.id} is not running")
        return self.cgroups

    # -- handles

    def hold_ports(self, ports: tuple[int, ...]) -> None:
        """Have the monitor hold these bound sockets, and no others, until the container ends."""
        send_ports(self._connection, ports)

    def reopen_log(self) -> None:
        """Have the log file opened by its name again, after somebody moved it away."""
        self._connection.request("LOG_REOPEN")

    def root_fd(self) -> int:
        """An O_PATH handle of the root that the container sees; the caller closes it. Conflict when it has ended."""
        return self._handle("root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)

    def namespace_fd(self, kind: str) -> int:
        """A handle of the container's namespace of a kind (``net``); the caller closes it. Conflict when it has
        ended."""
        return self._handle(f"ns/{kind}", os.O_RDONLY | os.O_CLOEXEC)

    def _handle(self, name: str, flags: int) -> int:
        try:
            fd = os.open(f"/proc/{self.pid}/{name}", flags)
        except (FileNotFoundError, ProcessLookupError):
            raise Conflict(f"task {self.id} has no {name}: it has ended") from None
        if self.exit() is not None or not pidfd.alive(self.pidfd):
            os.close(fd)  # the pid may have been somebody else's by then
            raise Conflict(f"task {self.id} has no {name}: it has ended")
        return fd

    def delete(self, *, force: bool = False) -> None:
        """Forget a task that has ended. Nothing of it is left but, while a slow client is being served, the monitor.

        Raises Conflict while it runs, unless `force` kills it. A poststop hook that fails is only warned of: the
        runtime-spec has no error for it.
        """
        if self.exit() is None:
            if not force:
                raise Conflict(f"cannot delete task {self.id}: it is running", hint="kill it first")
            self._end_now()
        self._tasks.forget(self)
        self._disconnect()
        if self._foreign:
            self._foreign.delete()
        if self.cgroups:
            self.cgroups.delete()
        self._tasks.leave(self.record.monitor)
        if self._foreign:
            self._state.remove()  # it has run the hooks itself
            return
        hooks = self._hooks()
        self._state.remove()
        try:
            hooks.run_all("poststop", self.pid)
        except CortenError as error:
            warnings.warn(f"task {self.id}: {error.message}", RuntimeWarning, stacklevel=2)

    # -- for Tasks

    def created(self, launch: Launch, controller: Controller) -> None:
        """The launch waits at its checkpoint `created`."""
        self.pid, self.pidfd = launch.pid, launch.pidfd
        self._launch, self._controller = launch, controller

    def until_started(self, handles: list[int]) -> None:
        """Close these descriptors when the program has started, or never will."""
        self._until_started = handles

    def adopt(self) -> bool:
        """Take over what another engine left; False when its program never ran."""
        if not self.record.started:
            self._disconnect()
            return False
        if self._connection.closed:
            self._without_monitor()
            return True
        fields = self._connection.hello().fields
        if STATUS[fields["status"]] == "stopped":
            self.ended(Exit(fields["code"], fields["signal"], bool(fields["oom"]), fields["at"]))
        else:
            self.pidfd = pidfd.open(self.record.pid, self.record.start)
        return True

    def watch(self) -> None:
        """Have the watcher tell what happens from now on."""
        if not self._connection.closed:
            self._watched = True
            self._watcher.add(self._connection.fileno(), self.on_readable)

    def on_event(self, event: Received) -> None:
        """An event of the monitor."""
        target = event.fields.get("target", -1)
        process: Process | None = self if target == 0 else self._execs.get(target)
        if event.name == "EXIT":
            fields = event.fields
            found = Exit(fields["code"], fields["signal"], bool(fields["oom"]), fields["at"])
            if process:
                process.ended(found)
                self._execs.pop(target, None)
            else:
                self._strangers[target] = found
        elif event.name == "DETACHED" and process:
            process.detached()

    def on_readable(self) -> None:
        """The connection has something to read, or its end."""
        if not self._connection.pump():
            self._monitor_gone()

    def disconnect(self) -> None:
        """Let the container go on without us."""
        self._disconnect()

    # -- private

    def _announce_start(self) -> None:
        self.record = msgspec.structs.replace(self.record, started=True)
        self._state.write(self.record)
        counters = _oom_counter(self.cgroups)
        try:
            self._connection.request("START", counters)
        finally:
            for fd in counters:
                os.close(fd)

    def _begun(self, foreign: Foreign) -> None:
        """The runtime runs; from here on this task is the process that it has made."""
        pid, start = foreign.begun(self)
        self.record = msgspec.structs.replace(self.record, pid=pid, start=start)
        self._state.write(self.record)

    def _let_go(self) -> None:
        handles, self._until_started = self._until_started, []
        for handle in handles:
            os.close(handle)

    def _closes_stdin(self) -> bool:
        return self.record.stdin_once

    def _register(self, process: Exec) -> None:
        """It has a number now; a short one may have ended before we heard of that."""
        self._execs[process.number] = process
        if found := self._strangers.pop(process.number, None):
            process.ended(found)
            self._execs.pop(process.number, None)

    def _monitor_gone(self) -> None:
        """It leaves after it has told the end. When it was killed the container may live on, only without stdio."""
        if not self._hang_up():
            return
        reap(self.record.monitor)
        if self._exit is None:
            self._without_monitor()
        for process in [*self._execs.values()]:
            process.ended(Exit(UNKNOWN_CODE))
        self._execs.clear()

    def _without_monitor(self) -> None:
        """The recorded end, else the process itself, else an end that nobody saw."""
        if found := self._state.exit():
            self.ended(found)
        elif self.record.alive():
            if self.pidfd < 0:
                self.pidfd = pidfd.open(self.record.pid, self.record.start)
            self._watcher.add(self.pidfd, self._orphan_ended)
        else:
            self.ended(Exit(UNKNOWN_CODE))

    def _orphan_ended(self) -> None:
        self._watcher.remove(self.pidfd)
        self.ended(Exit(UNKNOWN_CODE))

    def _hooks(self) -> Hooks:
        try:
            spec = self._state.read_spec()
        except (FileNotFoundError, msgspec.MsgspecError):  # torn by a power cut, as all below the run directory may be
            spec = RuntimeSpec(ociVersion="1.3.0")
        return Hooks(spec, self.id, self.record.bundle, self._tasks.program)

    def _end_now(self) -> None:
        if self._launch is not None:  # it dies with its controller, and the monitor with its first engine
            self._launch.control.close()
            self._launch = None
            return
        with suppress(Conflict):  # it has just ended
            self.kill(signal.SIGKILL)
            if self.cgroups and self.cgroups.paused():  # v1: a frozen process does not even die
                self.cgroups.resume()
        self._ended.wait(_DYING)

    def _hang_up(self) -> bool:
        """Close the connection, which the watcher and a caller of `delete` may want at the same time; True for the
        first: the number of the descriptor may be another task's by the time the second comes."""
        with self._lock:
            watched, self._watched = self._watched, False
            if watched:
                self._watcher.remove(self._connection.fileno())
            self._connection.close()
        return watched

    def _disconnect(self) -> None:
        self._let_go()
        self._hang_up()
        if self._launch is not None:
            self._launch.control.close()
            self._launch = None
        self._watcher.remove(self.pidfd)
        self._close_handle()


def _oom_counter(cgroups: Cgroups | None) -> list[int]:
    """The file in which the kernel counts the container's OOM kills; the monitor reads it at the end."""
    if cgroups is None or not cgroups.directory("memory"):
        return []
    name = "memory.events" if cgroups.unified else "memory.oom_control"
    try:
        return [os.open(f"{cgroups.directory('memory')}/{name}", os.O_RDONLY | os.O_CLOEXEC)]
    except FileNotFoundError:
        return []
