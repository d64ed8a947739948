"""How two plans differ, row by row: `corten runtime plan --diff A B`.

Row numbers shift when a mount is added, so rows are compared by what they say, not by their place.
"""

from __future__ import annotations

from difflib import SequenceMatcher
from typing import TYPE_CHECKING

from corten.plan.text import sentence

if TYPE_CHECKING:
    from corten.plan.step import LaunchPlan, Step

__all__ = ["diff"]


def diff(before: LaunchPlan, after: LaunchPlan) -> str:
    """Removed rows as ``-``, added ones as ``+``, each with its number, actor and origin; "" for equal plans."""
    old, new = [_line(step) for step in before.steps], [_line(step) for step in after.steps]
    lines = []
    for tag, i, j, k, m in SequenceMatcher(a=old, b=new, autojunk=False).get_opcodes():
        if tag != "equal":
            lines += [f"- {number:>3} {old[number]}" for number in range(i, j)]
            lines += [f"+ {number:>3} {new[number]}" for number in range(k, m)]
    return "".join(f"{line}\n" for line in lines)


def _line(step: Step) -> str:
    return f"{step.actor:<10} {sentence(step)}" + (f"  [{step.origin}]" if step.origin else "")
