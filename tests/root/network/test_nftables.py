"""Our own nfnetlink batches, with the `nft` program as the oracle of what the kernel made of them."""

import shutil
import subprocess
from ipaddress import ip_address

import pytest

from corten.kernel import nftables as nft
from corten.kernel.netlink import Netlink, NetlinkError

pytestmark = [pytest.mark.root, pytest.mark.skipif(not shutil.which("nft"), reason="needs nftables")]


def ruleset() -> str:
    return subprocess.run(["nft", "list", "ruleset"], capture_output=True, text=True, check=True).stdout


def squeezed(text: str) -> str:
    return " ".join(text.split())


def test_nft_reads_back_what_we_wrote(netfilter: Netlink) -> None:
    kind = nft.SetType(("inet_proto", "ipv4_addr", "inet_service"), ("ipv4_addr", "inet_service"))
    address = ip_address("10.0.0.1").packed
    element = nft.Element(nft.fields(b"\x06", address, b"\0\x50"), value=nft.fields(address, b"\x1f\x90"))
    nft.commit(
        netfilter,
        [
            nft.add_table(nft.INET, "t"),
            nft.add_set(nft.INET, "t", "ports", kind, 1),
            nft.add_set(nft.INET, "t", "devices", nft.SetType(("ifname",)), 2),
            nft.add_set(nft.INET, "t", "subnets", nft.SetType(("ipv4_addr",), interval=True), 3),
            nft.add_chain(nft.INET, "t", "in", nft.Hook("filter", nft.FORWARD, 0)),
            nft.add_rule(nft.INET, "t", "in", "because", nft.meta("iifname"), nft.lookup("devices"), nft.drop()),
            nft.add_elements(nft.INET, "t", "ports", [element]),
            nft.add_elements(nft.INET, "t", "devices", [nft.Element(nft.ifname("eth0"))]),
            nft.add_elements(nft.INET, "t", "subnets", nft.interval(address, ip_address("10.0.1.1").packed)),
        ],
    )
    seen = squeezed(ruleset())
    assert "elements = { tcp . 10.0.0.1 . 80 : 10.0.0.1 . 8080 }" in seen
    assert 'elements = { "eth0" }' in seen
    assert "elements = { 10.0.0.1-10.0.1.0 }" in seen
    assert 'iifname @devices drop comment "because"' in seen
    nft.commit(netfilter, [nft.delete_elements(nft.INET, "t", "ports", [element])])
    assert "8080" not in ruleset()
    nft.commit(netfilter, [nft.delete_table(nft.INET, "t")])
    assert ruleset() == ""


def test_a_batch_with_an_error_changes_nothing_and_says_which_message(netfilter: Netlink) -> None:
    with pytest.raises(NetlinkError, match=r"add chain nowhere c: No such file or directory"):
        nft.commit(
            netfilter,
            [nft.add_table(nft.INET, "t"), nft.add_chain(nft.INET, "nowhere", "c"), nft.add_table(nft.INET, "u")],
        )
    assert ruleset() == ""
    nft.commit(netfilter, [nft.add_table(nft.INET, "t")])
    assert "table inet t" in ruleset()


def test_rewriting_a_port_mends_the_checksums(netfilter: Netlink) -> None:
    """`nft` shows the write, and its checksum fix-up is what `test_names` proves with live packets."""
    match = (nft.meta("l4proto"), nft.compare(b"\x11"), nft.payload("transport", 2, 2), nft.compare(b"\0\x35"))
    write = (nft.immediate(b"\x30\x39"), nft.write_payload("transport", 2, 2, checksum=6))
    nft.commit(
        netfilter,
        [
            nft.add_table(nft.IPV4, "t"),
            nft.add_chain(nft.IPV4, "t", "out", nft.Hook("filter", nft.OUTPUT, -150)),
            nft.add_rule(nft.IPV4, "t", "out", "elsewhere", *match, *write),
        ],
    )
    assert "udp dport 53 udp dport set 12345" in squeezed(ruleset())
