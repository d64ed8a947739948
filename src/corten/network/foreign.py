"""Firewalls of others: which of their chains may drop what our containers forward.

A packet passes every base chain of a hook; an accept in ours cannot overrule a drop in another's. Docker before us,
firewalld, ufw or a hand-made `iptables -P FORWARD DROP` therefore stop containers, and all that can be done is to say
so and how to mend it. `corten doctor` prints what this finds.
"""

import struct
from typing import NamedTuple

from corten.kernel.netlink import Message, Netlink, attributes
from corten.kernel.nftables import FORWARD, NFNL_SUBSYS_NFTABLES

__all__ = ["Obstacle", "obstacles"]

GETCHAIN = 4
NF_DROP = 0
FAMILIES = {1: "inet", 2: "ip", 5: "netdev", 7: "bridge", 10: "ip6"}
CHAIN_TABLE, CHAIN_NAME, CHAIN_HOOK, CHAIN_POLICY = 1, 3, 4, 5
HOOK_NUMBER = 1


class Obstacle(NamedTuple):
    """A base chain at the forward hook whose policy is drop, and the command that lets a bridge through it."""

    family: str
    table: str
    chain: str

    def remedy(self, bridge: str) -> str:
        """What the administrator may do for one bridge."""
        if (self.family, self.table, self.chain) in (("ip", "filter", "FORWARD"), ("ip6", "filter", "FORWARD")):
            program = "iptables" if self.family == "ip" else "ip6tables"
            out = f"{program} -I FORWARD -i {bridge} -j ACCEPT"
            return f"{out} && {program} -I FORWARD -o {bridge} -j ACCEPT"
        rule = f"nft insert rule {self.family} {self.table} {self.chain}"
        return f"{rule} iifname {bridge} accept && {rule} oifname {bridge} accept"


def obstacles(netfilter: Netlink, own_table: str) -> list[Obstacle]:
    """The base chains of others that drop forwarded packets by policy (rules that drop are theirs to know).

    Chains of the iptables-legacy kind are not visible here; `iptables-legacy` hosts have no nf_tables chain to ask.
    """
    body = struct.pack(">BBH", 0, 0, 0)
    request = Message(NFNL_SUBSYS_NFTABLES << 8 | GETCHAIN, 0, body, "list firewall chains")
    found = (_obstacle(reply.body) for reply in netfilter.dump(request))
    return [obstacle for obstacle in found if obstacle and obstacle.table != own_table]


def _obstacle(body: bytes) -> Obstacle | None:
    chain = attributes(body, 4)
    if CHAIN_HOOK not in chain or CHAIN_POLICY not in chain:
        return None
    number = attributes(chain[CHAIN_HOOK]).get(HOOK_NUMBER, b"")
    drops = int.from_bytes(chain[CHAIN_POLICY], "big") == NF_DROP
    if not drops or int.from_bytes(number, "big") != FORWARD or body[0] not in FAMILIES:
        return None
    table, name = (chain[kind].rstrip(b"\0").decode(errors="replace") for kind in (CHAIN_TABLE, CHAIN_NAME))
    return Obstacle(FAMILIES[body[0]], table, name)
