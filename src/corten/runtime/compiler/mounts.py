"""``/mounts``: in listed order, each as a detached mount that is attached at a verified target.

What mounts where decides who makes it. A **bind** source is cloned before the root is entered: its name is the host's,
and nothing can be swapped afterwards; the child does it, in its turn among the mounts, or the host half where a user
namespace may not. proc, sysfs, tmpfs, devpts, mqueue and cgroup are made by the **child**, or they would show the
host's processes, or belong to nobody. A filesystem on a block device comes from the host. Targets resolve inside the
root; below /dev, /proc and /sys no symbolic link is followed at all.
"""

from __future__ import annotations

from corten.plan import flags, ops
from corten.runtime.compiler.control_groups import path_of
from corten.runtime.compiler.control_groups import slot as cgroup_slot
from corten.runtime.compiler.draft import Draft
from corten.runtime.compiler.root import strict
from corten.runtime.mount_options import MountOptions, parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from corten.kernel.cgroups import Hierarchy
    from corten.model.runtime_spec import IdMapping, Mount
    from corten.plan.step import Step

__all__ = ["attach", "sources"]

_CHILDS = (
    "proc sysfs tmpfs ramfs devpts mqueue cgroup cgroup2 binfmt_misc bpf debugfs tracefs securityfs hugetlbfs fusectl"
)


def sources(draft: Draft) -> None:
    """Take the sources that have host names, with the privileges of the host half where it has any."""
    for n, mount in enumerate(draft.spec.get("mounts") or ()):
        origin = f"/mounts/{n}"
        if not mount["destination"].startswith("/"):
            raise draft.refuse(f"mount destination {mount['destination']!r} is not absolute", f"{origin}/destination")
        options = parse(mount.get("options") or ())
        kind = mount.get("type")
        if options.bind or kind == "bind":
            _bind_source(draft, n, mount, options)
        elif kind in ("cgroup", "cgroup2"):
            _cgroup_sources(draft, n)
        elif kind == "sysfs" and _binds_sysfs(draft):
            _sysfs_source(draft, n, options)
        elif kind in _CHILDS.split():
            _made_by_child(draft, n, mount, options)
        else:
            _filesystem(draft, n, mount, options)


def attach(draft: Draft) -> None:
    """Make what the child makes, and attach everything in order."""
    for n, mount in enumerate(draft.spec.get("mounts") or ()):
        options = parse(mount.get("options") or ())
        kind = mount.get("type") or ""
        bound = options.bind or kind == "bind"
        if kind in ("cgroup", "cgroup2") and not bound:
            _cgroups(draft, n, mount, options)
            continue
        if bound:
            _set_bind(draft, n, options)
        _attach(draft, n, mount, options, like=bound)


def _slot(n: int) -> str:
    return f"mount-{n}"


def _attach(draft: Draft, n: int, mount: Mount, options: MountOptions, *, like: bool) -> None:
    path, origin = mount["destination"], f"/mounts/{n}"
    target = f"target-{n}"
    why = "a file or a directory, as the source is; no link leads out of the root"
    row = ops.mountpoint_in("root", path, _slot(n) if like else "", strict(path), slot=target, why=why, origin=origin)
    draft.child.append(row)
    if options.copy_up:
        draft.child.append(ops.copy_up(target, _slot(n), why="tmpcopyup", origin=f"{origin}/options"))
    rows = [ops.attach(_slot(n), target, origin=origin)]
    if options.propagation and not like:
        deep, place = int(options.propagation_recursive), f"{origin}/options"
        row = ops.mount_setattr(_slot(n), 0, 0, options.propagation, "", deep, actor="child", origin=place)
        rows.insert(0 if draft.shares_mounts else 1, row)
    draft.child += rows


def _bind_source(draft: Draft, n: int, mount: Mount, options: MountOptions) -> None:
    origin = f"/mounts/{n}"
    source = mount.get("source") or ""
    if not source:
        raise draft.refuse("a bind mount needs a source", f"{origin}/source")
    rows, actor = _who_clones(draft, mount, options)
    deep = int(options.recursive or draft.user_namespace)
    below = draft.start_of(source, rows, actor)
    row = ops.open_tree(below, source, deep, slot=_slot(n), actor=actor, origin=f"{origin}/source")
    rows.append(row)
    _map_source(draft, n, mount, options, rows, actor)


def _who_clones(draft: Draft, mount: Mount, options: MountOptions) -> tuple[list[Step], str]:
    """The child wherever it may, before it enters the root: since 6.8 mountinfo lists mounts in the order in which they
    were made, and the specification wants them in that of the configuration (config.md, "Mounts")."""
    mapped = options.idmap or mount.get("uidMappings")
    # A handle of the caller (/proc/PID/fd/N) leads to a mount of its own namespace, which only the host half can clone.
    parts = (mount.get("source") or "").split("/")
    handle = parts[:2] == ["", "proc"] and parts[3:4] == ["fd"]
    if draft.creates("mount") and not draft.user_namespace and not mapped and not handle:
        return draft.childs_sources, "child"
    return draft.sources


def _map_source(draft: Draft, n: int, mount: Mount, options: MountOptions, rows: list[Step], actor: str) -> None:
    """An id-mapped mount: its own mappings, or with `idmap` alone those of the container."""
    uids, gids = mount.get("uidMappings") or (), mount.get("gidMappings") or ()
    place = f"/mounts/{n}"
    if bool(uids) != bool(gids):
        raise draft.refuse("uidMappings and gidMappings need each other", f"{place}/uidMappings")
    if not uids and options.idmap:
        uids, gids = draft.linux.get("uidMappings") or (), draft.linux.get("gidMappings") or ()
    if not uids:
        if options.idmap:
            raise draft.refuse("idmap without mappings", f"{place}/options", "give the mount or the container mappings")
        return
    if draft.rootless:
        raise draft.refuse("an id-mapped mount needs root", place)
    rows.append(ops.make_userns(_lines(uids), _lines(gids), slot=f"idmap-{n}", origin=f"{place}/uidMappings"))
    why = "files show the owners of the mapping"
    deep = int(options.idmap_recursive)
    row = ops.mount_setattr(
        _slot(n), flags.MOUNT_ATTR_IDMAP, 0, 0, f"idmap-{n}", deep, actor=actor, why=why, origin=place
    )
    rows.append(row)


def _lines(mappings: Sequence[IdMapping]) -> str:
    return "".join(f"{one['containerID']} {one['hostID']} {one['size']}\n" for one in mappings)


def _set_bind(draft: Draft, n: int, options: MountOptions) -> None:
    """A clone keeps its source's attributes; change what is asked for, and its propagation."""
    origin = f"/mounts/{n}/options"
    propagation, deep = options.propagation, int(options.propagation_recursive)
    if not propagation:
        word = (draft.linux.get("rootfsPropagation") or "").removeprefix("r")
        propagation, deep = {"shared": 0, "private": flags.MS_PRIVATE}.get(word, flags.MS_SLAVE), 1
    if options.recursive_set or options.recursive_clear:
        bits = (options.recursive_set, _cleared(options.recursive_set, options.recursive_clear))
        draft.child.append(ops.mount_setattr(_slot(n), *bits, 0, "", 1, actor="child", origin=origin))
    if options.set or options.clear:
        bits = (options.set, _cleared(options.set, options.clear))
        draft.child.append(ops.mount_setattr(_slot(n), *bits, 0, "", 0, actor="child", origin=origin))
    if propagation:
        why = "whether mounts made later on one side show on the other"
        row = ops.mount_setattr(_slot(n), 0, 0, propagation, "", deep, actor="child", why=why, origin=origin)
        draft.child.append(row)


def _cleared(bits: int, cleared: int) -> int:
    """The kernel wants the whole access time field cleared when one of its values is set."""
    return cleared | flags.MOUNT_ATTR_ATIME if (bits | cleared) & flags.MOUNT_ATTR_ATIME else cleared


def _filesystem(draft: Draft, n: int, mount: Mount, options: MountOptions) -> None:
    """A filesystem with a device or a server behind it, made by the host half."""
    kind, origin = mount.get("type") or "", f"/mounts/{n}"
    if not kind:
        raise draft.refuse("a mount without type must be a bind mount", f"{origin}/type", "add the option bind")
    values = (*(("source", mount["source"]) if mount.get("source") else ()), *options.values)
    switches = tuple(options.switches)
    rows, actor = draft.sources
    attributes = options.set | options.recursive_set
    rows.append(ops.new_mount(kind, values, switches, attributes, slot=_slot(n), actor=actor, origin=origin))


def _made_by_child(draft: Draft, n: int, mount: Mount, options: MountOptions) -> None:
    kind, origin = mount.get("type") or "", f"/mounts/{n}"
    attributes = options.set | options.recursive_set
    late = options.copy_up and attributes & flags.MOUNT_ATTR_RDONLY
    source = mount.get("source") or kind
    values = (*_context(draft, kind), "source", source, *options.values)
    if kind == "sysfs" and _binds_sysfs(draft):
        return
    why = f"the container's own {kind}"
    bits = attributes & ~flags.MOUNT_ATTR_RDONLY if late else attributes
    row = ops.new_mount(
        kind, values, tuple(options.switches), bits, slot=_slot(n), actor="child", why=why, origin=origin
    )
    draft.childs_sources.append(row)


def _context(draft: Draft, kind: str) -> tuple[str, ...]:
    label = draft.linux.get("mountLabel") or ""
    if not label:
        return ()
    if not draft.host.selinux:
        draft.warn("/linux/mountLabel: SELinux is not enabled, so nothing carries a label")
        return ()
    return ("context", label) if kind in ("tmpfs", "devpts", "mqueue") else ()


def _binds_sysfs(draft: Draft) -> bool:
    return draft.user_namespace and not draft.creates("network")


def _sysfs_source(draft: Draft, n: int, options: MountOptions) -> None:
    """sysfs belongs to a network namespace: where that is the host's, a user namespace can only bind the host's."""
    rows, actor = draft.sources
    why = "a user namespace may not make a sysfs of the host's network namespace"
    rows.append(ops.open_tree("", "/sys", 1, slot=_slot(n), actor=actor, why=why, origin=f"/mounts/{n}"))
    rows.append(ops.mount_setattr(_slot(n), options.set, 0, 0, "", 0, actor=actor, origin=f"/mounts/{n}/options"))


def _cgroup_sources(draft: Draft, n: int) -> None:
    """Without a cgroup namespace of its own a container sees its own directories only: bind them."""
    if draft.creates("cgroup") or draft.rootless:
        return
    for hierarchy in draft.host.layout.hierarchies:
        one = draft.host.layout.mode == "v2"
        slot = _slot(n) if one else f"{_slot(n)}-{hierarchy.name.removeprefix('name=') or 'unified'}"
        if draft.options.systemd:  # only the parent half has its handle, and it is there only after the clone
            path = hierarchy.directory(path_of(draft))
            row = ops.open_tree("", path, 0, slot=slot, actor="child", origin=f"/mounts/{n}")
            draft.childs_sources.append(row)
            continue
        draft.before.append(ops.open_tree(cgroup_slot(hierarchy), "", 0, slot=slot, origin=f"/mounts/{n}"))


def _cgroups(draft: Draft, n: int, mount: Mount, options: MountOptions) -> None:
    """The cgroup filesystem at its usual place: one mount on v2, on v1 a tmpfs with a mount for each hierarchy."""
    layout, origin = draft.host.layout, f"/mounts/{n}"
    if layout.mode == "v2" and layout.unified:
        _hierarchy(draft, layout.unified, _slot(n), options, origin)
        _attach(draft, n, mount, options, like=False)
        return
    why = "version 1 has a mount for each hierarchy; they stand in a tmpfs"
    bits = (options.set | flags.MOUNT_ATTR_NOSUID) & ~flags.MOUNT_ATTR_RDONLY
    values = (*_context(draft, "tmpfs"), "mode", "755", "source", "tmpfs")
    draft.child.append(ops.new_mount("tmpfs", values, (), bits, slot=_slot(n), actor="child", why=why, origin=origin))
    # What is below a root that is attached nowhere can be changed no more, so there it goes in when it is complete.
    if not draft.shares_mounts:
        _attach(draft, n, mount, options, like=False)
    for hierarchy in layout.hierarchies:
        _beside_the_others(draft, n, hierarchy, options)
    if options.set & flags.MOUNT_ATTR_RDONLY:
        row = ops.mount_setattr(_slot(n), flags.MOUNT_ATTR_RDONLY, 0, 0, "", 0, actor="child", origin=origin)
        draft.child.append(row)
    if draft.shares_mounts:
        _attach(draft, n, mount, options, like=False)


def _beside_the_others(draft: Draft, n: int, hierarchy: Hierarchy, options: MountOptions) -> None:
    """One v1 hierarchy in the tmpfs, under the host's name for it; a link for each controller that shares it."""
    origin = f"/mounts/{n}"
    name = hierarchy.mountpoint.rsplit("/", 1)[1]
    slot = f"{_slot(n)}-{hierarchy.name.removeprefix('name=') or 'unified'}"
    _hierarchy(draft, hierarchy, slot, options, origin)
    # Below the tmpfs's own handle, where nothing of the image is.
    draft.child.append(ops.mountpoint_in(_slot(n), name, "", 1, slot=f"target-{slot}", origin=origin))
    draft.child.append(ops.attach(slot, f"target-{slot}", origin=origin))
    for controller in hierarchy.controllers if len(hierarchy.controllers) > 1 else ():
        if controller != name:
            draft.child.append(ops.symlink_in(_slot(n), name, controller, accept=(17,), origin=origin))


def _hierarchy(draft: Draft, hierarchy: Hierarchy, slot: str, options: MountOptions, origin: str) -> None:
    """One cgroup tree: of the container's cgroup namespace, or else the clone of its own directory."""
    if not draft.creates("cgroup") and not draft.rootless:
        if options.set or options.clear:
            bits = (options.set, _cleared(options.set, options.clear))
            draft.child.append(ops.mount_setattr(slot, *bits, 0, "", 0, actor="child", origin=origin))
        return
    if hierarchy.version == 2:
        row = ops.new_mount("cgroup2", (), (), options.set, slot=slot, actor="child", origin=origin)
    elif hierarchy.name.startswith("name="):
        values = ("name", hierarchy.name.removeprefix("name="))
        row = ops.new_mount("cgroup", values, ("none",), options.set, slot=slot, actor="child", origin=origin)
    else:
        row = ops.new_mount("cgroup", (), hierarchy.controllers, options.set, slot=slot, actor="child", origin=origin)
    draft.child.append(row)
