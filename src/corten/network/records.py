"""Networks, sandboxes, endpoints and published ports in the database, and their image in memory.

The database is what survives; it is read once, when the engine starts. Its unique indexes are the last word on who has
an address or a port. `durable=False` is right for containers (a power cut ends them anyway), not for networks.
"""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address

import msgspec

from corten.metadata import Database
from corten.model.event import Event
from corten.network.endpoint import Endpoint
from corten.network.network import Network
from corten.network.ports import PublishedPort
from corten.network.sandbox import Sandbox

__all__ = ["Records"]

IPAddress = IPv4Address | IPv6Address


class Records:
    """What networks there are and who is in them. Callers hold the lock of `Networks` around changes."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self.networks: dict[str, Network] = {}
        self.sandboxes: dict[str, Sandbox] = {}
        self._addresses: dict[str, set[IPAddress]] = {}
        with db.read() as rows:
            for (document,) in rows.execute("SELECT document FROM networks ORDER BY created_ns"):
                network = msgspec.json.decode(document, type=Network)
                self.networks[network.id] = network
            for (document,) in rows.execute("SELECT document FROM sandboxes"):
                sandbox = msgspec.json.decode(document, type=Sandbox)
                self._enter(sandbox)

    def add_networks(self, networks: Iterable[Network], events: Iterable[Event]) -> None:
        added = list(networks)
        with self._db.write() as tx:
            for network in added:
                row = (network.id, network.name, network.created_ns, _encode(network))
                tx.execute("INSERT INTO networks (id, name, created_ns, document) VALUES (?, ?, ?, ?)", row)
            for event in events:
                tx.emit(event)
        self.networks |= {network.id: network for network in added}

    def change_network(self, network: Network) -> None:
        with self._db.write() as tx:
            tx.execute("UPDATE networks SET document = ? WHERE id = ?", (_encode(network), network.id))
        self.networks[network.id] = network

    def remove_network(self, network: Network, event: Event) -> None:
        with self._db.write() as tx:
            tx.execute("DELETE FROM networks WHERE id = ?", (network.id,))
            tx.emit(event)
        del self.networks[network.id]

    def put_sandbox(self, sandbox: Sandbox, events: Iterable[Event] = ()) -> None:
        """Store a sandbox in place of what there was of its container."""
        with self._db.write(durable=False) as tx:
            tx.execute("DELETE FROM sandboxes WHERE container = ?", (sandbox.container,))
            tx.execute(
                "INSERT INTO sandboxes (container, document) VALUES (?, ?)", (sandbox.container, _encode(sandbox))
            )
            tx.executemany(
                "INSERT INTO endpoints (id, container, network, ipv4, ipv6) VALUES (?, ?, ?, ?, ?)",
                [(e.id, e.container, e.network, e.ipv4 or None, e.ipv6 or None) for e in sandbox.endpoints],
            )
            tx.executemany(
                "INSERT INTO ports (container, protocol, host_ip, host_port) VALUES (?, ?, ?, ?)",
                [(sandbox.container, port.protocol, port.host_ip, port.host_port) for port in sandbox.ports],
            )
            for event in events:
                tx.emit(event)
        self._leave(sandbox.container)
        self._enter(sandbox)

    def remove_sandbox(self, container: str, events: Iterable[Event] = ()) -> None:
        with self._db.write(durable=False) as tx:
            tx.execute("DELETE FROM sandboxes WHERE container = ?", (container,))
            for event in events:
                tx.emit(event)
        self._leave(container)

    def taken(self, network: str) -> set[IPAddress]:
        """The addresses that a network's endpoints have."""
        return self._addresses.get(network, set())

    def residents(self, network: str) -> list[tuple[Sandbox, Endpoint]]:
        """The containers in a network."""
        found = ((sandbox, sandbox.endpoint(network)) for sandbox in list(self.sandboxes.values()))
        return [(sandbox, endpoint) for sandbox, endpoint in found if endpoint]

    def ports(self) -> list[PublishedPort]:
        return [port for sandbox in self.sandboxes.values() for port in sandbox.ports]

    def _enter(self, sandbox: Sandbox) -> None:
        self.sandboxes[sandbox.container] = sandbox
        for endpoint in sandbox.endpoints:
            self._addresses.setdefault(endpoint.network, set()).update(i.ip for i in endpoint.interfaces)

    def _leave(self, container: str) -> None:
        gone = self.sandboxes.pop(container, None)
        for endpoint in gone.endpoints if gone else ():
            self._addresses[endpoint.network].difference_update(i.ip for i in endpoint.interfaces)


def _encode(document: msgspec.Struct) -> str:
    return msgspec.json.encode(document).decode()
