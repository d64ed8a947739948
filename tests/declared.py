"""What the tables of the source declare, asked from the tables themselves: (family, section) to names.

Each family is one function; a new table is one more line in FAMILIES.
"""

from collections.abc import Callable

__all__ = ["declared"]

Sections = dict[str, set[str]]

FAMILIES: dict[str, Callable[[], Sections]] = {}


def declared() -> dict[tuple[str, str], set[str]]:
    return {(family, section): names for family, sections in FAMILIES.items() for section, names in sections().items()}
