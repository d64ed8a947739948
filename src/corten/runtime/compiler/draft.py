"""A plan while the passes write it.

Each pass reads one concern of the configuration and appends rows to one of four lists: what the host half does before
the container exists, what the parent half does beside it, what the child does. `Draft.plan` puts them in order.
"""

from __future__ import annotations

from corten.model.errors import InvalidArgument
from corten.plan import flags, ops
from corten.plan.step import LaunchPlan, Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from corten.kernel.probe import Host
    from corten.model.mount import Mount
    from corten.model.runtime_spec import Linux, Process, RuntimeSpec

__all__ = ["Draft", "Options"]

# Numbers at which the launch program finds what it inherits; 3 is the plan, 4 the control socket.
FIRST_INHERITED = 5


class Options:
    """How a container is launched, beside its configuration: what the one who launches has prepared.

    Descriptors are named, not numbered, here; `LaunchPlan.inherit` says which number each must have.
    """

    __slots__ = (
        "cgroup_fallback",
        "console",
        "env",
        "listener",
        "network",
        "new_keyring",
        "notify",
        "pid_file",
        "pidfd_socket",
        "pivot",
        "preserve",
        "rootfs",
        "streams",
        "systemd",
    )

    def __init__(
        self,
        *,
        console: bool = False,
        listener: bool = False,
        network: bool = False,
        new_keyring: bool = True,
        pid_file: bool = False,
        pidfd_socket: bool = False,
        pivot: bool = True,
        preserve: Sequence[int] = (),
        streams: tuple[int, ...] = (),
        cgroup_fallback: bool = False,
        env: tuple[str, ...] = (),
        rootfs: tuple[Mount, ...] = (),
        notify: tuple[str, str] | tuple[()] = (),
        systemd: bool = False,
    ) -> None:
        self.console = console
        """Slot ``console``: a socket that takes the terminal's master. Needed when the process wants a terminal."""
        self.listener = listener
        """Slot ``start``: a listening socket at which `start` connects; else the control socket says when to go on."""
        self.network = network
        """Stop at a checkpoint ``network`` that carries the new network namespace and a netlink socket inside it."""
        self.new_keyring = new_keyring
        self.pid_file = pid_file
        """Slot ``pid-file``: a file that receives the process id."""
        self.pidfd_socket = pidfd_socket
        """Slot ``pidfd-socket``: a socket that receives the container's pidfd."""
        self.pivot = pivot
        self.preserve = preserve
        """The numbers of the descriptors that the process keeps, from 3 on; slots ``keep-3``, ``keep-7``, …"""
        self.streams = streams
        """Which of 0, 1, 2 belong to the container alone, so that they are given to its user."""
        self.rootfs = rootfs
        """What is to be mounted as the root file system; without any, `/root/path` is one already."""
        self.cgroup_fallback = cgroup_fallback
        """Go without limits where this user may not make a cgroup, instead of failing (rootless)."""
        self.env = tuple(env)
        """What the launcher adds to the program's environment, such as LISTEN_FDS of socket activation."""
        self.systemd = systemd
        """`cgroupsPath` is ``slice:prefix:name``, and systemd makes the cgroup at a controller's row."""
        self.notify = tuple(notify)
        """A directory that holds a socket ``notify``, and where the program finds it: readiness for systemd."""


class Draft:
    """The configuration, the host, and the rows so far."""

    def __init__(self, spec: RuntimeSpec, host: Host, options: Options, *, bundle: str, id: str) -> None:
        self.spec = spec = _with_notify(spec, options)
        self.linux: Linux = spec.get("linux") or {}
        self.process: Process | dict[str, Any] = spec.get("process") or {}
        self.host = host
        self.options = options
        self.bundle = bundle
        self.id = id
        self.before: list[Step] = []
        self.parent: list[Step] = []
        self.child: list[Step] = []
        self.childs_sources: list[Step] = []
        """Rootless: what the host half has no right to open, for the child to open before it enters the root."""
        self.inherited: list[str] = []
        self.warnings: list[str] = []
        self.namespaces: dict[str, str] = {}
        """The namespaces asked for: type to the path to join, "" for a new one."""
        self.places: dict[str, str] = {}
        """The same, type to JSON pointer."""
        self.has_proc = False
        self.controller_maps: Step | None = None

    @property
    def user_namespace(self) -> bool:
        return "user" in self.namespaces

    @property
    def rootless(self) -> bool:
        """Whether the host half has no privileges, so that the child does everything inside its user namespace."""
        return not self.host.held.effective >> 21 & 1  # CAP_SYS_ADMIN

    @property
    def shares_mounts(self) -> bool:
        """Whether the container has the host's mount namespace (the type is absent: config-linux.md, "Namespaces").

        Then its tree of mounts is attached nowhere: it stays the detached clone that the process has as its root, is
        in no mount table, and goes with the last process in it.
        """
        return "mount" not in self.namespaces

    def creates(self, kind: str) -> bool:
        """Whether the container gets a new namespace of this type."""
        return self.namespaces.get(kind) == ""

    def inherit(self, slot: str) -> str:
        """A descriptor that the launcher provides; a row may use it as the slot of this name."""
        if slot not in self.inherited:
            self.inherited.append(slot)
        return slot

    @property
    def root_path(self) -> str:
        """The root file system's directory as the host names it."""
        root = self.spec.get("root")
        path = root["path"] if root and root.get("path") else ""
        return path if path.startswith("/") or not path else f"{self.bundle}/{path}"

    @property
    def sources(self) -> tuple[list[Step], str]:
        """The rows for whoever opens host paths, and which actor that is."""
        return (self.childs_sources, "child") if self.rootless else (self.before, "host")

    def start_of(self, path: str, rows: list[Step], actor: str) -> str:
        """The slot from which this host path counts: the bundle's for a relative one, "" for an absolute one."""
        if path.startswith("/"):
            return ""
        slot = "bundle" if actor == "host" else f"bundle-{actor}"
        if not any(row.slot == slot for row in rows):
            bits = flags.O_PATH | flags.O_DIRECTORY
            rows.append(ops.open(self.bundle, bits, slot=slot, actor=actor, why="relative paths count from the bundle"))
        return slot

    def proc(self) -> str:
        """The slot of a procfs of our own, attached nowhere: nobody can have put anything else at its names."""
        if not self.has_proc:
            why = "kernel settings are written through a procfs that nobody else can reach"
            self.child.append(ops.new_mount("proc", (), (), 0, slot="proc", actor="child", why=why))
            self.has_proc = True
        return "proc"

    def warn(self, message: str) -> None:
        if message not in self.warnings:
            self.warnings.append(message)

    def plan(self) -> LaunchPlan:
        streams = {"stdin": 0, "stdout": 1, "stderr": 2}
        others = [slot for slot in self.inherited if slot not in streams]
        table = [(streams[slot], slot) for slot in self.inherited if slot in streams]
        table += [(FIRST_INHERITED + n, slot) for n, slot in enumerate(others)]
        return LaunchPlan((*self.before, *self.parent, *self.child), table)

    def refuse(self, message: str, place: str, hint: str = "") -> InvalidArgument:
        return InvalidArgument(message, hint=hint, place=place)


def _with_notify(spec: RuntimeSpec, options: Options) -> RuntimeSpec:
    """The configuration with one mount more, which brings the readiness socket inside (crun's place for it)."""
    if not options.notify:
        return spec
    source, destination = options.notify
    bind: Any = {"destination": destination, "type": "bind", "source": source}
    bind["options"] = ["bind", "nosuid", "nodev", "noexec"]
    return {**spec, "mounts": [*(spec.get("mounts") or ()), bind]}
