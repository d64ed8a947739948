"""A row of a launch plan, and the plan itself: frozen values.

A **step** names an operation (`op`, a row of native/ops.toml), its arguments, the **slot** its descriptor goes to, the
**actor** who runs it, the errno values it may ignore (`accept`), and, for people and errors, `why` (one sentence) and
`origin` (a JSON pointer into the configuration). A slot is the name of a file descriptor: rows hand handles to each
other by it.

Compiling a plan is on the path of every `run`, so these are plain tuples: neither dataclasses nor typing is imported.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

Arg = int | str | bytes | tuple[str, ...] | tuple[int, ...]


class Step(tuple):  # type: ignore[type-arg]
    """One row: ``(op, args, slot, actor, accept, why, origin)``. Made by the functions of `plan.ops`, not by hand."""

    __slots__ = ()

    def __new__(
        cls,
        op: str,
        args: tuple[Arg, ...],
        slot: str,
        actor: str,
        accept: tuple[int, ...] = (),
        why: str = "",
        origin: str = "",
    ) -> Step:
        return tuple.__new__(cls, (op, args, slot, actor, accept, why, origin))

    @property
    def op(self) -> str:
        return self[0]  # type: ignore[no-any-return]

    @property
    def args(self) -> tuple[Arg, ...]:
        return self[1]  # type: ignore[no-any-return]

    @property
    def slot(self) -> str:
        """The name of the descriptor that this row makes, or "" for none."""
        return self[2]  # type: ignore[no-any-return]

    @property
    def actor(self) -> str:
        return self[3]  # type: ignore[no-any-return]

    @property
    def accept(self) -> tuple[int, ...]:
        """At most three errno values that do not end the launch; the slot then stays empty."""
        return self[4]  # type: ignore[no-any-return]

    @property
    def why(self) -> str:
        return self[5]  # type: ignore[no-any-return]

    @property
    def origin(self) -> str:
        return self[6]  # type: ignore[no-any-return]

    def replace(self, **fields: object) -> Step:
        """The same row with some fields changed."""
        names = ("op", "args", "slot", "actor", "accept", "why", "origin")
        return tuple.__new__(Step, (fields.get(name, value) for name, value in zip(names, self, strict=True)))

    def __repr__(self) -> str:
        return f"Step({self.op}, {self.args!r}, slot={self.slot!r}, actor={self.actor!r})"


class LaunchPlan(tuple):  # type: ignore[type-arg]
    """The rows in order, and the descriptors that the program inherits: ``((number, slot), …)``.

    Numbers 0, 1 and 2 are the container's standard streams (name them here only when a row uses them), 3 is the plan
    and 4 the control socket; the spawner puts every further one where this table says.
    """

    __slots__ = ()

    def __new__(cls, steps: Iterable[Step], inherit: Iterable[tuple[int, str]] = ()) -> LaunchPlan:
        return tuple.__new__(cls, (tuple(steps), tuple(inherit)))

    @property
    def steps(self) -> tuple[Step, ...]:
        return self[0]  # type: ignore[no-any-return]

    @property
    def inherit(self) -> tuple[tuple[int, str], ...]:
        return self[1]  # type: ignore[no-any-return]

    def __repr__(self) -> str:
        return f"LaunchPlan({len(self.steps)} steps, inherit={self.inherit!r})"
