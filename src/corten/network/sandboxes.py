"""Sandboxes: the life of each container's network, from reservation to release.

What is recorded comes before what is made, and release undoes both in any state: a container whose launch failed
half-way leaves nothing, and a second release finds nothing to do.
"""

import asyncio
import errno
import os
import secrets
import socket
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from corten.kernel import netns, program, rtnetlink
from corten.kernel.netlink import NetlinkError
from corten.kernel.netns import NetworkJoin
from corten.model.errors import Conflict, CortenError, NotFound, PermissionDenied
from corten.model.event import Event
from corten.network import files, firewall, joining, ports
from corten.network.endpoint import Endpoint, EndpointRequest, place
from corten.network.fabric import Fabric
from corten.network.host import refused
from corten.network.inspection import endpoint_settings, resident_names
from corten.network.loop import Loop
from corten.network.names import Directory, Resident, Zone
from corten.network.nameserver import NameService
from corten.network.network import Network
from corten.network.ports import PublishedPort
from corten.network.relay import Relay
from corten.network.sandbox import Sandbox, SandboxRequest

__all__ = ["Files", "Reservation", "Sandboxes"]

# By then the kernel has taken away the devices of a namespace that nobody holds (it does so soon, but not at once).
SWEEP_SECONDS = 1.0


class Files(NamedTuple):
    """The contents of the container's three resolver files; empty where the host's own are to be used."""

    hosts: bytes
    resolv_conf: bytes
    hostname: bytes


class Reservation(NamedTuple):
    """What a container's launch needs.

    `netns` says whether it gets a namespace of its own (`new`) or the `host`'s; `files` are to be bound into it, and
    `sockets` to be held by its monitor.
    """

    netns: str
    sandbox: Sandbox
    files: Files
    sockets: tuple[socket.socket, ...]

    @property
    def port_fds(self) -> list[int]:
        return [sock.fileno() for sock in self.sockets]

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        return self.sandbox.endpoints

    def close_fds(self) -> None:
        """Close our copies of the sockets, once the monitor has its own."""
        for sock in self.sockets:
            sock.close()


class Sandboxes:
    """Every container's network. `find` resolves a network's name or id."""

    def __init__(
        self, fabric: Fabric, find: Callable[[str], Network], *, program_path: str, resolv_conf: Path | None
    ) -> None:
        self._fabric = fabric
        self._records = fabric.records
        self._find = find
        self._program_path = program_path
        self._host_resolver = files.HostResolver(resolv_conf)
        self._loop = Loop()
        self._names = NameService(self._loop, lambda: self._host_resolver.read().servers)
        self._relay = Relay(self._loop)
        self._directories: dict[str, Directory] = {}

    def reserve(self, request: SandboxRequest) -> Reservation:
        """Take addresses in every network and every host port that a container asks for, or nothing.

        :raises NotFound: there is no such network
        :raises Internal: a host port is taken, with Docker's text
        :raises InvalidArgument, PermissionDenied, ResourceExhausted, Unimplemented:
        """
        files.check_servers(request.dns)
        with self._fabric.lock:
            if request.container_id in self._records.sandboxes:
                self.release(request.container_id)
            sandbox = Sandbox(id=secrets.token_hex(32), request=request)
            for wanted in request.wanted():
                sandbox = self._placed(sandbox, wanted)
            published, sockets = self._published(sandbox)
            sandbox = msgspec.structs.replace(sandbox, ports=tuple(published))
            try:
                found = Reservation(self._namespace(sandbox), sandbox, self._files(sandbox), tuple(sockets))
                self._records.put_sandbox(sandbox, self._events(sandbox, "connect"))
            except BaseException:
                for sock in sockets:
                    sock.close()
                raise
        return found

    def join(self, container: str, join: NetworkJoin) -> None:
        """Furnish the namespace of a reserved container, publish its ports, and answer its name queries.

        `join` stays the caller's to close. After an error the caller lets the namespace die and releases.

        :raises NotFound: nothing was reserved for the container
        """
        sandbox = self._sandbox(container)
        networks = self._records.networks
        joining.furnish(self._fabric.host, sandbox, networks, join)
        with self._fabric.lock:
            self._fabric.joined.add(container)
            forwards = self._fabric.forwards(sandbox)
            if forwards:
                self._fabric.firewall(firewall.publish(self._fabric.host.identity.table, forwards))
                self._relay.open(container, forwards)
            self._settle_in(sandbox)
        if self._has_service(sandbox):
            self._serve(sandbox, join)

    def release(self, container: str) -> None:
        """Forget a container's network: names, published ports, addresses. Its devices go with its namespace."""
        with self._fabric.lock:
            sandbox = self._records.sandboxes.get(container)
            if not sandbox:
                return
            self._names.stop(container)
            forwards = self._fabric.forwards(sandbox) if container in self._fabric.joined else []
            self._fabric.joined.discard(container)
            for endpoint in sandbox.endpoints:
                self._directory(endpoint.network).remove(container)
            self._records.remove_sandbox(container, self._events(sandbox, "disconnect"))
            if forwards:
                self._relay.stop(container)
                self._fabric.firewall(firewall.withdraw(self._fabric.host.identity.table, forwards))
                self._fabric.host.forget_connections([f.address for f in forwards if f.protocol == "udp"])
            if ports := [endpoint.port for endpoint in sandbox.endpoints if endpoint.device]:
                self._loop.run(self._sweep(ports))

    def connect(self, container: str, request: EndpointRequest, netns_fd: int) -> dict[str, Any]:
        """Connect a running container to one more network; its endpoint in the shape of Docker's EndpointSettings.

        :param netns_fd: the container's namespace
        :raises PermissionDenied: it is in that network already, or shares the host's
        """
        with self._fabric.lock:
            before = self._sandbox(container)
            network = self._find(request.network)
            if before.endpoint(network.id):
                raise PermissionDenied(
                    f"endpoint with name {before.request.name} already exists in network {network.name}"
                )
            self._check_mixture(before, network)
            after = self._placed(before, request)
            endpoint = after.endpoints[-1]
            self._records.put_sandbox(after, [self._event(endpoint, "connect")])
            try:
                with netns.enter(netns_fd, self._program()) as join:
                    joining.plug(self._fabric.host, endpoint, self._records.networks[network.id], join)
                    self._change(before, after, join)
            except BaseException:
                self._records.put_sandbox(before, [self._event(endpoint, "disconnect")])
                joining.unplug(self._fabric.host, endpoint)
                raise
            return endpoint_settings(after, endpoint, network)

    def disconnect(self, container: str, ref: str, netns_fd: int | None, *, force: bool = False) -> None:
        """Take a running container out of a network.

        :param netns_fd: the container's namespace; None when it is gone, which only `force` accepts
        :raises NotFound: it is not in that network
        """
        with self._fabric.lock:
            network = self._find(ref)
            before = self._sandbox(container)
            endpoint = before.endpoint(network.id)
            if not endpoint:
                raise NotFound(f"container {container} is not connected to network {network.name}")
            if network.spec.driver == "host":
                raise PermissionDenied(
                    "container cannot be disconnected from host network or connected to host network"
                )
            if netns_fd is None and not force:
                raise Conflict(
                    f"disconnect {before.request.name} from {network.name}: its namespace is gone", hint="use --force"
                )
            left = tuple(each for each in before.endpoints if each.id != endpoint.id)
            after = msgspec.structs.replace(before, endpoints=left)
            self._records.put_sandbox(after, [self._event(endpoint, "disconnect")])
            self._directory(network.id).remove(container)
            joining.unplug(self._fabric.host, endpoint)
            if netns_fd is not None:
                with netns.enter(netns_fd, self._program()) as join:
                    self._change(before, after, join)

    def rename(self, container: str, name: str) -> None:
        """Let the name service know a container by another name."""
        with self._fabric.lock:
            sandbox = self._records.sandboxes.get(container)
            if sandbox:
                renamed = msgspec.structs.replace(sandbox.request, name=name)
                sandbox = msgspec.structs.replace(sandbox, request=renamed)
                self._records.put_sandbox(sandbox)
                if container in self._fabric.joined:
                    self._settle_in(sandbox)

    def unlink(self, container: str, alias: str) -> None:
        """Forget a link of the default network."""
        with self._fabric.lock:
            sandbox = self._records.sandboxes.get(container)
            if sandbox:
                kept = [text for text in sandbox.request.links if files.link(text)[0] != alias]
                request = msgspec.structs.replace(sandbox.request, links=kept)
                self._records.put_sandbox(msgspec.structs.replace(sandbox, request=request))

    def files(self, container: str) -> Files:
        """What the resolver files of a container with a sandbox say, its networks being as they are now."""
        with self._fabric.lock:
            return self._files(self._sandbox(container))

    def endpoints(self, container: str) -> dict[str, dict[str, Any]]:
        """`NetworkSettings.Networks` of a container that has a sandbox; empty for any other."""
        sandbox = self._records.sandboxes.get(container)
        networks = self._records.networks
        found = sandbox.endpoints if sandbox else ()
        return {networks[e.network].name: endpoint_settings(sandbox, e, networks[e.network]) for e in found if sandbox}

    def ports(self, container: str) -> dict[str, list[dict[str, str]]]:
        """The published part of `NetworkSettings.Ports`."""
        sandbox = self._records.sandboxes.get(container)
        return ports.port_map(sandbox.ports) if sandbox else {}

    def restore(self, running: Mapping[str, int]) -> None:
        """Take over what an earlier engine left: adopt the containers that run (id to pid), release all others.

        Bridges and firewall are made again where they are missing, and the name service listens again.
        """
        with self._fabric.lock:
            for container in [c for c in self._records.sandboxes if c not in running]:
                self.release(container)
            adopted = {c: s for c, s in self._records.sandboxes.items() if self._namespace(s) == "new"}
            self._fabric.joined.update(adopted)
            self._fabric.restore()
            for sandbox in adopted.values():
                self._settle_in(sandbox)
                if sandbox.ports:
                    self._relay.open(sandbox.container, self._fabric.forwards(sandbox))
        for container, sandbox in adopted.items():
            joining.replug(self._fabric.host, sandbox, self._records.networks)
            if self._has_service(sandbox):
                self._serve_again(sandbox, running[container])

    def close(self) -> None:
        """End the name service and the relay."""
        self._names.close()
        self._relay.close()
        self._loop.close()

    def _sandbox(self, container: str) -> Sandbox:
        try:
            return self._records.sandboxes[container]
        except KeyError:
            raise NotFound(f"container {container} has no network: it is not running") from None

    def _placed(self, sandbox: Sandbox, request: EndpointRequest) -> Sandbox:
        """The sandbox with one more endpoint."""
        network = self._fabric.raised(self._find(request.network))
        endpoint = place(
            network,
            request,
            self._records.taken(network.id),
            id=secrets.token_hex(32),
            container=sandbox.container,
            device=_next_device(sandbox, network.interface_prefix),
        )
        return msgspec.structs.replace(sandbox, endpoints=(*sandbox.endpoints, endpoint))

    def _published(self, sandbox: Sandbox) -> tuple[list[PublishedPort], list[socket.socket]]:
        ways = {v: sandbox.gateway(self._records.networks, v) for v in (4, 6)}
        versions = [version for version, way in ways.items() if way]
        if not sandbox.request.ports or not versions:
            return [], []
        way = ways[versions[0]]
        default_ip = way[1].host_binding if way else ""
        try:
            return ports.bind(sandbox.request.ports, versions, self._records.ports(), default_ip=default_ip)
        except CortenError as error:
            endpoint = way[0].id if way else ""
            error.message = (
                "driver failed programming external connectivity on endpoint "
                f"{sandbox.request.name} ({endpoint}): {error.message}"
            )
            error.args = (error.message,)
            raise

    def _namespace(self, sandbox: Sandbox) -> str:
        drivers = {self._records.networks[endpoint.network].spec.driver for endpoint in sandbox.endpoints}
        return "host" if "host" in drivers else "new"

    def _check_mixture(self, sandbox: Sandbox, network: Network) -> None:
        drivers = {self._records.networks[endpoint.network].spec.driver for endpoint in sandbox.endpoints}
        if "host" in drivers or network.spec.driver == "host":
            raise PermissionDenied("container cannot be disconnected from host network or connected to host network")
        if "null" in drivers or network.spec.driver == "null":
            raise PermissionDenied(
                "container cannot be connected to multiple networks with one of the networks in private (none) mode"
            )

    def _change(self, before: Sandbox, after: Sandbox, join: NetworkJoin) -> None:
        """Carry a running container from one set of endpoints to another: routes, published ports, names."""
        networks, table = self._records.networks, self._fabric.host.identity.table
        try:
            joining.reroute(after, networks, join.route)
        except NetlinkError as error:
            raise refused(error) from None
        old, new = before.forwards(networks), after.forwards(networks)
        if old != new:
            self._fabric.firewall(firewall.withdraw(table, old) + firewall.publish(table, new))
            self._relay.open(after.container, new)
        self._settle_in(after)
        if self._has_service(after) and not self._names.serves(after.container):
            self._serve(after, join)

    def _settle_in(self, sandbox: Sandbox) -> None:
        """Make a joined container known to the others of its networks, and its own view of them current."""
        for endpoint in sandbox.endpoints:
            if self._records.networks[endpoint.network].serves_names:
                addresses = tuple(interface.ip for interface in endpoint.interfaces)
                resident = Resident(sandbox.container, resident_names(sandbox, endpoint), addresses)
                self._directory(endpoint.network).add(resident)
        self._names.change(sandbox.container, self._zone(sandbox))

    def _directory(self, network: str) -> Directory:
        if network not in self._directories:
            self._directories[network] = Directory(self._records.networks[network].name)
        return self._directories[network]

    def _zone(self, sandbox: Sandbox) -> Zone:
        networks = self._records.networks
        named = [e for e in sandbox.endpoints if networks[e.network].serves_names]
        outside = any(sandbox.gateway(networks, version) for version in (4, 6))
        links = tuple(files.link(each) for endpoint in named for each in endpoint.request.links)
        directories = tuple(self._directory(endpoint.network) for endpoint in named)
        return Zone(directories, links, outside, tuple(sandbox.request.dns))

    async def _sweep(self, ports: list[str]) -> None:
        """Delete devices that outlive their container because another holds its namespace (`container:ID`)."""
        await asyncio.sleep(SWEEP_SECONDS)
        messages = [rtnetlink.delete_link(port, accept=(errno.ENODEV,)) for port in ports]
        await asyncio.to_thread(self._fabric.host.send, messages)

    def _has_service(self, sandbox: Sandbox) -> bool:
        """User-defined networks have it; the default one only where the host's servers are out of reach."""
        networks = [self._records.networks[endpoint.network] for endpoint in sandbox.endpoints]
        if any(network.serves_names for network in networks):
            return True
        stub_only = not sandbox.request.dns and not files.reachable(self._host_resolver.read())
        return stub_only and any(network.is_default for network in networks)

    def _serve(self, sandbox: Sandbox, join: NetworkJoin) -> None:
        try:
            self._names.serve(sandbox.container, join, self._zone(sandbox))
        except NetlinkError as error:
            raise refused(error) from None

    def _program(self) -> str:
        return self._program_path or program.path()

    def _serve_again(self, sandbox: Sandbox, pid: int) -> None:
        fd = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            with netns.enter(fd, self._program(), pid) as join:
                self._serve(sandbox, join)
        finally:
            os.close(fd)

    def _files(self, sandbox: Sandbox) -> Files:
        request, host = sandbox.request, self._host_resolver.read()
        on_host = self._namespace(sandbox) == "host"
        resolver = files.resolver_for(
            host,
            dns=request.dns,
            search=request.dns_search,
            options=request.dns_options,
            service=self._has_service(sandbox),
            own_loopback=on_host,
        )
        hostname = request.hostname or (socket.gethostname() if on_host else request.container_id[:12])
        addresses = [str(interface.ip) for endpoint in sandbox.endpoints for interface in endpoint.interfaces]
        own = [f"{hostname}.{request.domainname}", hostname] if request.domainname else [hostname]
        gateway = str(self._find("bridge").pools()[0].gateway)
        extra = [files.extra_host(entry, gateway) for entry in request.extra_hosts] + self._links(sandbox)
        hosts = files.hosts(own, addresses, extra)
        if on_host:
            hosts = files.host_hosts(files.read(files.HOSTS), extra)
        return Files(hosts, resolver.render(), files.hostname(hostname))

    def _links(self, sandbox: Sandbox) -> list[tuple[str, str]]:
        """The default bridge's links: names in /etc/hosts for containers that run now."""
        found = []
        for link in sandbox.request.links:
            alias, target = files.link(link)
            for other, endpoint in self._records.residents(self._find("bridge").id):
                if target in (other.request.name, other.container, other.container[:12]):
                    names = dict.fromkeys((alias, other.container[:12], other.request.name))
                    found += [(" ".join(names), str(interface.ip)) for interface in endpoint.interfaces]
        return found

    def _events(self, sandbox: Sandbox, action: str) -> Iterable[Event]:
        return [self._event(endpoint, action) for endpoint in sandbox.endpoints]

    def _event(self, endpoint: Endpoint, action: str) -> Event:
        network = self._records.networks[endpoint.network]
        attributes = {"container": endpoint.container, "name": network.name, "type": network.spec.driver}
        return Event("network", action, network.id, attributes)


def _next_device(sandbox: Sandbox, prefix: str) -> str:
    used = {endpoint.device for endpoint in sandbox.endpoints}
    return next(name for name in (f"{prefix}{number}" for number in range(len(used) + 1)) if name not in used)
