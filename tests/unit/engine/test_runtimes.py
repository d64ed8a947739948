"""Names of OCI runtimes: our own, the configuration's, those that are installed, and paths."""

import json
from pathlib import Path

import pytest

from corten.daemon import config
from corten.engine import runtimes
from corten.model.errors import InvalidArgument

CONFIGURED = {"mine": ("/opt/runtime", "--strict")}


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("", ()),
        ("corten", ()),
        ("io.containerd.runc.v2", ()),
        ("mine", ("/opt/runtime", "--strict")),
        ("/bin/true", ("/bin/true",)),
    ],
)
def test_a_name_is_a_command(name: str, command: tuple[str, ...]) -> None:
    assert runtimes.command(name, CONFIGURED) == command


@pytest.mark.parametrize("name", ["magic", "/nowhere/runc", "../bin/true", "/etc/passwd"])
def test_what_is_no_runtime_is_refused(name: str) -> None:
    with pytest.raises(InvalidArgument, match="unknown or invalid runtime name"):
        runtimes.command(name, {})


def test_info_shows_arguments_too() -> None:
    shown = runtimes.listed("/bin/corten", CONFIGURED)
    assert shown["mine"] == {"path": "/opt/runtime", "runtimeArgs": ["--strict"]}
    assert shown["corten"] == {"path": "/bin/corten"}


def written(path: Path, **values: object) -> str:
    path.write_text(json.dumps(values))
    return str(path)


def test_the_configuration_names_runtimes_and_the_default(tmp_path: Path) -> None:
    entry = {"path": "/bin/true", "runtimeArgs": ["-x"]}
    read = config.load(written(tmp_path / "engine.json", runtimes={"mine": entry}, **{"default-runtime": "mine"}))
    assert read.runtime_commands == {"mine": ("/bin/true", "-x")}
    assert read.default_runtime == "mine"


@pytest.mark.parametrize(
    ("values", "place"),
    [
        ({"runtimes": {"mine": {"path": "relative"}}}, "/runtimes/mine"),
        ({"runtimes": {"corten": {"path": "/bin/true"}}}, "/runtimes/corten"),
        ({"default-runtime": "magic"}, "/default-runtime"),
    ],
)
def test_a_wrong_configuration_is_refused_with_its_place(tmp_path: Path, values: dict[str, object], place: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        config.load(written(tmp_path / "engine.json", **values))
    assert caught.value.place == place
