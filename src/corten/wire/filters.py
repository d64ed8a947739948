"""Docker's ``filters`` query parameter.

The API description says ``map[string][]string``; the Go client sends ``map[string]map[string]bool``
(moby ``api/types/filters``). Both are read here, and become one immutable value.

>>> parse('{"status":{"running":true}}') == parse('{"status":["running"]}')
True
>>> parse('{"label":["tier=web"]}').labels({"tier": "web", "x": "1"})
True
"""

import json
from collections.abc import Iterable, Mapping

from corten.model.errors import InvalidArgument

__all__ = ["NONE", "Filters", "parse"]

_TRUE, _FALSE = frozenset({"1", "t", "true"}), frozenset({"0", "f", "false"})


class Filters:
    """Keys, each with the set of values that are wished for. A key that is absent accepts everything."""

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, tuple[str, ...]]) -> None:
        self._values = dict(values)

    def __bool__(self) -> bool:
        return bool(self._values)

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Filters) and self._canonical() == other._canonical()

    def __hash__(self) -> int:
        return hash(self._canonical())

    def __repr__(self) -> str:
        return f"Filters({self._values!r})"

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(self._values)

    def values(self, key: str) -> tuple[str, ...]:
        """The wished values of `key`, in the client's order; empty when the key is absent."""
        return self._values.get(key, ())

    def accepts(self, key: str, value: str) -> bool:
        """True when `key` is absent or `value` is one of its values."""
        return key not in self._values or value in self._values[key]

    def only(self, known: Iterable[str]) -> "Filters":
        """Self, or `InvalidArgument` with Docker's text for the first key outside `known`."""
        known = tuple(known)
        for key in self._values:
            if key not in known:
                raise InvalidArgument(f"invalid filter '{key}'", hint=f"known filters: {', '.join(sorted(known))}")
        return self

    def flag(self, key: str, default: bool) -> bool:
        """The one boolean value of `key` (Go's ``GetBoolOrDefault``: 1, t, true, 0, f, false; never both)."""
        if key not in self._values:
            return default
        words = {word.lower() for word in self._values[key]}
        if words and words <= _TRUE:
            return True
        if words and words <= _FALSE:
            return False
        raise InvalidArgument(f"invalid filter '{key}={list(self._values[key])}'", place=f"/filters/{key}")

    def labels(self, labels: Mapping[str, str]) -> bool:
        """True when `labels` has every ``label`` (``key`` or ``key=value``) and none of ``label!``."""
        return all(_has(labels, wish) for wish in self.values("label")) and not any(
            _has(labels, wish) for wish in self.values("label!")
        )

    def _canonical(self) -> frozenset[tuple[str, frozenset[str]]]:
        return frozenset((key, frozenset(values)) for key, values in self._values.items())


NONE = Filters({})


def parse(text: str) -> Filters:
    """Read the parameter as a client sent it; `InvalidArgument` with a place for anything of another shape."""
    if not text:
        return NONE
    try:
        document = json.loads(text)
    except ValueError as error:
        raise InvalidArgument(f"invalid filters: {error}", place="/filters") from None
    if document is None:
        return NONE
    if not isinstance(document, dict):
        raise InvalidArgument("invalid filters: expected a JSON object of lists", place="/filters")
    return Filters({key: _wished(key, values) for key, values in document.items()})


def _wished(key: str, values: object) -> tuple[str, ...]:
    if isinstance(values, dict):
        if all(isinstance(wish, bool) for wish in values.values()):
            return tuple(values)
    elif isinstance(values, list) and all(isinstance(value, str) for value in values):
        return tuple(values)
    raise InvalidArgument(
        f"invalid filters: expected a list of strings or an object of booleans for '{key}'", place=f"/filters/{key}"
    )


def _has(labels: Mapping[str, str], wish: str) -> bool:
    key, separator, value = wish.partition("=")
    return key in labels and (not separator or labels[key] == value)
