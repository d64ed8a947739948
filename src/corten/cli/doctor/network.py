"""Networks: bridges, forwarding, name service, and firewalls that are not ours."""

from __future__ import annotations

import os

from corten.cli.doctor import trial
from corten.cli.doctor.finding import NOTE, OK, WARN, Finding, read

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["look"]


def look() -> Iterator[Finding]:
    yield _namespace()
    yield from _firewalls()
    yield _forwarding()
    yield from _names()
    yield _tun()


def _namespace() -> Finding:
    if failure := trial.try_out(_make_links):
        mend = "needs CAP_NET_ADMIN and the modules veth and bridge; --network host and none work without"
        return Finding("network", WARN, f"no bridge networks: {failure}", mend)
    return Finding("network", OK, "bridges and veth pairs can be made")


def _make_links() -> None:
    """Make a bridge and a veth pair in a network namespace of our own."""
    if os.geteuid():
        trial.unshare(trial.NEW_USER)
    trial.unshare(trial.NEW_NETWORK)
    from corten.kernel import rtnetlink
    from corten.kernel.netlink import NETLINK_ROUTE, Netlink

    own = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    with Netlink.open(NETLINK_ROUTE) as route:
        route.send([rtnetlink.add_bridge("c0", mac="02:00:00:00:00:01")])
        bridge = rtnetlink.link(route, "c0").ifindex
        route.send([rtnetlink.add_veth("c1", rtnetlink.Peer("c2", own), master=bridge)])


def _firewalls() -> Iterator[Finding]:
    """nftables, which we need ourselves, and the chains of others that drop what containers send."""
    from corten.kernel.basechain import base_chains
    from corten.kernel.netlink import NETLINK_NETFILTER, Netlink, NetlinkError
    from corten.kernel.nftables import FORWARD

    try:
        with Netlink.open(NETLINK_NETFILTER) as netfilter:
            chains = base_chains(netfilter)
    except (OSError, NetlinkError) as error:
        yield Finding("network", WARN, f"nftables cannot be asked: {error}", "modprobe nf_tables; needs CAP_NET_ADMIN")
        return
    yield Finding("network", OK, "nftables answers")
    foreign = [
        chain for chain in chains if chain.drops and chain.hook == FORWARD and not chain.table.startswith("corten")
    ]
    for chain in foreign:
        yield Finding(
            "network",
            WARN,
            f"chain {chain.name} of table {chain.table} drops what is forwarded: published ports and the way out fail",
            f'let containers pass: nft insert rule {chain.family} {chain.table} {chain.name} iifname "ct*" accept, '
            "and the same with oifname; firewalld: put the bridges into a trusted zone",
        )
    if legacy := read("/proc/net/ip_tables_names"):
        tables = ", ".join(legacy.split())
        yield Finding("network", NOTE, f"iptables-legacy tables are loaded ({tables}): their FORWARD policy may drop",
                      "look: iptables-legacy -L FORWARD")  # fmt: skip


def _forwarding() -> Finding:
    if read("/proc/sys/net/ipv4/ip_forward") == "1":
        return Finding("network", OK, "IPv4 is forwarded")
    if os.access("/proc/sys/net/ipv4/ip_forward", os.W_OK):
        return Finding("network", OK, "IPv4 is not forwarded yet: the engine turns it on with its first bridge")
    return Finding(
        "network", WARN, "IPv4 is not forwarded and we may not turn it on", "sysctl -w net.ipv4.ip_forward=1"
    )


def _names() -> Iterator[Finding]:
    servers = [line.split()[1] for line in read("/etc/resolv.conf").splitlines() if line.startswith("nameserver ")]
    if not servers:
        yield Finding(
            "network", NOTE, "/etc/resolv.conf names no server: containers find no names", "name one, or use --dns"
        )
    elif all(server.startswith("127.") or server == "::1" for server in servers):
        yield Finding("network", OK, "the name server is on loopback: the engine forwards to it for containers")


def _tun() -> Finding:
    if os.access("/dev/net/tun", os.R_OK | os.W_OK):
        return Finding("network", OK, "/dev/net/tun is there for rootless networks")
    return Finding("network", NOTE, "/dev/net/tun is out of reach: no rootless networks", "modprobe tun")
