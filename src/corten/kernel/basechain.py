"""The base chains of nftables, whoever made them: where a firewall that is not ours may drop what passes.

A base chain hangs on a netfilter hook and has a policy, the verdict for what no rule decided. `iptables-nft`, firewalld
and docker make chains here too. iptables-legacy keeps its own tables, which nftables does not show.

Wire format: include/uapi/linux/netfilter/nf_tables.h (NFT_MSG_GETCHAIN).
"""

import socket
import struct
from typing import NamedTuple

from corten.kernel.netlink import Message, Netlink, attributes
from corten.kernel.nftables import NF_DROP, NFNL_SUBSYS_NFTABLES

__all__ = ["FAMILIES", "BaseChain", "base_chains"]

GETCHAIN = 4
CHAIN_TABLE, CHAIN_NAME, CHAIN_HOOK, CHAIN_POLICY = 1, 3, 4, 5
HOOK_NUMBER = 1
FAMILIES = {1: "inet", 2: "ip", 3: "arp", 5: "netdev", 7: "bridge", 10: "ip6"}


class BaseChain(NamedTuple):
    """One chain on a hook; `drops` says that its policy does."""

    family: str
    table: str
    name: str
    hook: int
    drops: bool


def base_chains(netfilter: Netlink) -> list[BaseChain]:
    """Every base chain of this network namespace."""
    header = struct.pack(">BBH", socket.AF_UNSPEC, 0, 0)
    replies = netfilter.dump(Message(NFNL_SUBSYS_NFTABLES << 8 | GETCHAIN, 0, header, "list firewall chains"))
    found = (_read(reply.body) for reply in replies)
    return [chain for chain in found if chain is not None]


def _read(body: bytes) -> BaseChain | None:
    """The chain of one reply; None for one that hangs on no hook."""
    fields = attributes(body, 4)
    if CHAIN_HOOK not in fields:
        return None
    hook = attributes(fields[CHAIN_HOOK])
    return BaseChain(
        FAMILIES.get(body[0], str(body[0])),
        _text(fields[CHAIN_TABLE]),
        _text(fields[CHAIN_NAME]),
        _number(hook.get(HOOK_NUMBER)),
        _number(fields.get(CHAIN_POLICY), otherwise=1) == NF_DROP,
    )


def _text(value: bytes) -> str:
    return value.rstrip(b"\0").decode("utf-8", "replace")


def _number(value: bytes | None, *, otherwise: int = 0) -> int:
    return int.from_bytes(value, "big") if value else otherwise
