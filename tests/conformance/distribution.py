"""The distribution-spec conformance suite (Go): a registry pushed to, pulled from, listed and cleaned up by it.

A point is a node of its tree. The suite is proven on Debian's docker-registry 2.8, which has neither referrers nor
the rules of the newer standard and fails those points; nobody else's points may fail.
"""

import json
import os
import shutil
import subprocess
import tempfile
import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path

from tests.conformance.cache import run, suite
from tests.registries import CommandRegistry, DebianRegistry

__all__ = ["distribution", "prepared"]

MODULE = "github.com/opencontainers/distribution-spec/conformance"
MODULE_VERSION = "v0.0.0-20260831232431-97274622c111"
SECONDS = 300


def prepare(place: Path) -> None:
    """Build the suite's one program."""
    found = json.loads(run("go", "mod", "download", "-json", f"{MODULE}@{MODULE_VERSION}", cwd=place))
    source = place / "source"
    shutil.copytree(found["Dir"], source)
    run("chmod", "-R", "u+w", source)
    run("go", "build", "-o", place / "conformance", ".", cwd=source, CGO_ENABLED="0")


def prepared() -> Path:
    """The suite's program, fetched and built once."""
    return suite(f"distribution-{MODULE_VERSION}-1", prepare) / "conformance"


def points(report: Path) -> dict[str, str]:
    """Each case of the suite's junit report; names come again for each blob, so they are numbered."""
    found: dict[str, str] = {}
    seen: Counter[str] = Counter()
    for case in ElementTree.parse(report).iter("testcase"):
        name = case.get("name", "")
        seen[name] += 1
        found[f"{name} {seen[name]}"] = case.get("status", "failure")
    return found


def distribution(against: str, only: str = "") -> dict[str, str]:
    """The suite of the newest standard against ``corten`` or ``docker-registry``."""
    program = prepared()
    scratch = Path(tempfile.mkdtemp(prefix="corten-suite-", dir="/dev/shm"))
    registry = {"corten": CommandRegistry, "docker-registry": DebianRegistry}[against](scratch / "registry")
    env = {
        **os.environ,
        "OCI_REGISTRY": registry.address,
        "OCI_TLS": "disabled",
        "OCI_VERSION": "dev",
        "OCI_RESULTS_DIR": str(scratch / "results"),
        "OCI_LOG": "error",
    }
    try:
        subprocess.run([program], env=env, capture_output=True, timeout=SECONDS, check=False)
        found = points(scratch / "results/junit.xml")
    finally:
        registry.close()
        shutil.rmtree(scratch, ignore_errors=True)
    return {name: state for name, state in found.items() if only in name}
