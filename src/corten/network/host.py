"""What the engine changes on its host: bridge devices, its firewall table, and whether the kernel forwards packets.

"Host" is the network namespace the engine runs in. Nothing is touched until a container needs a bridge, everything is
made again when it is missing (a reboot, `nft flush ruleset`), and `reset` takes all of it away.
"""

import errno
import hashlib
import json
import os
import threading
from collections.abc import Callable, Collection, Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_interface
from pathlib import Path
from typing import Any

from corten.kernel import conntrack, nftables, rtnetlink
from corten.kernel.netlink import NETLINK_NETFILTER, NETLINK_ROUTE, Message, Netlink, NetlinkError
from corten.model.errors import CortenError, FailedPrecondition, Internal, PermissionDenied, Unimplemented
from corten.network import firewall
from corten.network.firewall import Forward
from corten.network.firewall import Path as FirewallPath
from corten.network.foreign import Obstacle, obstacles
from corten.network.identity import Identity
from corten.network.network import Network, unusable

__all__ = ["Host", "refused"]

IPAddress = IPv4Address | IPv6Address
IPNetwork = IPv4Network | IPv6Network

IP_FORWARD = "/proc/sys/net/ipv4/ip_forward"
IPV6_CONF = Path("/proc/sys/net/ipv6/conf")
BRIDGE_FILTER = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Host:
    """The engine's side of every network. Thread-safe."""

    def __init__(self, identity: Identity, state_dir: Path) -> None:
        """
        :param state_dir: where it is remembered that we switched forwarding on
        """
        self.identity = identity
        self._record = state_dir / "forwarding.json"
        self._lock = threading.RLock()
        self._route: Netlink | None = None
        self._netfilter: Netlink | None = None
        self._table_ready = False

    @property
    def route(self) -> Netlink:
        with self._lock:
            self._route = self._route or Netlink.open(NETLINK_ROUTE)
            return self._route

    @property
    def netfilter(self) -> Netlink:
        with self._lock:
            self._netfilter = self._netfilter or Netlink.open(NETLINK_NETFILTER)
            return self._netfilter

    def close(self) -> None:
        """Close the sockets; what they made stays for the containers that run on."""
        for netlink in (self._route, self._netfilter):
            if netlink:
                netlink.close()
        self._route = self._netfilter = None

    def occupied(self, besides: str = "") -> list[IPNetwork]:
        """The subnets that routes and addresses of this host use, leaving out those of device `besides`."""
        own = (
            next((link.ifindex for link in rtnetlink.links(self.route) if link.name == besides), -1) if besides else -1
        )
        routes = {route.destination for route in rtnetlink.routes(self.route) if route.ifindex != own}
        addresses = {a.interface.network for a in rtnetlink.addresses(self.route) if a.ifindex != own}
        return [network for network in routes | addresses if network.prefixlen and not network.is_loopback]

    def has_device(self, name: str) -> bool:
        return any(link.name == name for link in rtnetlink.links(self.route))

    def bridge(self, network: Network) -> int:
        """The index of a network's bridge, which is made where it is missing.

        :raises FailedPrecondition: the device is there and is no bridge
        :raises PermissionDenied: without CAP_NET_ADMIN
        """
        try:
            link = rtnetlink.link(self.route, network.bridge)
        except NetlinkError as error:
            if error.errno != errno.ENODEV:
                raise refused(error) from None
            return self._raise_bridge(network)
        if link.kind != "bridge":
            raise unusable(network)
        return link.ifindex

    def furnish_bridge(self, network: Network) -> None:
        """Make sure of a bridge's addresses and state, whoever made the device."""
        index = self.bridge(network)
        messages = [
            rtnetlink.set_link(network.bridge, up=True, mtu=network.mtu),
            rtnetlink.route_localnet(network.bridge),
        ]
        for pool in network.pools():
            gateway = ip_interface(f"{pool.gateway}/{pool.network.prefixlen}")
            messages.append(rtnetlink.add_address(index, gateway, accept=(errno.EEXIST,)))
        self.send(messages)

    def port_options(self, network: Network) -> tuple[bool, bool]:
        """How a container's bridge port must be: (isolated, hairpin).

        Where bridged frames pass the IP firewall (br_netfilter), that keeps containers apart, and a connection to a
        published port turns round inside the bridge, even to where it came from. Where not, the ports keep apart.
        """
        try:
            filtered = BRIDGE_FILTER.read_text().strip() == "1" or not network.meeting
        except FileNotFoundError:
            filtered = False
        return not network.meeting and not filtered, filtered

    def remove_bridge(self, network: Network) -> None:
        if not network.adopted:
            self.send([rtnetlink.delete_link(network.bridge, accept=(errno.ENODEV,))])

    def send(self, messages: Sequence[Message]) -> None:
        """Send an rtnetlink batch; what the kernel refuses comes as one of Corten's errors."""
        try:
            self.route.send(messages)
        except NetlinkError as error:
            raise refused(error) from None

    def firewall(self, messages: Sequence[Message], whole: Callable[[], list[Message]]) -> None:
        """Apply a change of the firewall; `whole` builds the whole table as it shall be, for when it is not there.

        :raises CortenError: the kernel refused
        """
        with self._lock:
            if self._table_ready:
                try:
                    nftables.commit(self.netfilter, messages)
                    return
                except NetlinkError as error:
                    # Somebody flushed the ruleset, or an element is not as we left it.
                    if error.errno not in (errno.ENOENT, errno.EEXIST, errno.EBUSY):
                        raise refused(error) from None
            self.rebuild_firewall(whole())

    def rebuild_firewall(self, messages: Sequence[Message]) -> None:
        """Put the whole table in place of what there is."""
        with self._lock:
            try:
                nftables.commit(self.netfilter, messages)
            except NetlinkError as error:
                raise refused(error) from None
            self._guard_router_advertisements()
            self._table_ready = True

    def forget_connections(self, containers: Collection[IPAddress]) -> None:
        """Forget the UDP connections to containers that are gone, so that their clients find the next one."""
        if containers:
            try:
                conntrack.forget(self.netfilter, containers)
            except NetlinkError as error:
                raise refused(error) from None

    def obstacles(self) -> list[Obstacle]:
        """Other firewalls' chains that stop what our containers forward."""
        return obstacles(self.netfilter, self.identity.table)

    def table(self, paths: Iterable[FirewallPath], forwards: Iterable[Forward]) -> list[Message]:
        """The messages that make this engine's table."""
        return firewall.build(self.identity.table, paths, forwards, self._guarded())

    def forward(self, *, ipv6: bool) -> None:
        """Let the kernel route between devices. What it did not route before, it still does not: see `_guarded`."""
        with self._lock:
            if Path(IP_FORWARD).read_text().strip() != "1":
                self._remember()
                _write_sysctl(IP_FORWARD, "1")
            if ipv6 and (IPV6_CONF / "all/forwarding").read_text().strip() != "1":
                _keep_router_advertisements()
                _write_sysctl(str(IPV6_CONF / "all/forwarding"), "1")

    def reset(self, bridges: Iterable[Network]) -> None:
        """Take away every trace: bridges, tables, and forwarding where it was we who switched it on."""
        for network in bridges:
            self.remove_bridge(network)
        for family in (nftables.INET, nftables.BRIDGE):
            try:
                nftables.commit(self.netfilter, firewall.destroy(family, self.identity.table))
            except NetlinkError as error:
                if error.errno not in (errno.EOPNOTSUPP, errno.EAFNOSUPPORT):
                    raise refused(error) from None
        if self._switched_here():
            _write_sysctl(IP_FORWARD, "0")
        self._record.unlink(missing_ok=True)
        self._table_ready = False

    def _raise_bridge(self, network: Network) -> int:
        mac = "02:42:" + hashlib.sha256(network.id.encode()).digest()[:4].hex(":")
        ipv6 = any(pool.network.version == 6 for pool in network.pools())
        try:
            filtered = not network.meeting and BRIDGE_FILTER.exists()
            self.route.send([rtnetlink.add_bridge(network.bridge, mac=mac, mtu=network.mtu, filtered=filtered)])
            if not ipv6 and IPV6_CONF.exists():
                self.route.send([rtnetlink.no_link_local(network.bridge)])
        except NetlinkError as error:
            # Someone else may have made it between our look and now: another thread of this engine.
            if error.errno != errno.EEXIST:
                raise refused(error) from None
        self.forward(ipv6=ipv6)
        self.furnish_bridge(network)
        return rtnetlink.link(self.route, network.bridge).ifindex

    def _guard_router_advertisements(self) -> None:
        try:
            nftables.commit(self.netfilter, firewall.build_bridge(self.identity.table))
        except NetlinkError as error:
            # A kernel without the bridge family has no such guard; `corten doctor` says so.
            if error.errno not in (errno.EOPNOTSUPP, errno.EAFNOSUPPORT, errno.ENOENT):
                raise refused(error) from None

    def _remember(self) -> None:
        """Note, before it happens, that we switch forwarding on, and between which devices nothing was routed."""
        devices = [link.name for link in rtnetlink.links(self.route) if link.kind != "bridge" and link.name != "lo"]
        record = {
            "boot": BOOT_ID.read_text().strip(),
            "devices": [name for name in devices if not name.startswith("vc")],
        }
        self._record.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._record.with_suffix(".new")
        temporary.write_text(json.dumps(record))
        temporary.replace(self._record)

    def _guarded(self) -> list[str]:
        """The devices between which we must not let packets pass; none after a reboot, or if it was on before."""
        return list((self._switched_here() or {}).get("devices", ()))

    def _switched_here(self) -> dict[str, Any] | None:
        """The note that we switched forwarding on since the machine started."""
        try:
            record: dict[str, Any] = json.loads(self._record.read_text())
        except FileNotFoundError:
            return None
        return record if record["boot"] == BOOT_ID.read_text().strip() else None


def refused(error: NetlinkError) -> CortenError:
    """What the kernel said, as one of Corten's kinds."""
    if error.errno in (errno.EPERM, errno.EACCES) and os.geteuid():
        return Unimplemented(
            f"{error}: networks without root (by pasta or slirp4netns) are not built yet",
            hint="use --network host or none, or run the engine as root",
        )
    if error.errno in (errno.EPERM, errno.EACCES):
        return PermissionDenied(str(error), hint="networks other than host and none need CAP_NET_ADMIN")
    if error.errno in (errno.EOPNOTSUPP, errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT):
        return FailedPrecondition(str(error), hint="this kernel lacks the feature; see what corten doctor says")
    return Internal(str(error))


def _keep_router_advertisements() -> None:
    """A forwarding host ignores router advertisements, and may so lose its default route, unless accept_ra is 2."""
    for conf in IPV6_CONF.iterdir():
        accept = conf / "accept_ra"
        if conf.name not in ("all", "default", "lo") and accept.exists() and accept.read_text().strip() == "1":
            _write_sysctl(str(accept), "2")


def _write_sysctl(path: str, value: str) -> None:
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(fd, value.encode())
        finally:
            os.close(fd)
    except OSError as error:
        raise FailedPrecondition(
            f"write {value} to {path}: {error.strerror}",
            hint=f"switch it on yourself: sysctl -w {path.removeprefix('/proc/sys/').replace('/', '.')}={value}",
        ) from None
