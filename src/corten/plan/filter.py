"""Simulate a seccomp filter: which actions can a system call meet?

The filter is classic BPF over ``struct seccomp_data`` (number, audit architecture, instruction pointer, arguments).
Number and architecture are known, arguments are not, so a branch on an argument is followed both ways: the answer is
the set of actions that some argument leads to. Jumps only go forward, so every walk ends.
"""

from __future__ import annotations

from struct import iter_unpack

from corten.model.errors import InvalidArgument

__all__ = ["ALLOW", "LOG", "actions"]

ALLOW, LOG = 0x7FFF0000, 0x7FFC0000
_UNKNOWN = None
_WORD = 0xFFFFFFFF
# Opcodes of linux/bpf_common.h that a filter may use (kernel/seccomp.c, seccomp_check_filter); BPF_X is bit 3.
_RET_K, _RET_A, _JA = 0x06, 0x16, 0x05
_JUMPS = {0x15: "eq", 0x25: "gt", 0x35: "ge", 0x45: "set", 0x1D: "eq", 0x2D: "gt", 0x3D: "ge", 0x4D: "set"}
_ALU = {0x04: "add", 0x14: "sub", 0x24: "mul", 0x44: "or", 0x54: "and", 0x64: "lsh", 0x74: "rsh", 0xA4: "xor"}

Value = int | None


def actions(program: bytes, audit: int, number: int) -> set[int]:
    """The actions (without their data bits) that a call of this number can meet.

    Raises InvalidArgument for bytes that are no filter or for an instruction that seccomp does not allow.
    """
    if len(program) % 8 or not program:
        raise InvalidArgument(f"cannot read a seccomp filter of {len(program)} bytes: an instruction has eight")
    code = list(iter_unpack("<HBBI", program))
    found: set[int] = set()
    seen: set[tuple[int, Value, Value]] = set()
    pending: list[tuple[int, Value, Value, dict[int, Value]]] = [(0, 0, 0, {})]
    while pending:
        at, a, x, memory = pending.pop()
        if (at, a, x) in seen and not memory:
            continue
        seen.add((at, a, x))
        if at >= len(code):
            raise InvalidArgument("cannot read a seccomp filter: it runs past its end")
        op, yes, no, k = code[at]
        if op in (_RET_K, _RET_A):
            found.add((k if op == _RET_K else a or 0) & 0xFFFF0000)
        elif op == _JA:
            pending.append((at + 1 + k, a, x, memory))
        elif op in _JUMPS:
            taken = _compare(_JUMPS[op], a, x if op & 0x08 else k)
            pending += [(at + 1 + (yes if way else no), a, x, memory) for way in taken]
        else:
            a, x, memory = _compute(op, k, a, x, memory, (number, audit))
            pending.append((at + 1, a, x, memory))
    return found


def _compare(kind: str, a: Value, b: Value) -> tuple[bool, ...]:
    if a is _UNKNOWN or b is _UNKNOWN:
        return (True, False)
    return ({"eq": a == b, "gt": a > b, "ge": a >= b, "set": bool(a & b)}[kind],)


def _compute(
    op: int, k: int, a: Value, x: Value, memory: dict[int, Value], data: tuple[int, int]
) -> tuple[Value, Value, dict[int, Value]]:
    """The accumulator, the index register and the scratch memory after one instruction."""
    match op:
        case 0x20:  # ld abs: a word of seccomp_data: the number, the architecture, else an argument nobody knows
            return (data[k // 4] if k in (0, 4) else _UNKNOWN), x, memory
        case 0x00 | 0x80:  # ld imm, ld len
            return (k if op == 0x00 else 64), x, memory
        case 0x01 | 0x81:  # ldx imm, ldx len
            return a, (k if op == 0x01 else 64), memory
        case 0x60:  # ld mem
            return memory.get(k, 0), x, memory
        case 0x61:  # ldx mem
            return a, memory.get(k, 0), memory
        case 0x02 | 0x03:  # st, stx
            return a, x, memory | {k: a if op == 0x02 else x}
        case 0x07:  # tax
            return a, a, memory
        case 0x87:  # txa
            return x, x, memory
        case 0x84:  # neg
            return (_UNKNOWN if a is _UNKNOWN else -a & _WORD), x, memory
    return _arithmetic(op, a, x if op & 0x08 else k), x, memory


def _arithmetic(op: int, a: Value, b: Value) -> Value:
    name = _ALU.get(op & ~0x08)
    if name is None:
        raise InvalidArgument(
            f"cannot read a seccomp filter: it has the instruction {op:#x}, which seccomp does not allow"
        )
    if a is _UNKNOWN or b is _UNKNOWN:
        return _UNKNOWN
    results = {"add": a + b, "sub": a - b, "mul": a * b, "or": a | b, "and": a & b, "xor": a ^ b}
    results |= {"lsh": a << (b & 31), "rsh": a >> (b & 31)}
    return results[name] & _WORD
