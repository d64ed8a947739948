"""What the command prints about plans, machines and containers; the shapes are runc's, where runc has them."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.root.runtime.bundle import Runtime

RUNC = shutil.which("runc", path="/usr/sbin:/usr/bin:/sbin:/bin") or ""
needs_runc = pytest.mark.skipif(not RUNC, reason="needs runc")


@pytest.fixture
def ready(runtime: Runtime) -> Runtime:
    runtime.bundle.process["args"] = ["/bin/true"]
    runtime.bundle.write()
    return runtime


def shape(value: Any, at: str = "") -> set[str]:
    """The paths of a document with the types that stand there; lists by their elements."""
    if isinstance(value, dict):
        return {one for name, below in value.items() for one in shape(below, f"{at}.{name}")} | {at}
    if isinstance(value, list):
        return {one for below in value for one in shape(below, f"{at}[]")} | {at}
    return {
        f"{at} {'number' if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__}"
    }


def test_every_row_of_a_plan_can_be_explained(ready: Runtime) -> None:
    text = ready("plan", str(ready.bundle.path)).stdout
    rows = json.loads(ready("plan", "--format", "json", str(ready.bundle.path)).stdout)["steps"]
    assert len(text.strip().splitlines()) >= len(rows)
    for number in (0, len(rows) // 2, len(rows) - 1):
        told = ready("plan", "--explain", str(number), str(ready.bundle.path)).stdout
        assert told.startswith(f"row {number}: {rows[number]['op'][:3]}") or rows[number]["text"] in told
        for word in ("manual", "kernel", "spec", "why"):
            assert f"\n{word}" in told
    assert "the plan has no row" in ready("plan", "--explain", "999", str(ready.bundle.path), check=False).stderr


def test_a_diagram_has_all_four_who_act(ready: Runtime) -> None:
    text = ready("plan", "--format", "mermaid", str(ready.bundle.path)).stdout
    assert text.startswith("sequenceDiagram\n")
    for actor in ("host", "child", "controller"):
        assert actor in text


def test_a_difference_names_only_what_changed(ready: Runtime, scratch: Path) -> None:
    other = scratch / "other"
    shutil.copytree(ready.bundle.path, other, symlinks=True)
    spec = {
        **ready.bundle.spec,
        "process": {**ready.bundle.process, "umask": 7, "user": {"uid": 0, "gid": 0, "umask": 7}},
    }
    (other / "config.json").write_text(json.dumps(spec))
    lines = ready("plan", "--diff", str(ready.bundle.path), str(other)).stdout.splitlines()
    assert [line for line in lines if "umask" in line]
    assert not [line for line in lines if line.endswith("/linux/maskedPaths/0]")]
    assert ready("plan", "--diff", str(ready.bundle.path), str(ready.bundle.path)).stdout == ""


def test_a_check_is_silent_about_a_good_plan(ready: Runtime) -> None:
    assert ready("plan", "--check", str(ready.bundle.path)).stdout == ""


def test_a_trace_has_a_time_for_each_row_and_leaves_nothing(ready: Runtime) -> None:
    lines = ready("plan", "--trace", str(ready.bundle.path)).stdout.splitlines()
    assert lines[-1].endswith("us  in all")
    assert any(" clone " in line for line in lines)
    assert not list(ready.root.glob("*"))


@needs_runc
def test_the_rootless_template_has_runcs_shape(ready: Runtime, scratch: Path) -> None:
    places = {"ours": scratch / "ours", "runc": scratch / "runc"}
    for place in places.values():
        place.mkdir()
    ready("spec", "--rootless", "-b", str(places["ours"]))
    subprocess.run([RUNC, "spec", "--rootless", "-b", str(places["runc"])], check=True)
    ours, theirs = (json.loads((place / "config.json").read_text()) for place in places.values())
    for document in (ours, theirs):  # what newer ones leave out or mask besides
        document["process"]["capabilities"].pop("ambient", None)
        document["process"]["capabilities"].pop("inheritable", None)
    assert shape(theirs) - shape(ours) == set()


@needs_runc
def test_statistics_have_runcs_shape(ready: Runtime, scratch: Path) -> None:
    ready.start()
    ours = json.loads(ready("events", "--stats", ready.bundle.id).stdout)
    other = Runtime(scratch / "other", RUNC)
    other.bundle.spec["linux"]["cgroupsPath"] = f"/{other.bundle.id}"
    try:
        other.start()
        theirs = json.loads(other("events", "--stats", other.bundle.id).stdout)
    finally:
        other.end()
    missing = {path for path in shape(theirs) - shape(ours) if "[]" not in path and ".raw" not in path}
    assert missing == set()
