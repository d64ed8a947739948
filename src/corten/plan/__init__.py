"""The launch-plan language: what Python decided and C will do, as a flat readable list.

A container is started in two halves. Python reads the configuration and **decides**: it compiles a `LaunchPlan`, a list
of `Step`s, without touching the kernel. The C interpreter (`corten @launch`, native/launch.c) **does**: it executes the
rows from top to bottom, whoever runs them, and decides nothing. So what is about to happen with privileges can be
printed, compared, checked and tested before it happens.

>>> from corten.plan import LaunchPlan, encode, ops
>>> from corten.plan.flags import CLONE_NEWUTS
>>> plan = LaunchPlan([
...     ops.clone(CLONE_NEWUTS, "", slot="pidfd", why="the container begins here"),
...     ops.sethostname("web", origin="/hostname"),
...     ops.exec(("/bin/hostname",), ()),
... ])
>>> raw = encode(plan)

The operations stand in native/ops.toml, from which `ops` (constructors), `catalog` (texts) and the C header are
generated. Vocabulary: *actor* (host before clone, parent and child after it, controller = Python at a checkpoint),
*slot* (a named descriptor), *accept* (an errno that does no harm), *origin* (JSON pointer), *why* (one sentence).
docs/plan.md tells more.
"""

from __future__ import annotations

from corten.plan.encode import encode
from corten.plan.step import LaunchPlan, Step

TYPE_CHECKING = False
if TYPE_CHECKING:
    from corten.plan.decoding import decode
    from corten.plan.diagram import mermaid
    from corten.plan.difference import diff
    from corten.plan.document import as_json
    from corten.plan.explanation import explain
    from corten.plan.rules import Violation, check
    from corten.plan.text import describe

__all__ = [
    "LaunchPlan",
    "Step",
    "Violation",
    "as_json",
    "check",
    "decode",
    "describe",
    "diff",
    "encode",
    "explain",
    "mermaid",
]

# Starting a container needs only `encode`; what is for people and for checking is imported when it is asked for.
_LATER = {
    "Violation": "rules",
    "as_json": "document",
    "check": "rules",
    "decode": "decoding",
    "describe": "text",
    "diff": "difference",
    "explain": "explanation",
    "mermaid": "diagram",
}


def __getattr__(name: str) -> object:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    found = globals()[name] = getattr(import_module(f"corten.plan.{_LATER[name]}"), name)
    return found
