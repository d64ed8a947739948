"""From a plan compiled of marked values to its bytes and the words in them that each value replaces.

`same` is the proof that a plan depends on the values nowhere else: the same document with other values in its holes
must compile to the same rows, but for the arguments that are values themselves.
"""

from __future__ import annotations

from corten.plan.encode import HEADER, INHERIT, ROW, encode
from corten.plan.ops import SIGNATURES
from corten.runtime.plancache.values import ARGV, PROGRAM, Number, Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from corten.plan.step import LaunchPlan, Step
    from corten.runtime.plancache.entry import Patch

__all__ = ["made", "same"]

TEXT, NUMBER, LIST = 0, 1, 2


def made(plan: LaunchPlan) -> tuple[bytes, list[Patch]]:
    """The encoded plan, and its patches."""
    code = encode(plan)
    start = HEADER.size + INHERIT.size * len(plan.inherit)
    patches: list[Patch] = []
    for index, step in enumerate(plan.steps):
        word = start + index * ROW.size + 8
        for n, arg in enumerate(step.args):
            patches += _patches(arg, word + 8 * n, code)
    return code, patches


def _patches(arg: object, word: int, code: bytes) -> list[Patch]:
    if isinstance(arg, Value):
        return [(word, TEXT, arg.number)]
    if isinstance(arg, Number):
        return [(word, NUMBER, arg.number)]
    if not isinstance(arg, tuple):
        return []
    if _is_argv(arg):
        return [(word, LIST, ARGV)]
    at = int.from_bytes(code[word : word + 4], "little")
    return [(at + 8 * n, TEXT, item.number) for n, item in enumerate(arg) if isinstance(item, Value)]


def _is_argv(arg: tuple[object, ...]) -> bool:
    """Whether the words of the command line take the place of this whole list."""
    return bool(arg) and isinstance(arg[0], Value) and arg[0].number == PROGRAM


def same(plan: LaunchPlan, other: LaunchPlan) -> bool:
    """Whether both have the same rows but for values."""
    rows = zip(plan.steps, other.steps, strict=False)
    return len(plan.steps) == len(other.steps) and plan.inherit == other.inherit and all(_alike(*row) for row in rows)


def _alike(one: Step, other: Step) -> bool:
    if (one.op, one.slot, one.actor, one.accept) != (other.op, other.slot, other.actor, other.accept):
        return False
    letters = SIGNATURES[one.op][3]
    pairs = zip(letters, one.args, other.args, strict=False)
    return len(one.args) == len(other.args) == len(letters) and all(_equal(*pair) for pair in pairs)


def _equal(letter: str, one: object, other: object) -> bool:
    if isinstance(one, tuple) and isinstance(other, tuple):
        items = zip(one, other, strict=False)
        return len(one) == len(other) and all(_equal("t", *pair) for pair in items)
    if isinstance(one, (Value, Number)) and isinstance(other, (Value, Number)):
        return one.number == other.number and letter in "ti"
    return one == other and not isinstance(one, (Value, Number)) and not isinstance(other, (Value, Number))
