"""A sandbox: everything about one container's network, from its reservation to its release.

    reserve ──► reserved ──join──► joined ──release──► gone

Reserving takes addresses and host ports in one transaction, so that /etc/hosts can be written and a conflict is an
error before anything runs; joining makes them real inside the new namespace.
"""

from collections.abc import Mapping, Sequence

import msgspec

from corten.network.endpoint import Endpoint, EndpointRequest, gateway
from corten.network.firewall import Forward
from corten.network.network import Network
from corten.network.ports import PortRequest, PublishedPort

__all__ = ["Sandbox", "SandboxRequest"]


class SandboxRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What a container wants of the network (`docker run`'s flags).

    `mode` is Docker's NetworkMode and counts where no endpoint is named; `ports` are published on the host; `dns…`
    and `extra_hosts` (`name:address`) go into resolv.conf and hosts; `links` (`container:alias`) are those of the
    default bridge.
    """

    container_id: str
    name: str
    hostname: str = ""
    domainname: str = ""
    mode: str = "default"
    endpoints: Sequence[EndpointRequest] = ()
    ports: Sequence[PortRequest] = ()
    dns: Sequence[str] = ()
    dns_search: Sequence[str] = ()
    dns_options: Sequence[str] = ()
    extra_hosts: Sequence[str] = ()
    links: Sequence[str] = ()

    def wanted(self) -> Sequence[EndpointRequest]:
        """The endpoints asked for: those that are named, else the one network of `mode`."""
        return self.endpoints or (EndpointRequest(network="bridge" if self.mode in ("", "default") else self.mode),)


class Sandbox(msgspec.Struct, frozen=True, kw_only=True):
    """A container's network.

    `namespace` is `new` for a namespace of its own or `host`.
    """

    id: str
    request: SandboxRequest
    endpoints: tuple[Endpoint, ...] = ()
    ports: tuple[PublishedPort, ...] = ()
    namespace: str = "new"

    @property
    def container(self) -> str:
        return self.request.container_id

    def endpoint(self, network: str) -> Endpoint | None:
        """Its endpoint in the network with that id."""
        return next((endpoint for endpoint in self.endpoints if endpoint.network == network), None)

    def gateway(self, networks: Mapping[str, Network], version: int) -> tuple[Endpoint, Network] | None:
        return gateway([(endpoint, networks[endpoint.network]) for endpoint in self.endpoints], version)

    def forwards(self, networks: Mapping[str, Network]) -> list[Forward]:
        """What the firewall must send on to this container."""
        found = []
        for port in self.ports:
            way = self.gateway(networks, port.version)
            address = way[0].address(port.version) if way else None
            if address:
                found.append(Forward(port.protocol, port.exact_ip, port.host_port, address, port.port))
        return found
