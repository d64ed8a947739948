"""`.dockerignore`: which files of a context stay at home.

A line is a pattern of Go's filepath.Match, rooted at the context, with `**` for any number of directories; a line
that begins with `!` takes back what earlier lines left out; the last line that matches decides. A pattern that
matches a directory matches all below it.

>>> keeps = Ignored(["*.log", "!keep.log", "build"]).keeps
>>> keeps("a.log"), keeps("keep.log"), keeps("build/x"), keeps("src/a.log")
(False, True, False, True)
"""

from __future__ import annotations

import re
from posixpath import normpath

__all__ = ["Ignored", "read_patterns"]


def read_patterns(text: str) -> list[str]:
    """The patterns of an ignore file, cleaned; comments and empty lines do not count."""
    found: list[str] = []
    for line in text.removeprefix("\ufeff").splitlines():
        if line.startswith("#") or not line.strip():
            continue
        pattern = line.strip()
        negated = pattern.startswith("!")
        plain = normpath(pattern.lstrip("!").strip()).lstrip("/")
        found.append(f"!{plain}" if negated else plain)
    return found


class Ignored:
    """The patterns of one ignore file."""

    def __init__(self, patterns: list[str]) -> None:
        self._rules = [(re.compile(_expression(p.removeprefix("!"))), p.startswith("!")) for p in patterns]

    def keeps(self, path: str) -> bool:
        """Whether the file or directory at `path`, relative to the context, is part of it."""
        kept = True
        for rule, negated in self._rules:
            if kept != negated and rule.fullmatch(path):
                kept = negated
        return kept

    @property
    def takes_back(self) -> bool:
        """Whether something below a directory that is left out may still be part of the context."""
        return any(negated for _, negated in self._rules)


def _expression(pattern: str) -> str:
    """The regular expression of a pattern: itself, or anything below it."""
    out, at = "", 0
    while at < len(pattern):
        if pattern.startswith("**", at):
            at += 2
            if pattern.startswith("/", at):
                out, at = out + "(?:.*/)?", at + 1
            else:
                out += ".*"
            continue
        char = pattern[at]
        at += 1
        if char == "*":
            out += "[^/]*"
        elif char == "?":
            out += "[^/]"
        elif char == "[" and "]" in pattern[at:]:
            end = pattern.index("]", at)
            out, at = f"{out}[{pattern[at:end]}]", end + 1
        elif char == "\\" and at < len(pattern):
            out, at = out + re.escape(pattern[at]), at + 1
        else:
            out += re.escape(char)
    return f"{out}(?:/.*)?"
