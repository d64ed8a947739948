"""Device nodes: the six that every container has, ``/linux/devices``, and the links of /dev.

A node is made by mknod. In a user namespace the kernel refuses mknod, so the host's node is bound instead. When /dev
itself is a bind mount, the user brought devices of their own and nothing is made there (as runc and crun).
"""

from __future__ import annotations

from corten.plan import ops
from corten.runtime.compiler.draft import Draft
from corten.runtime.compiler.root import strict
from corten.runtime.mount_options import parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from corten.model.runtime_spec import Device
    from corten.plan.step import Step

__all__ = ["links", "nodes", "sources"]

_KINDS = {"c": 0o020000, "u": 0o020000, "b": 0o060000, "p": 0o010000}
# runtime-linux.md, "Default Devices"; major and minor from the kernel's devices.txt.
_DEFAULT = {
    "/dev/null": (1, 3),
    "/dev/zero": (1, 5),
    "/dev/full": (1, 7),
    "/dev/random": (1, 8),
    "/dev/urandom": (1, 9),
    "/dev/tty": (5, 0),
}
_LINKS = {
    "fd": "/proc/self/fd",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
}
_DEV = "directory-dev"
_EEXIST = 17


def sources(draft: Draft) -> None:
    """Where nodes cannot be made, clone the host's, by whoever may open them."""
    if not _makes_any(draft) or not _binds(draft):
        return
    rows, actor = draft.sources
    for device, place in _wanted(draft):
        why = "a user namespace may not make device nodes, so the host's is bound"
        rows.append(ops.open_tree("", device["path"], 0, slot=_slot(device), actor=actor, why=why, origin=place))


def nodes(draft: Draft) -> None:
    """Make or bind each node; a configured one replaces the default of the same path."""
    if not _makes_any(draft):
        return
    handles: dict[str, str] = {}
    _directory(draft, "/dev", handles)
    for device, place in _wanted(draft):
        path = device["path"]
        if not path.startswith("/") or path.endswith("/"):
            raise draft.refuse(f"device path {path!r} is not an absolute path of a file", f"{place}/path")
        if _binds(draft):
            target = f"target-{_slot(device)}"
            draft.child.append(ops.mountpoint_in("root", path, _slot(device), 1, slot=target, origin=place))
            draft.child.append(ops.attach(_slot(device), target, origin=place))
        else:
            directory, name = path.rsplit("/", 1)
            draft.child.append(_node(draft, device, _directory(draft, directory or "/", handles), name, place))


def links(draft: Draft) -> None:
    """The symbolic links of /dev, and ptmx, which must be the one of the container's own devpts."""
    if not _makes_any(draft):
        return
    for name, target in _LINKS.items():
        draft.child.append(ops.symlink_in(_DEV, target, name, accept=(_EEXIST,)))
    why = "terminals come from the container's own devpts"
    if any(mount["destination"].rstrip("/") == "/dev/pts" for mount in draft.spec.get("mounts") or ()):
        draft.child.append(ops.symlink_in(_DEV, "pts/ptmx", "ptmx", accept=(_EEXIST,), why=why))


def _directory(draft: Draft, path: str, handles: dict[str, str]) -> str:
    """The slot of a directory that nodes go to: no link of the image stands between the handle and the node."""
    if path not in handles:
        handles[path] = slot = _DEV if path == "/dev" else f"directory-{path.strip('/').replace('/', '-') or 'root'}"
        why = "nodes are made in this very directory; a link in its place is refused"
        draft.child.append(ops.mountpoint_in("root", path, "", strict(path), slot=slot, why=why))
    return handles[path]


def _node(draft: Draft, device: Device, directory: str, name: str, place: str) -> Step:
    kind = device.get("type") or ""
    if kind not in _KINDS:
        raise draft.refuse(f"unknown device type {kind!r}", f"{place}/type", "c, u, b or p")
    mode = _KINDS[kind] | device.get("fileMode", 0o666) & 0o7777
    numbers = (0, 0) if kind == "p" else (device.get("major", 0), device.get("minor", 0))
    owner = (device.get("uid", 0), device.get("gid", 0))
    return ops.mknod_in(directory, name, mode, *numbers, *owner, origin=place)


def _wanted(draft: Draft) -> list[tuple[Device, str]]:
    """The devices in order: defaults first, each unless the configuration has the same path."""
    configured = {device["path"]: n for n, device in enumerate(draft.linux.get("devices") or ())}
    found: list[tuple[Device, str]] = []
    for path, (major, minor) in _DEFAULT.items():
        if path not in configured:
            found.append(({"path": path, "type": "c", "major": major, "minor": minor, "fileMode": 0o666}, ""))
    found += [(device, f"/linux/devices/{n}") for n, device in enumerate(draft.linux.get("devices") or ())]
    return found


def _binds(draft: Draft) -> bool:
    return draft.user_namespace or draft.host.in_user_namespace


def _makes_any(draft: Draft) -> bool:
    devs = [mount for mount in draft.spec.get("mounts") or () if mount["destination"].rstrip("/") == "/dev"]
    return not any(mount.get("type") == "bind" or parse(mount.get("options") or ()).bind for mount in devs)


def _slot(device: Device) -> str:
    return "device-" + device["path"].removeprefix("/dev/").replace("/", "-")
