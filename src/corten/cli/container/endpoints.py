"""How a container joins its networks: `--network` in its short and long forms, and the older flags beside it."""

from __future__ import annotations

from corten.cli.table import Fault

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from corten.cli.flags import Options

__all__ = ["endpoints", "network_mode"]

_BUILT_IN = ("default", "bridge", "host", "none")
# An older flag, the key of the long form that says the same, and what the message calls the latter.
_RIVALS = (
    ("network-alias", "aliases", "alias"),
    ("link", "links", "links"),
    ("ip", "ip", "IPv4 address"),
    ("ip6", "ip6", "IPv6 address"),
    ("mac-address", "mac-address", "MAC address"),
    ("link-local-ip", "local", "link-local IP addresses"),
)


def network_mode(options: Options) -> str:
    """The first network named; `default` when there is none."""
    attachments = options.value("network")
    return str(attachments[0]["target"]) if attachments else "default"


def endpoints(options: Options) -> dict[str, Any]:
    """The API's EndpointsConfig: what each network is to know about this container."""
    attachments = [dict(attachment) for attachment in options.value("network")]
    alone = len(attachments) == 1
    first = attachments[0] if attachments else _attachment("default")
    _take_older_flags(first, options)
    found: dict[str, Any] = {}
    for number, attachment in enumerate(attachments or [first]):
        endpoint = _endpoint(attachment)
        if attachment["target"] in found:
            raise Fault(f'network "{attachment["target"]}" is specified multiple times')
        if attachments and number == 0 and alone and not endpoint:
            continue
        found[attachment["target"]] = endpoint
    own = {_is_own(attachment["target"]) for attachment in attachments}
    if len(own) == 2:
        raise Fault("conflicting options: cannot attach both user-defined and non-user-defined network-modes")
    return {name: _whole(endpoint) for name, endpoint in found.items()}


def _attachment(target: str) -> dict[str, Any]:
    return {"target": target, "aliases": [], "links": [], "driver": {}, "local": [], "priority": 0}


def _take_older_flags(attachment: dict[str, Any], options: Options) -> None:
    """`--network-alias`, `--ip` and their like speak about the first network."""
    for flag, key, title in _RIVALS:
        given = options.value(flag)
        if not given:
            continue
        if attachment.get(key):
            raise Fault(f"conflicting options: cannot specify both --{flag} and per-network {title}")
        if flag != "link" or _is_own(attachment["target"]):
            attachment[key] = given


def _endpoint(attachment: dict[str, Any]) -> dict[str, Any]:
    if not attachment["target"].strip():
        raise Fault("no name set for network")
    if not _is_own(attachment["target"]):
        if attachment["aliases"]:
            raise Fault("network-scoped aliases are only supported for user-defined networks")
        if attachment["links"]:
            raise Fault("links are only supported for user-defined networks")
    endpoint: dict[str, Any] = {}
    for key, name in (("aliases", "Aliases"), ("driver", "DriverOpts"), ("links", "Links"), ("priority", "GwPriority")):
        if attachment[key]:
            endpoint[name] = attachment[key]
    addresses = {
        name: attachment[key]
        for key, name in (("ip", "IPv4Address"), ("ip6", "IPv6Address"), ("local", "LinkLocalIPs"))
        if attachment.get(key)
    }
    if addresses:
        endpoint["IPAMConfig"] = addresses
    if mac := attachment.get("mac-address"):
        endpoint["MacAddress"] = _mac(mac)
    return endpoint


def _mac(text: str) -> str:
    parts = text.strip().replace("-", ":").split(":")
    if len(parts) != 6 or any(len(part) != 2 or part.strip("0123456789abcdefABCDEF") for part in parts):
        raise Fault(f"{text} is not a valid mac address")
    return text.strip()


def _is_own(target: str) -> bool:
    """Whether users made the network: neither built in nor another container's."""
    return target not in _BUILT_IN and not target.startswith("container:")


def _whole(endpoint: dict[str, Any]) -> dict[str, Any]:
    """With the fields that Docker's command sends empty."""
    return {"IPAMConfig": None, "Links": None, "Aliases": None, "DriverOpts": None, "MacAddress": "", **endpoint}
