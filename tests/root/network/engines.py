"""An engine's networks for tests, over a real database, and containers in them."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from corten.metadata import Database
from corten.network import EndpointRequest, Identity, Networks, PortRequest, Reservation, SandboxRequest
from tests.root.network.namespaces import Container

RESOLV_CONF = "nameserver 10.99.0.2\nsearch example.org\n"


class Box(Container):
    """A container with its id, in the networks it was started in."""

    def __init__(self, networks: Networks, id: str) -> None:
        super().__init__()
        self.networks = networks
        self.id = id

    def address(self, network: str = "bridge", key: str = "IPAddress") -> str:
        return str(self.networks.endpoints(self.id)[network][key])

    def port(self, name: str = "80/tcp") -> int:
        return int(self.networks.ports(self.id)[name][0]["HostPort"])


class Engine:
    """Networks over a directory; `restart` is what a kill -9 and the next start do to it."""

    def __init__(self, root: Path, identity: str = "/var/lib/corten") -> None:
        root.mkdir(exist_ok=True)
        (root / "resolv.conf").write_text(RESOLV_CONF)
        self.root, self.identity = root, Identity.of(identity)
        self.boxes: list[Box] = []
        self.start()

    def start(self) -> None:
        self.db = Database(self.root / "corten.db")
        self.networks = Networks(self.db, self.identity, self.root, resolv_conf=self.root / "resolv.conf")
        for box in self.boxes:
            box.networks = self.networks

    def reserve(self, *networks: str, ports: tuple[PortRequest, ...] = (), **request: Any) -> Reservation:
        endpoints = request.pop("endpoints", None) or [EndpointRequest(network=name) for name in networks]
        id = request.pop("id", None) or secrets.token_hex(32)
        name = request.pop("name", f"box-{id[:6]}")
        asked = SandboxRequest(container_id=id, name=name, endpoints=endpoints, ports=ports, **request)
        return self.networks.reserve(asked)

    def run(self, *networks: str, **request: Any) -> Box:
        """Start a container as the engine does: reserve, make the namespace, join."""
        reservation = self.reserve(*networks, **request)
        box = Box(self.networks, reservation.sandbox.container)
        self.boxes.append(box)
        join = box.join()
        try:
            self.networks.join(box.id, join)
        finally:
            join.close()
        box.sockets = reservation.sockets  # type: ignore[attr-defined]
        return box

    def stop(self, box: Box) -> None:
        """End a container: its monitor lets go of the ports, the engine releases the rest."""
        for sock in box.sockets:  # type: ignore[attr-defined]
            sock.close()
        box.end()
        self.networks.release(box.id)
        self.boxes.remove(box)

    def restart(self) -> None:
        """Forget everything but the files; the containers run on."""
        self.networks.close()
        self.db.close()
        self.start()

    def close(self) -> None:
        for box in list(self.boxes):
            self.stop(box)
        self.networks.reset()
        self.networks.close()
        self.db.close()


@contextmanager
def engine(root: Path, identity: str = "/var/lib/corten") -> Iterator[Engine]:
    made = Engine(root, identity)
    try:
        yield made
    finally:
        made.close()
