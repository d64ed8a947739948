"""``/root``: the root file system, how the process gets there, and what the kernel's own paths show of the host.

The root is taken as a detached clone (nothing appears in the host's mount table), attached in the child's namespace,
and made the namespace's root by pivot_root at the end, which leaves no way back. From the row ``root`` on no row may
name a host path; container paths resolve below that handle.
"""

from __future__ import annotations

from corten.plan import flags, ops
from corten.runtime.compiler import rootfs
from corten.runtime.compiler.draft import Draft
from corten.runtime.mount_options import PROPAGATION

# open_tree(2), move_mount(2): since then a detached mount can take others below it.
_MOUNTS_BELOW_DETACHED = (6, 15)

__all__ = ["enter", "leave_host", "mask", "own_mounts", "source", "strict"]


def source(draft: Draft) -> None:
    """Open the root file system with the privileges of the host half; rootless, the child must."""
    if draft.options.rootfs:
        rootfs.made(draft)
        return
    root = draft.spec.get("root")
    path = root["path"] if root else ""
    if not path:
        raise draft.refuse("root.path is missing", "/root/path", "name the directory of the root file system")
    rows, actor = draft.sources
    why = "a detached clone: nothing of it shows in the host's mount table"
    below = draft.start_of(path, rows, actor)
    rows.append(ops.open_tree(below, path, 1, slot="root", actor=actor, why=why, origin="/root/path"))
    rows.append(ops.assert_type("root", flags.S_IFDIR, actor=actor, origin="/root/path"))


def own_mounts(draft: Draft) -> None:
    """Cut the new mount namespace off from the host's, so that no mount of ours travels back."""
    if draft.shares_mounts and draft.host.release < _MOUNTS_BELOW_DETACHED:
        hint = "add a namespace of type mount, or use Linux 6.15"
        raise draft.refuse("without a mount namespace the mounts would be the host's", "/linux/namespaces", hint)
    why = "mounts made here must not travel to the host"
    draft.child.append(ops.open("/", flags.O_PATH | flags.O_DIRECTORY, slot="old-root", actor="child"))
    if draft.creates("mount"):
        draft.child.append(ops.mount_setattr("old-root", 0, 0, flags.MS_SLAVE, "", 1, actor="child", why=why))
    why = "the host's null device, to hide files with, verified to be it"
    draft.child.append(ops.open("/dev/null", flags.O_PATH, slot="null", actor="child", why=why))
    draft.child.append(ops.assert_dev("null", 1, 3, actor="child", origin="/linux/maskedPaths"))
    draft.child += draft.childs_sources


def enter(draft: Draft) -> None:
    """From here every path is the container's."""
    why = "so that no mount event of the root file system reaches the host"
    draft.child.append(ops.mount_setattr("root", 0, 0, flags.MS_PRIVATE, "", 1, actor="child", why=why))
    if draft.shares_mounts:
        draft.child.append(ops.root("root", origin="/root/path"))
        return
    place = "old-root"
    why = "over the old root, which is always reachable, however its path is protected"
    if any((draft.spec.get("hooks") or {}).get(kind) for kind in ("prestart", "createRuntime", "createContainer")):
        place, why = "root-path", "at its own path, where hooks look for it"
        bits = flags.O_PATH | flags.O_DIRECTORY
        draft.child.append(ops.open(draft.root_path, bits, slot=place, actor="child", origin="/root/path"))
    draft.child.append(ops.attach("root", place, why=why, origin="/root/path"))
    draft.child.append(ops.root("root", origin="/root/path"))


def mask(draft: Draft) -> None:
    """Hide what the kernel shows of the host, or make it read-only; then the root itself, if it shall be."""
    for n, path in enumerate(draft.linux.get("maskedPaths") or ()):
        place = f"/linux/maskedPaths/{n}"
        draft.child.append(ops.mask_in("root", _absolute(draft, path, place), "null", strict(path), origin=place))
    for n, path in enumerate(draft.linux.get("readonlyPaths") or ()):
        place = f"/linux/readonlyPaths/{n}"
        draft.child.append(ops.readonly_in("root", _absolute(draft, path, place), strict(path), origin=place))
    root = draft.spec.get("root")
    if root and root.get("readonly"):
        draft.child.append(
            ops.mount_setattr("root", flags.MOUNT_ATTR_RDONLY, 0, 0, "", 0, actor="child", origin="/root/readonly")
        )


def leave_host(draft: Draft) -> None:
    """Make the container's root the namespace's root; what was there before goes away with everything below it."""
    if not draft.creates("mount"):
        draft.child.append(ops.chroot("root", why="the mount namespace is shared, so only our view changes"))
    elif draft.options.pivot:
        draft.child.append(ops.pivot("root", why="no path leads back to the host", origin="/root/path"))
    else:
        draft.child.append(ops.move_root("root", why="--no-pivot: the host's root is a ramdisk", origin="/root/path"))
    propagation, deep = _propagation(draft)
    if propagation:
        row = ops.mount_setattr("root", 0, 0, propagation, "", deep, actor="child", origin="/linux/rootfsPropagation")
        draft.child.append(row)


def strict(path: str) -> int:
    """Below the kernel's own trees, and for them themselves, a symbolic link in the image is an attack: follow none."""
    return int(any(path == tree or path.startswith(f"{tree}/") for tree in ("/dev", "/proc", "/sys")))


def _propagation(draft: Draft) -> tuple[int, int]:
    word = draft.linux.get("rootfsPropagation") or ""
    plain = word if word in PROPAGATION else word.removeprefix("r")
    if word and plain not in PROPAGATION:
        hint = f"one of {', '.join(PROPAGATION)}, with r in front for the mounts below"
        raise draft.refuse(f"unknown propagation {word!r}", "/linux/rootfsPropagation", hint)
    return (PROPAGATION[plain], int(plain != word)) if word else (0, 0)


def _absolute(draft: Draft, path: str, place: str) -> str:
    if not path.startswith("/"):
        raise draft.refuse(f"{path!r} is not absolute", place)
    return path
