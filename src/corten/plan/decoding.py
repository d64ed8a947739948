"""Read a plan back from its wire form, as the cache, `plan --explain` of a stored plan and the tests do.

The wire form has neither reasons nor slot names: those stay empty, and slot number 7 is called ``s7``.
"""

from __future__ import annotations

from struct import error as struct_error
from struct import unpack_from
from typing import TYPE_CHECKING

from corten.model.errors import InvalidArgument
from corten.plan.encode import HEADER, INHERIT, MAGIC, NO_SLOT, ROW, VERSION
from corten.plan.ops import ACTORS, SIGNATURES, TABLE_HASH
from corten.plan.step import LaunchPlan, Step

if TYPE_CHECKING:
    from corten.plan.step import Arg

_NAMES = list(SIGNATURES)
_ACTORS = {bit: name for name, bit in ACTORS.items()}
_SIGNED = 1 << 63


def decode(raw: bytes) -> LaunchPlan:
    """The plan in `raw`. Raises InvalidArgument when it is damaged or was made for another opcode table."""
    try:
        magic, version, _, table, size, rows, _, inherits, _, _ = HEADER.unpack_from(raw)
        if (magic, version, size) != (MAGIC, VERSION, len(raw)):
            raise InvalidArgument("cannot read the plan: it is damaged or of another version")
        if table != TABLE_HASH:
            raise InvalidArgument("cannot read the plan: it was made for another opcode table")
        at = HEADER.size + INHERIT.size * inherits
        inherit = [INHERIT.unpack_from(raw, HEADER.size + INHERIT.size * number) for number in range(inherits)]
        steps = [_step(raw, at + ROW.size * number) for number in range(rows)]
    except (IndexError, KeyError, UnicodeDecodeError, ValueError, struct_error) as error:
        raise InvalidArgument(f"cannot read the plan: {error}") from error
    return LaunchPlan(steps, [(fd, _name(slot)) for fd, slot in inherit])


def _step(raw: bytes, at: int) -> Step:
    code, slot, actor, *rest = ROW.unpack_from(raw, at)
    accept, words = tuple(number for number in rest[:3] if number), rest[3:]
    op = _NAMES[code]
    letters = SIGNATURES[op][3]
    args = tuple(_arg(raw, letter, word) for letter, word in zip(letters, words, strict=False))
    return Step(op, args, _name(slot), _ACTORS[actor], accept)


def _name(slot: int) -> str:
    return "" if slot == NO_SLOT else f"s{slot}"


def _arg(raw: bytes, letter: str, word: int) -> Arg:
    at, count = word & 0xFFFFFFFF, word >> 32
    match letter:
        case "i":
            return word - (1 << 64) if word & _SIGNED else word
        case "s" | "o":
            return _name(word)
        case "t":
            return _text(raw, word)
        case "b":
            return raw[at : at + count]
        case "T":
            return tuple(_text(raw, offset) for offset in unpack_from(f"<{count}Q", raw, at))
        case "S":
            return tuple(_name(number) for number in unpack_from(f"<{count}Q", raw, at))
    return tuple(unpack_from(f"<{count}I", raw, at))


def _text(raw: bytes, at: int) -> str:
    return raw[at : raw.index(0, at)].decode("utf-8", "surrogateescape")
