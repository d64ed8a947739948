"""Networks: make, find, list and remove them. This is the package's door.

Order of a container's start, all calls blocking and thread-safe:

    reservation = networks.reserve(SandboxRequest(…))     addresses and host ports, in one transaction
    networks.join(container, network_join)                 when the launcher has made the namespace
    networks.release(container)                            after its exit, or when its launch failed
"""

from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from corten.metadata import Database
from corten.model.errors import AlreadyExists, InvalidArgument, NotFound, PermissionDenied
from corten.model.event import Event
from corten.network.fabric import Fabric
from corten.network.host import Host
from corten.network.identity import Identity
from corten.network.inspection import network_resource
from corten.network.network import PREDEFINED, Network, NetworkSpec, check
from corten.network.pools import DEFAULT_POOLS, Pool
from corten.network.records import Records
from corten.network.sandboxes import Sandboxes
from corten.wire.filters import Filters

__all__ = ["Networks"]

DRIVERS = {"bridge": "bridge", "host": "host", "none": "null"}
Names = list[str]
FILTERS = ("dangling", "driver", "id", "label", "label!", "name", "scope", "type")


class Networks:
    """The networks of one engine, kept in its database, and the sandboxes of the containers in them.

    :param state_dir: the engine's directory for small records
    :param program: path of the static program, for its applet `@netns`; found by itself where it is installed
    :param resolv_conf: the host's resolver configuration, read whenever a container starts
    :param pools: where networks without a subnet get theirs
    """

    def __init__(
        self,
        db: Database,
        identity: Identity,
        state_dir: Path,
        *,
        program: str = "",
        resolv_conf: Path | None = None,
        pools: Iterable[Pool] = DEFAULT_POOLS,
    ) -> None:
        self._records = Records(db)
        self._fabric = Fabric(self._records, Host(identity, state_dir), pools)
        self._predefine()
        sandboxes = Sandboxes(self._fabric, self.get, program_path=program, resolv_conf=resolv_conf)
        self.reserve, self.join, self.release = sandboxes.reserve, sandboxes.join, sandboxes.release
        self.connect, self.disconnect, self.rename = sandboxes.connect, sandboxes.disconnect, sandboxes.rename
        self.unlink = sandboxes.unlink
        self.endpoints, self.ports, self.restore = sandboxes.endpoints, sandboxes.ports, sandboxes.restore
        self.files = sandboxes.files
        self.obstacles = self._fabric.host.obstacles
        self._sandboxes = sandboxes

    def create(self, spec: NetworkSpec) -> Network:
        """Make a network.

        :raises AlreadyExists: there is one of that name
        :raises InvalidArgument, PermissionDenied, NotFound, Unimplemented, ResourceExhausted: with Docker's texts
        """
        if spec.name in (*PREDEFINED, "default"):
            raise PermissionDenied(f"operation is not permitted on predefined {spec.name} network")
        check(spec)
        with self._fabric.lock:
            if any(network.name == spec.name for network in self._records.networks.values()):
                raise AlreadyExists(f"network with name {spec.name} already exists")
            self._fabric.make_way(spec)
            network = self._fabric.design(spec)
            with ExitStack() as undo:
                self._records.add_networks([network], [event(network, "create")])
                undo.callback(lambda: self._records.remove_network(network, event(network, "destroy")))
                undo.callback(self._fabric.host.remove_bridge, network)
                made = self._fabric.raised(network)
                undo.pop_all()
            return made

    def get(self, ref: str) -> Network:
        """Find a network by its name, its id, or a beginning of its id that only it has.

        :raises NotFound: there is none
        :raises InvalidArgument: the beginning fits several
        """
        networks = self._records.networks
        if ref in networks:
            return networks[ref]
        for network in list(networks.values()):
            if network.name == ref:
                return network
        found = [network for id, network in list(networks.items()) if ref and id.startswith(ref)]
        if len(found) > 1:
            raise InvalidArgument(f"network {ref} is ambiguous ({len(found)} matches found based on ID prefix)")
        if not found:
            raise NotFound(f"network {ref} not found", hint="list them with: corten network ls")
        return found[0]

    def list(self, filters: Filters | None = None) -> list[Network]:
        """The networks that `filters` (dangling, driver, id, label, name, scope, type) let through, by name."""
        wished = (filters or Filters({})).only(FILTERS)
        found = [network for network in list(self._records.networks.values()) if self._passes(network, wished)]
        return sorted(found, key=lambda network: network.name)

    def inspect(self, ref: str) -> dict[str, Any]:
        """A network in the shape of `GET /networks/{id}`."""
        network = self.get(ref)
        return network_resource(network, self._records.residents(network.id))

    def remove(self, ref: str) -> Network:
        """Remove a network that no running container is in.

        :raises PermissionDenied: it is predefined or in use (Docker answers 403)
        """
        with self._fabric.lock:
            network = self.get(ref)
            if network.predefined:
                raise PermissionDenied(f"{network.name} is a pre-defined network and cannot be removed")
            if residents := self._records.residents(network.id):
                names = ", ".join(sandbox.request.name for sandbox, _ in residents)
                raise PermissionDenied(
                    f"error while removing network: network {network.name} id {network.id} has active endpoints",
                    hint=f"stop or disconnect: {names}",
                )
            self._fabric.lowered(network)
            self._records.remove_network(network, event(network, "destroy"))
            return network

    def prune(self, filters: Filters | None = None, *, before_ns: int | None = None, used: Iterable[str] = ()) -> Names:
        """Remove the networks that nobody is in; returns their names.

        :param filters: label and label!; the caller reads until into `before_ns`
        :param before_ns: only those made before that time
        :param used: names or ids that stopped containers still name
        """
        wished = (filters or Filters({})).only(("label", "label!", "until"))
        keep = set(used)
        with self._fabric.lock:
            idle = [
                network
                for network in list(self._records.networks.values())
                if not network.predefined
                and not keep & {network.id, network.name}
                and wished.labels(network.spec.labels)
                and (before_ns is None or network.created_ns < before_ns)
                and not self._records.residents(network.id)
            ]
            return [self.remove(network.id).name for network in idle]

    def reset(self) -> None:
        """Take away every trace of this engine's networks from the host; the records go with the engine's root."""
        self._sandboxes.close()
        with self._fabric.lock:
            self._fabric.reset()

    def close(self) -> None:
        """Let go of sockets and threads; running containers keep their networks, but for the name service."""
        self._sandboxes.close()
        self._fabric.host.close()

    def _predefine(self) -> None:
        known = {network.name for network in self._records.networks.values()}
        specs = [NetworkSpec(name=name, driver=driver) for name, driver in DRIVERS.items() if name not in known]
        if specs:
            self._records.add_networks([self._fabric.design(spec) for spec in specs], ())

    def _passes(self, network: Network, filters: Filters) -> bool:
        ids, names = filters.values("id"), filters.values("name")
        return (
            filters.accepts("driver", network.spec.driver)
            and filters.accepts("scope", "local")
            and filters.accepts("type", "builtin" if network.predefined else "custom")
            and (not ids or any(network.id.startswith(part) for part in ids))
            and (not names or any(part in network.name for part in names))
            and filters.labels(network.spec.labels)
            and self._dangles(network, filters)
        )

    def _dangles(self, network: Network, filters: Filters) -> bool:
        if "dangling" not in filters:
            return True
        idle = not network.predefined and not self._records.residents(network.id)
        return idle == filters.flag("dangling", False)


def event(network: Network, action: str, **attributes: str) -> Event:
    """What Docker tells about a network: its name, its driver and who it was about."""
    return Event("network", action, network.id, {"name": network.name, "type": network.spec.driver} | attributes)
