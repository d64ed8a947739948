"""The fabric: what networks and sandboxes share. Who is in which network, and how that becomes true on the host.

A network is recorded first and made second, so that after a crash there is a record to make it from and never a
bridge that nobody remembers. Making is lazy and repeatable: the first use in an engine's life looks whether bridge
and firewall table are there.
"""

import errno
import secrets
import threading
import time
from collections.abc import Iterable, Sequence

from corten.kernel import rtnetlink
from corten.kernel.netlink import Message
from corten.model.errors import FailedPrecondition, PermissionDenied
from corten.network import firewall, options
from corten.network.firewall import Forward, Path
from corten.network.host import Host
from corten.network.network import Network, NetworkSpec, design, requested
from corten.network.pools import DEFAULT_POOLS, IPNetwork, Pool
from corten.network.records import Records
from corten.network.sandbox import Sandbox

__all__ = ["Fabric"]

# How often an automatic subnet may be chosen again because another engine took it at the same moment.
SETTLE_TRIES = 5


class Fabric:
    """Records and host of one engine, under one lock. `joined` are the containers whose namespaces are furnished."""

    def __init__(self, records: Records, host: Host, pools: Iterable[Pool] = DEFAULT_POOLS) -> None:
        self.lock = threading.RLock()
        self.records = records
        self.host = host
        self.joined: set[str] = set()
        self._pools = tuple(pools)
        self._raised: set[str] = set()

    def design(self, spec: NetworkSpec) -> Network:
        """Turn a checked request into a network: id, device, subnets. Nothing is made or recorded."""
        id = secrets.token_hex(32)
        network = Network(id=id, spec=spec, created_ns=time.time_ns())
        if spec.driver != "bridge":
            return network
        default = self.host.identity.bridge if spec.name == "bridge" else f"br-{id[:12]}"
        device = spec.options.get(options.BRIDGE_NAME) or default
        for other in self.records.networks.values():
            if other.bridge == device:
                raise PermissionDenied(f"create network {spec.name}: network {other.name} has bridge {device}")
        adopted = device != default and self.host.has_device(device)
        return self._with_subnets(network.on_bridge(device, adopted=adopted))

    def make_way(self, spec: NetworkSpec) -> None:
        """Move the default network when `spec` names addresses that it has, nobody is in it, and nobody chose them.

        Where in the pools it lies follows from the engine's root, which whoever wrote the subnet into a compose file
        cannot know; Docker's lies at 172.17.0.0/16 always.
        """
        wanted = [subnet.network for subnet in requested(spec)]
        for network in self.records.networks.values():
            if network.name == "bridge" and self._can_move(network) and meet(network, wanted):
                self.lowered(network)
                self.records.change_network(self._with_subnets(network, wanted))
                return

    def raised(self, network: Network) -> Network:
        """See that a network's bridge and its place in the firewall exist; the network, perhaps on another subnet."""
        if not network.bridge or network.id in self._raised:
            return network
        settled = self._settle(network)
        self._raised.add(network.id)
        self.firewall(firewall.open_path(self.host.identity.table, path(settled)))
        return settled

    def lowered(self, network: Network) -> None:
        """Take a network's bridge and its place in the firewall away."""
        if network.bridge:
            self.host.remove_bridge(network)
        if network.id in self._raised:
            self._raised.discard(network.id)
            self.firewall(firewall.close_path(self.host.identity.table, path(network)))

    def restore(self) -> None:
        """Make bridges and firewall again for the containers that are joined, whatever has become of them meanwhile."""
        used = {e.network for c in self.joined for e in self.records.sandboxes[c].endpoints}
        for network in self.records.networks.values():
            if network.bridge and network.id in used:
                self.host.furnish_bridge(network)
                self._raised.add(network.id)
        # Where a bridge of ours stands there is a table too, and in it perhaps the ports of those that ended meanwhile.
        if self._sweep() or self._raised:
            self.host.rebuild_firewall(self._whole())

    def reset(self) -> None:
        """Take every trace of this engine's networks off the host."""
        self.host.reset([network for network in self.records.networks.values() if network.bridge])
        self._raised.clear()

    def forwards(self, sandbox: Sandbox) -> list[Forward]:
        return sandbox.forwards(self.records.networks)

    def firewall(self, messages: Sequence[Message]) -> None:
        """Apply a change that the records already show."""
        self.host.firewall(messages, self._whole)

    def _sweep(self) -> bool:
        """Delete devices on our bridges that belong to no container any more; whether there is any bridge."""
        links = rtnetlink.links(self.host.route)
        bridges = {network.bridge for network in self.records.networks.values() if network.bridge}
        ours = {link.ifindex for link in links if link.name in bridges}
        known = {endpoint.port for sandbox in self.records.sandboxes.values() for endpoint in sandbox.endpoints}
        stray = [link.name for link in links if link.master in ours and link.name.startswith("vc")]
        self.host.send([rtnetlink.delete_link(n, accept=(errno.ENODEV,)) for n in stray if n not in known])
        return bool(ours)

    def _with_subnets(self, network: Network, wanted: Iterable[IPNetwork] = ()) -> Network:
        own = {
            other.name: [pool.network for pool in other.pools()]
            for other in self.records.networks.values()
            if other.id != network.id
        }
        occupied = [*self.host.occupied(besides=network.bridge), *wanted]
        return network.with_pools(design(network.spec, occupied, own, self.host.identity, self._pools))

    def _settle(self, network: Network) -> Network:
        """Make a network's bridge. Where we chose its subnet, choose again while somebody else has taken it.

        Two engines that choose at the same moment both see the other's address afterwards, and both choose again.
        """
        automatic = self._can_move(network)
        for _ in range(SETTLE_TRIES):
            if automatic and self._meets_others(network):
                self.host.remove_bridge(network)
                network = self._with_subnets(network)
                self.records.change_network(network)
            self.host.furnish_bridge(network)
            if not (automatic and self._meets_others(network)):
                return network
        raise FailedPrecondition(
            f"make network {network.name}: somebody else takes its subnet again and again",
            hint="choose one yourself: corten network create --subnet 10.20.0.0/24 NAME",
        )

    def _can_move(self, network: Network) -> bool:
        return all(pool.automatic for pool in network.pools()) and not self.records.residents(network.id)

    def _meets_others(self, network: Network) -> bool:
        return meet(network, self.host.occupied(besides=network.bridge))

    def _whole(self) -> list[Message]:
        paths = [path(network) for network in self.records.networks.values() if network.id in self._raised]
        sandboxes = [self.records.sandboxes[container] for container in self.joined]
        return self.host.table(paths, [forward for sandbox in sandboxes for forward in self.forwards(sandbox)])


def meet(network: Network, others: Iterable[IPNetwork]) -> bool:
    """Whether a network shares an address with one of `others`."""
    subnets = [pool.network for pool in network.pools()]
    return any(own.overlaps(other) for other in others for own in subnets if own.version == other.version)


def path(network: Network) -> Path:
    """What the firewall needs to know of a network."""
    subnets = tuple(pool.network for pool in network.pools())
    return Path(network.bridge, subnets, network.spec.internal, network.masquerade, network.meeting)
