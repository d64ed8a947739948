"""Which requests go through a proxy: Go's rules, which Docker's users know (`HTTP_PROXY`, `HTTPS_PROXY`, `NO_PROXY`).

The scheme of the address that is asked chooses the variable; an engine's own settings come before its environment.
Loopback addresses never go through a proxy. NO_PROXY is a list of names (`example.test` with all below it,
`.example.test` only what is below), addresses, networks in CIDR form, each with a port behind it or not, or `*` for
everything.
"""

import base64
import ipaddress
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from corten.model.errors import InvalidArgument, Unimplemented

__all__ = ["DIRECT", "Proxies", "Proxy"]


class Proxy(NamedTuple):
    """An HTTP proxy; `authorization` is the value of ``Proxy-Authorization``, empty without a login."""

    host: str
    port: int
    authorization: str = ""

    def __repr__(self) -> str:
        return f"Proxy({self.host}:{self.port})"

    @classmethod
    def parse(cls, text: str) -> "Proxy":
        """Read ``http://[NAME:PASSWORD@]HOST:PORT``; raises InvalidArgument without showing the password."""
        parts = urlsplit(text if "://" in text else f"http://{text}")
        if parts.scheme != "http":
            raise Unimplemented(
                f"use the proxy at {parts.hostname}: only http:// proxies are built, not {parts.scheme}://"
            )
        try:
            host, port = parts.hostname, parts.port or 80
        except ValueError:
            host, port = None, 0
        if not host:
            raise InvalidArgument("use a proxy: its address is not http://HOST:PORT")
        if parts.username is None:
            return cls(host, port)
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        return cls(host, port, "Basic " + base64.b64encode(login.encode()).decode())


class Proxies(NamedTuple):
    """The proxies of an engine, as written; `exceptions` is NO_PROXY."""

    http: str = ""
    https: str = ""
    exceptions: str = ""

    @classmethod
    def of(cls, environ: Mapping[str, str], http: str = "", https: str = "", exceptions: str = "") -> "Proxies":
        """What is set explicitly, else what the environment says; capitals before small letters."""

        def variable(name: str) -> str:
            return environ.get(name) or environ.get(name.lower(), "")

        return cls(http or variable("HTTP_PROXY"), https or variable("HTTPS_PROXY"), exceptions or variable("NO_PROXY"))

    def at(self, scheme: str, host: str, port: int) -> Proxy | None:
        """The proxy for requests to this server; None to go there directly."""
        chosen = self.https if scheme == "https" else self.http
        if not chosen or is_loopback(host) or any(excepts(one, host, port) for one in self.exceptions.split(",")):
            return None
        return Proxy.parse(chosen)


DIRECT = Proxies()


def is_loopback(host: str) -> bool:
    address = ip_of(host)
    return host == "localhost" or (address is not None and address.is_loopback)


def ip_of(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def network_of(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None


def excepts(pattern: str, host: str, port: int) -> bool:
    """Whether one entry of NO_PROXY means this server."""
    pattern = pattern.strip().lower()
    if pattern in ("", "*"):
        return pattern == "*"
    address = ip_of(host)
    if network := network_of(pattern):
        return address is not None and address in network
    name, colon, wanted = pattern.rpartition(":")
    if colon and wanted.isdecimal():
        if int(wanted) != port:
            return False
        pattern = name
    pattern = pattern.strip("[]").removeprefix("*")
    return host == pattern or host.endswith(pattern if pattern.startswith(".") else f".{pattern}")
