"""The doctor in hosts that lack something: it must see what is missing and name the remedy."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

OURS = str(Path(sys.executable).with_name("corten"))


def examine(*before: str, root: Path) -> tuple[int, list[dict[str, Any]]]:
    """Exit status and findings of a doctor that is started through the command `before`."""
    words = [*before, OURS, "--root", str(root), "doctor", "--format", "json"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def finding(findings: list[dict[str, Any]], words: str) -> dict[str, Any]:
    return next(one for one in findings if words in one["what"])


def test_every_area_is_looked_at(scratch: Path) -> None:
    _, findings = examine(root=scratch)
    areas = {one["area"] for one in findings}
    assert areas == {
        "kernel",
        "capabilities",
        "restrictions",
        "cgroups",
        "user namespaces",
        "files",
        "network",
        "installation",
    }
    assert all(one["mend"] for one in findings if one["level"] in ("warn", "fail"))


def test_a_root_without_net_admin_is_told_what_it_loses(scratch: Path) -> None:
    status, findings = examine("setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin", root=scratch)
    lost = finding(findings, "root lacks CAP_NET_ADMIN")
    assert (status, lost["level"]) == (0, "warn")
    assert "published ports" in lost["what"]


def test_a_root_without_sys_admin_can_run_nothing(scratch: Path) -> None:
    status, findings = examine("setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin", root=scratch)
    assert status == 1
    assert finding(findings, "root lacks CAP_SYS_ADMIN")["level"] == "fail"


def test_no_new_privileges_is_seen(scratch: Path) -> None:
    _, findings = examine("setpriv", "--no-new-privs", root=scratch)
    assert finding(findings, "no_new_privs")["level"] == "warn"


def test_a_foreign_firewall_that_drops_forwarding_is_named(scratch: Path) -> None:
    if subprocess.run(["sh", "-c", "command -v nft"], capture_output=True, check=False).returncode:
        pytest.skip("needs nftables")
    rules = "table inet other { chain fw { type filter hook forward priority 0; policy drop; }; }"
    setup = f"nft '{rules}'; exec \"$@\""
    _, findings = examine("unshare", "-n", "sh", "-c", setup, "sh", root=scratch)
    dropping = finding(findings, "chain fw of table other drops what is forwarded")
    assert dropping["level"] == "warn"
    assert "nft insert rule inet other fw" in dropping["mend"]


def test_our_own_and_harmless_firewalls_are_left_alone(scratch: Path) -> None:
    if subprocess.run(["sh", "-c", "command -v nft"], capture_output=True, check=False).returncode:
        pytest.skip("needs nftables")
    rules = "table inet other { chain fw { type filter hook forward priority 0; policy accept; }; }"
    _, findings = examine("unshare", "-n", "sh", "-c", f"nft '{rules}'; exec \"$@\"", "sh", root=scratch)
    assert not [one for one in findings if "drops what is forwarded" in one["what"]]


def test_a_host_where_user_namespaces_are_forbidden(scratch: Path) -> None:
    forbid = 'echo 0 > /proc/sys/user/max_user_namespaces; exec "$@"'
    _, findings = examine("unshare", "-U", "-r", "-m", "sh", "-c", forbid, "sh", root=scratch)
    none = finding(findings, "cannot make one")
    assert "user.max_user_namespaces" in none["mend"]


def test_people_read_it_too(scratch: Path) -> None:
    words = [OURS, "--root", str(scratch), "doctor"]
    shown = subprocess.run(words, capture_output=True, text=True, check=False).stdout
    assert "\nkernel\n  ok    Linux " in shown
    assert shown.splitlines()[-1].startswith("containers run here; ")
    quiet = subprocess.run([*words, "--quiet"], capture_output=True, text=True, check=False).stdout
    assert "  ok  " not in quiet


def test_nothing_is_left_and_no_engine_is_started(scratch: Path) -> None:
    examine(root=scratch)
    assert list(scratch.iterdir()) == []
