"""The plan of each kept configuration, word for word. `./dev accept` rewrites them; the review reads the difference.

A case is a directory below tests/plans with a ``config.json``; its name begins with the machine it is compiled for.
"""

import json
import os
from pathlib import Path

import pytest

from corten.plan import check, describe
from corten.runtime import Options, compile, compile_exec
from corten.runtime.validation import validate
from tests.unit.runtime.hosts import HYBRID, V1, V2, host

HERE = Path(__file__).parent
LAYOUTS = {"v1": V1, "hybrid": HYBRID, "v2": V2}
CASES = sorted(path.parent for path in HERE.glob("*/config.json"))


def compiled(case: Path) -> str:
    machine, _, name = case.name.partition("-")
    spec = json.loads((case / "config.json").read_text())
    validate(spec)
    on = host(LAYOUTS[machine], euid=1000 if "rootless" in name else 0)
    warnings: list[str] = []
    options = Options(console=True, listener=True, network="network" in name, cgroup_fallback="rootless" in name)
    if name.startswith("exec"):
        plan = compile_exec(spec, on, id="web", pid=1234, start=5678, options=options, warnings=warnings)
    else:
        plan = compile(spec, on, bundle="/bundle", id="web", options=options, warnings=warnings)
    broken = [str(one) for one in check(plan)]
    assert broken == []
    return describe(plan) + "".join(f"! {warning}\n" for warning in warnings)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_configuration_compiles_to_its_kept_plan(case: Path) -> None:
    golden, text = case / "plan.txt", compiled(case)
    if os.environ.get("CORTEN_ACCEPT"):
        golden.write_text(text)
    assert text == golden.read_text(), "the plan has changed; if it should, run: ./dev accept"


def test_there_are_cases_for_each_layout() -> None:
    assert {case.name.split("-")[0] for case in CASES} == set(LAYOUTS)
