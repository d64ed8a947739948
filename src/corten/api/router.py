"""The table of endpoints, and finding the one that a request means.

A pattern is a path with names in braces. A name matches one segment; the name of an image, network, volume or
container may itself hold slashes and colons, as ``{name:path}`` says (``/images/ghcr.io/me/app:1/json``). Paths
without names are found in a dictionary; the rest in declared order among those with the same first segment.
"""

import re
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Generic, NamedTuple, TypeVar

from corten.api.call import Answer, Call
from corten.api.lanes import Lane
from corten.api.query import Nothing

__all__ = ["Handler", "Route", "Router"]

Q = TypeVar("Q")
B = TypeVar("B")
Handler = Callable[[Call[Q, B]], Answer] | Callable[[Call[Q, B]], Awaitable[Answer]]


class Route(NamedTuple, Generic[Q, B]):
    """One endpoint. A coroutine belongs to `Lane.LOOP`, a blocking handler to any other lane."""

    method: str
    pattern: str
    handler: Handler[Q, B]
    lane: Lane = Lane.QUICK
    query: type[Q] = Nothing  # type: ignore[assignment]
    body: type[B] | None = None
    body_may_be_empty: bool = False

    @property
    def name(self) -> str:
        return f"{self.method} {self.pattern}"


class Router:
    """Finds routes. Building it compiles each pattern once."""

    def __init__(self, routes: Iterable[Route[Any, Any]]) -> None:
        self.routes = tuple(routes)
        self._exact: dict[tuple[str, str], Route[Any, Any]] = {}
        self._patterns: dict[tuple[str, str], list[tuple[re.Pattern[str], Route[Any, Any]]]] = {}
        for route in self.routes:
            if "{" in route.pattern:
                key = (route.method, route.pattern.split("/")[1])
                self._patterns.setdefault(key, []).append((_compile(route.pattern), route))
            else:
                self._exact[route.method, route.pattern] = route

    def find(self, method: str, path: str) -> tuple[Route[Any, Any], dict[str, str]] | None:
        """The route for an already unquoted path, and what its names stand for."""
        if exact := self._exact.get((method, path)):
            return exact, {}
        for pattern, route in self._patterns.get((method, path.split("/")[1]), ()):
            if match := pattern.fullmatch(path):
                return route, match.groupdict()
        return None


def _compile(pattern: str) -> re.Pattern[str]:
    parts = re.split(r"\{(\w+)(:path)?\}", pattern)
    built = re.escape(parts[0])
    for name, path, text in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
        built += f"(?P<{name}>{'.+' if path else '[^/]+'}){re.escape(text)}"
    return re.compile(built, re.DOTALL)
