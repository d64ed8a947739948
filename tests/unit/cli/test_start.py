"""What a command may import before it does anything: a start must cost no more than docker's own."""

import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[3] / "src"

# Each of these costs more than a whole command may.
HEAVY = {
    "argparse",
    "asyncio",
    "collections",
    "contextlib",
    "ctypes",
    "dataclasses",
    "datetime",
    "enum",
    "functools",
    "inspect",
    "json",
    "msgspec",
    "os",
    "pathlib",
    "re",
    "select",
    "signal",
    "socket",
    "struct",
    "subprocess",
    "tempfile",
    "typing",
}

REPORT = """
import sys
sys.path.append({source!r})
before = set(sys.modules)
from corten.cli.command import main
main({words!r})
sys.stdout = None
print(*sorted(set(sys.modules) - before), file=sys.stderr)
"""


def imported(*words: str) -> set[str]:
    code = REPORT.format(source=str(SOURCE), words=list(words))
    env = {"CORTEN_HOST": "unix:///nonexistent.sock"}
    done = subprocess.run([sys.executable, "-IS", "-c", code], env=env, capture_output=True, text=True, check=False)
    return set(done.stderr.splitlines()[-1].split())


@pytest.mark.parametrize("command", ["ps", "images", "rm x", "stop x", "inspect x", "logs x", "version"])
def test_a_plain_command_imports_nothing_heavy(command: str) -> None:
    heavy = imported(*command.split()) & HEAVY
    assert heavy <= ({"select", "struct"} if command == "logs x" else set())


def test_ps_imports_little_and_only_its_own_family() -> None:
    own = {name for name in imported("ps") if name.startswith("corten.")}
    assert len(own) <= 24, sorted(own)
    assert not {
        name for name in own if name.startswith(("corten.cli.system", "corten.cli.template", "corten.cli.volume"))
    }


@pytest.mark.parametrize("command", ["run --rm x true", "exec x true"])
def test_running_something_imports_what_it_pumps_with_and_no_more(command: str) -> None:
    assert imported(*command.split()) & HEAVY <= {"select", "struct"}


def test_no_command_imports_the_daemon() -> None:
    for command in ("ps", "run x", "system df", "doctor -f json"):
        assert not {name for name in imported(*command.split()) if name.startswith("corten.daemon")}
