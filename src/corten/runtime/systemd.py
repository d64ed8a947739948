"""Control groups by systemd: a container's process becomes a *scope*, a unit that systemd makes around it.

On a machine that systemd manages the tree of cgroups is its own. Whoever wants one asks it by D-Bus for a transient
unit with the limits as the unit's properties, so that a reload of systemd writes the same limits again and not others.

`cgroupsPath` is then ``slice:prefix:name``: the unit ``prefix-name.scope`` in that slice, which lies below the slices
that its own name lists (``a-b.slice`` below ``a.slice``: systemd.slice(5)).

>>> unit = Unit.of("machine-web.slice:corten:4f1d", "4f1d", uid=0)
>>> unit.name, unit.path
('corten-4f1d.scope', '/machine.slice/machine-web.slice/corten-4f1d.scope')
"""

from __future__ import annotations

from corten.model.errors import InvalidArgument
from corten.runtime import limits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from corten.model.runtime_spec import Resources

    Property = tuple[str, tuple[str, Any]]

__all__ = ["Unit", "annotated", "properties", "scope"]

_UNIT_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:-_.\\@")
_UNLIMITED = (1 << 64) - 1
_PERIOD_US, _SECOND_US = 100_000, 1_000_000
_ANNOTATION = "org.systemd.property."


class Unit:
    """A scope's `name`, the `slice` it is in, and the cgroup's `path` below the mounts."""

    __slots__ = ("name", "path", "slice")

    def __init__(self, slice: str, name: str, manager: str = "") -> None:
        self.slice = slice
        self.name = name
        self.path = f"{manager}{_expanded(slice)}/{name}"

    @classmethod
    def of(cls, cgroups_path: str, id: str, *, uid: int) -> Unit:
        """What a `cgroupsPath` names; without one, a unit of the id in the default slice. Raises InvalidArgument.

        For a `uid` that is not root's it is a unit of that user's own manager, whose cgroup systemd names after it.
        """
        parts = (cgroups_path or f":corten:{id}").split(":")
        if len(parts) != 3:
            form = 'expected cgroupsPath to be of format "slice:prefix:name" for systemd cgroups'
            message = f"{form}, got {cgroups_path!r}"
            hint = "change it, or leave --systemd-cgroup out"
            raise InvalidArgument(message, hint=hint, place="/linux/cgroupsPath")
        slice, prefix, name = parts
        name = name if name.endswith(".slice") else f"{prefix}-{name}.scope" if prefix else f"{name}.scope"
        if not _UNIT_CHARACTERS.issuperset(name) or len(name) > 255:
            raise InvalidArgument(f"{name!r} is not the name of a systemd unit", place="/linux/cgroupsPath")
        if uid:
            return cls(slice or "user.slice", name, f"/user.slice/user-{uid}.slice/user@{uid}.service")
        return cls(slice or "system.slice", name)


def scope(unit: Unit, pid: int, resources: Resources, annotations: Mapping[str, str], *, v2: bool) -> list[Property]:
    """The properties of a container's unit with its first process, limits and what its annotations add."""
    accounts = ("Memory", "CPU", "IO" if v2 else "BlockIO", "Tasks")
    fixed: list[Property] = [("Description", ("s", f"corten container {unit.name}"))]
    if unit.name.endswith(".slice"):
        fixed.append(("Wants", ("as", [unit.slice])))
    else:
        fixed += [("Slice", ("s", unit.slice)), ("Delegate", ("b", True)), ("PIDs", ("au", [pid]))]
    fixed += [(f"{name}Accounting", ("b", True)) for name in accounts]
    fixed.append(("DefaultDependencies", ("b", False)))
    return [*fixed, *properties(resources, v2=v2), *annotated(annotations)]


def properties(resources: Resources, *, v2: bool) -> list[Property]:
    """The limits that a unit can have (systemd.resource-control(5)); the others are written to the cgroup only."""
    found = _memory(resources.get("memory") or {}, v2=v2) + _cpu(resources.get("cpu") or {}, v2=v2)
    pids: Mapping[str, Any] = resources.get("pids") or {}
    tasks = pids.get("limit")
    if tasks is not None:
        found.append(("TasksMax", ("t", tasks if tasks > 0 else _UNLIMITED)))
    weight = (resources.get("blockIO") or {}).get("weight")
    if weight:
        value = ("IOWeight", limits.io_weight(weight)) if v2 else ("BlockIOWeight", weight)
        found.append((value[0], ("t", value[1])))
    return found


def annotated(annotations: Mapping[str, str]) -> list[Property]:
    """Annotations ``org.systemd.property.NAME``: a property of the unit, its value in GVariant's text form.

    A name that ends with Sec takes seconds and becomes the property in microseconds that D-Bus has.
    """
    found: list[Property] = []
    for key, text in annotations.items():
        if not key.startswith(_ANNOTATION):
            continue
        name, place = key.removeprefix(_ANNOTATION), f"/annotations/{key}"
        if len(name) < 3 or not name.isascii() or not name.isalpha():
            raise InvalidArgument(f"{name!r} is not the name of a systemd property", place=place)
        kind, value = _variant(text.strip(), place)
        if name.endswith("Sec") and not name.endswith("USec"):
            if kind not in "iuxt":
                raise InvalidArgument(f"{name} must be a number of seconds, not {text}", place=place)
            name, kind, value = f"{name.removesuffix('Sec')}USec", "t", value * _SECOND_US
        found.append((name, (kind, value)))
    return found


def _memory(memory: Mapping[str, Any], *, v2: bool) -> list[Property]:
    found: list[Property] = []
    limit, swap, low = memory.get("limit"), memory.get("swap"), memory.get("reservation")
    if limit is not None:
        found.append(("MemoryMax" if v2 else "MemoryLimit", ("t", _bytes(limit))))
    if v2 and low is not None:
        found.append(("MemoryLow", ("t", _bytes(low))))
    if v2 and swap:
        found.append(("MemorySwapMax", ("t", _UNLIMITED if swap < 0 else max(swap - max(limit or 0, 0), 0))))
    return found


def _bytes(value: int) -> int:
    return value if value >= 0 else _UNLIMITED


def _cpu(cpu: Mapping[str, Any], *, v2: bool) -> list[Property]:
    found: list[Property] = []
    if shares := cpu.get("shares"):
        found.append(("CPUWeight", ("t", limits.shares_to_weight(shares))) if v2 else ("CPUShares", ("t", shares)))
    if v2 and cpu.get("idle"):
        found = [("CPUWeight", ("t", 0))]  # systemd's word for cpu.idle
    quota, period = cpu.get("quota"), cpu.get("period") or 0
    if period:
        found.append(("CPUQuotaPeriodUSec", ("t", period)))
    if quota:
        found.append(("CPUQuotaPerSecUSec", ("t", _per_second(quota, period or _PERIOD_US))))
    for field, name in (("cpus", "AllowedCPUs"), ("mems", "AllowedMemoryNodes")):
        if v2 and cpu.get(field):
            found.append((name, ("ay", list(_mask(str(cpu[field]))))))
    return found


def _per_second(quota: int, period: int) -> int:
    """A quota for each second, rounded up to hundredths of a processor: systemd itself rounds down."""
    if quota < 0:
        return _UNLIMITED
    micros = quota * _SECOND_US // period
    return -(-micros // 10_000) * 10_000


def _mask(text: str) -> bytes:
    """A list such as 0-3,8 as systemd's array of bytes, the lowest first."""
    bits = 0
    for part in text.split(","):
        first, _, last = part.strip().partition("-")
        if not first.isdecimal() or (last and not last.isdecimal()) or int(last or first) > 8191:
            raise InvalidArgument(f"{text!r} is not a list of numbers such as 0-3,8", place="/linux/resources/cpu")
        for number in range(int(first), int(last or first) + 1):
            bits |= 1 << number
    return bits.to_bytes(max((bits.bit_length() + 7) // 8, 1), "little")


def _expanded(slice: str) -> str:
    """Where a slice lies in the tree: its name lists those above it."""
    word = slice.removesuffix(".slice")
    if word == "-" and slice != word:
        return ""
    parts = word.split("-")
    if word == slice or "" in parts or not _UNIT_CHARACTERS.issuperset(word):
        hint = "such as machine.slice, or machine-web.slice below it"
        raise InvalidArgument(f"{slice!r} is not the name of a systemd slice", hint=hint, place="/linux/cgroupsPath")
    return "".join(f"/{'-'.join(parts[: n + 1])}.slice" for n in range(len(parts)))


_TYPED = {"byte": "y", "int16": "n", "uint16": "q", "int32": "i", "uint32": "u", "int64": "x", "uint64": "t"}


def _variant(text: str, place: str) -> tuple[str, Any]:
    """A value in GVariant's text form: numbers, texts, truth, and lists of texts; the rest no property here needs."""
    word, _, rest = text.partition(" ")
    if text in ("true", "false"):
        return "b", text == "true"
    if word in _TYPED and (number := _number(rest)) is not None:
        return _TYPED[word], number
    if (number := _number(text)) is not None:
        return "i", number
    if text[:1] in "'\"" and len(text) > 1 and text[-1] == text[0]:
        return "s", _unquoted(text[1:-1], place)
    if text[:1] == "[" and text[-1:] == "]":
        items = [_variant(item, place) for item in _items(text[1:-1])]
        if items and all(kind == "s" for kind, _ in items):
            return "as", [value for _, value in items]
    hint = "a number (uint64 7), a 'text', true, false, or a list of texts"
    raise InvalidArgument(f"cannot read the systemd property {text!r}", hint=hint, place=place)


def _number(text: str) -> int | None:
    digits = text.strip().removeprefix("-")
    try:
        return int(text, 0) if digits[:1].isdecimal() else None
    except ValueError:
        return None


def _unquoted(text: str, place: str) -> str:
    if "\\" in text or "\0" in text:
        raise InvalidArgument(f"escapes in the systemd property {text!r} are not supported", place=place)
    return text


def _items(text: str) -> Iterable[str]:
    """The parts of a list, by the commas that stand outside of quotes."""
    quote, part = "", ""
    for character in text:
        if character in "'\"" and quote in ("", character):
            quote = "" if quote else character
        if character == "," and not quote:
            yield part.strip()
            part = ""
        else:
            part += character
    if part.strip():
        yield part.strip()
