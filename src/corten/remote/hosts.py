"""Which addresses serve a registry's domain.

Docker Hub is known as ``docker.io`` and serves at ``registry-1.docker.io`` (Docker's own rule). A mirror is asked
before Docker Hub and never gets its credentials. Plain HTTP is spoken only to loopback addresses and to hosts that the
operator named as insecure, and only after TLS was tried there.
"""

import ipaddress
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import urlsplit

from corten.model.errors import InvalidArgument
from corten.model.reference import DEFAULT_DOMAIN

__all__ = ["HUB_ADDRESS", "Host", "HostRules"]

HUB_ADDRESS = "registry-1.docker.io"


class Host(NamedTuple):
    """One place to ask: `address` is ``host[:port]``; `insecure` allows plain HTTP and unverified TLS."""

    address: str
    insecure: bool = False
    mirror: bool = False


class HostRules(NamedTuple):
    """The operator's settings: `insecure` holds hosts and CIDR ranges, `mirrors` addresses to ask before Docker Hub."""

    insecure: tuple[str, ...] = ("127.0.0.0/8", "::1/128")
    mirrors: tuple[str, ...] = ()

    def hosts(self, domain: str) -> Iterator[Host]:
        """Where to look for a repository of `domain`, in order; pushes go to the last, which is no mirror."""
        if domain == DEFAULT_DOMAIN:
            for mirror in self.mirrors:
                parts = urlsplit(mirror if "://" in mirror else f"https://{mirror}")
                if parts.scheme not in ("http", "https") or not parts.netloc:
                    raise InvalidArgument(f"read the mirror {mirror}: it is not an http(s) address")
                yield Host(parts.netloc, parts.scheme == "http" or self.is_insecure(parts.netloc), mirror=True)
        address = HUB_ADDRESS if domain == DEFAULT_DOMAIN else domain
        yield Host(address, self.is_insecure(address))

    def is_insecure(self, address: str) -> bool:
        host = hostname(address)
        if address in self.insecure or host in self.insecure or host == "localhost":
            return True
        try:
            ip = ipaddress.ip_address(host)
        except ValueError:
            return False
        return any(ip in network for network in networks(self.insecure))


def networks(entries: tuple[str, ...]) -> Iterator[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    for entry in entries:
        try:
            yield ipaddress.ip_network(entry)
        except ValueError:
            continue


def hostname(address: str) -> str:
    """The host of ``host[:port]``, an IPv6 address without its brackets."""
    return urlsplit(f"//{address}").hostname or ""
