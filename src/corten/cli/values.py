"""Readers of flag values that have a grammar of their own: sizes, spans of time, fractions, filters, `key=value`.

Each takes the text and returns the value, or raises ValueError with Docker's words for what is wrong.
"""

from __future__ import annotations

from corten.cli.flags import quoted

__all__ = [
    "cpus",
    "csv",
    "duration",
    "filter_pair",
    "filters",
    "key_value",
    "memory",
    "memory_swap",
    "pairs",
]

_UNITS = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40, "p": 1 << 50}
_SPANS = {"ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}


def memory(text: str) -> int:
    """Bytes: `64m`, `1.5GiB`, `512`; units are powers of 1024."""
    digits = text.rstrip("bBiIkKmMgGtTpP ")
    unit = text[len(digits) :].strip(" ").lower()
    plain = unit.removesuffix("ib").removesuffix("b") if unit != "b" else ""
    number = digits.replace(".", "", 1)
    if not number.isascii() or not number.isdecimal() or plain not in _UNITS or text[len(digits) :].count(" ") > 1:
        raise ValueError(f"invalid size: '{text}'")
    return int(float(digits) * _UNITS[plain])


def memory_swap(text: str) -> int:
    """Bytes, or -1 for no limit."""
    return -1 if text == "-1" else memory(text)


def cpus(text: str) -> int:
    """Billionths of a CPU from a decimal or a fraction: `1.5`, `3/2`."""
    top, mark, bottom = text.partition("/")
    try:
        if not mark:
            whole, _, rest = top.partition(".")
            digits = (whole + rest).lstrip("+-")
            if not digits.isdecimal():
                raise ValueError
            numerator, denominator = int(whole + rest), 10 ** len(rest)
        else:
            numerator, denominator = int(top), int(bottom)
        scaled = numerator * 10**9
    except ValueError:
        raise ValueError(f"failed to parse {text} as a rational number") from None
    if scaled % denominator:
        raise ValueError("value is too precise")
    return int(scaled // denominator)


def duration(text: str) -> int:
    """Nanoseconds from Go's notation: `1m30s`, `250ms`."""
    rest, sign, total = text, 1, 0
    if rest[:1] in ("+", "-"):
        sign, rest = (-1 if rest[0] == "-" else 1), rest[1:]
    if rest == "0":
        return 0
    if not rest:
        raise ValueError(f"time: invalid duration {quoted(text)}")
    while rest:
        number = rest[: len(rest) - len(rest.lstrip("0123456789."))]
        rest = rest[len(number) :]
        unit = _until_number(rest)
        if number.count(".") > 1 or not number.strip("."):
            raise ValueError(f"time: invalid duration {quoted(text)}")
        if not unit:
            raise ValueError(f"time: missing unit in duration {quoted(text)}")
        if unit not in _SPANS:
            raise ValueError(f"time: unknown unit {quoted(unit)} in duration {quoted(text)}")
        whole, _, fraction = number.partition(".")
        total += int(whole or "0") * _SPANS[unit] + int(fraction or "0") * _SPANS[unit] // 10 ** len(fraction)
        rest = rest[len(unit) :]
    return sign * total


def _until_number(text: str) -> str:
    for at, char in enumerate(text):
        if char in "0123456789.":
            return text[:at]
    return text


def filter_pair(text: str) -> str:
    """A `name=value` condition; the name is lower case whatever its spelling."""
    name, mark, value = text.partition("=")
    if not mark:
        raise ValueError("bad format of filter (expected name=value)")
    return f"{name.strip().lower()}={value.strip()}"


def filters(conditions: list[str]) -> str | None:
    """The conditions as the `filters` parameter of the API; None when there are none."""
    if not conditions:
        return None
    from corten.wire.codec import dumps

    found: dict[str, dict[str, bool]] = {}
    for condition in conditions:
        name, _, value = condition.partition("=")
        found.setdefault(name, {})[value] = True
    return dumps(found)


def key_value(text: str) -> str:
    """A pair that must have a key: `key=value`."""
    if "=" not in text:
        raise ValueError(f"invalid key=value pair {quoted(text)}")
    return text


def pairs(items: list[str]) -> dict[str, str]:
    """`key=value` items as a mapping; a key without a value has the empty one, the last of equal keys counts."""
    found: dict[str, str] = {}
    for item in items:
        key, _, value = item.partition("=")
        found[key] = value
    return found


def csv(text: str) -> tuple[str, ...]:
    """The fields of one line of comma-separated values, with double quotes where a field holds a comma."""
    if '"' not in text:
        return tuple(text.split(","))
    fields: list[str] = []
    at = 0
    while at <= len(text):
        if text[at : at + 1] != '"':
            end = text.find(",", at)
            end = len(text) if end < 0 else end
            if '"' in text[at:end]:
                raise ValueError(
                    f'parse error on line 1, column {text.index(chr(34), at) + 1}: bare " in non-quoted-field'
                )
            fields.append(text[at:end])
            at = end + 1
            continue
        field, at = _quoted_field(text, at + 1)
        fields.append(field)
    return tuple(fields)


def _quoted_field(text: str, at: int) -> tuple[str, int]:
    """The quoted field that begins at `at`, and where the next field begins."""
    field = ""
    while True:
        end = text.find('"', at)
        if end < 0:
            raise ValueError(f'parse error on line 1, column {len(text) + 1}: extraneous or missing " in quoted-field')
        field += text[at:end]
        if text[end + 1 : end + 2] != '"':
            break
        field, at = field + '"', end + 2
    if end + 1 < len(text) and text[end + 1] != ",":
        raise ValueError(f'parse error on line 1, column {end + 1}: extraneous or missing " in quoted-field')
    return field, end + 2
