"""`inspect`: everything about one container, under the names of Docker's API (ContainerInspectResponse)."""

from typing import Any

from msgspec.structs import replace

from corten.engine import images, links
from corten.engine.moment import rfc3339
from corten.engine.record import Container, HealthState, MountPoint, State
from corten.engine.services import Services
from corten.model import container as wire
from corten.model.errors import NotFound

__all__ = ["inspect", "mount_points", "ports"]


def inspect(services: Services, reference: str, *, size: bool = False) -> dict[str, Any]:
    """The container as `docker inspect` shows it; `size` adds the bytes of its file system."""
    container = services.catalog.find(reference)
    record, settings = container.record, services.settings
    directory = settings.container_directory(container.id)
    command = record.command
    shown: dict[str, Any] = {
        "Id": container.id,
        "Created": rfc3339(record.created),
        "Path": command[0] if command else "",
        "Args": list(command[1:]),
        "State": state(container.state),
        "Image": record.image_id,
        "ResolvConfPath": str(directory / "resolv.conf") if container.state.started else "",
        "HostnamePath": str(directory / "hostname") if container.state.started else "",
        "HostsPath": str(directory / "hosts") if container.state.started else "",
        "LogPath": str(settings.log_path(container.id)) if record.host.log_config.type == "json-file" else "",
        "Name": f"/{container.name}",
        "RestartCount": container.state.restart_count,
        "Driver": services.snapshots.name,
        "Platform": record.os,
        "MountLabel": "",
        "ProcessLabel": "",
        "AppArmorProfile": "",
        "ExecIDs": services.execs.ids_of(container) or None,
        "HostConfig": wire.encode(replace(record.host, links=links.shown(services, container))),
        "GraphDriver": graph_driver(services, container),
        "Mounts": mount_points(container),
        "Config": config(container),
        "NetworkSettings": network_settings(services, container),
    }
    return shown | (sizes(services, container) if size else {})


def sizes(services: Services, container: Container) -> dict[str, int]:
    try:
        own = services.snapshots.usage(container.id).size
    except (NotFound, FileNotFoundError):
        own = 0  # it is being removed just now
    return {"SizeRw": own, "SizeRootFs": own + images.size_of(services, container.record.image_id)}


def state(state: State) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "Status": state.status,
        "Running": state.is_up,
        "Paused": state.status == "paused",
        "Restarting": state.status == "restarting",
        "OOMKilled": state.oom_killed,
        "Dead": state.status == "dead",
        "Pid": state.pid,
        "ExitCode": state.exit_code,
        "Error": state.error,
        "StartedAt": rfc3339(state.started),
        "FinishedAt": rfc3339(state.finished),
    }
    return shown | ({"Health": health(state.health)} if state.health else {})


def health(health: HealthState) -> dict[str, Any]:
    log = [
        {"Start": rfc3339(c.start), "End": rfc3339(c.end), "ExitCode": c.exit_code, "Output": c.output}
        for c in health.log
    ]
    return {"Status": health.status, "FailingStreak": health.failing_streak, "Log": log}


def config(container: Container) -> dict[str, Any]:
    """The configuration; the environment shows Docker's default PATH where there is none, as Docker's does."""
    return wire.encode(container.record.config)


def graph_driver(services: Services, container: Container) -> dict[str, Any]:
    """Where the container's layers lie, for those who look there."""
    data: dict[str, str] = {}
    try:
        mounts = services.snapshots.mounts(container.id)
    except NotFound:
        mounts = []  # half removed
    for mount in mounts:
        names = {"lowerdir": "LowerDir", "upperdir": "UpperDir", "workdir": "WorkDir"}
        data |= {shown: value for option, shown in names.items() if (value := mount.option(option))}
    return {"Name": services.snapshots.name, "Data": data or None}


def mount_points(container: Container) -> list[dict[str, Any]]:
    """The mounts, without those of `--tmpfs`, which have a field of their own."""
    hidden = set(container.record.host.tmpfs or {})
    return [mount_point(point) for point in container.record.mounts if point.destination not in hidden]


def mount_point(point: MountPoint) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "Type": point.type,
        "Source": point.source,
        "Destination": point.destination,
        "Mode": point.mode,
        "RW": point.rw,
        "Propagation": point.propagation,
    }
    return shown | ({"Name": point.name, "Driver": point.driver} if point.type == "volume" else {})


def network_settings(services: Services, container: Container) -> dict[str, Any]:
    """The networks, and flat beside them the default bridge's values, as API versions before 1.52 show them."""
    endpoints = endpoint_settings(services, container)
    flat = endpoints.get("bridge", {})
    up = container.state.is_up
    return {
        "Bridge": "",
        "SandboxID": container.id if up else "",
        "SandboxKey": f"/proc/{container.state.pid}/ns/net" if up else "",
        "HairpinMode": False,
        "LinkLocalIPv6Address": "",
        "LinkLocalIPv6PrefixLen": 0,
        "Ports": ports(services, container),
        "SecondaryIPAddresses": None,
        "SecondaryIPv6Addresses": None,
        "EndpointID": flat.get("EndpointID", ""),
        "Gateway": flat.get("Gateway", ""),
        "GlobalIPv6Address": flat.get("GlobalIPv6Address", ""),
        "GlobalIPv6PrefixLen": flat.get("GlobalIPv6PrefixLen", 0),
        "IPAddress": flat.get("IPAddress", ""),
        "IPPrefixLen": flat.get("IPPrefixLen", 0),
        "IPv6Gateway": flat.get("IPv6Gateway", ""),
        "MacAddress": flat.get("MacAddress", ""),
        "Networks": endpoints,
    }


def endpoint_settings(services: Services, container: Container) -> dict[str, dict[str, Any]]:
    """Each network of the container: what was asked for, under what it got while it runs."""
    got = services.networks.endpoints(container.id) if container.state.is_up else {}
    asked = {name: wire.encode(settings) for name, settings in container.record.networks.items()}
    return {
        name: {**asked.get(name, {}), **got.get(name, {})} for name in (*asked, *(n for n in got if n not in asked))
    }


def ports(services: Services, container: Container) -> dict[str, Any]:
    """Docker's port map while it runs: exposed ports without binding are None."""
    if not container.state.is_up:
        return {}
    exposed: dict[str, Any] = dict.fromkeys(map(with_protocol, container.record.config.exposed_ports or {}))
    return exposed | services.networks.ports(container.id)


def with_protocol(port: str) -> str:
    return port if "/" in port else f"{port}/tcp"
