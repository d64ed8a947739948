"""All tasks of one engine: create them, find them again, watch them."""

import _socket
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress

import msgspec

from corten.kernel import pidfd, program
from corten.kernel.netns import NetworkJoin
from corten.kernel.probe import Host
from corten.model.cancel import Cancel
from corten.model.errors import DataLoss, Internal, InvalidArgument, NotFound, Unimplemented
from corten.model.runtime_spec import RuntimeSpec
from corten.plan import LaunchPlan
from corten.runtime import Options, compile
from corten.runtime.cgroups import Cgroups
from corten.runtime.delegation import make_room
from corten.runtime.launch import Launch
from corten.tasks.config import LogFile, TaskConfig
from corten.tasks.connection import Connection, send_ports
from corten.tasks.controller import Controller, OnNetwork
from corten.tasks.foreign import Foreign
from corten.tasks.hooks import Hooks
from corten.tasks.memory import memory_file
from corten.tasks.protocol import FLAGS
from corten.tasks.spawn import connect, listen, plan_file, reap, spawn_monitor
from corten.tasks.state import Record, StateDir
from corten.tasks.task import Task
from corten.tasks.watcher import Watcher

__all__ = ["Tasks"]

_LEAVING = 0.2  # seconds a monitor is waited for; it leaves at once unless it still serves a client
_ABORTING = 5.0  # seconds a monitor has to end what it started

_PLANS_KEPT = 8  # for those who ask right after a start


class Tasks:
    """The tasks whose state lies below `run_dir`. Everything blocks, and may be called from any thread."""

    def __init__(self, run_dir: str, program_path: str = "", *, monitor: str = "") -> None:
        """`program_path` is the static program, by default the installed one; `monitor` another one for the
        monitors."""
        self.run_dir = run_dir
        self.program = program_path or program.path()
        self.monitor_program = monitor or self.program
        self.host = Host()
        self.watcher = Watcher()
        self._tasks: dict[str, Task] = {}
        self._lock = threading.Lock()
        self._program_fd = -1
        self._plans: dict[str, LaunchPlan] = {}
        self._leaving: set[int] = set()

    def __iter__(self) -> Iterator[Task]:
        return iter([*self._tasks.values()])

    def get(self, id: str) -> Task:
        """The task of that id; NotFound."""
        try:
            return self._tasks[id]
        except KeyError:
            raise NotFound(f"there is no task {id}") from None

    def close(self) -> None:
        """Let go of all containers, which go on without us."""
        for task in self:
            self.forget(task)
            task.disconnect()
        self.watcher.close()
        if self._program_fd >= 0:
            os.close(self._program_fd)
            self._program_fd = -1

    def create(
        self,
        spec: RuntimeSpec,
        config: TaskConfig,
        *,
        on_network: OnNetwork | None = None,
        cancel: Cancel | None = None,
        warnings: list[str] | None = None,
    ) -> Task:
        """Start a monitor and have it launch what `spec` says, compiled for this host, up to `created`.

        `warnings` receives what the host cannot give. Whatever fails, a row of the plan, `on_network`, a hook, or
        `cancel`, is raised, and nothing is left behind.
        """
        host = self.host
        streams = () if config.terminal else (0, 1, 2) if config.open_stdin else (1, 2)
        options = Options(
            pid_file=True,
            console=config.terminal,
            network=on_network is not None,
            streams=streams,
            rootfs=config.rootfs,
        )
        groups = Cgroups(host.layout, (spec.get("linux") or {}).get("cgroupsPath") or "", config.id)

        if config.runtime:
            return self._create_foreign(spec, config, groups, on_network, cancel)

        def compiled() -> LaunchPlan:
            make_room(host.layout, spec.get("linux") or {}, config.id)
            plan = compile(spec, host, bundle=config.bundle, id=config.id, options=options, warnings=warnings)
            self._remember(config.id, plan)
            return plan

        return self._launch(compiled, config, spec, groups, on_network, cancel, None)

    def plan(self, id: str) -> LaunchPlan | None:
        """The plan that container was launched by, while it is among the last few of this engine; for explanations."""
        return self._plans.get(id)

    def launch(
        self,
        plan: LaunchPlan,
        config: TaskConfig,
        *,
        cgroups: Cgroups | None = None,
        on_network: OnNetwork | None = None,
        cancel: Cancel | None = None,
        fault: tuple[int, int] | None = None,
    ) -> Task:
        """The same with a plan of one's own. With `fault` its row of that index fails with that errno.

        The plan inherits its slots at the descriptors 5 and 6: `pid-file` and, with a terminal, `console`.
        """
        spec = RuntimeSpec(ociVersion="1.3.0")
        return self._launch(lambda: plan, config, spec, cgroups, on_network, cancel, fault)

    def restore(self) -> list[Task]:
        """Find the tasks that an earlier engine left: adopted from their monitors, or with the end that was recorded.

        What never became a running task is removed. Call it once, before anything is created.
        """
        found: list[Task] = []
        for name in sorted(os.listdir(self.run_dir)) if os.path.isdir(self.run_dir) else []:
            state, record = StateDir(f"{self.run_dir}/{name}"), None
            with suppress(DataLoss):  # a power cut tore it: what it told of has ended
                record = state.read()
            if record and (task := self._restore(state, record)):
                found.append(task)
            else:
                state.remove()
        return found

    # -- for Task

    def program_fd(self) -> int:
        """The sealed program that launchers are executed from; made once, for it costs a copy."""
        with self._lock:
            if self._program_fd < 0:
                self._program_fd = program.sealed(self.program)
            return self._program_fd

    def forget(self, task: Task) -> None:
        self._tasks.pop(task.id, None)

    def leave(self, monitor: int) -> None:
        """A monitor has nothing more to do, unless it still serves a slow client: then it is reaped later."""
        if not reap(monitor, _LEAVING):
            self._leaving.add(monitor)
        self._leaving.difference_update([pid for pid in tuple(self._leaving) if reap(pid)])

    # -- private

    def _remember(self, id: str, plan: LaunchPlan) -> None:
        with self._lock:
            self._plans.pop(id, None)
            self._plans[id] = plan
            while len(self._plans) > _PLANS_KEPT:
                del self._plans[next(iter(self._plans))]

    def _create_foreign(
        self,
        spec: RuntimeSpec,
        config: TaskConfig,
        groups: Cgroups,
        on_network: OnNetwork | None,
        cancel: Cancel | None,
    ) -> Task:
        """The same on another OCI runtime; the network's handle is kept until that has joined it."""
        foreign = Foreign(config.runtime, config.id, f"{self.run_dir}/{config.id}")
        handles: list[int] = []

        def connect(join: NetworkJoin) -> None:
            handles.append(os.dup(join.netns_fd))
            foreign.connected(handles[0])
            if on_network:
                on_network(join)

        def compiled() -> LaunchPlan:
            foreign.prepare(spec, config)
            plan = foreign.plan(spec, self.host, config, network=on_network is not None)
            self._remember(config.id, plan)
            return plan

        try:
            task = self._launch(compiled, config, spec, groups, connect if on_network else None, cancel, None)
        except BaseException:
            for handle in handles:
                os.close(handle)
            raise
        task.until_started(handles)
        return task

    def _launch(
        self,
        make_plan: Callable[[], LaunchPlan],
        config: TaskConfig,
        spec: RuntimeSpec,
        cgroups: Cgroups | None,
        on_network: OnNetwork | None,
        cancel: Cancel | None,
        fault: tuple[int, int] | None,
    ) -> Task:
        _check(config)
        with ExitStack() as undo:
            state = StateDir.make(f"{self.run_dir}/{config.id}")
            undo.callback(state.remove)
            if cgroups:
                undo.callback(cgroups.delete)
            connection, monitor = self._spawn(state, config.id, undo)
            record = _record(config, cgroups, monitor)
            state.write(record)  # before anything is made that the next engine would have to remove
            state.write_spec(spec)
            plan = make_plan()  # meanwhile the monitor comes up
            launch = Launch(plan, self._send_create(connection, plan_file(plan, fault), config), 0)
            undo.callback(launch.control.close)
            hooks = Hooks(spec, config.id, config.bundle, self.program)
            controller = Controller(launch, hooks, on_network)
            _run_to_created(launch, controller, cancel, undo)
            connection.hello()  # not before: a monitor whose launch failed is gone, and that must not hide why
            if config.ports:
                send_ports(connection, config.ports)
            record = msgspec.structs.replace(record, pid=launch.pid, start=pidfd.start_time(launch.pid))
            state.write(record)
            task = Task(self, state, record, connection, cgroups)
            task.created(launch, controller)
            undo.pop_all()
        self._add(task)
        return task

    def _spawn(self, state: StateDir, id: str, undo: ExitStack) -> tuple[Connection, int]:
        """A monitor that waits for CREATE, and a connection to it: losing that ends it until a task has started."""
        directory = state.open()
        try:
            with listen(directory) as listener:
                connection = Connection(connect(directory))
                undo.callback(connection.close)
                monitor = spawn_monitor(self.monitor_program, id, listener.fileno(), directory)
        finally:
            os.close(directory)
        undo.callback(_abort, connection, monitor)
        return connection, monitor

    def _send_create(self, connection: Connection, plan: int, config: TaskConfig) -> socket.socket:
        """Have the monitor spawn the launcher; returns our end of the control socket."""
        rows, columns = config.console_size
        log = config.log
        with ExitStack() as files, ExitStack() as undo:
            files.callback(os.close, plan)
            control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            undo.callback(control.close)
            files.callback(theirs.close)
            fds = [self.program_fd(), plan, theirs.fileno()]
            fds += [_opened(fd, files) for fd in _log_files(log)]
            wanted = {
                "TERMINAL": config.terminal,
                "STDIN": config.open_stdin,
                "LOG": log is not None,
                "ATTRS": log is not None and bool(log.attrs),
            }
            connection.request(
                "CREATE",
                fds,
                os.path.basename(log.path).encode() if log else b"",
                flags=sum(FLAGS[name] for name, on in wanted.items() if on),
                rows=rows,
                cols=columns,
                log_max_size=log.max_size if log else 0,
                log_max_file=log.max_file if log else 0,
            )
            undo.pop_all()
        return control

    def _restore(self, state: StateDir, record: Record) -> Task | None:
        groups = Cgroups(self.host.layout, record.cgroup, record.id) if record.cgroup is not None else None
        sock = state.connect()
        task = Task(self, state, record, Connection(sock), groups)
        if not task.adopt():
            if groups:
                groups.delete()
            return None
        self._add(task)
        return task

    def _add(self, task: Task) -> None:
        self._tasks[task.id] = task
        task.watch()


def _check(config: TaskConfig) -> None:
    if config.log and config.log.compress:
        raise Unimplemented("compressed rotated logs are not there yet", hint="leave the log option compress out")
    if not config.id or "/" in config.id or config.id in (".", ".."):
        raise InvalidArgument(f"{config.id!r} cannot be a task's id")


def _record(config: TaskConfig, cgroups: Cgroups | None, monitor: int) -> Record:
    return Record(
        id=config.id,
        bundle=config.bundle,
        cgroup=cgroups.path if cgroups else None,
        terminal=config.terminal,
        open_stdin=config.open_stdin,
        stdin_once=config.stdin_once,
        boot=pidfd.boot_id(),
        monitor=monitor,
        runtime=config.runtime,
    )


def _log_files(log: LogFile | None) -> Iterator[int]:
    """What the monitor writes the log with: its directory, and the attributes."""
    if log:
        yield os.open(os.path.dirname(log.path) or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        if log.attrs:
            yield memory_file("attrs", msgspec.json.encode(log.attrs))


def _opened(fd: int, files: ExitStack) -> int:
    files.callback(os.close, fd)
    return fd


def _run_to_created(launch: Launch, controller: Controller, cancel: Cancel | None, undo: ExitStack) -> None:
    """Drive the launch to `created`, where it stays until it is started."""
    if cancel:
        cancel.on_set(lambda: _hang_up(launch.control))
    try:
        created = launch.until("created", controller)
    finally:
        if launch.pidfd >= 0:
            undo.callback(os.close, launch.pidfd)
    if cancel:
        cancel.check()
    if not created:
        raise Internal("the container's process ended before it was created")


def _hang_up(control: _socket.socket) -> None:
    with suppress(OSError):  # the launch is over
        control.shutdown(socket.SHUT_RDWR)


def _abort(connection: Connection, monitor: int) -> None:
    """Without its first engine the monitor ends what it has started, and leaves."""
    connection.close()
    if not reap(monitor, _ABORTING):
        os.kill(monitor, signal.SIGKILL)
        reap(monitor, _ABORTING)
