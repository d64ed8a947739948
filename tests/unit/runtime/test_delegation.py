"""What an ordinary user was given, on a tree of plain files that looks like a delegated one."""

import os
from pathlib import Path

import pytest

from corten.kernel.cgroups import Hierarchy, Layout
from corten.runtime.delegation import make_room, reachable


def delegated(at: Path, own: str, **files: str) -> Layout:
    (at / own.strip("/")).mkdir(parents=True, exist_ok=True)
    for name, text in (
        {"controllers": "cpu memory", "subtree_control": "", "procs": "", "type": "domain"} | files
    ).items():
        (at / own.strip("/") / f"cgroup.{name}").write_text(text)
    return Layout((), Hierarchy(2, "", (), str(at), own, own))


LIMITED = {"resources": {"memory": {"limit": 1 << 24}}}


def test_our_own_processes_make_room_where_a_limit_needs_it(tmp_path: Path) -> None:
    make_room(delegated(tmp_path, "/", procs="12\n"), LIMITED, "box")  # type: ignore[arg-type]
    assert (tmp_path / "corten-init/cgroup.procs").read_text() == "12"


@pytest.mark.parametrize(
    ("own", "files", "linux"),
    [
        ("/", {"procs": "12\n"}, {}),
        ("/", {"procs": "12\n"}, {"resources": {"devices": []}}),
        ("/", {"procs": "12\n", "subtree_control": "cpu memory"}, LIMITED),
        ("/", {"procs": ""}, LIMITED),
        ("/service", {"procs": "12\n"}, LIMITED | {"cgroupsPath": "/elsewhere/box"}),
    ],
    ids=["no limits", "device rules only", "passed on already", "nobody there", "not on the way"],
)
def test_nobody_is_moved_without_need(
    tmp_path: Path, own: str, files: dict[str, str], linux: dict[str, object]
) -> None:
    make_room(delegated(tmp_path, own, **files), linux, "box")  # type: ignore[arg-type]
    assert not list(tmp_path.rglob("corten-init"))


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_a_service_of_the_machine_is_never_moved(tmp_path: Path) -> None:
    make_room(delegated(tmp_path, "/service", procs="12\n"), LIMITED, "box")  # type: ignore[arg-type]
    assert not list(tmp_path.rglob("corten-init"))


def test_reachable_is_what_may_be_written(tmp_path: Path) -> None:
    layout = delegated(tmp_path, "/")
    assert reachable(layout, {}, "box")
    (tmp_path / "cgroup.procs").unlink()
    assert not reachable(layout, {}, "box")
    assert not reachable(Layout((), None), {}, "box")
