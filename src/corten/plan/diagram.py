"""A plan as a Mermaid sequence diagram: who does what in which order, and where the turn changes hands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from corten.plan.text import sentence

if TYPE_CHECKING:
    from collections.abc import Iterator

    from corten.plan.step import LaunchPlan, Step

__all__ = ["mermaid"]

_LIFELINES = {
    "controller": "Controller (Python)",
    "host": "Host half (C)",
    "parent": "Parent half (C)",
    "child": "Child (C)",
}


def mermaid(plan: LaunchPlan) -> str:
    """The text of a ``sequenceDiagram``; rows of one actor in a row share a note."""
    lines = ["sequenceDiagram", *(f"    participant {name} as {title}" for name, title in _LIFELINES.items())]
    lines.append("    controller->>host: plan in a sealed memfd, control socket")
    for actor, rows in _runs(plan):
        if any(step.op == "clone" for _, step in rows):
            lines += [_note(actor, rows), "    host->>child: clone", "    host->>parent: goes on as"]
        else:
            lines.append(_note(actor, rows))
        lines += [
            f"    {actor}->>controller: {step.op} {_escaped(str(step.args[0]))}" for _, step in rows if _talks(step)
        ]
    return "\n".join(lines) + "\n"


def _talks(step: Step) -> bool:
    return step.op in ("checkpoint", "report")


def _runs(plan: LaunchPlan) -> Iterator[tuple[str, list[tuple[int, Step]]]]:
    """Consecutive rows of one actor; a row that speaks to the controller ends its run."""
    rows: list[tuple[int, Step]] = []
    for number, step in enumerate(plan.steps):
        if rows and (rows[-1][1].actor != step.actor or _talks(rows[-1][1])):
            yield rows[-1][1].actor, rows
            rows = []
        rows.append((number, step))
    if rows:
        yield rows[-1][1].actor, rows


def _note(actor: str, rows: list[tuple[int, Step]]) -> str:
    return f"    Note over {actor}: " + "<br/>".join(f"{number} {_escaped(sentence(step))}" for number, step in rows)


def _escaped(text: str) -> str:
    """Mermaid ends a message at a semicolon and reads `#` as an entity."""
    return text.replace("#", "#35;").replace(";", "#59;").replace("<", "#lt;").replace(">", "#gt;")
