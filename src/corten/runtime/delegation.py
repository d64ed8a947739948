"""Which cgroups are ours to use: what an ordinary user was given, and what a container with containers inside has.

**Delegated** is a v2 cgroup whose directory and whose cgroup.procs and cgroup.subtree_control we may write
(cgroups(7), "Delegation"). Containers go beside our own cgroup where we may write above it, else below it; there our
own processes stand in the way of limits, so they are moved into a leaf. That is done only with a cgroup that is ours
alone: the root of our cgroup namespace, or one that belongs to us as an ordinary user; never with a service's.
"""

from __future__ import annotations

import os

from corten.runtime.cgroups import read
from corten.runtime.compiler.control_groups import base, place

TYPE_CHECKING = False
if TYPE_CHECKING:
    from corten.kernel.cgroups import Hierarchy, Layout
    from corten.model.runtime_spec import Linux

__all__ = ["make_room", "ours_alone", "reachable"]

_LEAF = "corten-init"
_ROUNDS = 20


def reachable(layout: Layout, linux: Linux, id: str) -> bool:
    """Whether this process may make the container's cgroups, and put processes into them."""
    path = place(linux.get("cgroupsPath") or "", id)
    return bool(layout.hierarchies) and all(_writable(hierarchy, path) for hierarchy in layout.hierarchies)


def make_room(layout: Layout, linux: Linux, id: str) -> None:
    """Move our own processes into a leaf, if they alone keep the container's limits from being enforced.

    A process that cannot be moved is left: the launch then refuses the limit, and says why.
    """
    tree = layout.unified
    if tree is None or not (linux.get("resources") or {}).keys() - {"devices"}:
        return
    own = tree.own_directory
    above = _way_down(tree, place(linux.get("cgroupsPath") or "", id))[:-1]
    if own in above and ours_alone(tree) and not _passes_all(own) and read(f"{own}/cgroup.procs"):
        _vacate(own)


def _way_down(hierarchy: Hierarchy, path: str) -> list[str]:
    """The directories from the one that is there for sure down to the container's."""
    ways = [base(hierarchy, path)]
    for step in path.strip("/").split("/"):
        ways.append(f"{ways[-1]}/{step}")
    return ways


def _writable(hierarchy: Hierarchy, path: str) -> bool:
    """The lowest directory that is there takes new ones; on v2 its processes may come and go, too."""
    there = [at for at in _way_down(hierarchy, path) if os.path.isdir(at)]
    if not there or not os.access(there[-1], os.W_OK):
        return False
    return hierarchy.version == 1 or os.access(f"{there[-1]}/cgroup.procs", os.W_OK)


def ours_alone(tree: Hierarchy) -> bool:
    """The machine's first cgroup has no cgroup.type; it needs no room, for it may hold processes and pass on."""
    own = tree.own_directory
    if not os.path.exists(f"{own}/cgroup.type"):
        return False
    return tree.own == "/" or (os.geteuid() != 0 and os.stat(own).st_uid == os.geteuid())


def _passes_all(directory: str) -> bool:
    there, passed = (read(f"{directory}/cgroup.{file}").split() for file in ("controllers", "subtree_control"))
    return len(there) == len(passed)


def _vacate(directory: str) -> None:
    """Until it is empty, for processes fork while they are being moved; but not for ever."""
    leaf = f"{directory}/{_LEAF}"
    os.makedirs(leaf, exist_ok=True)
    for _ in range(_ROUNDS):
        pids = read(f"{directory}/cgroup.procs").split()
        if not pids:
            return
        for pid in pids:
            try:
                with open(f"{leaf}/cgroup.procs", "w") as file:
                    file.write(pid)
            except OSError:
                continue  # it has ended, or may not be moved
