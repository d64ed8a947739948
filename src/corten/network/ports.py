"""Published ports: which host port leads to which container port, and the sockets that hold them.

A published port is served by the firewall, not by a process. Still a socket is bound for each, which the container's
monitor keeps for as long as the container runs: so a second bind anywhere on the host fails as it should, and ours
fails when the port is somebody else's.
"""

import errno
import os
import socket
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import ExitStack
from ipaddress import IPv4Address, IPv6Address, ip_address

import msgspec

from corten.model.errors import Internal, InvalidArgument, ResourceExhausted, Unimplemented

__all__ = ["PortRequest", "PublishedPort", "bind", "port_map"]

IPAddress = IPv4Address | IPv6Address

ANY = {4: "0.0.0.0", 6: "::"}
FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}
IPPROTO_SCTP = 132
# A monitor that has just been told to end may still hold its ports for a moment.
HAND_OVER_SECONDS = 0.2


class PortRequest(msgspec.Struct, frozen=True):
    """Publish container `port`. `host_port` is a number, a range `a-b` to choose from, or empty for any free one."""

    port: int
    protocol: str = "tcp"
    host_ip: str = ""
    host_port: str = ""


class PublishedPort(msgspec.Struct, frozen=True, kw_only=True):
    """A port that is taken. `host_ip` is an address, 0.0.0.0 or ::."""

    port: int
    protocol: str
    host_ip: str
    host_port: int

    @property
    def version(self) -> int:
        return 6 if ":" in self.host_ip else 4

    @property
    def exact_ip(self) -> IPAddress | None:
        """The one host address it is published on, or None for all of its version."""
        return None if self.host_ip in ANY.values() else ip_address(self.host_ip)

    def meets(self, other: "PublishedPort") -> bool:
        """Whether the two cannot both exist."""
        if (self.protocol, self.host_port, self.version) != (other.protocol, other.host_port, other.version):
            return False
        return self.host_ip == other.host_ip or not (self.exact_ip and other.exact_ip)


def bind(
    requests: Iterable[PortRequest],
    versions: Collection[int],
    taken: Collection[PublishedPort],
    *,
    default_ip: str = "",
) -> tuple[list[PublishedPort], list[socket.socket]]:
    """Take a host port for each request, on IPv4, IPv6 or both, as the container's addresses allow.

    :param versions: the IP versions the container has
    :param taken: this engine's published ports
    :returns: what was published, and the sockets that hold it
    :raises Internal: a port is taken, with Docker's text (it answers 500)
    :raises InvalidArgument, ResourceExhausted, Unimplemented:
    """
    published: list[PublishedPort] = []
    with ExitStack() as undo:
        sockets: list[socket.socket] = []
        for request in requests:
            addresses = _addresses(request.host_ip or default_ip, versions)
            held = _first_free(request, addresses, [*taken, *published])
            for port, sock in held:
                published.append(port)
                if sock:
                    sockets.append(undo.enter_context(sock))
        undo.pop_all()
    return published, sockets


def port_map(ports: Iterable[PublishedPort]) -> dict[str, list[dict[str, str]]]:
    """Published ports in the shape of Docker's `NetworkSettings.Ports`."""
    found: dict[str, list[dict[str, str]]] = {}
    for port in ports:
        entry = {"HostIp": port.host_ip, "HostPort": str(port.host_port)}
        found.setdefault(f"{port.port}/{port.protocol}", []).append(entry)
    return found


class PortTaken(Exception):
    """Somebody has the port; another of the range may be free."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


Held = list[tuple[PublishedPort, socket.socket | None]]


def _addresses(host_ip: str, versions: Collection[int]) -> list[str]:
    if not host_ip:
        return [ANY[version] for version in (4, 6) if version in versions]
    try:
        address = ip_address(host_ip.strip("[]"))
    except ValueError:
        raise InvalidArgument(f"invalid hostIP: {host_ip}") from None
    if address.version not in versions:
        raise Unimplemented(
            f"publish on {host_ip}: the container has no IPv{address.version} address",
            hint="create its network with --ipv6, or publish on an IPv4 address",
        )
    return [str(address)]


def _first_free(request: PortRequest, addresses: list[str], taken: Collection[PublishedPort]) -> Held:
    """Hold the first port of the request's range that is free on all of `addresses`."""
    if not addresses:
        return []
    candidates = list(_candidates(request))
    patience = HAND_OVER_SECONDS if len(candidates) == 1 else 0.0
    with ExitStack() as rejected:  # held meanwhile, or the kernel would choose them again
        for candidate in candidates:
            try:
                return _hold(request, addresses, candidate, taken, patience, rejected)
            except PortTaken as occupied:
                if len(candidates) == 1:
                    raise Internal(str(occupied), hint=occupied.hint) from None
    raise ResourceExhausted(
        f"Bind for {addresses[0]}:{request.host_port or 'any port'} failed: all ports are allocated",
        hint="free one of them, or leave the choice to the engine: -p " + str(request.port),
    )


def _candidates(request: PortRequest) -> Iterator[int]:
    if request.protocol not in ("tcp", "udp", "sctp"):
        raise InvalidArgument(f"invalid proto: {request.protocol}", hint="tcp, udp or sctp")
    if not request.host_port or request.host_port == "0":
        # Zero lets the kernel choose; several tries, since the same port must be free for both IP versions.
        yield from (0,) * 16
        return
    first, _, last = request.host_port.partition("-")
    if not all(part.isascii() and part.isdigit() and 0 < int(part) < 65536 for part in (first, last or first)):
        raise InvalidArgument(
            f"invalid port specification: {request.host_port}", hint="a number, or a range as 8000-8010"
        )
    yield from range(int(first), int(last or first) + 1)


def _hold(
    request: PortRequest,
    addresses: list[str],
    number: int,
    taken: Collection[PublishedPort],
    patience: float,
    rejected: ExitStack,
) -> Held:
    """Bind `number` on all of `addresses`, or nothing. What the kernel chose and is not free goes to `rejected`."""
    held: Held = []
    with ExitStack() as undo:
        for address in addresses:
            port = PublishedPort(port=request.port, protocol=request.protocol, host_ip=address, host_port=number)
            if any(port.meets(other) for other in taken):
                raise PortTaken(
                    f"Bind for {address}:{number} failed: port is already allocated",
                    "another container has it: corten ps --filter publish=" + str(number),
                )
            sock = _socket(port, patience)
            if sock:
                undo.enter_context(sock)
                number = sock.getsockname()[1]
            chosen = msgspec.structs.replace(port, host_port=number)
            if any(chosen.meets(other) for other in taken):  # the kernel's choice; its last owner has just let it go
                rejected.push(undo.pop_all())
                raise PortTaken(f"Bind for {address}:{number} failed: port is already allocated", "")
            held.append((chosen, sock))
        undo.pop_all()
    return held


def _socket(port: PublishedPort, patience: float) -> socket.socket | None:
    """A bound socket, or None where the kernel has no SCTP: then only our own record keeps the port."""
    kind = socket.SOCK_DGRAM if port.protocol == "udp" else socket.SOCK_STREAM
    try:
        sock = socket.socket(FAMILIES[port.version], kind, IPPROTO_SCTP if port.protocol == "sctp" else 0)
    except OSError as error:
        if port.protocol == "sctp" and error.errno in (errno.EPROTONOSUPPORT, errno.ESOCKTNOSUPPORT):
            return None
        raise
    with ExitStack() as undo:
        undo.enter_context(sock)
        if port.version == 6:
            # Not listening: a connection to [::1], which the firewall cannot send on, is refused and not left hanging.
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        elif kind == socket.SOCK_STREAM:
            # Connections of an earlier server that are still in TIME_WAIT do not keep the port from us.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        _bind(sock, port, patience)
        undo.pop_all()
    return sock


def _bind(sock: socket.socket, port: PublishedPort, patience: float) -> None:
    deadline = time.monotonic() + patience
    while True:
        try:
            sock.bind((port.host_ip, port.host_port))
            if sock.type == socket.SOCK_STREAM and port.version == 4:
                # With SO_REUSEADDR only a listening socket keeps others out. The firewall takes what would arrive.
                sock.listen(1)
            return
        except OSError as error:
            where = f"{port.protocol}{port.version} {_bracketed(port.host_ip)}:{port.host_port}"
            message = f"failed to bind host port: listen {where}: bind: {os.strerror(error.errno or 0).lower()}"
            if error.errno != errno.EADDRINUSE:
                raise Internal(message) from None
            if time.monotonic() > deadline:
                raise PortTaken(message, "a process on the host has the port (ss -lnp shows which)") from None
        time.sleep(0.005)


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address
