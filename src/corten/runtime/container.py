"""A container of the command line, through its life: create, start, exec, kill, pause, delete.

::

    create ──▶ created ──start──▶ running ──exit──▶ stopped ──delete──▶ gone
                                   │  ▲
                              pause▼  │resume
                                   paused

Used as a library it is the same: `create` compiles and launches to the checkpoint ``created``, writes the state, and
lets go; whoever calls `start` connects to the container's start socket. An error leaves nothing behind.

>>> store = Store("/run/corten-runtime")
>>> container = create(store, "web", Request(bundle="/bundle"), Host())
>>> container.start()
>>> container.status()
'running'
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # the module signal imports enum
import _socket
import os

from corten.kernel import program
from corten.kernel.probe import Host
from corten.model.errors import Conflict, CortenError, InvalidArgument
from corten.plan.control import Message, failure
from corten.runtime import record as records
from corten.runtime.compiler import Options, compile, compile_exec
from corten.runtime.compiler.namespaces import FLAGS
from corten.runtime.controller import VERSION, Controller
from corten.runtime.launch import Launch
from corten.runtime.state import Store, start_time
from corten.wire import codec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from corten.model.runtime_spec import Hook, Process, RuntimeSpec
    from corten.plan.step import LaunchPlan, Step
    from corten.runtime.cgroups import Cgroups
    from corten.runtime.readiness import Relay
    from corten.runtime.resctrl import Group
    from corten.runtime.state import Entry
    from corten.runtime.systemd_manager import Scope

__all__ = [
    "Container",
    "Request",
    "create",
    "read_config",
    "record_of",
    "start_now",
    "wants_terminal",
    "write_pid",
]

_SIGKILL = 9
_EXIT_MS = 10_000


class Request:
    """What a caller wants beside the configuration; the fields of `Options` that need more than a yes are here."""

    __slots__ = (
        "config",
        "console_socket",
        "failed",
        "fallback",
        "keyring",
        "pid_file",
        "pidfd_socket",
        "pivot",
        "preserve",
        "systemd",
    )

    def __init__(
        self,
        *,
        config: bytes,
        console_socket: int = -1,
        pidfd_socket: int = -1,
        pid_file: str = "",
        pivot: bool = True,
        keyring: bool = True,
        preserve: int = 0,
        fallback: bool = False,
        systemd: bool = False,
        failed: bytes = b"",
    ) -> None:
        self.config = config
        """The bytes of config.json."""
        self.console_socket = console_socket
        self.pidfd_socket = pidfd_socket
        self.pid_file = pid_file
        self.pivot = pivot
        self.keyring = keyring
        self.preserve = preserve
        self.fallback = fallback
        self.systemd = systemd
        self.failed = failed
        """The message of the static program's own launch of this, which failed: say what it means, do not try again."""

    def options(self, spec: RuntimeSpec, *, listener: bool) -> Options:
        return Options(
            console=self.console_socket >= 0,
            listener=listener,
            pidfd_socket=self.pidfd_socket >= 0,
            pivot=self.pivot,
            new_keyring=self.keyring,
            preserve=self.kept,
            streams=_pipes() if _user(spec) else (),
            cgroup_fallback=self.fallback,
            systemd=self.systemd,
            env=_socket_activation(),
        )

    def descriptors(self) -> dict[str, int]:
        """The slots that a plan may inherit, and what they are here."""
        named = {"console": self.console_socket, "pidfd-socket": self.pidfd_socket}
        return named | {f"keep-{number}": number for number in self.kept}

    @property
    def kept(self) -> tuple[int, ...]:
        """The descriptors to preserve that there are; one that is not inheritable is ours, made since we began."""
        return tuple(number for number in range(3, 3 + self.preserve) if _given(number))


class Container:
    """One container by its directory; `launch` is there while it is being created."""

    def __init__(self, entry: Entry, host: Host) -> None:
        self.entry = entry
        self.host = host
        self.id = entry.id
        self.launch: Launch | None = None

    # ---- what it is ------------------------------------------------------------------------------------------------

    def status(self) -> str:
        """``creating``, ``created``, ``running``, ``paused`` or ``stopped``."""
        record = self.entry.record()
        if record["status"] == "creating":
            return "creating"
        if not _alive(record):
            return "stopped"
        if self.entry.awaits_start():
            return "created"
        return "paused" if self.cgroups(record).paused() else "running"

    def state(self) -> dict[str, Any]:
        """The state as runtime.md defines it, with what runc adds."""
        record = self.entry.record()
        status = self.status()
        return records.shown(record, record["pid"] if status != "stopped" else 0, status)

    def cgroups(self, record: Mapping[str, Any] | None = None) -> Cgroups:
        from corten.runtime.cgroups import Cgroups

        record = record or self.entry.record()
        return Cgroups(self._where_created(record).layout, record["cgroupsPath"], self.id)

    def _where_created(self, record: Mapping[str, Any]) -> Host:
        """The host, its relative cgroup paths counting from where they did at create: by now we may be elsewhere."""
        if not record.get("cgroupBase"):
            return self.host
        return Host(**(vars(self.host) | {"layout": self.host.layout.based_at(record["cgroupBase"])}))

    def unit(self, spec: RuntimeSpec) -> Scope:
        """The systemd unit that a container of the systemd driver is in."""
        from corten.runtime.systemd_manager import Scope

        return Scope(spec, self.id, self.host)

    def resctrl(self, spec: RuntimeSpec | None = None) -> Group:
        """Its Intel RDT group, which need not be there."""
        from corten.runtime.resctrl import Group

        return Group(self.host.resctrl, spec or self.entry.spec(), self.id)

    # ---- what it does ----------------------------------------------------------------------------------------------

    def start(self, failed: bytes = b"") -> None:
        """Let the created container's program begin. Returns when it has, raises what kept it from it: also when the
        static program has tried already, and `failed` is what it was told."""
        record = self.entry.record()
        if failed:
            self.kill(_SIGKILL, everything=True)
            raise failure(self._plan_for_start(self.entry.spec()), Message.parse(failed))
        if not _alive(record):
            raise Conflict(
                "cannot start a container that has stopped", hint=f"delete it: corten-runtime delete {self.id}"
            )
        if not self.entry.awaits_start():
            raise Conflict("cannot start an already running container")
        spec = self.entry.spec()
        launch = _connected(self.entry, lambda: self._plan_for_start(spec))
        launch.pid = record["pid"]
        if relay := self.relay(record):
            launch.pidfd = _pidfd(record)  # now, since afterwards the program may have ended already
        launch.go()
        os.unlink(self.entry.socket)
        self.run_to_program(launch, spec, record)
        if relay:
            relay.until_ready(record["pid"], launch.pidfd)
            os.close(launch.pidfd)

    def relay(self, record: Mapping[str, Any]) -> Relay | None:
        """Before the program starts: who passes its readiness on, if a supervisor waits for it."""
        if not record["options"].get("notify"):
            return None
        from corten.runtime.readiness import Relay

        return Relay.bound(self.entry, record["options"]["notify"][1])

    def run_to_program(self, launch: Launch, spec: RuntimeSpec, record: Mapping[str, Any]) -> None:
        """From the start to exec, and the hooks after it; a failure takes the container down."""
        try:
            launch.until("", self._controller(spec, record))
            self._hooks(spec, record, "poststart")
        except BaseException:
            self.kill(_SIGKILL, everything=True)
            raise
        finally:
            launch.control.close()

    def exec(self, process: Process, request: Request, *, cgroup: str = "", ignore_paused: bool = False) -> Launch:
        """Start one more process inside. The launch's `pid` is a child of the caller, who waits for it."""
        status, record = self.status(), self.entry.record()
        if status in ("stopped", "creating"):
            raise Conflict("cannot exec in a stopped container" if status == "stopped" else "container not running")
        if status == "paused" and not ignore_paused:
            raise Conflict("cannot exec in a paused container (use --ignore-paused to override)")
        spec: RuntimeSpec = {**self.entry.spec(), "process": process}
        request.fallback = record["fallback"]
        request.systemd = record["options"]["systemd"]
        plan = compile_exec(
            spec,
            self._where_created(record),
            id=self.id,
            pid=record["pid"],
            start=record["start"],
            options=request.options(spec, listener=False),
            cgroup=cgroup,
        )
        if request.failed:
            raise failure(plan, Message.parse(request.failed))
        launch = Launch.spawn(plan, program=program.path(), fds=request.descriptors())
        launch.until("", self._controller(spec, record))
        launch.control.close()
        return launch

    def kill(self, signal: int, *, everything: bool = False) -> None:
        """Send a signal to the first process, or to all. Raises Conflict ``container not running``."""
        record = self.entry.record()
        if not record["fallback"] and (everything or (signal == _SIGKILL and not record["ownPids"])):
            # Without a PID namespace of its own nothing but the cgroup tells which processes are the container's.
            self.cgroups(record).kill(signal)
            return
        pidfd = _pidfd(record)
        try:
            _signal.pidfd_send_signal(pidfd, signal)
        except ProcessLookupError:
            raise Conflict("container not running", place=self.id) from None
        finally:
            os.close(pidfd)

    def delete(self, *, force: bool = False) -> None:
        """Remove what is left of it, then run the poststop hooks, whose failure is only told."""
        record = self.entry.record()
        status = self.status()
        if status not in ("stopped", "created", "creating") and not force:
            message = f"cannot delete container {self.id} that is not stopped: {status}"
            raise Conflict(message, hint=f"stop it, or use: corten-runtime delete --force {self.id}")
        groups = self.cgroups(record)
        if status != "stopped":
            if status == "paused":
                groups.resume()
            self._end(record)
        spec = self.entry.spec()
        if not record["fallback"]:
            groups.delete()
        if record["options"]["systemd"]:
            self.unit(spec).stop()
        if (spec.get("linux") or {}).get("intelRdt"):
            self.resctrl(spec).remove()
        self.entry.remove()
        try:
            self._hooks(spec, record, "poststop")
        except CortenError as error:
            _tell(f"warning: {error.message}")

    def _end(self, record: Mapping[str, Any]) -> None:
        """Kill the first process and wait until it is gone."""
        import select

        try:
            pidfd = _pidfd(record)
        except Conflict:
            return
        try:
            _signal.pidfd_send_signal(pidfd, _SIGKILL)
            poll = select.poll()
            poll.register(pidfd, select.POLLIN)
            poll.poll(_EXIT_MS)
        except ProcessLookupError:
            pass
        finally:
            os.close(pidfd)

    # ---- the controller --------------------------------------------------------------------------------------------

    def _plan_for_start(self, spec: RuntimeSpec) -> LaunchPlan:
        """The plan once more, to know the rows that the launch reports by number."""
        record = self.entry.record()
        options = Options(**record["options"])
        return compile(spec, self._where_created(record), bundle=record["bundle"], id=self.id, options=options)

    def _controller(self, spec: RuntimeSpec, record: Mapping[str, Any]) -> Controller:
        return Controller(self, spec, record)

    def _hooks(self, spec: RuntimeSpec, record: Mapping[str, Any], kind: str) -> None:
        hooks: list[Hook] = (spec.get("hooks") or {}).get(kind) or []  # type: ignore[assignment]
        if not hooks:
            return
        from corten.plan import ops

        for n, hook in enumerate(hooks):
            args, env = tuple(hook.get("args") or ()), tuple(hook.get("env") or ())
            row = ops.hook(kind, hook["path"], args, env, hook.get("timeout", 0), origin=f"/hooks/{kind}/{n}")
            status = "running" if kind == "poststart" else "stopped"
            self.run_hook(row, spec, record, status)

    def run_hook(self, row: Step, spec: RuntimeSpec, record: Mapping[str, Any], status: str) -> None:
        from corten.runtime import hook

        state = {
            "ociVersion": VERSION,
            "id": self.id,
            "status": status,
            "bundle": record["bundle"],
            "annotations": record["annotations"],
        }
        if status != "stopped":
            state["pid"] = record["pid"]
        kinds = [FLAGS[one["type"]] for one in (spec.get("linux") or {}).get("namespaces") or ()]
        where = hook.Where(record["pid"], record["start"], kinds, program.path())
        hook.run(row, codec.dumps(state).encode(), where, inherits=_lacks_environment(spec, row.origin))


def create(
    store: Store,
    id: str,
    request: Request,
    host: Host,
    *,
    bundle: str,
    listener: bool = True,
    trace: bool = False,
    fault: tuple[int, int] | None = None,
    warnings: list[str] | None = None,
) -> Container:
    """Make the container up to ``created``. Without `listener` its `launch` is kept for `start_now`.

    With `trace` the launch keeps how long each row took; `fault` = (row, errno) makes a row fail, for tests. Raises
    what keeps the container from being created, having undone everything.
    """
    spec = read_config(request.config)
    container = Container(store.make(id), host)
    entry = container.entry
    sock: _socket.socket | None = None
    try:
        if host.layout.mode == "v2" and not request.fallback:
            from corten.runtime.delegation import make_room

            make_room(host.layout, spec.get("linux") or {}, id)
        options = request.options(spec, listener=listener)
        if os.environ.get("NOTIFY_SOCKET"):
            from corten.runtime import readiness

            readiness.prepare(entry, options)
        plan = compile(spec, host, bundle=bundle, id=id, options=options, warnings=warnings)
        if request.failed:
            raise failure(plan, Message.parse(request.failed))
        record = record_of(container, spec, request, options, bundle)
        entry.write("config.json", request.config)
        entry.write("state.json", codec.dumps(record).encode())
        entry.link("status", "state.json")
        fds = request.descriptors()
        if listener:
            sock = _listening(entry)
            fds["start"] = sock.fileno()
        launch = container.launch = Launch.spawn(plan, program=program.path(), fds=fds, trace=trace, fault=fault)
        launch.until("created", container._controller(spec, record))
        record |= {"status": "created", "pid": launch.pid, "start": start_time(launch.pid)}
        entry.write("state.json", codec.dumps(record).encode())
        short = records.encode(record, (id, bundle), host.layout, _flags(spec, plan, record))
        if short and not options.systemd:  # whose unit is for Python to end
            entry.write(records.NAME, short)
        if request.pid_file:
            write_pid(request.pid_file, launch.pid)
        launch.go()
    except BaseException:
        _undo(container)
        raise
    finally:
        if sock:
            sock.close()
    if listener:
        launch.close()
        os.close(launch.pidfd)
    return container


def _flags(spec: RuntimeSpec, plan: LaunchPlan, record: Mapping[str, Any]) -> int:
    """What of a container's end or start is for Python to do."""
    hooks: Any = spec.get("hooks") or {}
    controller = any(row.actor == "controller" and row.op != "write-state" for row in plan.steps)
    notable = controller or any(hooks.values()) or bool(record["options"].get("notify"))
    return records.OWN_PIDS * bool(record["ownPids"]) | records.HAS_HOOKS * notable


def start_now(container: Container, spec: RuntimeSpec) -> Launch:
    """Start what `create` made without a listener, on the control socket it left open."""
    launch = container.launch
    assert launch is not None
    launch.go()
    container.run_to_program(launch, spec, container.entry.record())
    return launch


def read_config(raw: bytes) -> RuntimeSpec:
    """The configuration in these bytes, validated. Raises InvalidArgument."""
    from corten.runtime.validation import validate

    try:
        spec = codec.loads(raw)
    except ValueError as error:
        raise InvalidArgument(f"cannot read config.json: {error}", hint="it must be one JSON object") from error
    validate(spec)
    found: RuntimeSpec = spec
    return found


def wants_terminal(spec: RuntimeSpec) -> bool:
    process = spec.get("process")
    return bool(process and process.get("terminal"))


def record_of(
    container: Container, spec: RuntimeSpec, request: Request, options: Options, bundle: str
) -> dict[str, Any]:
    """What state.json says of a container that is being created."""
    import time

    linux = spec.get("linux") or {}
    root = spec.get("root")
    path = root["path"] if root else ""
    pid_namespace = [one for one in linux.get("namespaces") or () if one["type"] == "pid" and not one.get("path")]
    now = time.time_ns()
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now // 10**9))
    return {
        "id": container.id,
        "status": "creating",
        "pid": 0,
        "start": 0,
        "bundle": bundle,
        "rootfs": path if path.startswith("/") else f"{bundle}/{path}",
        "created": f"{stamp}.{now % 10**9:09d}Z",
        "external_descriptors": codec.dumps([_target(fd) for fd in (0, 1, 2)]),
        "owner": "root" if container.host.euid == 0 else str(container.host.euid),
        "annotations": spec.get("annotations") or {},
        "cgroupsPath": _cgroup(container, linux.get("cgroupsPath") or "", systemd=request.systemd),
        "cgroupBase": container.host.layout.unified.base if container.host.layout.unified else "",
        "ownPids": bool(pid_namespace),
        "fallback": request.fallback,
        "options": {name: getattr(options, name) for name in Options.__slots__},
    }


def _cgroup(container: Container, wanted: str, *, systemd: bool) -> str:
    if not systemd:
        return wanted
    from corten.runtime.systemd import Unit

    return Unit.of(wanted, container.id, uid=container.host.euid).path


def _listening(entry: Entry) -> _socket.socket:
    """The start socket, bound through the directory's descriptor: a name has at most 108 bytes."""
    directory = os.open(entry.path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
    try:
        sock.bind(f"/proc/self/fd/{directory}/start.sock")
        sock.listen(1)
    except BaseException:
        sock.close()
        raise
    finally:
        os.close(directory)
    return sock


def _connected(entry: Entry, plan: Callable[[], LaunchPlan]) -> Launch:
    """The launch that awaits its start at the container's socket; from here on we are its controller."""
    directory = os.open(entry.path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
    try:
        sock.connect(f"/proc/self/fd/{directory}/start.sock")
    except OSError as error:
        sock.close()
        raise Conflict("container not running", hint=f"nobody listens at {entry.socket}") from error
    finally:
        os.close(directory)
    return Launch(plan, sock, 0)


def _undo(container: Container) -> None:
    """Leave nothing of a container whose creation failed."""
    launch = container.launch
    if launch is not None:
        if launch.pid:
            container._end({"pid": launch.pid, "start": start_time(launch.pid)})
        launch.control.close()
        if launch.pidfd >= 0:
            os.close(launch.pidfd)
    if os.path.exists(f"{container.entry.path}/state.json"):
        record = container.entry.record()
        if not record["fallback"]:
            container.cgroups(record).delete()
            if record["options"]["systemd"] and launch is not None:
                _stop_unit(container)
    container.entry.remove()


def _stop_unit(container: Container) -> None:
    """What failed may be systemd itself, and that is what the caller shall hear."""
    try:  # noqa: SIM105 contextlib is not for the start path
        container.unit(container.entry.spec()).stop()
    except CortenError:
        pass


def _lacks_environment(spec: RuntimeSpec, pointer: str) -> bool:
    """Whether the hook at this place of the configuration leaves its environment out, which is not an empty one."""
    _, _, kind, number = pointer.split("/")
    hooks: Any = spec.get("hooks") or {}
    return "env" not in hooks[kind][int(number)]


def _target(fd: int) -> str:
    """What a standard stream of the container is; whoever restores it from a checkpoint needs to know."""
    try:
        return os.readlink(f"/proc/self/fd/{fd}")
    except OSError:
        return "/dev/null"


def _socket_activation() -> tuple[str, ...]:
    """sd_listen_fds(3): how many sockets we were given; the program, process 1 inside, is who shall take them."""
    count = os.environ.get("LISTEN_FDS", "")
    return (f"LISTEN_FDS={count}", "LISTEN_PID=1") if count.isdecimal() else ()


def _given(number: int) -> bool:
    try:
        return os.get_inheritable(number)
    except OSError:
        return False


def _user(spec: RuntimeSpec) -> int:
    process = spec.get("process")
    user = process.get("user") if process else None
    return user.get("uid", 0) if user else 0


def _alive(record: Mapping[str, Any]) -> bool:
    return bool(record["pid"]) and start_time(record["pid"]) == record["start"] != 0


def _pidfd(record: Mapping[str, Any]) -> int:
    """The container's first process by a handle, verified not to be a later one of its number."""
    try:
        pidfd = os.pidfd_open(record["pid"]) if record["pid"] else -1
    except ProcessLookupError:
        pidfd = -1
    if pidfd < 0 or not _alive(record):
        if pidfd >= 0:
            os.close(pidfd)
        raise Conflict("container not running")
    return pidfd


def write_pid(path: str, pid: int) -> None:
    """Readers wait for the file to appear and read it at once, so it appears whole."""
    directory, name = os.path.split(path)
    temporary = os.path.join(directory, f".{name}")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    try:
        os.write(fd, str(pid).encode())
    finally:
        os.close(fd)
    os.rename(temporary, path)


def _pipes() -> tuple[int, ...]:
    """Which of our standard streams are pipes made for this container; a terminal or a file belongs to others too."""
    import stat

    found = []
    for fd in (0, 1, 2):
        try:
            if stat.S_ISFIFO(os.fstat(fd).st_mode):
                found.append(fd)
        except OSError:
            continue
    return tuple(found)


def _tell(text: str) -> None:
    os.write(2, f"corten-runtime: {text}\n".encode())
