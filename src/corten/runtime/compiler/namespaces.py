"""``/linux/namespaces``: which are new, which are joined, which stay shared with the host; and the id mappings.

A PID namespace is joined before the container's process is cloned, since it holds for children only, and a user
namespace too, so that it owns the new ones; the others are joined by the child itself. A new cgroup namespace is
entered only after the process has been attached to its cgroups: its view is rooted where the process is at that moment.
"""

from __future__ import annotations

from corten.plan import flags, ops
from corten.runtime.compiler.draft import Draft

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from corten.model.runtime_spec import IdMapping
    from corten.plan.step import Step

__all__ = [
    "FLAGS",
    "clone",
    "enter_cgroup",
    "enter_joined",
    "keeps_groups",
    "map_ids",
    "mapped",
    "open_joined",
    "read",
    "time_offsets",
]

FLAGS = {
    "user": flags.CLONE_NEWUSER,
    "mount": flags.CLONE_NEWNS,
    "pid": flags.CLONE_NEWPID,
    "network": flags.CLONE_NEWNET,
    "ipc": flags.CLONE_NEWIPC,
    "uts": flags.CLONE_NEWUTS,
    "cgroup": flags.CLONE_NEWCGROUP,
    "time": flags.CLONE_NEWTIME,
}
# What clone makes at once; cgroup and time come later, when they are what they shall be.
_JOIN_ORDER = ("pid", "user", "network", "ipc", "uts", "cgroup", "time", "mount")
_AT_CLONE = ("user", "mount", "pid", "network", "ipc", "uts")


def read(draft: Draft) -> None:
    """Collect the namespaces; a type twice or unknown, and what needs a namespace that is not there, is refused."""
    for n, namespace in enumerate(draft.linux.get("namespaces") or ()):
        kind, place = namespace["type"], f"/linux/namespaces/{n}"
        if kind not in FLAGS:
            raise draft.refuse(f"unknown namespace type {kind!r}", f"{place}/type", f"one of {', '.join(FLAGS)}")
        if kind in draft.namespaces:
            raise draft.refuse(f"namespace type {kind!r} stands twice", place)
        path = namespace.get("path") or ""
        if path and not path.startswith("/"):
            raise draft.refuse(f"namespace path {path!r} is not absolute", f"{place}/path")
        draft.namespaces[kind] = path
        draft.places[kind] = place
    if draft.rootless and "user" not in draft.namespaces:
        hint = "add a namespace of type user with uidMappings and gidMappings, or run as root"
        raise draft.refuse("an ordinary user needs a user namespace to make a container", "/linux/namespaces", hint)
    if draft.linux.get("timeOffsets") and not draft.creates("time"):
        raise draft.refuse(
            "time offsets need a new time namespace", "/linux/timeOffsets", "add a namespace of type time"
        )
    for field in ("uidMappings", "gidMappings"):
        if draft.linux.get(field) and not draft.creates("user"):
            place = f"/linux/{field}"
            raise draft.refuse("id mappings need a new user namespace", place, "add a namespace of type user")


def open_joined(draft: Draft) -> None:
    """Open what is joined, while the names are the host's."""
    for kind in _JOIN_ORDER:
        if path := draft.namespaces.get(kind):
            why = f"the container shares this {kind} namespace"
            place = f"{draft.places[kind]}/path"
            draft.before.append(ops.open_ns(path, FLAGS[kind], slot=f"ns-{kind}", why=why, origin=place))


def enter_joined(draft: Draft) -> None:
    """The child joins the rest: namespaces that hold for the process itself."""
    draft.child += [_setns(draft, kind, "child") for kind in _JOIN_ORDER[2:] if draft.namespaces.get(kind)]


def _setns(draft: Draft, kind: str, actor: str) -> Step:
    return ops.setns(f"ns-{kind}", FLAGS[kind], actor=actor, origin=f"{draft.places[kind]}/path")


def clone(draft: Draft) -> None:
    """The container begins: everything of `_AT_CLONE` that is new, in one system call."""
    bits = flags.CLONE_PARENT
    for kind in _AT_CLONE:
        if draft.creates(kind):
            bits |= FLAGS[kind]
    cgroup = "cgroup-unified" if any(step.slot == "cgroup-unified" for step in draft.before) else ""
    why = "the container begins here"
    draft.before += [_setns(draft, kind, "host") for kind in _JOIN_ORDER[:2] if draft.namespaces.get(kind)]
    draft.before.append(ops.clone(bits, cgroup, slot="pidfd", why=why, origin="/linux/namespaces"))


def map_ids(draft: Draft) -> None:
    """The user namespace's maps, which must be written from outside; then the child becomes root inside."""
    if not draft.creates("user"):
        return
    uids, gids = draft.linux.get("uidMappings") or (), draft.linux.get("gidMappings") or ()
    for field, maps in (("uidMappings", uids), ("gidMappings", gids)):
        if not maps:
            raise draft.refuse(f"a new user namespace needs {field}", f"/linux/{field}", "map at least one id")
    if draft.rootless and not _own_ids_only(draft, uids, gids):
        why = "an ordinary user maps ranges by set-user-ID programs"
        draft.controller_maps = ops.map_users(_map(uids), _map(gids), why=why, origin="/linux/uidMappings")
        return
    if draft.rootless:
        why = "an ordinary user may map its group only after giving up setgroups"
        draft.parent.append(ops.write_child("setgroups", b"deny", why=why, origin="/linux/gidMappings"))
    for file, maps, field in (("uid_map", uids, "uidMappings"), ("gid_map", gids, "gidMappings")):
        draft.parent.append(ops.write_child(file, _map(maps).encode(), origin=f"/linux/{field}"))


def mapped(draft: Draft) -> None:
    """Where the controller writes the maps, wait for it; then be root inside the user namespace."""
    if row := draft.controller_maps:
        draft.child += [ops.checkpoint("mapped", (), actor="child", why="only the controller can have ids mapped"), row]
    if draft.user_namespace and _maps_root(draft):
        why = "root of the user namespace sets up the container"
        draft.child.append(ops.user(0, 0, why=why, origin=draft.places["user"]))
        if not draft.rootless and not keeps_groups(draft):
            draft.child.append(ops.groups((), accept=(1,), why="the caller's groups are not the container's"))


def keeps_groups(draft: Draft) -> bool:
    """Whether the caller's supplementary groups stay: crun's annotation, with which ordinary users share files."""
    return "run.oci.keep_original_groups" in (draft.spec.get("annotations") or {})


def enter_cgroup(draft: Draft) -> None:
    if draft.creates("cgroup"):
        why = "after the attach: the namespace's root is the container's cgroup"
        draft.child.append(ops.unshare(FLAGS["cgroup"], actor="child", why=why, origin=draft.places["cgroup"]))


def time_offsets(draft: Draft) -> None:
    """A time namespace takes its offsets only before a process is in it: unshare, write, enter."""
    if not draft.creates("time"):
        return
    place = draft.places["time"]
    draft.child.append(ops.unshare(FLAGS["time"], actor="child", origin=place))
    proc = draft.proc()
    for clock, offset in (draft.linux.get("timeOffsets") or {}).items():
        line = f"{clock} {offset.get('secs', 0)} {offset.get('nanosecs', 0)}\n"
        origin = f"/linux/timeOffsets/{clock}"
        draft.child.append(ops.write_proc(proc, "self/timens_offsets", line.encode(), origin=origin))
    draft.child.append(ops.enter_time(proc, why="this process too shall see the offsets", origin=place))


def _map(mappings: Sequence[IdMapping]) -> str:
    return "".join(f"{one['containerID']} {one['hostID']} {one['size']}\n" for one in mappings)


def _maps_root(draft: Draft) -> bool:
    if not draft.creates("user"):
        return True
    maps = draft.linux.get("uidMappings") or ()
    return any(one["containerID"] == 0 and one["size"] > 0 for one in maps)


def _own_ids_only(draft: Draft, uids: Sequence[IdMapping], gids: Sequence[IdMapping]) -> bool:
    """One id each, our own: the one mapping that an ordinary user may write without help."""
    return [(one["hostID"], one["size"]) for one in uids] == [(draft.host.euid, 1)] and [
        (one["hostID"], one["size"]) for one in gids
    ] == [(draft.host.egid, 1)]
