"""`corten network connect` and `disconnect`."""

from __future__ import annotations

from corten.cli.container import readers
from corten.cli.flags import number, switch, text, texts
from corten.cli.table import Command, Fault
from corten.cli.values import csv

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from corten.cli.flags import Options
    from corten.cli.session import Session

__all__ = ["CONNECT", "DISCONNECT"]


def _connect(session: Session, options: Options, words: list[str]) -> int:
    network, container = words
    endpoint: dict[str, Any] = {
        "IPAMConfig": {
            "IPv4Address": options.text("ip"),
            "IPv6Address": options.text("ip6"),
            "LinkLocalIPs": options.texts("link-local-ip"),
        },
        "Links": options.texts("link"),
        "Aliases": options.texts("alias"),
        "DriverOpts": _driver_options(options.texts("driver-opt")),
        "GwPriority": options.number("gw-priority"),
    }
    body = {"Container": container, "EndpointConfig": endpoint}
    session.post(f"/networks/{network}/connect", body=body).done()
    return 0


def _driver_options(items: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for item in items:
        key, mark, value = item.partition("=")
        if not mark or not key:
            raise Fault("invalid key/value pair format in driver options")
        found[key.strip().lower()] = value.strip()
    return found


CONNECT = Command(
    "network connect",
    "[OPTIONS] NETWORK CONTAINER",
    "Connect a container to a network",
    _connect,
    least=2,
    most=2,
    completes="network",
    flags=(
        texts("alias", "", "Further name of the container in this network", kind="strings", read=csv),
        texts("driver-opt", "", "Option for the driver", kind="strings", read=csv),
        number("gw-priority", "", "The network with the highest gives the default gateway"),
        text("ip", "", "IPv4 address (172.30.100.104)"),
        text("ip6", "", "IPv6 address (2001:db8::33)"),
        texts("link", "", "Link to another container, NAME[:ALIAS]", read=readers.link),
        texts("link-local-ip", "", "Link-local address of the container", kind="strings", read=csv),
    ),
)


def _disconnect(session: Session, options: Options, words: list[str]) -> int:
    network, container = words
    body = {"Container": container, "Force": options.on("force")}
    session.post(f"/networks/{network}/disconnect", body=body).done()
    return 0


DISCONNECT = Command(
    "network disconnect",
    "[OPTIONS] NETWORK CONTAINER",
    "Disconnect a container from a network",
    _disconnect,
    least=2,
    most=2,
    completes="network",
    flags=(switch("force", "f", "Disconnect it whatever state it is in"),),
)
