"""Values as Go's fmt package writes them."""

from __future__ import annotations

from corten.cli.flags import quoted
from corten.cli.template.values import Absent, type_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["formatted", "printed"]


def printed(value: Any) -> str:
    """A value in the form of `%v`."""
    if isinstance(value, str):
        return value
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _float(value)
    if isinstance(value, dict):
        return "map[" + " ".join(f"{key}:{printed(value[key])}" for key in sorted(value)) + "]"
    if isinstance(value, (list, tuple)):
        return "[" + " ".join(printed(item) for item in value) + "]"
    if hasattr(value, "as_json"):
        return "{" + str(value.as_json()) + "}"
    return repr(value) if isinstance(value, Absent) else str(value)


def _float(value: float) -> str:
    """Go's `%v` of a float: the shortest form, with an exponent from 1e21 on."""
    if value == int(value) and abs(value) < 1e21:
        return str(int(value))
    text = repr(value)
    mantissa, mark, exponent = text.partition("e")
    return f"{mantissa}e{exponent[0]}{exponent[1:]:0>2}" if mark else text


def formatted(form: str, arguments: list[Any]) -> str:
    """Go's Sprintf: verbs with flags, width and precision; what does not fit is said in the output."""
    parts: list[str] = []
    left = list(arguments)
    at = 0
    while (start := form.find("%", at)) >= 0:
        parts.append(form[at:start])
        end = start + 1
        while end < len(form) and form[end] in "+-# 0123456789.*":
            end += 1
        if end >= len(form):
            parts.append("%!(NOVERB)")
            at = end
            break
        verb, flags = form[end], form[start + 1 : end]
        at = end + 1
        if verb == "%":
            parts.append("%")
            continue
        while "*" in flags and left:
            flags = flags.replace("*", str(left.pop(0)), 1)
        parts.append(_verb(verb, flags, left.pop(0)) if left else f"%!{verb}(MISSING)")
    parts.append(form[at:])
    if left:
        extra = ", ".join(f"{type_name(value)}={printed(value)}" for value in left)
        parts.append(f"%!(EXTRA {extra})")
    return "".join(parts)


def _verb(verb: str, flags: str, value: Any) -> str:
    wrong = f"%!{verb}({type_name(value)}={printed(value)})"
    width, _, precision = flags.lstrip("+-# 0").partition(".")
    number = isinstance(value, int) and not isinstance(value, bool)
    if verb in "sv":
        text = printed(value)
        if verb == "s" and (number or isinstance(value, (bool, float))):
            return wrong
        return _padded(text[: int(precision)] if precision and isinstance(value, str) else text, flags, width)
    if verb == "q":
        if not isinstance(value, str):
            return wrong if not number else _padded(f"'{chr(value)}'", flags, width)
        return _padded(quoted(value), flags, width)
    if verb == "t":
        return _padded(printed(value), flags, width) if isinstance(value, bool) else wrong
    if verb == "T":
        return _padded(type_name(value), flags, width)
    if verb in "xX" and isinstance(value, str):
        text = value.encode().hex()
        return _padded(text.upper() if verb == "X" else text, flags, width)
    if verb in "dxXobcU" and number:
        return _integer(verb, flags, width, value)
    if verb in "feEgG" and isinstance(value, float):
        return format_python(flags, verb, value)
    return wrong


def _integer(verb: str, flags: str, width: str, value: int) -> str:
    if verb == "c":
        return _padded(chr(value), flags, width)
    if verb == "U":
        return _padded(f"U+{value:04X}", flags, width)
    if verb == "b":
        return _padded(f"{value:b}", flags, width)
    return format_python(flags, verb, value)


def format_python(flags: str, verb: str, value: float) -> str:
    return ("%" + flags + verb) % value


def _padded(text: str, flags: str, width: str) -> str:
    if not width:
        return text
    return text.ljust(int(width)) if "-" in flags else text.rjust(int(width))
