"""The three files a container's resolver reads, made by pure functions: /etc/hosts, /etc/resolv.conf, /etc/hostname.

`resolv.conf(5)` and `hosts(5)` give the formats; what goes in follows Docker.
"""

from collections.abc import Iterable, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

from corten.model.errors import InvalidArgument

__all__ = [
    "SERVICE",
    "HostResolver",
    "Resolver",
    "check_servers",
    "extra_host",
    "host_hosts",
    "hostname",
    "hosts",
    "link",
    "reachable",
    "read_resolver",
    "resolver_for",
]

# Where the engine's name service listens inside each sandbox.
SERVICE = "127.0.0.11"

HOSTS = Path("/etc/hosts")
RESOLV_CONF = Path("/etc/resolv.conf")
# systemd-resolved's own list of servers, for hosts whose resolv.conf only names its stub.
SYSTEMD_RESOLV_CONF = Path("/run/systemd/resolve/resolv.conf")
STUB = "127.0.0.53"
WHITE_SPACE = frozenset(" \t\r\n")

LOCAL_HOSTS = (
    "127.0.0.1\tlocalhost",
    "::1\tlocalhost ip6-localhost ip6-loopback",
    "fe00::0\tip6-localnet",
    "ff00::0\tip6-mcastprefix",
    "ff02::1\tip6-allnodes",
    "ff02::2\tip6-allrouters",
)


class Resolver(NamedTuple):
    """The contents of a resolv.conf."""

    servers: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    options: tuple[str, ...] = ()

    def render(self) -> bytes:
        lines = [f"nameserver {server}" for server in self.servers]
        if self.search:
            lines.append("search " + " ".join(self.search))
        if self.options:
            lines.append("options " + " ".join(self.options))
        return "".join(line + "\n" for line in lines).encode()


def read_resolver(text: str) -> Resolver:
    """Parse a resolv.conf; unknown words and malformed addresses are passed over, as the C library does."""
    servers: list[str] = []
    search: tuple[str, ...] = ()
    options: list[str] = []
    for line in text.splitlines():
        words = line.split("#")[0].split(";")[0].split()
        match words:
            case ["nameserver", address, *_] if _is_address(address):
                servers.append(address)
            case ["search" | "domain", *names] if names:
                search = tuple(names)
            case ["options", *given]:
                options += given
    return Resolver(tuple(servers), search, tuple(options))


def resolver_for(
    host: Resolver,
    *,
    dns: Sequence[str] = (),
    search: Sequence[str] = (),
    options: Sequence[str] = (),
    service: bool,
    own_loopback: bool = False,
) -> Resolver:
    """What a container's resolv.conf says.

    :param dns, search, options: the user's `--dns`, `--dns-search` (`.` for none) and `--dns-option`
    :param service: the container has our name service
    :param own_loopback: it shares the host's loopback, so that the host's stub servers are reachable
    """
    wanted = tuple(name for name in search if name != ".") if search else host.search
    chosen = tuple(options) or host.options
    if service:
        given = chosen if any(option.startswith("ndots:") for option in chosen) else (*chosen, "ndots:0")
        return Resolver((SERVICE,), wanted, given)
    servers = tuple(dns) or tuple(s for s in host.servers if own_loopback or not _is_loopback(s))
    return Resolver(servers, wanted, chosen)


def reachable(host: Resolver) -> bool:
    """Whether a container could ask any of the host's servers itself."""
    return any(not _is_loopback(server) for server in host.servers)


class HostResolver:
    """The host's resolver configuration, read again when its file has changed.

    :param path: a file to read in place of /etc/resolv.conf
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._seen: tuple[int, int] | None = None
        self._resolver = Resolver()

    def read(self) -> Resolver:
        """What the file says, looking behind the stub of systemd-resolved."""
        path = self._path or RESOLV_CONF
        try:
            status = path.stat()
        except OSError:
            return Resolver()
        if self._seen != (status.st_ino, status.st_mtime_ns):
            self._resolver = read_resolver(read(path))
            if not self._path and self._resolver.servers == (STUB,):
                behind = read_resolver(read(SYSTEMD_RESOLV_CONF))
                self._resolver = behind if behind.servers else self._resolver
            self._seen = status.st_ino, status.st_mtime_ns
        return self._resolver


def read(path: Path) -> str:
    """A file's text; empty where there is none."""
    try:
        return path.read_text(errors="replace")
    except FileNotFoundError:
        return ""


def hosts(names: Sequence[str], addresses: Iterable[str], extra: Iterable[tuple[str, str]]) -> bytes:
    """Write /etc/hosts.

    :param names: the container's own, the full one first
    :param addresses: its addresses
    :param extra: (name, address) pairs of `--add-host` and links
    """
    lines = [*LOCAL_HOSTS, *(f"{address}\t{name}" for name, address in extra)]
    lines += [f"{address}\t{' '.join(names)}" for address in addresses]
    return "".join(line + "\n" for line in lines).encode()


def host_hosts(text: str, extra: Iterable[tuple[str, str]]) -> bytes:
    """The host's own /etc/hosts with more names, for a container that shares its network."""
    lines = [text if not text or text.endswith("\n") else text + "\n"]
    return "".join(lines + [f"{address}\t{name}\n" for name, address in extra]).encode()


def extra_host(entry: str, gateway: str) -> tuple[str, str]:
    """Read one `--add-host`, `NAME:ADDRESS` or `NAME=ADDRESS`, where the address `host-gateway` means `gateway`.

    :raises InvalidArgument: it has another form
    """
    name, separator, address = entry.partition("=" if "=" in entry else ":")
    address = gateway if address == "host-gateway" else address.strip("[]")
    if not separator or not name or set(name) & WHITE_SPACE or not _is_address(address):
        raise InvalidArgument(f"bad format for add-host: {entry!r}", hint="write NAME:ADDRESS")
    return name, address


def link(text: str) -> tuple[str, str]:
    """Read one `--link`, `CONTAINER:ALIAS` or `CONTAINER`, as (alias, container)."""
    target, _, alias = text.lstrip("/").partition(":")
    return alias.rpartition("/")[2] or target, target


def check_servers(dns: Iterable[str]) -> None:
    """
    :raises InvalidArgument: one is not an address, which a resolver could not use
    """
    for server in dns:
        if not _is_address(server):
            raise InvalidArgument(f"{server} is not an ip address", hint="--dns takes the address of a name server")


def hostname(name: str) -> bytes:
    return name.encode() + b"\n"


def _is_address(text: str) -> bool:
    try:
        ip_address(text.partition("%")[0])
    except ValueError:
        return False
    return True


def _is_loopback(server: str) -> bool:
    return ip_address(server.partition("%")[0]).is_loopback
