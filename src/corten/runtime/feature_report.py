"""``corten-runtime features``: what callers ask before they rely on it (runtime-spec, features.md).

Docker and containerd read it for id-mapped and recursive read-only mounts. Every list is taken from the table that
implements it, so that the report cannot promise what is not there.
"""

from __future__ import annotations

from shutil import which

from corten.kernel.capabilities import NAMES
from corten.kernel.probe import Host
from corten.runtime import mount_options, seccomp
from corten.runtime.compiler import hooks, namespaces
from corten.runtime.compiler.process import MEMORY_FLAGS, MEMORY_MODES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["features"]


def features(host: Host | None = None) -> dict[str, Any]:
    """The document for this machine."""
    host = host or Host()
    return {
        "ociVersionMin": "1.0.0",
        "ociVersionMax": "1.3.0",
        "hooks": list(hooks.KINDS),
        "mountOptions": mount_options.names(),
        "linux": {
            "namespaces": sorted(namespaces.FLAGS),
            "capabilities": list(NAMES),
            "cgroup": {"v1": True, "v2": True, "systemd": True, "systemdUser": True, "rdma": True},
            "seccomp": {
                "enabled": True,
                "actions": sorted(seccomp.ACTIONS),
                "operators": sorted(seccomp.OPERATORS),
                "archs": sorted(seccomp.OCI_ARCHES),
                "knownFlags": sorted(seccomp.FLAGS),
                "supportedFlags": sorted(seccomp.FLAGS),
            },
            "apparmor": {"enabled": host.apparmor},
            "selinux": {"enabled": host.selinux},
            "intelRdt": {"enabled": bool(host.resctrl), "schemata": True, "monitoring": True},
            "memoryPolicy": {"modes": sorted(MEMORY_MODES), "flags": sorted(MEMORY_FLAGS)},
            "mountExtensions": {"idmap": {"enabled": True}},
            "netDevices": {"enabled": True},
        },
        "annotations": {
            "io.corten.runtime.version": "0.1.0",
            "io.corten.checkpoint.enabled": str(bool(which("criu"))).lower(),
        },
        "potentiallyUnsafeConfigAnnotations": [],
    }
