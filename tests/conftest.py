"""What every test shares: markers, the list of allowed skips, scratch space, and the leak check.

A root test leaves nothing behind: file descriptors, mounts, cgroups, namespaces, links and processes of this
session are compared before and after it (`leaves_nothing`). A skip needs a reason, and where CI is true also
a line in tests/skips.toml.
"""

import os
import re
import shutil
import tempfile
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ALLOWED_SKIPS = [re.compile(row["reason"]) for row in tomllib.loads((HERE / "skips.toml").read_text())["skip"]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "root" in Path(item.path).parts or item.get_closest_marker("root"):
            item.add_marker("root")
            if os.geteuid() != 0:
                item.add_marker(pytest.mark.skip(reason="needs root"))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:  # noqa: ARG001
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    if os.environ.get("CI") and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if not any(pattern.search(reason) for pattern in ALLOWED_SKIPS):
            report.outcome = "failed"
            report.longrepr = f"{item.nodeid}: this skip is not on the list in tests/skips.toml: {reason}"


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A private directory on tmpfs: the root file system may have no journal and be slow after deletes."""
    base = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    path = Path(tempfile.mkdtemp(prefix="corten-test-", dir=base))
    yield path
    shutil.rmtree(path, ignore_errors=True)


def mounts() -> set[str]:
    return {line.split(" - ")[0].split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()}


def cgroups() -> set[str]:
    """Only where nobody else makes any: other sessions of a developer's machine run engines as well."""
    if not os.environ.get("CI"):
        return set()
    return {path for path, _, _ in os.walk("/sys/fs/cgroup") if "corten" in path}


def links() -> set[str]:
    return set(os.listdir("/sys/class/net"))


def children() -> set[str]:
    """Processes that descend from this one, by pid and command (a zombie counts)."""
    found: dict[int, tuple[int, str]] = {}
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            head, _, rest = Path(f"/proc/{entry}/stat").read_text().rpartition(")")
        except OSError:
            continue
        found[int(entry)] = (int(rest.split()[1]), head)
    mine = {os.getpid()}
    while grown := {pid for pid, (parent, _) in found.items() if parent in mine} - mine:
        mine |= grown
    return {found[pid][1] for pid in mine - {os.getpid()} if pid in found}


def descriptors() -> set[str]:
    return {name for name in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{name}")}


def snapshot() -> dict[str, set[str]]:
    return {
        "mounts": mounts(),
        "cgroups": cgroups(),
        "links": links(),
        "processes": children(),
        "descriptors": descriptors(),
    }


@pytest.fixture
def leaves_nothing() -> Iterator[None]:
    """Fail when what the test made is still there two seconds after it."""
    before = snapshot()
    yield
    deadline = time.monotonic() + 2
    while True:
        left = {kind: sorted(now - before[kind]) for kind, now in snapshot().items() if now - before[kind]}
        if not left or time.monotonic() > deadline:
            break
        time.sleep(0.02)
    assert not left, f"left behind: {left}"
