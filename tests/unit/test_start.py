"""The archive of compiled modules: faster where it can be used, and never believed where it cannot."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src" / "corten"
ENDING = f"start.{sys.implementation.cache_tag}"

LAUNCH = "import sys; sys.path.append({root!r}); from corten.start import start; start(sys.argv.pop(1))"
REPORT = """
import sys; sys.path.append({root!r})
from corten import start
start._end = lambda status: print(status, *sorted(sys.meta_path[0]._served), file=sys.stderr)
start.start(sys.argv.pop(1))
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A copy of the package with nothing compiled."""
    copy = tmp_path / "root"
    for part in ("cli", "client", "model", "wire"):
        shutil.copytree(SOURCE / part, copy / "corten" / part, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("__init__.py", "start.py"):
        shutil.copy2(SOURCE / file, copy / "corten" / file)
    return copy


def call(root: Path, *words: str, code: str = LAUNCH) -> subprocess.CompletedProcess[str]:
    env = {"CORTEN_HOST": "unix:///nonexistent"}
    command = [sys.executable, "-IS", "-c", code.format(root=str(root)), "corten", *words]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


def served(root: Path, *words: str) -> set[str]:
    return set(call(root, *words, code=REPORT).stderr.splitlines()[-1].split()[1:])


def archive(root: Path) -> Path:
    return root / "corten/__pycache__" / ENDING


def test_the_second_start_is_served_from_the_archive(root: Path) -> None:
    call(root, "--version")
    assert archive(root).exists()
    assert {"corten.cli.command", "corten.cli.flags", "corten.client.connection"} <= served(root, "--version")


def test_what_another_command_needs_is_added(root: Path) -> None:
    call(root, "--version")
    assert "corten.cli.container.ps" not in served(root, "ps")
    call(root, "ps")
    assert "corten.cli.container.ps" in served(root, "ps")
    assert "corten.cli.flags" in served(root, "--version")


def test_a_changed_source_is_used_at_once(root: Path) -> None:
    call(root, "--version")
    table = root / "corten/cli/command.py"
    table.write_text(table.read_text().replace("Corten version", "Changed version"))
    assert call(root, "--version").stdout.startswith("Changed version")
    call(root, "--version")
    assert "corten.cli.command" in served(root, "--version")


def test_a_long_table_is_read_whole(root: Path) -> None:
    for number in range(600):
        (root / f"corten/cli/filling_{number:03}.py").write_text("")
    names = ", ".join(f"filling_{number:03}" for number in range(600))
    command = root / "corten/cli/command.py"
    command.write_text(f"{command.read_text()}\nfrom corten.cli import {names}\n")
    call(root, "--version")
    assert {"corten.cli.filling_000", "corten.cli.filling_599", "corten.cli.flags"} <= served(root, "--version")


@pytest.mark.parametrize("damage", [b"", b"x", b"garbage of another interpreter" * 10])
def test_an_archive_that_is_none_is_ignored_and_replaced(root: Path, damage: bytes) -> None:
    call(root, "--version")
    good = archive(root).read_bytes()
    archive(root).write_bytes(damage)
    assert call(root, "--version").returncode == 0
    assert len(archive(root).read_bytes()) == len(good)


def test_an_archive_that_was_cut_short_does_no_harm(root: Path) -> None:
    call(root, "--version")
    good = archive(root).read_bytes()
    archive(root).write_bytes(good[:40])
    assert call(root, "--version").stdout.startswith("Corten version")


def test_a_place_that_cannot_be_written_is_no_error(root: Path) -> None:
    (root / "corten/__pycache__").write_text("no directory")
    done = call(root, "--version")
    assert (done.returncode, done.stderr) == (0, "")


def test_what_cannot_be_printed_is_an_error(root: Path) -> None:
    command = [sys.executable, "-IS", "-c", LAUNCH.format(root=str(root)), "corten", "--version"]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "corten: cannot write: No space left on device\n")


def test_an_error_of_our_own_shows_its_trace_with_the_source(root: Path) -> None:
    broken = root / "corten/cli/usage.py"
    broken.write_text("raise KeyError('broken')\n")
    call(root, "--help")
    again = call(root, "--help")
    assert again.returncode == 1
    assert "raise KeyError('broken')" in again.stderr
