"""A plan as text: one line a row, with who runs it, what it does, where it comes from and why.

The text is what goldens compare and people read, so it is stable: no addresses, no times, blobs by size and digest.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from corten.plan.catalog import OPERATIONS
from corten.plan.flags import show

if TYPE_CHECKING:
    from collections.abc import Iterator

    from corten.plan.step import Arg, LaunchPlan, Step

__all__ = ["describe", "sentence", "shown_arguments"]

_PRINTABLE = re.compile(rb"[\x20-\x7e\n]{0,160}")
_SEGMENT = re.compile(r"\[([^\]]*)\]")
_FIELD = re.compile(r"\{(\w+)(\?|:[^}]*)?\}")


def describe(plan: LaunchPlan) -> str:
    """The whole plan; the columns are number, actor, row, origin, reason."""
    rows = list(_columns(plan))
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(4)]
    widths[2] = min(widths[2], 72)
    widths[3] = min(widths[3], 28)
    head = "".join(f"# descriptor {fd} is inherited as {name}\n" for fd, name in plan.inherit)
    lines = (
        f"{row[0]:>{widths[0]}}  {row[1]:<{widths[1]}}  {row[2]:<{widths[2]}}  {row[3]:<{widths[3]}}  {row[4]}".rstrip()
        for row in rows
    )
    return head + "".join(f"{line}\n" for line in lines)


def _columns(plan: LaunchPlan) -> Iterator[tuple[str, str, str, str, str]]:
    for number, step in enumerate(plan.steps):
        yield str(number), step.actor, sentence(step), step.origin, step.why


def sentence(step: Step) -> str:
    """The row in words: ``attach data at s20``, with its slot as ``-> name`` and the errno values it may ignore."""
    shown = shown_arguments(step)
    template = _SEGMENT.sub(
        lambda match: match[1] if _says_something(match[1], shown) else "", OPERATIONS[step.op].show
    )
    text = _FIELD.sub(lambda match: _field(match, shown), template)
    if step.accept:
        text += " unless " + ",".join(_errno_name(number) for number in step.accept)
    return f"{text} -> {step.slot}" if step.slot else text


def _says_something(segment: str, shown: dict[str, str]) -> bool:
    return any(shown[match[1]] not in ("", "0") for match in _FIELD.finditer(segment))


def _field(match: re.Match[str], shown: dict[str, str]) -> str:
    value, form = shown[match[1]], match[2] or ""
    if form == "?":
        return ""
    return format(int(value), form[1:]) if form else value or '""'


def shown_arguments(step: Step) -> dict[str, str]:
    """Each argument as text, by name."""
    types = OPERATIONS[step.op].args
    return {name: _shown(kind, value) for (name, kind), value in zip(types, step.args, strict=True)}


def _shown(kind: str, value: Arg) -> str:
    if isinstance(value, int):
        return show(kind, value)
    if isinstance(value, bytes):
        return _blob(value)
    if isinstance(value, tuple):
        return " ".join(_quoted(str(item)) for item in value) or ("none" if kind == "ids" else "")
    return value if kind in ("slot", "slot?") else _quoted(value)


def _quoted(text: str) -> str:
    return text if not text or re.fullmatch(r"[\w./:=@%+,-]+", text) else '"' + text.translate(_ESCAPES) + '"'


_ESCAPES = {10: "\\n", 9: "\\t", 34: '\\"', 92: "\\\\"} | {
    code: f"\\x{code:02x}" for code in range(32) if code not in (9, 10)
}


def _blob(value: bytes) -> str:
    """Short text as text; anything else by its size and the start of its digest."""
    if _PRINTABLE.fullmatch(value):
        return _quoted(value.decode())
    from hashlib import sha256

    return f"({len(value)} bytes, sha256 {sha256(value).hexdigest()[:12]})"


def _errno_name(number: int) -> str:
    from errno import errorcode

    return errorcode.get(number, str(number))
