"""Our command line beside docker's own, against the same engine: the same output, the same exit status, word for word.

A case is a file of steps below command_line/, one command line each. Every step runs twice, with docker's command and
with ours. In a step `{n}` is a name of the case's own, one for each command, so that both can make, change and remove
the same things; `{f}` is a file of each, `{i}` the digit 1 or 2; `< TEXT |` before a step gives it TEXT as its stdin.
What must differ is evened out before comparing: ids, times, and the name of the program.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bench.peers import Corten, Dockerd, available
from tests.conformance.engine import started

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(not available("docker", "ip"), reason="needs docker's command"),
]

OURS = str(Path(sys.executable).with_name("corten"))

CASES = sorted((Path(__file__).parent / "command_line").glob("*.steps"))


@pytest.fixture(scope="module", params=[Dockerd, Corten], ids=["dockerd", "corten"])
def engine(request: pytest.FixtureRequest) -> Iterator[Dockerd | Corten]:
    """The reference's engine and ours: whatever an engine says, both commands must make the same of it."""
    if request.param is Dockerd and not available("dockerd", "containerd", "runc"):
        pytest.skip("needs docker.io")
    with started(request.param) as peer:
        yield peer


def evened(text: str, name: str, place: str) -> str:
    """The output without what must differ between two runs."""
    text = text.replace(place, "{f}").replace(name, "{n}")
    text = re.sub(r"(?m)^hint: .*\n\n?", "", text)  # docker's command drops what our engine adds
    text = re.sub(r"(?m)^docker: ", "corten: ", text)
    text = re.sub(r"(Usage:  |\n\t|'|: )docker ", r"\1corten ", text)
    text = re.sub(r"\b10\.9[12]\.", "10.9{i}.", text)
    text = re.sub(r"\b[0-9a-f]{64}\b", "<ID>", text)
    text = re.sub(r"\b[0-9a-f]{12}\b", "<id>", text)
    text = re.sub(r"\b(About an? \w+|Less than a second|\d+ (second|minute)s?)( ago)?", "<span>", text)
    text = re.sub(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?", "<time>", text)
    return re.sub(r"\d+\.\d\d+(ms|s)", "<seconds>", text)


def call(program: list[str], step: str, name: str, place: str) -> tuple[int, list[str], list[str]]:
    """Exit status, stdout and stderr of one step, evened."""
    import shlex

    given = ""
    if step.startswith("< "):
        given, _, step = step[2:].partition(" | ")
    words = [
        word.replace("{n}", name).replace("{f}", place).replace("{i}", "1" if name.endswith("ref") else "2")
        for word in shlex.split(step)
    ]
    env = {**os.environ, "HOME": "/nonexistent", "LC_ALL": "C.UTF-8"}
    done = subprocess.run(
        [*program, *words], input=given, capture_output=True, text=True, timeout=60, env=env, check=False
    )
    return (
        done.returncode,
        sorted_ties(step, evened(done.stdout, name, place)),
        evened(done.stderr, name, place).splitlines(),
    )


def sorted_ties(step: str, text: str) -> list[str]:
    """Lines; sorted where the engine itself gives equal ones in a random order."""
    lines = [re.sub(r" +", " ", line) for line in text.splitlines()]
    return sorted(lines) if step.split()[0] in ("images", "image", "system", "diff", "info") else lines


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)
def test_our_command_answers_as_dockers(case: Path, engine: Dockerd | Corten, tmp_path: Path) -> None:
    wrong: list[str] = []
    name = case.stem.replace("_", "")
    for number, step in enumerate(case.read_text().splitlines(), 1):
        theirs = call(["docker", "-H", f"unix://{engine.socket}"], step, f"{name}ref", str(tmp_path / "ref"))
        ours = call([OURS, "-H", f"unix://{engine.socket}"], step, f"{name}own", str(tmp_path / "own"))
        if theirs != ours:
            wrong.append(f"{number}. {step}\n   docker: {theirs}\n   corten: {ours}")
    assert not wrong, "\n".join(["", *wrong])
