"""Containers on another OCI runtime: runc, crun, or whatever takes runc's command line.

The monitor's child is then not the container's first process but the runtime itself, in the foreground (`run`, `exec`):
it hands its standard streams on, and ends as the container ends, so that logs, attach and exit work as always. What
that process needs around it is a launch plan like any other: a mount namespace with the root file system in it, a
network namespace that the engine has connected, a terminal. Signals go to the container's own first process, which
the runtime names in a file; limits and statistics are read and written in its cgroup.

::

    RUN/ID/foreign/config.json   what the runtime gets: the engine's configuration, with this root and network
    RUN/ID/foreign/rootfs        where the root file system is mounted, in the runtime's mount namespace only
    RUN/ID/foreign/state         the runtime's own state (its --root)
    RUN/ID/foreign/*.pid, *.log  the process it made, and what it had to say
"""

import os
import subprocess
import time
from typing import Any

import msgspec

from corten.kernel import pidfd
from corten.kernel.probe import Host
from corten.model.errors import CortenError, FailedPrecondition, NotFound, PermissionDenied
from corten.model.runtime_spec import Process as ProcessSpec
from corten.model.runtime_spec import RuntimeSpec
from corten.plan import LaunchPlan, Step, flags, ops
from corten.runtime import Options
from corten.runtime.compiler import rootfs, settings
from corten.runtime.compiler.draft import Draft
from corten.tasks.config import ExecConfig, TaskConfig
from corten.tasks.process import Process

__all__ = ["Foreign"]

_PATIENCE_S = 60.0
_STEP_S = 0.002
_ENV = ("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/")


class Foreign:
    """One container on the runtime whose command begins with `command`; its files lie below `directory`."""

    def __init__(self, command: tuple[str, ...], id: str, state: str) -> None:
        self.command = command
        self.id = id
        self.directory = f"{state}/foreign"

    # -- the container

    def prepare(self, spec: RuntimeSpec, config: TaskConfig) -> None:
        """Write what the runtime gets; the network is filled in by `connected`."""
        os.makedirs(f"{self.directory}/rootfs", 0o700, exist_ok=True)
        # Older ones refuse a version that they do not know; of what is newer they ignore what they have not.
        changed: Any = {**spec, "ociVersion": "1.0.2"}
        if config.rootfs:
            changed["root"] = {**(spec.get("root") or {}), "path": f"{self.directory}/rootfs"}
        linux = changed.get("linux") or {}
        resources = linux.get("resources") or {}
        if rules := resources.get("devices"):
            changed["linux"] = {**linux, "resources": {**resources, "devices": sorted(rules, key=_is_wildcard)}}
        self._write("config.json", changed)

    def connected(self, netns: int) -> None:
        """Have the container join the namespace behind this descriptor of ours, which stays open until it has."""
        with open(f"{self.directory}/config.json", "rb") as file:
            spec = msgspec.json.decode(file.read())
        others = [one for one in spec["linux"]["namespaces"] if one["type"] != "network"]
        path = f"/proc/{os.getpid()}/fd/{netns}"
        spec["linux"]["namespaces"] = [*others, {"type": "network", "path": path}]
        self._write("config.json", spec)

    def plan(self, spec: RuntimeSpec, host: Host, config: TaskConfig, *, network: bool) -> LaunchPlan:
        """What stands around the runtime's process, up to its exec at the start."""
        options = Options(pid_file=True, console=config.terminal, network=network, rootfs=config.rootfs)
        draft = Draft(spec, host, options, bundle=config.bundle, id=config.id)
        if config.rootfs:
            rootfs.made(draft)
        if network:
            why = "the runtime goes back to it: it joins the container's as any other"
            row = ops.open_ns("/proc/self/ns/net", flags.CLONE_NEWNET, slot="host-network", why=why)
            draft.before.append(row)
        why = "a place for the root file system that nobody else sees"
        draft.before.append(ops.clone(flags.CLONE_PARENT | flags.CLONE_NEWNS, "", slot="pidfd", why=why))
        draft.parent.append(ops.report("pidfd", draft.inherit("pid-file")))
        if network:
            _network(draft)
        _root(draft, self.directory)
        argv = ("run", "--bundle", self.directory, "--pid-file", self._file("run.pid"), self.id)
        _finish(draft, self._argv("run", argv), config.terminal, starts=True)
        return draft.plan()

    def begun(self, process: Process, name: str = "run") -> tuple[int, int]:
        """Wait until the runtime has made its process, and let `process` mean that one: (pid, start time).

        Raises what kept it from it, in the runtime's own words, when it has ended before.
        """
        end = time.monotonic() + _PATIENCE_S
        while not (pid := self._pid(name)):
            if process.exit() is not None and not (pid := self._pid(name)):
                raise _failure(self._complaint(name), self.command[0])
            if time.monotonic() > end:
                raise FailedPrecondition(f"{self.command[0]} did not start the container in {_PATIENCE_S:.0f} s")
            time.sleep(_STEP_S)
        try:
            start = pidfd.start_time(pid)
            process.become(pid, pidfd.open(pid, start))
        except (ProcessLookupError, FileNotFoundError):
            return pid, 0  # it has ended already, which the monitor tells
        return pid, start

    def delete(self) -> None:
        """Remove what a runtime that was killed has left of the container."""
        words = [*self.command, "--root", f"{self.directory}/state", "delete", "--force", self.id]
        subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=_PATIENCE_S)

    # -- further processes

    def exec_plan(self, process: ProcessSpec, config: ExecConfig, host: Host) -> LaunchPlan:
        """One more process, by the runtime's `exec`."""
        self._write(f"{config.id}.json", process)
        draft = Draft({"ociVersion": "1.0.0"}, host, Options(console=config.terminal), bundle="/", id=self.id)
        draft.before.append(ops.clone(flags.CLONE_PARENT, "", slot="pidfd"))
        draft.parent.append(ops.report("pidfd", draft.inherit("pid-file")))
        files = ("--process", self._file(f"{config.id}.json"), "--pid-file", self._file(f"{config.id}.pid"))
        argv = ("exec", *files, self.id)
        _finish(draft, self._argv(config.id, argv), config.terminal, starts=False)
        return draft.plan()

    # -- private

    def _argv(self, name: str, verb: tuple[str, ...]) -> tuple[str, ...]:
        log = ("--log", self._file(f"{name}.log"), "--log-format", "json")
        return (*self.command, "--root", f"{self.directory}/state", *log, *verb)

    def _file(self, name: str) -> str:
        return f"{self.directory}/{name}"

    def _write(self, name: str, value: object) -> None:
        with open(self._file(f"{name}.new"), "wb") as file:
            file.write(msgspec.json.encode(value))
        os.rename(self._file(f"{name}.new"), self._file(name))

    def _pid(self, name: str) -> int:
        try:
            with open(self._file(f"{name}.pid")) as file:
                text = file.read().strip()
        except FileNotFoundError:
            return 0
        return int(text) if text.isdecimal() else 0

    def _complaint(self, name: str) -> str:
        """The last error in the runtime's log."""
        try:
            with open(self._file(f"{name}.log"), "rb") as file:
                lines = file.read().splitlines()
        except FileNotFoundError:
            lines = []
        found = [entry for entry in map(_entry, lines) if entry.get("level") in ("error", "fatal")]
        return str(found[-1].get("msg")) if found else f"{self.command[0]} ended without saying why"


def _is_wildcard(rule: dict[str, Any]) -> bool:
    """Whether a rule allows a whole type of device: those go last, since runc refuses to except one of them on v1."""
    return bool(rule.get("allow") and rule.get("type") and rule.get("major") is None and rule.get("minor") is None)


def _failure(complaint: str, runtime: str) -> CortenError:
    """A runtime has only words to say what was wrong, and they are an interface: Docker's command reads them too."""
    words = complaint.lower()
    if "exec" in words and any(part in words for part in ("executable file not found", "no such file", "not found")):
        # crun's own spelling of what docker's command looks for with a small letter
        return NotFound(complaint.replace("No such file", "no such file"), place="/process/args")
    if any(part in words for part in ("permission denied", "is a directory", "exec format error")):
        return PermissionDenied(complaint, place="/process/args")
    return FailedPrecondition(complaint, hint=f"the runtime was {runtime}")


def _entry(line: bytes) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(line)
    except msgspec.DecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def _network(draft: Draft) -> None:
    """A network namespace for the container, connected by the engine while this process is inside, and left again."""
    draft.child.append(ops.unshare(flags.CLONE_NEWNET, actor="child", why="the container's own network"))
    draft.child.append(ops.lo_up())
    draft.namespaces["network"], draft.places["network"] = "", "/linux/namespaces"
    settings.network(draft)
    draft.child.append(ops.setns("host-network", flags.CLONE_NEWNET, actor="child"))


def _root(draft: Draft, directory: str) -> None:
    bits = flags.O_PATH | flags.O_DIRECTORY
    why = "mounts made here must not travel to the host"
    draft.child.append(ops.open("/", bits, slot="old-root", actor="child"))
    draft.child.append(ops.mount_setattr("old-root", 0, 0, flags.MS_SLAVE, "", 1, actor="child", why=why))
    if draft.options.rootfs:
        draft.child.append(ops.open(f"{directory}/rootfs", bits, slot="place", actor="child"))
        draft.child.append(ops.attach("root", "place", why="where the runtime's configuration says it is"))


def _finish(draft: Draft, argv: tuple[str, ...], terminal: bool, *, starts: bool) -> None:
    """A terminal, a session, and the runtime."""
    rows: list[Step] = draft.child
    if terminal:
        bits = flags.O_RDWR | flags.O_NOCTTY
        rows.append(ops.open("/dev/ptmx", bits, slot="terminal", actor="child", why="the runtime makes the inner one"))
        rows.append(ops.pty_peer("terminal", slot="peer"))
        rows.append(ops.send_fd(draft.inherit("console"), "terminal", "/dev/ptmx", actor="child"))
        rows.append(ops.close("terminal", actor="child"))
    rows.append(ops.setsid())
    if terminal:
        rows.append(ops.set_ctty("peer"))
        rows += [ops.dup("peer", number) for number in (0, 1, 2)]
    rows += [ops.umask(0o022), ops.find_program(argv[0], ())]
    if starts:
        rows += [ops.checkpoint("created", (), actor="child"), ops.write_state("created"), ops.await_start("")]
    rows += [ops.close_from(3), ops.exec(argv, _ENV)]
