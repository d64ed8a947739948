"""``/linux/resources/devices``: which device nodes a container may open or make.

The rules apply in order (config-linux.md, "Allowed Device list"). They are folded into one **table** with the meaning
of the v1 device controller (kernel: security/device_cgroup.c): a default, and exceptions from it, each a set of
accesses to a device or a family of devices. Version 1 gets the table as lines for ``devices.deny`` and
``devices.allow``, version 2 as an eBPF program that the kernel runs at each open and mknod.
"""

from __future__ import annotations

from corten.model.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from corten.model.runtime_spec import DeviceRule

__all__ = ["DEFAULT_RULES", "Table", "fold", "program", "v1_lines"]

_ANY = -1
# linux/bpf.h: BPF_DEVCG_ACC_* and BPF_DEVCG_DEV_*
_ACCESS = {"m": 1, "r": 2, "w": 4}
_TYPES = {"b": 1, "c": 2}


def _default(kind: str, major: int, minor: int, access: str = "rwm") -> DeviceRule:
    return {"allow": True, "type": kind, "major": major, "minor": minor, "access": access}


# What every container gets after its own rules, as with runc: it may make any node, and use the default devices.
DEFAULT_RULES: tuple[DeviceRule, ...] = (
    _default("c", _ANY, _ANY, "m"),
    _default("b", _ANY, _ANY, "m"),
    *(_default("c", 1, minor) for minor in (3, 5, 7, 8, 9)),  # null zero full random urandom
    *(_default("c", 5, minor) for minor in (0, 1, 2)),  # tty console ptmx
    _default("c", 136, _ANY),  # the terminals of /dev/pts
)


class Table:
    """What is allowed: everything or nothing by default, and the exceptions {(type, major, minor): access bits}."""

    __slots__ = ("allow", "exceptions")

    def __init__(self, allow: bool, exceptions: dict[tuple[str, int, int], int]) -> None:
        self.allow = allow
        self.exceptions = exceptions


def fold(rules: Sequence[DeviceRule], place: str = "/linux/resources/devices") -> Table:
    """Apply the rules in order to a table that denies everything; then the defaults, unless everything is allowed."""
    table = Table(False, {})
    for n, rule in enumerate(rules):
        _apply(table, rule, f"{place}/{n}")
    if not table.allow:
        for rule in DEFAULT_RULES:
            _apply(table, rule, place)
    return table


def v1_lines(table: Table) -> list[tuple[str, str]]:
    """The table as writes ``(file, line)`` to a v1 device cgroup, whatever it held before."""
    lines = [("devices.allow" if table.allow else "devices.deny", "a")]
    file = "devices.deny" if table.allow else "devices.allow"
    for (kind, major, minor), bits in table.exceptions.items():
        access = "".join(letter for letter in "rwm" if bits & _ACCESS[letter])
        lines.append((file, f"{kind} {_number(major)}:{_number(minor)} {access}"))
    return lines


def program(table: Table) -> bytes:
    """The table as an eBPF program of type BPF_PROG_TYPE_CGROUP_DEVICE: 1 allows, 0 denies.

    r1 points to struct bpf_cgroup_dev_ctx {access << 16 | type, major, minor}. When nothing is allowed by default, an
    exception must cover all of the wanted access; otherwise one that touches any of it denies.
    """
    code = [_load(2, 0), _move(3, 2), _and(2, 0xFFFF), _shift(3, 16), _load(4, 4), _load(5, 8)]
    for (kind, major, minor), bits in table.exceptions.items():
        tests = [_unless_equal(2, _TYPES[kind])]
        if major != _ANY:
            tests.append(_unless_equal(4, major))
        if minor != _ANY:
            tests.append(_unless_equal(5, minor))
        outside = bits if table.allow else ~bits & 7
        body = [*tests, _move(6, 3), _and(6, outside), _exit_if(table.allow)] if outside else tests
        block = [*body, _set(0, int(not table.allow)), _exit()]
        code += [_skipping(step, len(block) - n - 1) for n, step in enumerate(block)]
    return b"".join(one.to_bytes(8, "little") for one in (*code, _set(0, int(table.allow)), _exit()))


def _apply(table: Table, rule: DeviceRule, place: str) -> None:
    kind = rule.get("type", "a") or "a"
    major, minor = rule.get("major", _ANY), rule.get("minor", _ANY)
    bits = _access(rule.get("access") or "rwm", place)
    if kind not in ("a", "b", "c"):
        raise InvalidArgument(f"unknown device type {kind!r}", hint="a, b or c", place=f"{place}/type")
    if (kind, major, minor) == ("a", _ANY, _ANY) and bits == 7:
        table.allow = rule["allow"]
        table.exceptions.clear()
        return
    for each in ("b", "c") if kind == "a" else (kind,):
        key = (each, major, minor)
        held = table.exceptions.get(key, 0)
        changed = held | bits if rule["allow"] != table.allow else held & ~bits
        table.exceptions[key] = changed
        if not changed:
            del table.exceptions[key]


def _access(letters: str, place: str) -> int:
    bits = 0
    for letter in letters:
        if letter not in _ACCESS:
            raise InvalidArgument(f"unknown device access {letters!r}", hint="of r, w and m", place=f"{place}/access")
        bits |= _ACCESS[letter]
    return bits


def _number(value: int) -> str:
    return "*" if value == _ANY else str(value)


# eBPF instructions (linux/bpf.h): opcode, destination and source register, 16-bit jump, 32-bit immediate.
def _instruction(op: int, target: int = 0, source: int = 0, jump: int = 0, value: int = 0) -> int:
    return op | target << 8 | source << 12 | (jump & 0xFFFF) << 16 | (value & 0xFFFFFFFF) << 32


def _load(register: int, offset: int) -> int:
    return _instruction(0x61, register, 1, offset)


def _move(target: int, source: int) -> int:
    return _instruction(0xBC, target, source)


def _set(register: int, value: int) -> int:
    return _instruction(0xB7, register, value=value)


def _and(register: int, value: int) -> int:
    return _instruction(0x54, register, value=value)


def _shift(register: int, count: int) -> int:
    return _instruction(0x74, register, value=count)


def _unless_equal(register: int, value: int) -> int:
    return _instruction(0x55, register, value=value)


def _exit_if(allow: bool) -> int:
    """Leave this exception when the tested access bits are zero (all allowed so far) or not zero."""
    return _instruction(0x15 if allow else 0x55, 6)


def _exit() -> int:
    return _instruction(0x95)


def _skipping(instruction: int, count: int) -> int:
    """A conditional jump of an exception's block goes to the block's end, `count` instructions on."""
    return instruction | count << 16 if instruction & 0xFF in (0x15, 0x55) else instruction
