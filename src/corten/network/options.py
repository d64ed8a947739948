"""The options of networks and endpoints that mean something: one table each, name to the check of its value.

What a table does not know is kept and shown but has no effect, as with Docker, whose options belong to drivers.
"""

import re
from collections.abc import Callable, Mapping
from ipaddress import ip_address

from corten.model.errors import InvalidArgument, Unimplemented

__all__ = ["ENDPOINT", "NETWORK", "check", "truth"]

BRIDGE = "com.docker.network.bridge."
BRIDGE_NAME = BRIDGE + "name"
ICC = BRIDGE + "enable_icc"
MASQUERADE = BRIDGE + "enable_ip_masquerade"
HOST_BINDING = BRIDGE + "host_binding_ipv4"
MTU = "com.docker.network.driver.mtu"
PREFIX = "com.docker.network.container_iface_prefix"
IFNAME = "com.docker.network.endpoint.ifname"

Check = Callable[[str, str], object]

DEVICE = re.compile(r"[^/\s:%]{1,15}\Z")


def truth(value: str, name: str = "network option") -> bool:
    """Read a boolean as Go's strconv.ParseBool does.

    :raises InvalidArgument: for anything else
    """
    if value in ("1", "t", "T", "true", "TRUE", "True"):
        return True
    if value in ("0", "f", "F", "false", "FALSE", "False"):
        return False
    raise InvalidArgument(f'{name}: "{value}" is not a boolean', hint='write "true" or "false"')


def _boolean(name: str, value: str) -> None:
    truth(value, name)


def _device(name: str, value: str) -> None:
    if not DEVICE.match(value) or value in (".", "..", "lo"):
        raise InvalidArgument(f'{name}: "{value}" is no device name', hint="1 to 15 characters, no slash or space")


def _prefix(name: str, value: str) -> None:
    _device(name, value + "0")


def _mtu(name: str, value: str) -> None:
    if value and not (value.isascii() and value.isdigit() and (int(value) == 0 or 68 <= int(value) <= 65535)):
        raise InvalidArgument(f'{name}: "{value}" is no MTU', hint="a number from 68 to 65535")


def _address(name: str, value: str) -> None:
    try:
        ip_address(value or "0.0.0.0")
    except ValueError:
        raise InvalidArgument(f'{name}: "{value}" is no IP address') from None


def _only(*accepted: str) -> Check:
    def check(name: str, value: str) -> None:
        if value not in accepted:
            raise Unimplemented(f"{name}={value} is not built yet", hint="leave it out")

    return check


NETWORK: Mapping[str, Check] = {
    BRIDGE_NAME: _device,
    ICC: _boolean,
    MASQUERADE: _boolean,
    HOST_BINDING: _address,
    BRIDGE + "default_bridge": _only("false"),
    BRIDGE + "gateway_mode_ipv4": _only("", "nat"),
    BRIDGE + "gateway_mode_ipv6": _only("", "nat"),
    BRIDGE + "inhibit_ipv4": _only("", "false"),
    BRIDGE + "trusted_host_interfaces": _only(""),
    MTU: _mtu,
    PREFIX: _prefix,
}

ENDPOINT: Mapping[str, Check] = {
    IFNAME: _device,
    "com.docker.network.endpoint.sysctls": _only(""),
}


def check(known: Mapping[str, Check], options: Mapping[str, str]) -> None:
    """Refuse a value that an option of the table cannot have.

    :raises InvalidArgument, Unimplemented: naming the option
    """
    for name, value in options.items():
        if name in known:
            known[name](name, value)
