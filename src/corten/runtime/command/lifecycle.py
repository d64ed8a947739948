"""create, start, run, exec, kill, delete."""

from __future__ import annotations

import os

from corten.kernel.probe import Host
from corten.model.errors import CortenError, InvalidArgument, NotFound
from corten.runtime.command import keeping
from corten.runtime.command.foreground import forward_signals, wait
from corten.runtime.container import Container, Request, read_config, start_now, wants_terminal
from corten.runtime.container import create as make
from corten.runtime.state import Store
from corten.runtime.unix_socket import connect
from corten.wire import codec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from corten.model.runtime_spec import Process, RuntimeSpec
    from corten.runtime.command import Context
    from corten.runtime.command.console import Console
    from corten.runtime.launch import Launch

__all__ = ["create", "delete", "exec_", "kill", "launch_request", "run", "start"]

_SIGKILL = 9


def create(context: Context) -> int:
    request, bundle = launch_request(context)
    host, spec = Host(), read_config(request.config)
    request.fallback = _fallback(context, host, spec)
    if wants_terminal(spec) and request.console_socket < 0:
        hint = "give --console-socket"
        raise InvalidArgument("cannot allocate tty if runc will detach without setting console socket", hint=hint)
    container = make(Store(context.root), context.id, request, host, bundle=bundle, warnings=_Warnings(context))
    if handed := context.handed:
        keeping.launch(context, handed, container)
    return 0


def start(context: Context) -> int:
    _open(context).start(context.handed.message if context.handed else b"")
    return 0


def run(context: Context) -> int:
    """In the foreground we are the container's parent, pass signals on, and end as it ended."""
    request, bundle = launch_request(context)
    host, spec = Host(), read_config(request.config)
    request.fallback = _fallback(context, host, spec)
    detached = context.given.on("detach")
    console = None
    if wants_terminal(spec) and request.console_socket < 0:
        if detached:
            hint = "give --console-socket"
            raise InvalidArgument("cannot allocate tty if runc will detach without setting console socket", hint=hint)
        console = _console()
        request.console_socket = console.theirs
    store = Store(context.root)
    warnings = _Warnings(context)
    container = make(store, context.id, request, host, bundle=bundle, listener=False, warnings=warnings)
    try:
        if console:
            console.take()
        if not detached and container.launch:
            forward_signals(container.launch.pidfd)
        relay = container.relay(container.entry.record())
        launch = start_now(container, spec)
        if handed := context.handed:
            keeping.launch(context, handed, container)
    except BaseException:
        if console:
            console.restore()
        container.delete(force=True)
        raise
    if detached:
        if relay:
            relay.until_ready(launch.pid, launch.pidfd)
        return 0
    told = relay.pass_on(launch.pid, launch.pidfd) if relay else None
    code = _wait(launch, console)
    if told:
        told()
    if not context.given.on("keep"):
        container.delete(force=True)
    return code


def exec_(context: Context) -> int:
    given = context.given
    container = _open(context)
    process = _process(context, container)
    failed = context.handed.message if context.handed else b""
    request = Request(config=b"", preserve=given.number("preserve-fds") or 0, failed=failed)
    _sockets(context, request)
    console = None
    detached = given.on("detach")
    if process.get("terminal") and request.console_socket < 0:
        if detached:
            raise InvalidArgument("cannot allocate tty if runc will detach without setting console socket")
        console = _console()
        request.console_socket = console.theirs
    cgroup = given.text("cgroup").rpartition(":")[2]
    launch = container.exec(process, request, cgroup=cgroup, ignore_paused=given.on("ignore-paused"))
    if given.text("pid-file"):
        from corten.runtime.container import write_pid

        write_pid(given.text("pid-file"), launch.pid)
    if console:
        console.take()
    if (handed := context.handed) and handed.document:
        keeping.execution(context, handed, container, process, request)
    return 0 if detached else _wait(launch, console)


def kill(context: Context) -> int:
    given = context.given
    container = _open(context)
    signal = _signal_number(given.operands[1] if len(given.operands) > 1 else "TERM")
    container.kill(signal, everything=given.on("all"))
    return 0


def delete(context: Context) -> int:
    force = context.given.on("force")
    if context.given.on("regex"):
        return _delete_matching(context, force=force)
    try:
        container = _open(context)
    except NotFound:
        if force:
            return 0
        raise
    container.delete(force=force)
    return 0


def _delete_matching(context: Context, *, force: bool) -> int:
    """As crun: one that cannot be deleted is told of, and keeps neither the others nor the command from success."""
    import re

    try:
        pattern = re.compile(context.id)
    except re.error as error:
        raise InvalidArgument(f"{context.id!r} is not a regular expression: {error}", place="--regex") from error
    for entry in Store(context.root).all():
        if not pattern.match(entry.id):
            continue
        try:
            Container(entry, Host()).delete(force=force)
        except NotFound:
            continue  # somebody else was faster
        except CortenError as error:
            context.log("warning", error.message, error.place)
    return 0


class _Warnings(list[str]):
    """Told at once, since the launch may take long or fail."""

    def __init__(self, context: Context) -> None:
        super().__init__()
        self.context = context

    def __iadd__(self, messages: list[str]) -> _Warnings:  # type: ignore[override, misc]
        for message in messages:
            self.context.log("warning", message)
        return self


def _open(context: Context) -> Container:
    return Container(Store(context.root).open(context.id), Host())


def launch_request(context: Context) -> tuple[Request, str]:
    """The request of `create`, `run` and `restore`, and the bundle's absolute path."""
    given = context.given
    bundle = os.path.abspath(given.text("bundle", "."))
    path = os.path.join(bundle, given.text("config", "config.json"))
    try:
        config = context.handed.document if context.handed else _content(path)
    except OSError as error:
        message = f"cannot read {path}: {str(error.strerror).lower()}"
        raise NotFound(message, hint="make one with: corten-runtime spec") from error
    request = Request(
        config=config,
        failed=context.handed.message if context.handed else b"",
        pid_file=given.text("pid-file"),
        pivot=not given.on("no-pivot"),
        keyring=not given.on("no-new-keyring"),
        preserve=_preserved(context),
        systemd=_systemd(context),
    )
    _sockets(context, request)
    return request, bundle


def _content(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _preserved(context: Context) -> int:
    """How many descriptors from 3 on the program gets: those asked for, and before them those of socket activation."""
    activated = os.environ.get("LISTEN_FDS", "")
    return (context.given.number("preserve-fds") or 0) + (int(activated) if activated.isdecimal() else 0)


def _fallback(context: Context, host: Host, spec: RuntimeSpec) -> bool:
    """Whether to go without cgroups: told so, or an ordinary user who may not make the container's."""
    if context.globals.text("cgroup-manager") == "disabled":
        return True
    if _systemd(context):
        return False
    word = context.globals.text("rootless", "auto")
    if word == "true" or (word == "auto" and (os.geteuid() != 0 or host.in_user_namespace)):
        from corten.runtime.delegation import reachable

        return not reachable(host.layout, spec.get("linux") or {}, context.id)
    return False


def _systemd(context: Context) -> bool:
    return context.globals.on("systemd-cgroup") or context.globals.text("cgroup-manager") == "systemd"


def _sockets(context: Context, request: Request) -> None:
    if path := context.given.text("console-socket"):
        request.console_socket = connect(path, "the console socket").detach()
    if path := context.given.text("pidfd-socket"):
        request.pidfd_socket = connect(path, "the pidfd socket").detach()


def _process(context: Context, container: Container) -> Process:
    """The process of `exec`: a file, or the container's own with the flags laid over it."""
    given = context.given
    if path := given.text("process"):
        handed = context.handed
        process: Process = codec.loads(handed.document if handed and handed.document else _content(path))
        from corten.runtime.validation import validate

        validate({"ociVersion": "1.0.0", "process": process})
        return process
    base = container.entry.spec().get("process")
    if base is None:
        raise InvalidArgument("exec: the container has no process to take after", hint="give one with --process")
    args = given.operands[1:]
    if not args:
        raise InvalidArgument("exec: process args cannot be empty", hint="corten-runtime exec ID COMMAND")
    process = {**base, "args": args, "terminal": given.on("tty")}
    process.pop("consoleSize", None)
    if given.text("cwd"):
        process["cwd"] = given.text("cwd")
    process["env"] = [*(base.get("env") or ()), *given.texts("env")]
    _identity(context, process)
    return process


def _identity(context: Context, process: Process) -> None:
    given = context.given
    user = {**(process.get("user") or {"uid": 0, "gid": 0})}
    if text := given.text("user"):
        uid, _, gid = text.partition(":")
        if not uid.isdecimal() or (gid and not gid.isdecimal()):
            raise InvalidArgument(f"--user {text!r} must be UID or UID:GID, as numbers")
        user["uid"] = int(uid)
        user["gid"] = int(gid or 0)
    if given.texts("additional-gids"):
        user["additionalGids"] = [int(gid) for gid in given.texts("additional-gids")]
    process["user"] = user  # type: ignore[typeddict-item]
    if given.texts("cap"):
        sets: Any = {**(process.get("capabilities") or {})}
        for kind in ("bounding", "effective", "permitted"):
            sets[kind] = [*(sets.get(kind) or ()), *given.texts("cap")]
        process["capabilities"] = sets
    if given.on("no-new-privs"):
        process["noNewPrivileges"] = True  # never False: what the container may not gain, no exec gains (as runc)
    if given.text("apparmor"):
        process["apparmorProfile"] = given.text("apparmor")
    if given.text("process-label"):
        process["selinuxLabel"] = given.text("process-label")


def _signal_number(text: str) -> int:
    """A signal by number or name, with or without SIG."""
    if text.isdecimal():
        number = int(text)
    else:
        import signal

        name = text.upper()
        found = getattr(signal, name if name.startswith("SIG") else f"SIG{name}", 0)
        number = int(found) if isinstance(found, signal.Signals) else _realtime(name)
    if not 0 < number < 65:
        raise InvalidArgument(f"unknown signal {text!r}", hint="a number, or a name such as TERM")
    return number


def _realtime(name: str) -> int:
    word, sign, offset = name.removeprefix("SIG").partition("+")
    base = {"RTMIN": 34, "RTMAX": 64}.get(word.partition("-")[0], 0)
    if not sign and "-" in word:
        return base - int(word.partition("-")[2] or 0)
    return base + int(offset or 0) if base else 0


def _console() -> Console:
    """Only for who needs one: the terminal's modules cost a millisecond to import."""
    from corten.runtime.command.console import Console

    return Console()


def _wait(launch: Launch, console: Console | None) -> int:
    """Wait for the child, passing on what we are told; its exit code, or 128 and the signal."""
    forward_signals(launch.pidfd)
    return wait(launch.pid, launch.pidfd, console)
