"""What one row is about, for people who want to learn: `corten runtime plan --explain N`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from corten.model.errors import InvalidArgument
from corten.plan.catalog import OPERATIONS
from corten.plan.text import sentence, shown_arguments

if TYPE_CHECKING:
    from corten.plan.step import LaunchPlan

__all__ = ["explain"]

_ACTORS = {
    "host": "the host half: the launcher before clone, with the caller's privileges",
    "parent": "the parent half: it stays outside the container and leaves after its last row",
    "child": "the child: the process that becomes the container's program",
    "controller": "the controller: Python, at the checkpoint before this row",
}
_SPECIFICATION = "https://github.com/opencontainers/runtime-spec/blob/v1.3.0/"


def explain(plan: LaunchPlan, number: int) -> str:
    """The row, what its operation does, why it is here, who runs it, and where to read on.

    Raises InvalidArgument when the plan has no such row.
    """
    if not 0 <= number < len(plan.steps):
        raise InvalidArgument(f"cannot explain row {number}: the plan has the rows 0 to {len(plan.steps) - 1}")
    step = plan.steps[number]
    operation = OPERATIONS[step.op]
    arguments = [f"    {name:<12} {text}" for name, text in shown_arguments(step).items() if text]
    facts = {
        "why": step.why or "every container needs it",
        "from": step.origin or "(the runtime's own)",
        "who": _ACTORS[step.actor],
        "calls": ", ".join(operation.calls) or "none",
        "manual": operation.man,
        "kernel": f"Linux {operation.since} or newer",
        "spec": _SPECIFICATION + operation.spec,
    }
    lines = [f"row {number}: {sentence(step)}", "", operation.text, ""]
    lines += [f"{name:<8}{text}" for name, text in facts.items()]
    return "\n".join([*lines, *(["arguments", *arguments] if arguments else [])]) + "\n"
