"""What a template may call: Go's built-in functions and the ones that Docker adds."""

from __future__ import annotations

from corten.cli.template.errors import CallError
from corten.cli.template.printing import formatted, printed
from corten.cli.template.values import Absent, GoMap, NilList, NilMap, type_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Table = dict[str, Callable[..., Any]]

__all__ = ["FUNCTIONS", "HEADER_FUNCTIONS", "as_json", "truth"]


def truth(value: Any) -> bool:
    """Whether Go counts a value as true: not when it is empty, zero or nil."""
    return not isinstance(value, Absent) and bool(value)


# Comparisons


def _comparable(left: Any, right: Any) -> None:
    for value in (left, right):
        if isinstance(value, (dict, list)) and value is not None:
            raise CallError(f"non-comparable type {printed(value)}: {type_name(value)}")
    if left is None or right is None:
        return
    if _family(left) != _family(right):
        raise CallError("incompatible types for comparison")


def _family(value: Any) -> str:
    return type_name(value)


def _eq(first: Any, *others: Any) -> bool:
    if not others:
        raise CallError("missing argument for comparison")
    for other in others:
        _comparable(first, other)
        if first == other:
            return True
    return False


def _ne(left: Any, right: Any) -> bool:
    _comparable(left, right)
    return bool(left != right)


def _lt(left: Any, right: Any) -> bool:
    _comparable(left, right)
    if left is None or right is None or isinstance(left, bool):
        raise CallError("invalid type for comparison")
    return bool(left < right)


def _le(left: Any, right: Any) -> bool:
    return _lt(left, right) or _eq(left, right)


def _gt(left: Any, right: Any) -> bool:
    return not _le(left, right)


def _ge(left: Any, right: Any) -> bool:
    return not _lt(left, right)


# Access


def _index(value: Any, *keys: Any) -> Any:
    for key in keys:
        if value is None or isinstance(value, Absent):
            raise CallError("index of untyped nil")
        if isinstance(value, dict):
            if not isinstance(key, str):
                raise CallError(f"value has type {type_name(key)}; should be string")
            value = value.get(key, _zero(value))
        elif isinstance(value, (list, str)):
            value = _item(value, key)
        else:
            raise CallError(f"can't index item of type {type_name(value)}")
    return value


def _zero(mapping: dict[str, Any]) -> Any:
    """What a map gives for a key that it lacks: the empty value of its elements."""
    return "" if all(isinstance(value, str) for value in mapping.values()) else None


def _item(value: Any, key: Any) -> Any:
    if isinstance(key, bool) or not isinstance(key, int):
        raise CallError(f"cannot index slice/array with type {type_name(key)}")
    if not 0 <= key < len(value):
        kind = "string" if isinstance(value, str) else "slice"
        raise CallError(f"reflect: {kind} index out of range" if key == len(value) else f"index out of range: {key}")
    return ord(value[key]) if isinstance(value, str) else value[key]


def _slice(value: Any, *bounds: int) -> Any:
    if len(bounds) > 3:
        raise CallError(f"too many slice indexes: {len(bounds)}")
    if not isinstance(value, (str, list)):
        raise CallError(f"can't slice item of type {type_name(value)}")
    low, high = (*bounds[:2], *(0, len(value))[len(bounds[:2]) :])
    for bound in (low, high):
        if not 0 <= bound <= len(value):
            raise CallError(f"index out of range: {bound}")
    if low > high:
        raise CallError(f"invalid slice index: {low} > {high}")
    return value[low:high]


def _length(value: Any) -> int:
    if value is None or not hasattr(value, "__len__"):
        raise CallError("len of nil pointer" if value is None else f"len of type {type_name(value)}")
    return len(value.encode()) if isinstance(value, str) else len(value)


# Text


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise CallError(f"wrong type for value; expected string; got {type_name(value)}")
    return value


def _print(*values: Any) -> str:
    parts: list[str] = []
    for number, value in enumerate(values):
        if number and not isinstance(value, str) and not isinstance(values[number - 1], str):
            parts.append(" ")
        parts.append(printed(value))
    return "".join(parts)


def _join(values: Any, separator: str) -> str:
    if not isinstance(values, list):
        raise CallError(f"wrong type for value; expected []string; got {type_name(values)}")
    return separator.join(printed(value) for value in values)


def _split(text: str, separator: str) -> list[str]:
    return _text(text).split(separator) if separator else list(_text(text))


def _title(text: str) -> str:
    starts = True
    out = []
    for char in _text(text):
        out.append(char.upper() if starts and char.isalpha() else char)
        starts = not (char.isalnum() or char == "_" or char == "'")
    return "".join(out)


def _pad(text: str, before: int, after: int) -> str:
    return " " * before + _text(text) + " " * after if text else ""


def _truncate(text: str, length: int) -> str:
    return _text(text)[:length]


def _html(*values: Any) -> str:
    text = _print(*values)
    for char, entity in (
        ("&", "&amp;"),
        ("<", "&lt;"),
        (">", "&gt;"),
        ('"', "&#34;"),
        ("'", "&#39;"),
        ("\0", "\ufffd"),
    ):
        text = text.replace(char, entity)
    return text


def _js(*values: Any) -> str:
    named = {"\\": "\\\\", "'": "\\'", '"': '\\"', "<": "\\u003C", ">": "\\u003E", "&": "\\u0026", "=": "\\u003D"}
    return "".join(named.get(c) or (c if c.isprintable() else f"\\u{ord(c):04X}") for c in _print(*values))


def _urlquery(*values: Any) -> str:
    from corten.client.connection import quote

    return quote(_print(*values)).replace("/", "%2F").replace(":", "%3A").replace("%20", "+")


def as_json(value: Any) -> str:
    """JSON as Docker's `json` writes it: map keys in order, structs in theirs, <, > and & as they are."""
    from corten.wire.codec import dumps

    if hasattr(value, "as_json"):
        return str(value.as_json())
    return dumps(_plain(value))


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, (NilList, NilMap, Absent)):
        return None
    if isinstance(value, dict):
        keys = sorted(value) if isinstance(value, GoMap) else value
        return {key: _plain(value[key]) for key in keys}
    return [_plain(item) for item in value] if isinstance(value, list) else value


FUNCTIONS: Table = {
    "and": lambda *values: next((value for value in values if not truth(value)), values[-1]),
    "or": lambda *values: next((value for value in values if truth(value)), values[-1]),
    "not": lambda value: not truth(value),
    "eq": _eq,
    "ne": _ne,
    "lt": _lt,
    "le": _le,
    "gt": _gt,
    "ge": _ge,
    "index": _index,
    "slice": _slice,
    "len": _length,
    "print": _print,
    "println": lambda *values: " ".join(map(printed, values)) + "\n",
    "printf": lambda form, *values: formatted(_text(form), list(values)),
    "html": _html,
    "js": _js,
    "urlquery": _urlquery,
    "json": as_json,
    "join": _join,
    "split": _split,
    "title": _title,
    "lower": lambda text: _text(text).lower(),
    "upper": lambda text: _text(text).upper(),
    "pad": _pad,
    "truncate": _truncate,
}

_UNCHANGED = ("json", "split", "join", "title", "lower", "upper", "truncate")
HEADER_FUNCTIONS: Table = {**FUNCTIONS, **{name: lambda value, *_: value for name in _UNCHANGED}}
