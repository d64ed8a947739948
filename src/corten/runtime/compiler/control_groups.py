"""``/linux/cgroupsPath`` and ``/linux/resources``: make the cgroups, write the limits, attach the process.

On v1 there is a directory per hierarchy, and the child attaches itself after clone. On v2, and for the v2 tree
of a hybrid machine, the child is born inside its cgroup (CLONE_INTO_CGROUP). Limits are written before anything runs
in there; what only small limits would disturb comes first, so that even the launch itself is accounted. With the
systemd driver the child waits while systemd makes a unit around it, and the parent half does the rest.

A v2 cgroup has a controller's files only if the one above passes the controller on (cgroup.subtree_control), which it
may do only while it holds no processes itself. So every cgroup on the way down is told to pass on all there is.
"""

from __future__ import annotations

from corten.plan import ops
from corten.runtime import limits
from corten.runtime.compiler.draft import Draft

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from corten.kernel.cgroups import Hierarchy, Layout
    from corten.model.runtime_spec import IdMapping, Resources
    from corten.plan.step import Step

__all__ = ["attach", "base", "make", "path_of", "place", "slot"]

_ENOENT = 2
# What a new v1 cpuset lacks, and takes no process without.
_CPUSET = ("cpuset.cpus", "cpuset.mems")


def place(cgroups_path: str, id: str) -> str:
    """The cgroup that a configuration asks for: absolute below the mounts, or relative to our own cgroups.

    The same value always gives the same place (config-linux.md, "Cgroups Path"); without one the id names it.
    """
    path = cgroups_path or id
    if not path.startswith("//") and not {"", ".", ".."} & set(path.removeprefix("/").split("/")):
        return path
    parts = [part for part in path.split("/") if part not in ("", ".")]
    while ".." in parts:
        at = parts.index("..")
        del parts[max(at - 1, 0) : at + 1]
    return ("/" if path.startswith("/") else "") + "/".join(parts)


def path_of(draft: Draft) -> str:
    """The container's cgroup: what `cgroupsPath` says, or with systemd, where the unit of that name has it."""
    wanted = draft.linux.get("cgroupsPath") or ""
    if not draft.options.systemd:
        return place(wanted, draft.id)
    from corten.runtime.systemd import Unit

    return Unit.of(wanted, draft.id, uid=draft.host.euid).path


def make(draft: Draft) -> None:
    """Directories with what a new one needs, then the limits, then the device rules; systemd makes its own later."""
    if draft.options.cgroup_fallback:
        if draft.linux.get("resources"):
            draft.warn("limits are not enforced: this user may not make cgroups")
    elif not draft.options.systemd:
        _furnish(draft, draft.before, "host")


def attach(draft: Draft) -> None:
    """Into the v1 cgroups, as the child's first deed, by writing 0 to ``tasks``.

    Moving one thread that is oneself needs no lock on the forks of the whole machine (kernel/cgroup/cgroup.c,
    cgroup_procs_write_start); writing its number to cgroup.procs waits for that lock: 8 ms instead of 0.05. The files
    belong to the machine's root, which the child still is in the user namespace's eyes until it takes its user there.
    """
    if draft.options.cgroup_fallback:
        return
    if draft.options.systemd:
        _by_systemd(draft)
        return
    for hierarchy in draft.host.layout.v1:
        why = f"account and limit by {hierarchy.name}"
        row = ops.attach_cgroup(slot(hierarchy), "tasks", actor="child", why=why, origin="/linux/cgroupsPath")
        draft.child.append(row)


def _by_systemd(draft: Draft) -> None:
    """systemd makes the unit around the child, which waits; the parent half adds what a unit cannot say."""
    from corten.runtime.systemd import Unit

    origin = "/linux/cgroupsPath"
    unit = Unit.of(draft.linux.get("cgroupsPath") or "", draft.id, uid=draft.host.euid)
    why = "systemd makes a cgroup for a process that there is"
    draft.child.append(ops.checkpoint("unit", (), actor="child", why=why, origin=origin))
    draft.child.append(ops.start_unit(unit.name, unit.slice, origin=origin))
    _furnish(draft, draft.child, "parent")
    for hierarchy in draft.host.layout.v1:
        if hierarchy.controllers:  # the named hierarchy is systemd's own, where it has put the process itself
            why = f"account and limit by {hierarchy.name}"
            row = ops.attach_cgroup(slot(hierarchy), "cgroup.procs", actor="parent", why=why, origin=origin)
            draft.child.append(row)


def _furnish(draft: Draft, rows: list[Step], actor: str) -> None:
    path = path_of(draft)
    for hierarchy in draft.host.layout.hierarchies:
        rows.append(_directory(draft, hierarchy, path, actor))
    resources = draft.linux.get("resources") or {}
    rows += _limits(draft, resources, actor)
    rows += _device_rules(draft, resources, actor)
    rows += _delegation(draft, actor)


def slot(hierarchy: Hierarchy) -> str:
    """The slot of the container's directory in a hierarchy."""
    return f"cgroup-{hierarchy.name.removeprefix('name=') or 'unified'}"


def base(hierarchy: Hierarchy, path: str) -> str:
    """Where a cgroup's path counts from: an absolute one from the mount, a relative one from or beside our own."""
    return hierarchy.directory("/" if path.startswith("/") else "")


def _directory(draft: Draft, hierarchy: Hierarchy, path: str, actor: str) -> Step:
    """Make the directory and its missing parents, and open it."""
    start = base(hierarchy, path)
    copied = _CPUSET if "cpuset" in hierarchy.controllers else ()
    enabled = "" if draft.options.systemd else _enabled(draft, hierarchy, start)
    origin = "/linux/cgroupsPath"
    return ops.make_cgroup(start, path, copied, enabled, slot=slot(hierarchy), actor=actor, origin=origin)


def _enabled(draft: Draft, hierarchy: Hierarchy, parent: str) -> str:
    """What to write to cgroup.subtree_control on the way down the v2 tree: all controllers that exist there."""
    if hierarchy.version == 1:
        return ""
    return " ".join(f"+{controller}" for controller in draft.host.read(f"{parent}/cgroup.controllers").split())


def _limits(draft: Draft, resources: Resources, actor: str) -> Iterable[Step]:
    if not resources.keys() - {"devices"}:
        return
    layout = draft.host.layout
    version = 2 if layout.mode == "v2" else 1
    bfq = bool(resources.get("blockIO")) and _uses_bfq(draft)
    for warning in limits.warnings(resources, version):
        draft.warn(warning)
    writes = limits.v2_writes(resources, bfq=bfq) if version == 2 else limits.v1_writes(resources, bfq=bfq)
    for controller, file, value, pointer in _on_hybrid(layout, writes):
        hierarchy = _holder(draft, controller, pointer)
        accept = (_ENOENT,) if limits.may_be_missing(file, value) else ()
        yield ops.write_at(slot(hierarchy), file, value.encode(), actor=actor, accept=accept, origin=pointer)


def _on_hybrid(layout: Layout, writes: Iterable[limits.Write]) -> Iterable[limits.Write]:
    """A controller that v1 does not have may live in the v2 tree, under a v2 name: hugetlb does on some machines."""
    for controller, file, value, pointer in writes:
        if layout.unified and not layout.of(controller):
            file = file.replace(".limit_in_bytes", ".max")
        yield controller, file, value, pointer


def _holder(draft: Draft, controller: str, pointer: str) -> Hierarchy:
    """The hierarchy that limits by `controller`. Raises InvalidArgument where none does."""
    layout = draft.host.layout
    if found := layout.of(controller):
        return found
    hint = "see which there are in /proc/cgroups, or remove the limit"
    if tree := layout.unified:
        start = base(tree, path_of(draft))
        if controller == "cgroup" or controller in draft.host.read(f"{start}/cgroup.controllers").split():
            return tree
        hint = f"see {start}/cgroup.controllers, have it delegated, or remove the limit"
    # The words after the colon are crun's, by which its callers know the case.
    message = f"cannot limit by {controller}: the requested cgroup controller `{controller}` is not available"
    raise draft.refuse(message, pointer, hint)


def _uses_bfq(draft: Draft) -> bool:
    """Whether block weights are the BFQ scheduler's: then they have its name and its range."""
    # The root of a v1 hierarchy has no weight, but BFQ's counters.
    files = (("blkio", "blkio.bfq.weight"), ("blkio", "blkio.bfq.io_serviced"), ("io", "io.bfq.weight"))
    for controller, file in files:
        hierarchy = draft.host.layout.of(controller) or draft.host.layout.unified
        if hierarchy and draft.host.read(f"{hierarchy.directory('')}/{file}"):
            return True
    return False


def _delegation(draft: Draft, actor: str) -> Iterable[Step]:
    """Give a v2 cgroup to the container's root, so that it can make cgroups of its own.

    config-linux.md, "Cgroup ownership". Only where it has a cgroup namespace of its own and a writable cgroup mount:
    else it could use neither.
    """
    unified = draft.host.layout.unified
    wanted = draft.host.layout.mode == "v2" and draft.creates("user") and draft.creates("cgroup")
    if not unified or not wanted or not _writable_mount(draft):
        return
    owner = _host_id(draft.linux.get("uidMappings") or ())
    if owner is None or (draft.rootless and owner != draft.host.euid):
        return
    known = draft.host.read("/sys/kernel/cgroup/delegate") or "cgroup.procs cgroup.subtree_control cgroup.threads"
    why = "the container's root may manage what is below"
    for name in ("", *known.split()):
        place, accept = "/linux/uidMappings", (_ENOENT,)
        yield ops.chown_at(slot(unified), name, owner, -1, actor=actor, accept=accept, why=why, origin=place)


def _writable_mount(draft: Draft) -> bool:
    mounts = [mount for mount in draft.spec.get("mounts") or () if mount.get("type") in ("cgroup", "cgroup2")]
    return any("ro" not in (mount.get("options") or ()) for mount in mounts)


def _host_id(mappings: Iterable[IdMapping]) -> int | None:
    """Whom the host sees where the container sees its root."""
    return next((one["hostID"] for one in mappings if one["containerID"] == 0 and one["size"]), None)


def _device_rules(draft: Draft, resources: Resources, actor: str) -> Iterable[Step]:
    """Version 1 by lines in devices.deny and devices.allow, version 2 by an eBPF program; a user may load neither."""
    if draft.rootless or draft.host.in_user_namespace:
        return
    from corten.runtime import device_rules

    table = device_rules.fold(resources.get("devices") or ())
    place = "/linux/resources/devices"
    if hierarchy := draft.host.layout.of("devices"):
        for file, line in device_rules.v1_lines(table):
            yield ops.write_at(slot(hierarchy), file, line.encode(), actor=actor, origin=place)
    elif draft.host.layout.mode == "v2":
        why = "version 2 asks this program at every open and mknod of a device"
        program = device_rules.program(table)
        yield ops.attach_devices("cgroup-unified", program, actor=actor, why=why, origin=place)
