"""Where the control groups of this machine are: version 1, version 2, or both at once.

*v1*: a hierarchy per controller (or per few), each mounted by itself. *v2*: one tree for all. *hybrid*: v1 hierarchies
for what limits, and a v2 tree beside them, which may hold some controllers too. A process has one place in every
hierarchy; ``/proc/self/cgroup`` lists them, and a mount may show only a part of its hierarchy (`root`).

A v2 cgroup that holds processes cannot pass controllers on to cgroups below it (cgroups(7), "no internal processes").
Ours holds at least us, so new ones are made **beside** it (`base`), as runc does.

>>> layout = Layout.parse("0::/user/shell\\n", "25 1 0:22 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\\n")
>>> layout.mode, layout.unified.directory("web")
('v2', '/sys/fs/cgroup/user/web')
"""

from __future__ import annotations

import os

__all__ = ["Hierarchy", "Layout", "read_layout"]


class Hierarchy:
    """One mounted tree. `controllers` are those of v1 (``("cpu", "cpuacct")``), empty for a named tree and for v2.

    `own` is our cgroup, `base` the one below which relative paths are: the same on v1, on v2 the one above ours.
    """

    __slots__ = ("base", "controllers", "mountpoint", "name", "own", "version")

    def __init__(
        self, version: int, name: str, controllers: tuple[str, ...], mountpoint: str, own: str, base: str = ""
    ) -> None:
        self.version = version
        self.name = name
        self.controllers = controllers
        self.mountpoint = mountpoint
        self.own = own
        self.base = base or (own if version == 1 else os.path.dirname(own))

    def directory(self, path: str) -> str:
        """The directory of a cgroup: an absolute `path` counts from the mount, a relative one from `base`."""
        base = self.mountpoint if path.startswith("/") else self.mountpoint + self.base.rstrip("/")
        return f"{base}/{path.strip('/')}".rstrip("/")

    @property
    def own_directory(self) -> str:
        return self.mountpoint + self.own.rstrip("/")

    def __repr__(self) -> str:
        return f"Hierarchy(v{self.version} {self.name} at {self.mountpoint}, own {self.own})"


class Layout:
    """All hierarchies: `v1` in mount order, and the v2 tree as `unified` where there is one."""

    __slots__ = ("unified", "v1")

    def __init__(self, v1: tuple[Hierarchy, ...], unified: Hierarchy | None) -> None:
        self.v1 = v1
        self.unified = unified

    @property
    def mode(self) -> str:
        """``v1``, ``hybrid``, ``v2`` or ``none``."""
        limiting = any(hierarchy.controllers for hierarchy in self.v1)
        if self.unified:
            return "hybrid" if limiting else "v2"
        return "v1" if limiting else "none"

    @property
    def hierarchies(self) -> tuple[Hierarchy, ...]:
        return (*self.v1, self.unified) if self.unified else self.v1

    def based_at(self, base: str) -> Layout:
        """The same, relative paths of the v2 tree counting from `base`."""
        tree = self.unified
        return Layout(self.v1, Hierarchy(2, "", (), tree.mountpoint, tree.own, base) if tree else None)

    def of(self, controller: str) -> Hierarchy | None:
        """The v1 hierarchy that holds `controller`, or None."""
        for hierarchy in self.v1:
            if controller in hierarchy.controllers:
                return hierarchy
        return None

    @classmethod
    def parse(cls, own: str, mountinfo: str) -> Layout:
        """Read the texts of ``/proc/self/cgroup`` and ``/proc/self/mountinfo`` (proc(5))."""
        places: dict[str, str] = {}
        for line in own.splitlines():
            _, controllers, path = line.split(":", 2)
            places[controllers] = path
        v1: dict[str, Hierarchy] = {}
        unified: Hierarchy | None = None
        for line in mountinfo.splitlines():
            front, _, back = line.partition(" - cgroup")
            if not back:
                continue
            fields, kind = front.split(" "), back.split(" ")
            root, mountpoint = _unescape(fields[3]), _unescape(fields[4])
            if kind[0] == "2":
                unified = Hierarchy(2, "", (), mountpoint, _below(places.get("", "/"), root))
                continue
            name = next((key for key in places if key and set(key.split(",")) <= set(kind[2].split(","))), None)
            if name is not None:
                held = () if name.startswith("name=") else tuple(name.split(","))
                v1.setdefault(name, Hierarchy(1, name, held, mountpoint, _below(places[name], root)))
        return cls(tuple(v1.values()), unified)


def read_layout() -> Layout:
    """The layout as this process sees it; where we may make no cgroup beside our own, but own that, `base` is it."""
    with open("/proc/self/cgroup") as cgroup, open("/proc/self/mountinfo") as mountinfo:
        layout = Layout.parse(cgroup.read(), mountinfo.read())
    tree = layout.unified
    if tree and not os.access(tree.directory(""), os.W_OK) and os.access(tree.own_directory, os.W_OK):
        tree.base = tree.own
    return layout


def _below(path: str, root: str) -> str:
    """`path` of a hierarchy as seen through a mount that shows only the part below `root`."""
    if root == "/":
        return path
    if path == root or path.startswith(root + "/"):
        return path[len(root) :] or "/"
    return "/"


def _unescape(field: str) -> str:
    """mountinfo writes space, tab, newline and backslash as octal escapes."""
    if "\\" not in field:
        return field
    for escape, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        field = field.replace(escape, character)
    return field
