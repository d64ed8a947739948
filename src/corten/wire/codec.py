"""JSON over the interpreter's C core alone.

The package `json` imports `re`, which costs a command more than everything else it does; its C accelerator
`_json` does the work and needs neither. What Docker's API speaks is plain: UTF-8, no NaN, no comments.

>>> loads('{"Id": "4f", "Size": 1.5}')
{'Id': '4f', 'Size': 1.5}
>>> dumps({"a": [1, None, "é"]})
'{"a":[1,null,"é"]}'
"""

from __future__ import annotations

import _json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

__all__ = ["dumps", "dumps_indented", "end_of_value", "indent", "loads", "values"]

_SPACE = " \t\r\n"
_CONSTANTS = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}


class _Decoding:
    """What the C scanner asks its context for."""

    strict = False
    object_hook = None
    object_pairs_hook = None
    parse_float = float
    parse_int = int
    parse_constant = _CONSTANTS.__getitem__
    memo: dict[str, str] = {}  # noqa: RUF012 - the scanner reads it as an attribute


_scan = _json.make_scanner(_Decoding)  # type: ignore[arg-type]


def _refuse(value: object) -> Any:
    raise TypeError(f"{type(value).__name__} has no JSON form")


_encode = _json.make_encoder(None, _refuse, _json.encode_basestring, None, ":", ",", False, False, False)


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in _SPACE:
        at += 1
    return at


def loads(text: str | bytes) -> Any:
    """The value that `text` is; ValueError when it is not exactly one JSON value."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    try:
        value, end = _scan(text, _skip(text, 0))
    except StopIteration as stop:
        raise ValueError(f"no JSON value at character {stop.value}") from None
    if _skip(text, end) != len(text):
        raise ValueError(f"extra data at character {end}")
    return value


def end_of_value(text: str, at: int) -> int:
    """Where the value that begins at `at` ends; ValueError when none does."""
    try:
        return int(_scan(text, at)[1])
    except StopIteration as stop:
        raise ValueError(f"no JSON value at character {stop.value}") from None


def values(text: str) -> tuple[list[Any], str]:
    """The whole values at the head of a stream of JSON values, and the rest that is not whole yet.

    Docker's streams put a line end after each value, but promise none.
    """
    found: list[Any] = []
    at = _skip(text, 0)
    while at < len(text):
        try:
            value, at = _scan(text, at)
        except (StopIteration, ValueError):
            break
        found.append(value)
        at = _skip(text, at)
    return found, text[at:]


def dumps(value: object) -> str:
    """Compact JSON, keys in their order, characters as they are."""
    return "".join(_encode(value, 0))


def dumps_indented(value: object, step: str = "    ") -> str:
    return indent(dumps(value), step)


def indent(text: str, step: str = "    ", margin: str = "") -> str:
    """Lay out JSON text without touching its tokens, as Go's `json.Indent` does.

    Numbers and escapes keep the spelling of the sender: what is shown is what was said.
    """
    return "".join(_laid_out(text, step, margin))


def _laid_out(text: str, step: str, margin: str) -> Iterator[str]:
    depth, at, fresh = 0, 0, False
    while at < len(text):
        char = text[at]
        if char in _SPACE:
            at += 1
            continue
        if fresh and char not in "]}":
            yield "\n" + margin + step * depth
        if char in "{[":
            depth += 1
            yield char
        elif char in "}]":
            depth -= 1
            yield char if fresh else "\n" + margin + step * depth + char
        elif char == ",":
            yield ",\n" + margin + step * depth
        elif char == ":":
            yield ": "
        else:
            end = _token_end(text, at)
            yield text[at:end]
            fresh, at = False, end
            continue
        fresh, at = char in "{[", at + 1


def _token_end(text: str, at: int) -> int:
    if text[at] != '"':
        while at < len(text) and text[at] not in ",:]} \t\r\n":
            at += 1
        return at
    at += 1
    while at < len(text) and text[at] != '"':
        at += 2 if text[at] == "\\" else 1
    return at + 1
