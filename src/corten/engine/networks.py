"""The network use-cases in Docker's shapes; the work is `corten.network`'s."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from msgspec.structs import replace

from corten.engine import sandbox
from corten.engine.listing import until
from corten.engine.record import Container
from corten.engine.requests import IpamCreate, IpamSubnet, NetworkCreate
from corten.engine.services import Services, commit
from corten.model.container import EndpointSettings
from corten.model.errors import Conflict, NotFound, PermissionDenied, Unimplemented
from corten.network import Ipam, NetworkSpec
from corten.tasks import Task
from corten.wire.filters import NONE, Filters

__all__ = ["Networks"]


class Networks:
    """Docker's network endpoints over the engine's networks and containers."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def create(self, asked: NetworkCreate) -> dict[str, Any]:
        network = self._services.networks.create(specification(asked))
        return {"Id": network.id, "Warning": ""}

    def inspect(self, ref: str, *, verbose: bool = False, scope: str = "") -> dict[str, Any]:
        del verbose  # shows the tasks of swarm networks, of which there are none
        if scope not in ("", "local"):
            raise NotFound(f"network {ref} not found")
        return self._services.networks.inspect(ref)

    def remove(self, ref: str) -> None:
        self._services.networks.remove(ref)

    def connect(self, ref: str, container_ref: str, settings: EndpointSettings) -> None:
        """Add a container to a network, at once where it runs."""
        network = self._services.networks.get(ref)
        container = self._services.catalog.find(container_ref)
        with container.lock:
            check_connectable(container)
            if network.name in container.record.networks:
                raise PermissionDenied(f"endpoint with name {container.name} already exists in network {network.name}")
            if container.task is not None:
                with namespace(container.task) as netns, sandbox.files_following(self._services, container):
                    self._services.networks.connect(container.id, sandbox.endpoint(network.name, settings), netns)
            joined = {**container.record.networks, network.name: settings}
            commit(self._services, container, record=replace(container.record, networks=joined), durable=True)

    def disconnect(self, ref: str, container_ref: str, *, force: bool = False) -> None:
        """Take a container out of a network."""
        network = self._services.networks.get(ref)
        container = self._services.catalog.find(container_ref)
        with container.lock:
            if network.name not in container.record.networks:
                raise PermissionDenied(f"container {container.id} is not connected to network {network.name}")
            if container.record.host.network_mode == "host":
                raise Conflict("container cannot be disconnected from host network or connected to host network")
            if container.task is not None:
                with namespace(container.task) as netns, sandbox.files_following(self._services, container):
                    self._services.networks.disconnect(container.id, network.name, netns, force=force)
            left = {name: s for name, s in container.record.networks.items() if name != network.name}
            commit(self._services, container, record=replace(container.record, networks=left), durable=True)

    def prune(self, filters: Filters = NONE) -> dict[str, Any]:
        """Remove the networks that no container has, running or not."""
        used = {name for container in self._services.catalog for name in container.record.networks}
        removed = self._services.networks.prune(filters, before_ns=until(filters), used=used)
        return {"NetworksDeleted": removed or None}

    def list(self, filters: Filters = NONE) -> "list[dict[str, Any]]":
        return [self._services.networks.inspect(network.id) for network in self._services.networks.list(filters)]


def check_connectable(container: Container) -> None:
    mode = container.record.host.network_mode
    if mode == "host" or mode.startswith("container:"):
        raise Conflict(
            "container sharing network namespace with another container or host "
            "cannot be connected to any other network"
        )
    if container.state.status in ("removing", "dead"):
        raise Conflict(
            f"Container {container.id} is marked for removal and cannot be connected or disconnected to the network"
        )


@contextmanager
def namespace(task: Task) -> Iterator[int]:
    """A handle of a running container's network namespace; Conflict when it has just ended."""
    fd = task.namespace_fd("net")
    try:
        yield fd
    finally:
        os.close(fd)


def specification(asked: NetworkCreate) -> NetworkSpec:
    """The request in `network`'s own words. What belongs to a swarm is refused."""
    if asked.config_only or asked.config_from or asked.ingress or asked.scope not in ("", "local"):
        raise Unimplemented("networks of a swarm (config-only, config-from, ingress, scope) are not built")
    ipam = asked.ipam or IpamCreate()
    return NetworkSpec(
        name=asked.name,
        driver=asked.driver or "bridge",
        internal=asked.internal,
        attachable=asked.attachable,
        ipv4=asked.enable_ipv4 is not False,
        ipv6=bool(asked.enable_ipv6),
        options=dict(asked.options or {}),
        labels=dict(asked.labels or {}),
        ipam=tuple(subnet(wanted) for wanted in ipam.config or ()),
        ipam_driver=ipam.driver or "default",
        ipam_options=ipam.options,
    )


def subnet(wanted: IpamSubnet) -> Ipam:
    return Ipam(wanted.subnet, wanted.ip_range, wanted.gateway, dict(wanted.auxiliary_addresses or {}))
