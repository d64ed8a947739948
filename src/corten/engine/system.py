"""`info` and `system df`: what the engine is, and what it holds."""

import os
import platform
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import corten
from corten.engine import building, images, listing, runtimes
from corten.engine.building import Builder
from corten.engine.moment import rfc3339
from corten.engine.services import Services, now
from corten.engine.stats import host_memory
from corten.model.errors import NotFound

__all__ = ["System"]

KINDS = ("container", "image", "volume", "build-cache")
POOLS = (("172.17.0.0/12", 16), ("192.168.0.0/16", 20))


class System:
    """The engine as a whole."""

    def __init__(self, services: Services, builder: Callable[[], Builder | None], registries: dict[str, Any]) -> None:
        self._services = services
        self._builder = builder
        self._registries = registries

    def info(self) -> dict[str, Any]:
        """Docker's SystemInfo. What this engine does not have (swarm, plugins) is shown as absent."""
        known = {**self._counts(), **self._storage(), **self._host(), **self._features(), **NOT_THERE}
        return {**known, "RegistryConfig": self._registries}

    def _counts(self) -> dict[str, Any]:
        statuses = [container.state.status for container in self._services.catalog]
        running = sum(status in ("running", "restarting") for status in statuses)
        paused = statuses.count("paused")
        return {
            "ID": self._services.settings.identity,
            "Containers": len(statuses),
            "ContainersRunning": running,
            "ContainersPaused": paused,
            "ContainersStopped": len(statuses) - running - paused,
            "Images": len(self._services.images.summaries({}, everything=True)),
        }

    def _storage(self) -> dict[str, Any]:
        settings = self._services.settings
        return {
            "Driver": self._services.snapshots.name,
            "DriverStatus": [["driver-type", f"corten.snapshots.{self._services.snapshots.name}"]],
            "DockerRootDir": str(settings.data),
            "Plugins": {
                "Volume": ["local"],
                "Network": ["bridge", "host", "null"],
                "Authorization": None,
                "Log": ["json-file", "local", "none"],
            },
        }

    def _host(self) -> dict[str, Any]:
        system = os.uname()
        return {
            "SystemTime": rfc3339(now()),
            "KernelVersion": system.release,
            "OperatingSystem": distribution().get("PRETTY_NAME", "Linux"),
            "OSVersion": distribution().get("VERSION_ID", ""),
            "OSType": "linux",
            "Architecture": system.machine,
            "NCPU": self._services.settings.limits.cpus,
            "MemTotal": host_memory(),
            "Name": socket.gethostname(),
            "IPv4Forwarding": read_flag("/proc/sys/net/ipv4/ip_forward"),
            "BridgeNfIptables": False,
            "BridgeNfIp6tables": False,
            "HttpProxy": os.environ.get("HTTP_PROXY", ""),
            "HttpsProxy": os.environ.get("HTTPS_PROXY", ""),
            "NoProxy": os.environ.get("NO_PROXY", ""),
        }

    def _features(self) -> dict[str, Any]:
        settings = self._services.settings
        return {
            "MemoryLimit": True,
            "SwapLimit": settings.limits.swap_limit,
            "CpuCfsPeriod": True,
            "CpuCfsQuota": True,
            "CPUShares": True,
            "CPUSet": True,
            "PidsLimit": True,
            "OomKillDisable": not settings.cgroup_v2,
            "CgroupDriver": "cgroupfs",
            "CgroupVersion": "2" if settings.cgroup_v2 else "1",
            "LoggingDriver": "json-file",
            "Debug": False,
            "NFd": len(os.listdir("/proc/self/fd")),
            "NGoroutines": 0,
            "NEventsListener": 0,
            "ServerVersion": corten.__version__,
            "Runtimes": runtimes.listed(str(settings.program), settings.runtimes),
            "DefaultRuntime": settings.default_runtime,
            "InitBinary": "corten @init",
            "SecurityOptions": security_options(settings.cgroup_v2),
            "LiveRestoreEnabled": True,
            "ExperimentalBuild": False,
            "Warnings": [],
        }

    def df(self, kinds: "tuple[str, ...] | list[str]" = ()) -> dict[str, Any]:
        """What takes how much space. Without `kinds` everything."""
        wanted = set(kinds or KINDS)
        shown: dict[str, Any] = {}
        if "image" in wanted:
            listed = images.Images(self._services).list(all=True, shared_size=True)
            shown |= {"LayersSize": sum(image["Size"] for image in listed), "Images": listed}
        if "container" in wanted:
            shown["Containers"] = listing.containers(self._services, all=True, size=True)
        if "volume" in wanted:
            shown["Volumes"] = [*self._volumes()]
        if "build-cache" in wanted:
            cached = building.records(self._builder())
            shown |= {"BuildCache": cached, "BuilderSize": sum(record["Size"] for record in cached)}
        return shown

    def _volumes(self) -> Iterator[dict[str, Any]]:
        for volume in self._services.volumes.all():
            with suppress(NotFound, FileNotFoundError):  # it is being removed just now
                yield self._volume(volume.name)

    def _volume(self, name: str) -> dict[str, Any]:
        volumes = self._services.volumes
        usage = {"Size": volumes.size(name), "RefCount": len(volumes.users(name))}
        return {**volumes.inspect(name), "UsageData": usage}


NOT_THERE: dict[str, Any] = {
    "IndexServerAddress": "https://index.docker.io/v1/",
    "GenericResources": None,
    "Labels": [],
    "Swarm": {
        "NodeID": "",
        "NodeAddr": "",
        "LocalNodeState": "inactive",
        "ControlAvailable": False,
        "Error": "",
        "RemoteManagers": None,
    },
    "Isolation": "",
    "ContainerdCommit": {"ID": "", "Expected": ""},
    "RuncCommit": {"ID": corten.__version__, "Expected": corten.__version__},
    "InitCommit": {"ID": corten.__version__, "Expected": corten.__version__},
    "ProductLicense": "",
    "CDISpecDirs": [],
    "DefaultAddressPools": [{"Base": base, "Size": size} for base, size in POOLS],
}


def security_options(cgroup_v2: bool) -> list[str]:
    found = ["name=seccomp,profile=builtin"]
    if os.path.isdir("/sys/kernel/security/apparmor"):
        found.insert(0, "name=apparmor")
    return found + (["name=cgroupns"] if cgroup_v2 else [])


def distribution() -> dict[str, str]:
    """The host's os-release; empty where there is none."""
    try:
        return platform.freedesktop_os_release()
    except OSError:
        return {}


def read_flag(path: str) -> bool:
    try:
        with open(path, encoding="ascii") as file:
            return file.read().strip() == "1"
    except OSError:
        return False
