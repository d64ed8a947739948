"""Sandboxes, bridges, address pools, name service, published ports.

    Networks ──► Network (a subnet on a bridge device)          corten network create backend
        │
        └──► Sandbox (one container's network) ──► Endpoint (its place in one network: device, addresses, names)
                  └──► PublishedPort (host address and port that lead to it)

A container is connected in three steps. `reserve` takes its addresses and host ports in one database transaction, so
that /etc/hosts can be written and a conflict is an error before anything runs. `join` gets the new namespace's handle
and sockets that live inside it, and makes veth pairs, addresses, routes and firewall elements in a handful of netlink
messages. `release` forgets all of it when the container has ended; the kernel takes the devices away with the
namespace.

The engine enters no namespace and starts no `ip`, `iptables` or `nft`. Packets to published ports never pass Python:
nftables maps send them on, from outside, from the host itself by 127.0.0.1, and from other containers. Names of
containers are answered at 127.0.0.11 inside every sandbox of a user-defined network.

Start reading at `networks`, then `sandboxes` (the life cycle), `fabric` and `host` (what is made), `firewall` (the
rules).

>>> networks = Networks(db, Identity.of("/var/lib/corten"), state_dir)
>>> networks.create(NetworkSpec(name="backend", ipam=(Ipam(subnet="10.20.0.0/24"),)))
"""

from corten.network.endpoint import EndpointRequest
from corten.network.identity import Identity
from corten.network.network import Ipam, Network, NetworkSpec
from corten.network.networks import Networks
from corten.network.ports import PortRequest
from corten.network.sandbox import SandboxRequest
from corten.network.sandboxes import Files, Reservation

__all__ = [
    "EndpointRequest",
    "Files",
    "Identity",
    "Ipam",
    "Network",
    "NetworkSpec",
    "Networks",
    "PortRequest",
    "Reservation",
    "SandboxRequest",
]
