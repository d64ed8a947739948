"""Query parameters, declared as a frozen struct per endpoint and read by Docker's rules.

The field's type is the rule: `bool` is Docker's (everything but empty, ``0``, ``no``, ``false`` and ``none`` is
true), `int` is strict, `str` is as sent, `tuple[str, ...]` repeats, `Filters` is `wire.filters`. A field without a
default is required. Parameters that no field declares are ignored, as Docker ignores them.

>>> class Sample(msgspec.Struct, frozen=True):
...     all: bool = False
...     limit: int = 0
>>> read(Sample, "all=1&limit=5&other=x")
Sample(all=True, limit=5)
"""

from functools import cache
from typing import Any, TypeVar
from urllib.parse import parse_qs

import msgspec

from corten.model.errors import InvalidArgument
from corten.wire import filters

__all__ = ["Nothing", "boolean", "read"]

Q = TypeVar("Q", bound=msgspec.Struct)
_FALSE = frozenset({"", "0", "no", "false", "none"})


class Nothing(msgspec.Struct, frozen=True):
    """The parameters of an endpoint that takes none."""


def read(kind: type[Q], text: str) -> Q:
    """Read a query string into `kind`; `InvalidArgument` with the parameter's name as its place."""
    fields = _fields(kind)
    if not text or not fields:
        sent: dict[str, list[str]] = {}
    else:
        sent = _parse(text)
    values = {}
    for name, attribute, kind_of, required in fields:
        if name in sent:
            values[attribute] = _value(name, kind_of, sent[name])
        elif required:
            raise InvalidArgument(f"missing required parameter: {name}", place=f"?{name}")
    return kind(**values)


def boolean(text: str) -> bool:
    """Docker's ``BoolValue`` (moby ``api/server/httputils/form.go``)."""
    return text.strip().lower() not in _FALSE


@cache
def _fields(kind: type[msgspec.Struct]) -> tuple[tuple[str, str, Any, bool], ...]:
    return tuple((f.encode_name, f.name, f.type, f.required) for f in msgspec.structs.fields(kind))


def _parse(text: str) -> dict[str, list[str]]:
    try:
        return parse_qs(text, keep_blank_values=True, max_num_fields=1000)
    except ValueError as error:
        raise InvalidArgument(f"invalid query string: {error}", place="?") from None


def _value(name: str, kind: Any, sent: list[str]) -> Any:
    if any("\0" in text for text in sent):
        # No name, path or pattern holds a NUL, and the kernel's calls would end the string there.
        raise InvalidArgument(f"invalid value for parameter {name}: it holds a NUL character", place=f"?{name}")
    if kind is bool:
        return boolean(sent[0])
    if kind is str:
        return sent[0]
    if kind is filters.Filters:
        return filters.parse(sent[0])
    if kind == tuple[str, ...]:
        return tuple(sent)
    return _number(name, sent[0], optional=kind is not int)


def _number(name: str, text: str, *, optional: bool) -> int | None:
    if not text:
        return None if optional else 0
    try:
        return int(text)
    except ValueError:
        raise InvalidArgument(
            f"invalid value for parameter {name}: {text!r} is not a number", place=f"?{name}"
        ) from None
