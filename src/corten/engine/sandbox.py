"""A container's place in the network, as the engine needs it: reserve before the launch, write the files that are
bound in.

The work is `network`'s; here Docker's configuration is turned into its request, and a container that joins another's
network (or the host's) is told apart.
"""

import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import NamedTuple

from corten.engine.record import Container
from corten.engine.services import Services
from corten.model.container import EndpointSettings, HostConfig
from corten.model.errors import Conflict
from corten.network import EndpointRequest, PortRequest, Reservation, SandboxRequest

__all__ = ["Joined", "files_following", "reserve", "write_files"]


class Joined(NamedTuple):
    """`kind` is new, host or container; `path` the namespace that is joined; `files` by name what is bound into /etc.

    `needs_join` says whether the network has work to do inside the new namespace.
    """

    kind: str
    path: str = ""
    reservation: Reservation | None = None
    files: Mapping[str, bytes] = MappingProxyType({})
    needs_join: bool = False
    shared_with: str = ""

    @property
    def port_fds(self) -> list[int]:
        return self.reservation.port_fds if self.reservation else []

    def close(self) -> None:
        """Close our copies of the published ports' sockets: the monitor holds them from now on."""
        if self.reservation:
            self.reservation.close_fds()


def reserve(services: Services, container: Container) -> Joined:
    """Addresses and host ports for a start; Conflict where a port is taken."""
    record, host = container.record, container.record.host
    if host.network_mode.startswith("container:"):
        return shared(services, host.network_mode.partition(":")[2])
    made = services.networks.reserve(
        SandboxRequest(
            container_id=container.id,
            name=container.name,
            hostname=container.hostname,
            mode=host.network_mode,
            endpoints=[endpoint(network, settings) for network, settings in record.networks.items()],
            ports=ports(container),
            dns=list(host.dns or ()),
            dns_search=list(host.dns_search or ()),
            dns_options=list(host.dns_options or ()),
            extra_hosts=list(host.extra_hosts or ()),
            domainname=record.config.domainname,
            links=list(host.links or ()),
        )
    )
    files = {"hosts": made.files.hosts, "resolv.conf": made.files.resolv_conf, "hostname": made.files.hostname}
    return Joined(made.netns, "", made, files, needs_join=made.netns == "new")


def shared(services: Services, reference: str) -> Joined:
    """Another container's network, with its hosts, resolv.conf and hostname."""
    other = services.catalog.find(reference)
    if other.task is None or not other.state.pid:
        raise Conflict(f"cannot join network of a non running container: {other.id}")
    return Joined("container", f"/proc/{other.state.pid}/ns/net", shared_with=other.id)


def endpoint(network: str, settings: EndpointSettings) -> EndpointRequest:
    ipam = settings.ipam_config
    return EndpointRequest(
        network=network,
        ip=ipam.ipv4_address if ipam else "",
        ip6=ipam.ipv6_address if ipam else "",
        link_local=(ipam.link_local_ips if ipam else None) or (),
        mac=settings.mac_address,
        aliases=settings.aliases or (),
        links=settings.links or (),
        driver_opts=dict(settings.driver_opts or {}),
        priority=settings.gw_priority,
    )


def ports(container: Container) -> list[PortRequest]:
    """The published ports: those that were named, and with `-P` every exposed one on a port of the engine's choice."""
    host = container.record.host
    asked: list[PortRequest] = []
    for port, bindings in (host.port_bindings or {}).items():
        for number, protocol in spread(port):
            for binding in bindings or ():
                asked.append(PortRequest(number, protocol, binding.host_ip, binding.host_port))
    if host.publish_all_ports:
        bound = {pair for port in host.port_bindings or {} for pair in spread(port)}
        for port in container.record.config.exposed_ports or {}:
            asked += [PortRequest(n, protocol, "", "") for n, protocol in spread(port) if (n, protocol) not in bound]
    return asked


def spread(port: str) -> list[tuple[int, str]]:
    """`8000-8002/udp` as its single ports."""
    numbers, _, protocol = port.partition("/")
    first, _, last = numbers.partition("-")
    return [(number, protocol or "tcp") for number in range(int(first), int(last or first) + 1)]


def write_files(services: Services, container: Container, joined: Joined) -> tuple[tuple[str, str], ...]:
    """The files of the container's network on disk, and where they are bound; (source, destination) each.

    A mount that the user asked for at one of these places wins. They are written in place, not renamed: a bind mount
    holds on to the file it was made from.
    """
    services.settings.container_directory(container.id).mkdir(parents=True, exist_ok=True, mode=0o710)
    directory = services.settings.container_directory(joined.shared_with or container.id)
    for name, content in host_files(container, joined).items():
        with open(directory / name, "wb") as file:
            file.write(content)
            os.fchmod(file.fileno(), 0o644)
    taken = {point.destination for point in container.record.mounts}
    bound = [(str(directory / name), f"/etc/{name}") for name in ("resolv.conf", "hostname", "hosts")]
    return tuple((source, place) for source, place in bound if place not in taken and os.path.exists(source))


@contextmanager
def files_following(services: Services, container: Container) -> Iterator[None]:
    """Around a change of a running container's networks: its resolver files follow, unless the container wrote them.

    A container that leaves the default bridge's company for a user-defined network finds the name service this way.
    """
    before = services.networks.files(container.id)
    yield
    after = services.networks.files(container.id)
    directory = services.settings.container_directory(container.id)
    for name, old, new in (
        ("hosts", before.hosts, after.hosts),
        ("resolv.conf", before.resolv_conf, after.resolv_conf),
    ):
        path = directory / name
        if old != new and read(str(path)) == old:
            path.write_bytes(new)


def host_files(container: Container, joined: Joined) -> Mapping[str, bytes]:
    if joined.kind != "host" or all(joined.files.values()):
        return joined.files
    host: HostConfig = container.record.host
    name = container.record.config.hostname or socket.gethostname()
    hosts = read("/etc/hosts") + b"".join(extra(entry) for entry in host.extra_hosts or ())
    return {"hosts": hosts, "resolv.conf": read("/etc/resolv.conf"), "hostname": f"{name}\n".encode()} | {
        file: content for file, content in joined.files.items() if content
    }


def extra(entry: str) -> bytes:
    name, _, address = entry.partition(":")
    return f"{address}\t{name}\n".encode()


def read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(1 << 20)
    except OSError:
        return b""
