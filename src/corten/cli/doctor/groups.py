"""Control groups: which limits can be set."""

from __future__ import annotations

import os

from corten.cli.doctor.finding import NOTE, OK, WARN, Finding, read
from corten.kernel import cgroups

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from corten.kernel.cgroups import Layout

__all__ = ["look"]

_WANTED = {
    "memory": "--memory", "cpu": "--cpus", "cpuset": "--cpuset-cpus", "pids": "--pids-limit",
    "blkio": "--device-read-bps", "devices": "device rules", "freezer": "pause",
}  # fmt: skip
_IN_V2 = {"blkio": "io", "devices": "", "freezer": ""}  # the last two are no controllers there, and always work


def look() -> Iterator[Finding]:
    layout = cgroups.read_layout()
    if layout.mode == "none":
        yield Finding(
            "cgroups", WARN, "no cgroups are mounted: no limit can be set", "mount -t cgroup2 cgroup2 /sys/fs/cgroup"
        )
        return
    yield Finding("cgroups", OK, f"version: {layout.mode}")
    unified = _unified_controllers(layout)
    for controller, use in _WANTED.items():
        yield _controller(layout, controller, use, unified)


def _unified_controllers(layout: Layout) -> set[str]:
    if layout.unified is None:
        return set()
    return set(read(f"{layout.unified.directory('')}/cgroup.controllers").split())


def _controller(layout: Layout, name: str, use: str, unified: set[str]) -> Finding:
    if layout.mode == "v2":
        inner = _IN_V2.get(name, name)
        if not inner or inner in unified:
            return Finding("cgroups", OK, f"{name}: {use}")
        mend = f"delegate it: echo +{inner} > cgroup.subtree_control of the cgroups above"
        return Finding("cgroups", WARN, f"{inner} is not delegated to us: {use} does not work", mend)
    hierarchy = layout.of(name)
    if hierarchy is None:
        missing = f"{name} is not mounted: {use} does not work"
        return Finding("cgroups", WARN, missing, f"mount -t cgroup -o {name} cgroup /sys/fs/cgroup/{name}")
    directory = hierarchy.directory("")
    if not os.access(directory, os.W_OK):
        return Finding("cgroups", NOTE, f"{name} at {directory} is not ours to write: {use} does not work")
    return Finding("cgroups", OK, f"{name}: {use}")
