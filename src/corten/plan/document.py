"""A plan as a JSON value: what `corten runtime plan --format json` prints, one object a row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from corten.plan.catalog import OPERATIONS
from corten.plan.text import sentence, shown_arguments

if TYPE_CHECKING:
    from corten.plan.step import LaunchPlan, Step

__all__ = ["as_json"]


def as_json(plan: LaunchPlan) -> dict[str, Any]:
    """``{"inherit": {slot: descriptor}, "steps": [{n, actor, op, args, slot, accept, text, why, origin}, …]}``.

    `args` holds integers as they are and blobs as hexadecimal; `shown` what a person reads where that differs.
    """
    return {
        "inherit": {name: fd for fd, name in plan.inherit},
        "steps": [_row(number, step) for number, step in enumerate(plan.steps)],
    }


def _row(number: int, step: Step) -> dict[str, Any]:
    names = [name for name, _ in OPERATIONS[step.op].args]
    args = {name: _plain(value) for name, value in zip(names, step.args, strict=True)}
    shown = {name: text for name, text in shown_arguments(step).items() if isinstance(args[name], int) and text}
    return {
        "n": number,
        "actor": step.actor,
        "op": step.op,
        "args": args,
        **({"shown": shown} if shown else {}),
        **({"slot": step.slot} if step.slot else {}),
        **({"accept": list(step.accept)} if step.accept else {}),
        "text": sentence(step),
        "why": step.why or OPERATIONS[step.op].text,
        "origin": step.origin,
    }


def _plain(value: object) -> object:
    if isinstance(value, bytes):
        return value.hex()
    return list(value) if isinstance(value, tuple) else value
