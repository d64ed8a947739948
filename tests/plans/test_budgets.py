"""The C that runs with privileges stays small: docs/plan.md gives each part of it a budget in lines."""

from pathlib import Path

import pytest

NATIVE = Path(__file__).parent.parent.parent / "native"


def lines(*names: str) -> int:
    return sum(len((NATIVE / name).read_text().splitlines()) for name in names)


INTERPRETER = [path.name for path in NATIVE.glob("launch*.c") if path.name != "launch_copy.c"]


@pytest.mark.parametrize(
    ("names", "budget"), [(INTERPRETER, 1300), (["launch_copy.c"], 130), (["init.c"], 100), (["netns.c"], 100)]
)
def test_a_part_keeps_to_its_budget(names: list[str], budget: int) -> None:
    assert lines(*names) <= budget
