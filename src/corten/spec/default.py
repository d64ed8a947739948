"""What every container starts from, before any option: Docker's default mounts, namespaces and hidden paths.

The lists are Docker's (moby daemon/pkg/oci/defaults.go); why each is there is said beside it.
"""

from __future__ import annotations

import os
from functools import cache
from typing import Any

from corten.model.runtime_spec import RuntimeSpec

__all__ = ["MASKED_PATHS", "PATH", "READONLY_PATHS", "SHM_SIZE", "masked_paths", "spec"]

PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
SHM_SIZE = 64 << 20

# Files of the kernel that tell about the host, or that act on it: nothing of them is for a container.
MASKED_PATHS = (
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
)
READONLY_PATHS = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")

MOUNTS: tuple[tuple[str, str, str, tuple[str, ...]], ...] = (
    ("/proc", "proc", "proc", ("nosuid", "noexec", "nodev")),
    ("/dev", "tmpfs", "tmpfs", ("nosuid", "strictatime", "mode=755", "size=65536k")),
    ("/dev/pts", "devpts", "devpts", ("nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5")),
    ("/sys", "sysfs", "sysfs", ("nosuid", "noexec", "nodev", "ro")),
    ("/sys/fs/cgroup", "cgroup", "cgroup", ("ro", "nosuid", "noexec", "nodev")),
    ("/dev/mqueue", "mqueue", "mqueue", ("nosuid", "noexec", "nodev")),
    ("/dev/shm", "tmpfs", "shm", ("nosuid", "noexec", "nodev", "mode=1777", f"size={SHM_SIZE}")),
)


@cache
def masked_paths() -> tuple[str, ...]:
    """The masked paths, with the per-CPU thermal counters that this host has (they tell of the neighbours' load)."""
    cpus = "/sys/devices/system/cpu"
    present = range(os.cpu_count() or 1)
    throttles = (f"{cpus}/cpu{number}/thermal_throttle" for number in present)
    return MASKED_PATHS + tuple(path for path in throttles if os.path.isdir(path))


def spec() -> RuntimeSpec:
    """A fresh spec: a root to be filled in, five namespaces, Docker's mounts."""
    return {
        "ociVersion": "1.2.0",
        "root": {"path": "rootfs"},
        "mounts": [
            {"destination": destination, "type": type_, "source": source, "options": list(options)}
            for destination, type_, source, options in MOUNTS
        ],
        "process": {"cwd": "/", "args": [], "env": [], "user": {"uid": 0, "gid": 0}},
        "linux": {
            "namespaces": [namespace(kind) for kind in ("mount", "network", "uts", "pid", "ipc")],
            "maskedPaths": list(masked_paths()),
            "readonlyPaths": list(READONLY_PATHS),
        },
    }


def namespace(kind: str) -> Any:
    return {"type": kind}
