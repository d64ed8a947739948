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

from struct import Struct
from struct import error as struct_error
from typing import TYPE_CHECKING

from corten.model.errors import InvalidArgument
from corten.plan.ops import ACTORS, SIGNATURES, TABLE_HASH

if TYPE_CHECKING:
    from corten.plan.step import Arg, LaunchPlan, Step

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
                raise InvalidArgument(f"cannot encode the string {value!r}: it holds a NUL byte")
            at = self.texts[value] = self.start + len(self.bytes)
            self.bytes += raw
            self.bytes.append(0)
        return at

    def blob(self, value: bytes) -> int:
        self.align()
        at = self.start + len(self.bytes)
        self.bytes += value
        return at | len(value) << 32

    def numbers(self, values: list[int], code: str, end: int | None = None) -> int:
        self.align()
        at = self.start + len(self.bytes)
        full = values if end is None else [*values, end]
        self.bytes += Struct(f"<{len(full)}{code}").pack(*full)
        return at | len(values) << 32

    def align(self) -> None:
        self.bytes += bytes(-(self.start + len(self.bytes)) % 8)


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
    rows = bytearray()
    for index, step in enumerate(steps):
        try:
            rows += _row(step, slots, data)
        except (struct_error, TypeError, ValueError) as error:
            raise InvalidArgument(f"cannot encode row {index} ({step.op}): {error}", place=step.origin) from error
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


def _row(step: Step, slots: dict[str, int], data: _Data) -> bytes:
    op, args, slot, actor, accept, _, _ = step
    code, actors, makes, letters = SIGNATURES[op]
    if not actors & ACTORS[actor] or len(args) != len(letters) or bool(slot) < (makes == 2) or bool(slot) > (makes > 0):
        raise ValueError(f"it does not fit the operation's signature: {step!r}")
    words = [_word(letter, arg, slots, data) for letter, arg in zip(letters, args, strict=True)]
    words += [0] * (8 - len(words))
    number = slots.setdefault(slot, len(slots)) if slot else NO_SLOT
    ignored = (*accept, 0, 0, 0)[:3] if len(accept) <= 3 else accept
    return ROW.pack(code, number, ACTORS[actor], *ignored, *words)


def _word(letter: str, arg: Arg, slots: dict[str, int], data: _Data) -> int:
    match letter, arg:
        case "i", int():
            return arg & 0xFFFFFFFFFFFFFFFF
        case "t", str():
            return data.text(arg)
        case "s", str():
            return _slot(arg, slots)
        case "o", str():
            return _slot(arg, slots) if arg else NO_SLOT
        case "b", bytes():
            return data.blob(arg)
        case "T", (*texts,):
            return data.numbers([data.text(str(text)) for text in texts], "Q", 0)
        case "S", (*names,):
            return data.numbers([_slot(str(name), slots) for name in names], "Q")
        case "d", (*ids,):
            return data.numbers([int(number) for number in ids], "I")
    raise TypeError(f"{arg!r} is not an argument of the wire type {letter!r}")


def _slot(name: str, slots: dict[str, int]) -> int:
    if name not in slots:
        raise ValueError(f"no row before it makes the slot {name!r}")
    return slots[name]
