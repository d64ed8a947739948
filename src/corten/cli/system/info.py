"""`corten info`: the engine, the host it runs on, and what it makes of it."""

from __future__ import annotations

from corten import __version__
from corten.cli.human import size_binary
from corten.cli.system.version import DETAIL_FORMAT
from corten.cli.table import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from corten.cli.flags import Options
    from corten.cli.session import Session

__all__ = ["INFO"]


def _run(session: Session, options: Options, _: list[str]) -> int:
    client = {"Debug": False, "Version": __version__, "Context": "default", "Plugins": [], "Warnings": None}
    form = options.text("format")
    if not form:
        session.say("Client:", *_client_lines(client))
        session.say("", "Server:")
        info = session.get("/info")
        session.say(*_lines(info), "")
        session.warn(*(info.get("Warnings") or []))
        return 0
    info = session.get("/info")
    document = {**info, "ClientInfo": client}
    if form == "json":
        from corten.wire.codec import dumps

        session.say(dumps(document))
        return 0
    from corten.cli.inspection import print_one

    print_one(form, document, kind="system.dockerInfo")
    return 0


def _client_lines(client: dict[str, Any]) -> list[str]:
    return [f" Version:    {client['Version']}", f" Context:    {client['Context']}", " Debug Mode: false"]


def _lines(info: Any) -> Iterator[str]:
    """The server's half, line by line; what is empty has no line where Docker leaves it out."""
    yield from _counts(info)
    yield from _storage(info)
    yield from _plugins(info)
    yield from _runtimes(info)
    yield from _host(info)
    yield from _network(info)


def _named(info: Any, *pairs: tuple[str, str]) -> Iterator[str]:
    """A line for each field that says something."""
    return (f" {title}: {info[field]}" for title, field in pairs if info.get(field))


def _counts(info: Any) -> Iterator[str]:
    yield f" Containers: {info['Containers']}"
    for title, field in (
        ("Running", "ContainersRunning"),
        ("Paused", "ContainersPaused"),
        ("Stopped", "ContainersStopped"),
    ):
        yield f"  {title}: {info[field]}"
    yield f" Images: {info['Images']}"


def _storage(info: Any) -> Iterator[str]:
    yield from _named(info, ("Server Version", "ServerVersion"), ("Storage Driver", "Driver"))
    yield from (f"  {name}: {value}" for name, value in info.get("DriverStatus") or [])
    yield from _named(
        info,
        ("Logging Driver", "LoggingDriver"),
        ("Cgroup Driver", "CgroupDriver"),
        ("Cgroup Version", "CgroupVersion"),
    )


def _plugins(info: Any) -> Iterator[str]:
    plugins = info.get("Plugins") or {}
    yield " Plugins:"
    yield f"  Volume: {' '.join(plugins.get('Volume') or [])}"
    yield f"  Network: {' '.join(plugins.get('Network') or [])}"
    if plugins.get("Authorization"):
        yield f"  Authorization: {' '.join(plugins['Authorization'])}"
    yield f"  Log: {' '.join(plugins.get('Log') or [])}"
    if info.get("CDISpecDirs"):
        yield " CDI spec directories:"
        yield from (f"  {directory}" for directory in info["CDISpecDirs"])
    yield f" Swarm: {(info.get('Swarm') or {}).get('LocalNodeState', '')}"


def _runtimes(info: Any) -> Iterator[str]:
    if info.get("Runtimes"):
        yield f" Runtimes: {' '.join(sorted(info['Runtimes']))}"
        yield f" Default Runtime: {info.get('DefaultRuntime', '')}"
    if info.get("OSType") != "linux":
        return
    yield f" Init Binary: {info.get('InitBinary', '')}"
    for title, field in (("containerd", "ContainerdCommit"), ("runc", "RuncCommit"), ("init", "InitCommit")):
        yield f" {title} version: {(info.get(field) or {}).get('ID', '')}"
    if info.get("SecurityOptions"):
        yield " Security Options:"
        for option in info["SecurityOptions"]:
            fields = dict(part.partition("=")[::2] for part in option.split(","))
            yield f"  {fields.get('name', option)}"
            if "profile" in fields:
                yield f"   Profile: {fields['profile']}"


def _host(info: Any) -> Iterator[str]:
    yield from _named(
        info,
        ("Kernel Version", "KernelVersion"),
        ("Operating System", "OperatingSystem"),
        ("OSType", "OSType"),
        ("Architecture", "Architecture"),
    )
    yield f" CPUs: {info['NCPU']}"
    yield f" Total Memory: {size_binary(info['MemTotal'])}"
    yield from _named(info, ("Name", "Name"), ("ID", "ID"))
    yield f" Docker Root Dir: {info.get('DockerRootDir', '')}"
    yield f" Debug Mode: {_word(info.get('Debug'))}"
    if info.get("Debug"):
        yield f"  File Descriptors: {info.get('NFd')}"
        yield f"  Goroutines: {info.get('NGoroutines')}"
        yield f"  System Time: {info.get('SystemTime')}"
        yield f"  EventsListeners: {info.get('NEventsListener')}"


def _network(info: Any) -> Iterator[str]:
    yield from _named(info, ("HTTP Proxy", "HttpProxy"), ("HTTPS Proxy", "HttpsProxy"), ("No Proxy", "NoProxy"))
    if info.get("Labels"):
        yield " Labels:"
        yield from (f"  {label}" for label in info["Labels"])
    yield f" Experimental: {_word(info.get('ExperimentalBuild'))}"
    registries = info.get("RegistryConfig") or {}
    insecure = [name for name, index in (registries.get("IndexConfigs") or {}).items() if not index.get("Secure")]
    insecure += registries.get("InsecureRegistryCIDRs") or []
    if insecure or registries.get("IndexConfigs"):
        yield " Insecure Registries:"
        yield from (f"  {name}" for name in insecure)
    if registries.get("Mirrors"):
        yield " Registry Mirrors:"
        yield from (f"  {mirror}" for mirror in registries["Mirrors"])
    yield f" Live Restore Enabled: {_word(info.get('LiveRestoreEnabled'))}"
    if info.get("ProductLicense"):
        yield f" Product License: {info['ProductLicense']}"
    if info.get("DefaultAddressPools"):
        yield " Default Address Pools:"
        yield from (f"   Base: {pool['Base']}, Size: {pool['Size']}" for pool in info["DefaultAddressPools"])


def _word(flag: Any) -> str:
    return "true" if flag else "false"


INFO = Command("info, system info", "[OPTIONS]", "Show the engine and its host", _run, flags=(DETAIL_FORMAT,))
