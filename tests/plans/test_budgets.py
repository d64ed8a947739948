"""The C that runs with privileges stays small: docs/plan.md gives each part of it a budget in lines."""

from pathlib import Path

import pytest

NATIVE = Path(__file__).parent.parent.parent / "native"


def lines(*names: str) -> int:
    return sum(len((NATIVE / name).read_text().splitlines()) for name in names)


OWN = {"launch_copy.c": 130, "launch_cgroup.c": 130, "launch_home.c": 60}
INTERPRETER = [path.name for path in NATIVE.glob("launch*.c") if path.name not in OWN]


@pytest.mark.parametrize(
    ("names", "budget"),
    [(INTERPRETER, 1300), *(([name], most) for name, most in OWN.items()), (["init.c"], 100), (["netns.c"], 100)],
)
def test_a_part_keeps_to_its_budget(names: list[str] | tuple[str, ...], budget: int) -> None:
    assert lines(*names) <= budget
