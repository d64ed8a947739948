"""The values that templates see, where Python's own say too little about Go's types.

JSON's null may stand for a nil slice (prints `[]`), a nil map (`map[]`) or a nil pointer (`<nil>`); a missing key is
an error in a struct and `<no value>` in a map. These classes keep the difference.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["ABSENT", "Absent", "GoMap", "NilList", "NilMap", "type_name"]


class Absent:
    """No value at all: what a map answers for a key that it lacks."""

    def __repr__(self) -> str:
        return "<no value>"


ABSENT = Absent()


class GoMap(dict):  # type: ignore[type-arg]
    """A map with keys of the user's: a missing one is no error."""


class NilMap(GoMap):
    """A nil map."""


class NilList(list):  # type: ignore[type-arg]
    """A nil slice."""


_NAMES = ((bool, "bool"), (int, "int"), (float, "float64"), (str, "string"), (list, "[]interface {}"))


def type_name(value: Any) -> str:
    """What Go would call the type of `value`."""
    if value is None:
        return "<nil>"
    for kind, name in _NAMES:
        if isinstance(value, kind):
            return name
    if isinstance(value, dict):
        return "map[string]interface {}"
    return str(getattr(value, "go_type", type(value).__name__))
