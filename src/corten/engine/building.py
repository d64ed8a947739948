"""The builder as the engine sees it: what is at work, and what its cache takes (`system df`).

The builder stands beside the engine, not above it; `daemon` hands it in.
"""

from collections.abc import Sequence
from typing import Any, Protocol

from corten.engine.moment import rfc3339

__all__ = ["Builder", "Entry", "records"]


class Entry(Protocol):
    """One cached step; sizes in bytes, times in Unix nanoseconds."""

    @property
    def key(self) -> str: ...
    @property
    def description(self) -> str: ...
    @property
    def size(self) -> int: ...
    @property
    def created_ns(self) -> int: ...
    @property
    def used_ns(self) -> int: ...
    @property
    def uses(self) -> int: ...


class Builder(Protocol):
    """What the engine asks of a builder."""

    def running(self) -> int: ...

    def usage(self) -> Sequence[Entry]: ...


def records(builder: Builder | None) -> list[dict[str, Any]]:
    """Docker's BuildCache objects."""
    return [
        {
            "ID": entry.key.removeprefix("sha256:")[:25],
            "Type": "regular",
            "Description": entry.description,
            "InUse": False,
            "Shared": False,
            "Size": entry.size,
            "CreatedAt": rfc3339(entry.created_ns),
            "LastUsedAt": rfc3339(entry.used_ns),
            "UsageCount": entry.uses,
        }
        for entry in (builder.usage() if builder else ())
    ]
