"""The wire form of a plan: what Python writes and native/launch_plan.c reads.

::

    header   magic "CPLN", version, flags, hash of the opcode table, total size, number of rows, slots and inherited
             descriptors, fault row and errno (tests make one row fail)
    inherit  (u32 descriptor number, u32 slot) each
    rows     u16 op, u16 slot, u8 actor, u8 accept[3], u64 arg[8] each
    data     strings (NUL-terminated), blobs, and lists of 64-bit offsets; the last byte is NUL

An argument is an integer, a slot's number, an offset into the plan (text), or an offset with a length in its upper half
(bytes, texts, ids, slots). Everything is little-endian, as both supported machines are.
"""

from __future__ import annotations

from struct import Struct, pack
from struct import error as struct_error

from corten.model.errors import InvalidArgument
from corten.plan.ops import ACTORS, SIGNATURES, TABLE_HASH

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from corten.plan.step import LaunchPlan, Step

MAGIC = 0x4E4C5043
VERSION = 1
TRACE = 1
HEADER = Struct("<IHHQIIIIII")
INHERIT = Struct("<II")
ROW = Struct("<HHB3B8Q")
NO_SLOT = 0xFFFF
NO_ROW = 0xFFFFFFFF
MAX_ROWS = 4096
MAX_SLOTS = 1024
_ZEROS = bytes(8)
_NO_ARGS = (0,) * 8


class _Data:
    """The data area while it grows: every string once, lists aligned to eight bytes."""

    def __init__(self, start: int) -> None:
        self.start = start
        self.bytes = bytearray()
        self.texts: dict[str, int] = {}

    def text(self, value: str) -> int:
        at = self.texts.get(value)
        if at is None:
            raw = value.encode("utf-8", "surrogateescape")
            if b"\0" in raw:
                raise ValueError(f"the string {value!r} holds a NUL byte")
            at = self.texts[value] = self.start + len(self.bytes)
            self.bytes += raw
            self.bytes.append(0)
        return at

    def blob(self, value: bytes) -> int:
        self.align()
        at = self.start + len(self.bytes)
        self.bytes += value
        return at | len(value) << 32

    def numbers(self, values: Sequence[int], code: str) -> int:
        self.align()
        at = self.start + len(self.bytes)
        self.bytes += pack(f"<{len(values)}{code}", *values)
        return at | len(values) << 32

    def strings(self, values: Sequence[str]) -> int:
        """A list of offsets with a zero behind it, which C turns into a NULL-terminated list of pointers."""
        at = self.numbers([*map(self.text, values), 0], "Q")
        return at - (1 << 32)

    def align(self) -> None:
        self.bytes += _ZEROS[: -(self.start + len(self.bytes)) % 8]


def encode(plan: LaunchPlan, *, trace: bool = False, fault: tuple[int, int] | None = None) -> bytes:
    """The bytes that `@launch` executes.

    `trace` makes it report each row's time; `fault` = (row, errno) makes that row fail, for tests.

    Raises InvalidArgument naming the row when a slot is used before it is made, or an argument does not fit its type.
    """
    steps = plan.steps
    if len(steps) > MAX_ROWS:
        raise InvalidArgument(f"cannot encode a plan of {len(steps)} rows: at most {MAX_ROWS} fit")
    slots = {name: number for number, (_, name) in enumerate(plan.inherit)}
    data = _Data(HEADER.size + INHERIT.size * len(plan.inherit) + ROW.size * len(steps))
    words: list[int] = []
    for index, step in enumerate(steps):
        try:
            _row(step, slots, data, words)
        except (AttributeError, KeyError, struct_error, TypeError, ValueError) as error:
            raise InvalidArgument(f"cannot encode row {index} ({step.op}): {error}", place=step.origin) from error
    rows = pack(f"<{len(words)}Q", *words)
    if len(slots) > MAX_SLOTS:
        raise InvalidArgument(f"cannot encode a plan of {len(slots)} slots: at most {MAX_SLOTS} fit")
    data.bytes.append(0)
    inherit = b"".join(INHERIT.pack(fd, slots[name]) for fd, name in plan.inherit)
    size = data.start + len(data.bytes)
    row, errno = fault or (NO_ROW, 0)
    head = HEADER.pack(
        MAGIC, VERSION, TRACE * trace, TABLE_HASH, size, len(steps), len(slots), len(plan.inherit), row, errno
    )
    return b"".join((head, inherit, rows, data.bytes))


def _row(step: Step, slots: dict[str, int], data: _Data, words: list[int]) -> None:
    """Append the nine words of a row. The three letters that are nearly all arguments are done in place: this is the
    loop that every start of a container runs through."""
    op, args, slot, actor, accept, _, _ = step
    code, actors, makes, letters = SIGNATURES[op]
    who = ACTORS[actor]
    if not actors & who or len(args) != len(letters) or (makes == 2 if not slot else not makes):
        raise ValueError(f"it does not fit the operation's signature: {step!r}")
    start = len(words)
    words.append(0)
    for letter, arg in zip(letters, args, strict=True):
        if letter == "t":
            words.append(data.texts.get(arg) or data.text(arg))
        elif letter == "i":
            words.append(arg & 0xFFFFFFFFFFFFFFFF)
        elif letter == "s":
            words.append(slots[arg] if arg in slots else _slot(arg, slots))
        else:
            words.append(_WORDS[letter](arg, slots, data))
    number = slots.setdefault(slot, len(slots)) if slot else NO_SLOT
    words[start] = code | number << 16 | who << 32 | (_accepted(accept) << 40 if accept else 0)
    words += _NO_ARGS[len(args) :]


def _accepted(accept: tuple[int, ...]) -> int:
    if len(accept) > 3:
        raise ValueError(f"a row ignores at most three errno values, not {accept}")
    return int.from_bytes(bytes(accept), "little")


def _slot(name: str, slots: dict[str, int]) -> int:
    if name not in slots:
        raise ValueError(f"no row before it makes the slot {name!r}")
    return slots[name]


# How an argument of the rarer wire letters becomes a 64-bit word.
_WORDS: dict[str, Callable[[Any, dict[str, int], _Data], int]] = {
    "o": lambda arg, slots, _data: _slot(arg, slots) if arg else NO_SLOT,
    "S": lambda arg, slots, data: data.numbers([_slot(name, slots) for name in arg], "Q"),
    "T": lambda arg, _slots, data: data.strings(arg),
    "b": lambda arg, _slots, data: data.blob(arg),
    "d": lambda arg, _slots, data: data.numbers(arg, "I"),
}
