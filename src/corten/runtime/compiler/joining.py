"""A process that joins a running container: `exec`, a health check, a hook that runs inside.

Everything of the container is reached by a pidfd whose process was verified by its start time. The process is not
dumpable until it is the new program, so that nobody inside can look into it while it still holds host descriptors
(CVE-2016-9962).
"""

from __future__ import annotations

from corten.plan import flags, ops
from corten.runtime.compiler.control_groups import base, path_of
from corten.runtime.compiler.draft import Draft
from corten.runtime.compiler.namespaces import FLAGS
from corten.runtime.compiler.process import bit_mask

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["enter", "root"]


def enter(draft: Draft, pid: int, start: int, cgroup: str) -> None:
    """Into the container's cgroups and namespaces; the user namespace first, the PID namespace before clone."""
    if draft.shares_mounts:
        # Before the row that verifies the process: if it still is the one, this root is its root.
        why = "the container has the host's mount namespace, but a root of its own"
        bits = flags.O_PATH | flags.O_DIRECTORY
        draft.before.append(ops.open(f"/proc/{pid}/root", bits, slot="root", why=why, origin="/linux/namespaces"))
    draft.before.append(ops.open_pidfd(pid, start, slot="container", why="the process that the container began with"))
    born_in = _cgroups(draft, pid, cgroup)
    _affinity(draft)
    draft.before.append(ops.dumpable(0, why="what is inside must not trace or inspect us (CVE-2016-9962)"))
    early = [kind for kind in ("user", "pid") if kind in draft.namespaces]
    late = [kind for kind in draft.namespaces if kind not in early]
    if early:
        draft.before.append(ops.setns("container", _bits(early), origin="/linux/namespaces"))
    draft.before.append(ops.clone(flags.CLONE_PARENT, born_in, slot="pidfd", why="in the container's PID namespace"))
    if late:
        row = ops.setns("container", _bits(late), actor="child", origin="/linux/namespaces")
        draft.child.append(row)
    if "user" in draft.namespaces:
        draft.child.append(ops.user(0, 0, why="root of the user namespace"))


def root(draft: Draft) -> None:
    """The root that the mount namespace has, as the handle of every container path."""
    if not draft.shares_mounts:
        draft.child.append(ops.open("/", flags.O_PATH | flags.O_DIRECTORY, slot="root", actor="child"))
    draft.child.append(ops.root("root"))
    draft.child.append(ops.chroot("root", why="the directory that setns left us in is the container's root; say so"))


def _affinity(draft: Draft) -> None:
    """`execCPUAffinity`: the processors before the cgroup is joined, and those after, within its cpuset."""
    wanted = draft.process.get("execCPUAffinity") or {}
    place = "/process/execCPUAffinity"
    if initial := wanted.get("initial"):
        row = ops.affinity(bit_mask(draft, initial, f"{place}/initial"), actor="host", origin=f"{place}/initial")
        draft.before.insert(0, row)
    if final := wanted.get("final"):
        mask = bit_mask(draft, final, f"{place}/final")
        draft.child.append(ops.affinity(mask, actor="child", origin=f"{place}/final"))


def _bits(kinds: Sequence[str]) -> int:
    bits = 0
    for kind in kinds:
        bits |= FLAGS[kind]
    return bits


def _cgroups(draft: Draft, pid: int, below: str) -> str:
    """The child's first deed is to join the v1 hierarchies; on v2 it is born in the cgroup of this slot.

    A container that passes controllers on to cgroups of its own (an init system) takes no process into the one above
    them (cgroups(7), "no internal processes"): there it is the cgroup of its first process, as with runc.
    """
    if draft.options.cgroup_fallback:
        return ""
    path = path_of(draft)
    born_in = ""
    for hierarchy in draft.host.layout.hierarchies:
        inside = f"{path}/{below.strip('/')}" if below else path
        slot = f"cgroup-{hierarchy.name.removeprefix('name=') or 'unified'}"
        start = base(hierarchy, path)
        draft.before.append(ops.open_cgroup(start, inside, 0 if below else pid, slot=slot, origin="/linux/cgroupsPath"))
        if hierarchy.version == 2:
            born_in = slot
        else:
            draft.child.append(ops.attach_cgroup(slot, "tasks", actor="child", origin="/linux/cgroupsPath"))
    return born_in
