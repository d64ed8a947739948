"""The configuration that ``corten-runtime spec`` writes: runc's, so that a bundle made for one runs with the other."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from corten.model.runtime_spec import Mount, RuntimeSpec

__all__ = ["config"]

_CAPABILITIES = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]
_MASKED = (
    "/proc/acpi /proc/asound /proc/interrupts /proc/kcore /proc/keys /proc/latency_stats /proc/timer_list "
    "/proc/timer_stats /proc/sched_debug /sys/firmware /sys/devices/virtual/powercap /proc/scsi"
)
_READONLY = "/proc/bus /proc/fs /proc/irq /proc/sys /proc/sysrq-trigger"


def config(*, rootless: bool = False) -> RuntimeSpec:
    """A shell on a terminal in ``rootfs``; `rootless` maps the caller to root and shares the network."""
    spec: RuntimeSpec = {
        "ociVersion": "1.2.0",
        "process": {
            "terminal": True,
            "user": {"uid": 0, "gid": 0},
            "args": ["sh"],
            "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"],
            "cwd": "/",
            "capabilities": {"bounding": _CAPABILITIES, "effective": _CAPABILITIES, "permitted": _CAPABILITIES},
            "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024}],
            "noNewPrivileges": True,
        },
        "root": {"path": "rootfs", "readonly": True},
        "hostname": "corten",
        "mounts": _mounts(rootless),
        "linux": {
            "resources": {"devices": [{"allow": False, "access": "rwm"}]},
            "namespaces": [{"type": kind} for kind in ("pid", "network", "ipc", "uts", "mount", "cgroup")],
            "maskedPaths": _MASKED.split(),
            "readonlyPaths": _READONLY.split(),
        },
    }
    if rootless:
        _make_rootless(spec["linux"])
    return spec


def _mounts(rootless: bool) -> list[Mount]:
    quiet = ["nosuid", "noexec", "nodev"]
    devpts = ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]
    mounts: list[Mount] = [
        _mount("/proc", "proc"),
        _mount("/dev", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k"]),
        _mount("/dev/pts", "devpts", devpts if rootless else [*devpts, "gid=5"]),
        _mount("/dev/shm", "tmpfs", [*quiet, "mode=1777", "size=65536k"], "shm"),
        _mount("/dev/mqueue", "mqueue", quiet),
    ]
    if rootless:
        mounts.append(_mount("/sys", "none", ["rbind", *quiet, "ro"], "/sys"))
    else:
        mounts.append(_mount("/sys", "sysfs", [*quiet, "ro"]))
    mounts.append(_mount("/sys/fs/cgroup", "cgroup", [*quiet, "relatime", "ro"]))
    return mounts


def _mount(destination: str, kind: str, options: list[str] | None = None, source: str = "") -> Mount:
    mount: Mount = {"destination": destination, "type": kind, "source": source or kind}
    return {**mount, "options": options} if options else mount


def _make_rootless(linux: Any) -> None:
    linux.pop("resources")
    linux["namespaces"] = [one for one in linux["namespaces"] if one["type"] != "network"] + [{"type": "user"}]
    linux["uidMappings"] = [{"containerID": 0, "hostID": os.geteuid(), "size": 1}]
    linux["gidMappings"] = [{"containerID": 0, "hostID": os.getegid(), "size": 1}]
