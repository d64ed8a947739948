"""Intel RDT against a directory that looks like a resctrl filesystem: the machine may have no such processor."""

from pathlib import Path
from typing import Any

import pytest

from corten.model.errors import FailedPrecondition, InvalidArgument
from corten.runtime.resctrl import Group, schema


def group(root: Path | str, **rdt: Any) -> Group:
    spec: Any = {"ociVersion": "1.0.0", "linux": {"intelRdt": rdt} if rdt else {}}
    return Group(str(root), spec, "web")


def made(path: Path) -> Path:
    path.mkdir(parents=True)
    (path / "schemata").touch()
    (path / "tasks").touch()
    return path


def test_schemata_are_written_to_the_containers_group(tmp_path: Path) -> None:
    path = made(tmp_path / "web")
    group(tmp_path, l3CacheSchema="L3:0=f").update(["L3:0=f0"], [7])
    assert (path / "schemata").read_text() == "L3:0=f0\n"
    assert (path / "tasks").read_text() == ""


def test_a_named_group_is_used_and_outlives_the_container(tmp_path: Path) -> None:
    path = made(tmp_path / "gold")
    made(path / "mon_groups/web").joinpath("schemata").unlink()
    (path / "mon_groups/web/tasks").unlink()
    one = group(tmp_path, closID="gold", enableMonitoring=True)
    one.update(["MB:0=20"], [])
    assert (path / "schemata").read_text() == "MB:0=20\n"
    one.remove()
    assert path.exists()
    assert not (path / "mon_groups/web").exists()


def test_the_containers_own_group_goes_with_it(tmp_path: Path) -> None:
    (tmp_path / "web").mkdir()
    one = group(tmp_path, l3CacheSchema="L3:0=f")
    one.remove()
    one.remove()  # twice does not hurt
    assert not (tmp_path / "web").exists()


def test_where_the_kernel_refuses_its_reason_is_told(tmp_path: Path) -> None:
    (tmp_path / "web").mkdir()
    (tmp_path / "info").mkdir()
    (tmp_path / "info/last_cmd_status").write_text("Non-hex character in the mask z\n")
    with pytest.raises(FailedPrecondition, match="schemata") as caught:
        group(tmp_path).update(["L3:0=z"], [])
    assert "Non-hex character" in caught.value.hint


def test_without_the_filesystem_the_error_says_how_to_get_it() -> None:
    with pytest.raises(FailedPrecondition, match="not mounted") as caught:
        group("").update(["L3:0=f"], [])
    assert "mount -t resctrl" in caught.value.hint
    group("").remove()


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("MB:0=1", "l3-cache-schema"),
        ("L3:0=f", "mem-bw-schema"),
        ("L3", "l3-cache-schema"),
        ("L3:0=f\nMB:0=1", "l3-cache-schema"),
    ],
)
def test_a_flag_takes_its_own_schema_only(text: str, kind: str) -> None:
    with pytest.raises(InvalidArgument):
        schema(text, kind)


def test_a_flag_takes_its_schema() -> None:
    assert schema("L3CODE:0=f;1=f", "l3-cache-schema").startswith("L3CODE")
    assert schema("MB:0=20", "mem-bw-schema") == "MB:0=20"
