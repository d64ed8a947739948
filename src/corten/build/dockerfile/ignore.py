"""`.dockerignore`: which files of the context the builder does not see.

A pattern a line; ``!`` takes back, the last match decides; ``**`` spans directories; a pattern that matches a directory
covers all below it. `Dockerfile.dockerignore` beside the Dockerfile wins over `.dockerignore`.
"""

import posixpath
import re
from typing import NamedTuple

__all__ = ["Ignore"]

PLAIN = re.compile(r"[^*?\[\\/]*")


class Rule(NamedTuple):
    expression: "re.Pattern[str]"
    keep: bool


class Ignore:
    """The patterns of one file."""

    def __init__(self, text: str = "") -> None:
        self.rules = [rule for line in text.removeprefix("\ufeff").splitlines() if (rule := rule_of(line))]
        self.takes_back = any(rule.keep for rule in self.rules)

    def excludes(self, path: str) -> bool:
        """Whether the file at `path` (relative, with slashes) is left out."""
        excluded = False
        for rule in self.rules:
            if rule.keep == excluded and self.covers(rule, path):
                excluded = not rule.keep
        return excluded

    def covers(self, rule: Rule, path: str) -> bool:
        """A pattern matches a path or any directory above it."""
        parts = path.split("/")
        return any(rule.expression.fullmatch("/".join(parts[:count])) for count in range(len(parts), 0, -1))

    def prunes(self, directory: str) -> bool:
        """Whether nothing below `directory` can be wanted, so that it need not be walked."""
        return not self.takes_back and self.excludes(directory)


def rule_of(line: str) -> Rule | None:
    pattern = line.strip()
    if not pattern or pattern.startswith("#"):
        return None
    keep = pattern.startswith("!")
    pattern = posixpath.normpath(pattern[keep:].strip().lstrip("/") or ".")
    return None if pattern == "." else Rule(re.compile(translate(pattern)), keep)


def translate(pattern: str) -> str:
    """A pattern as a regular expression: ``*`` and ``?`` stay within a component, ``**`` does not.

    It is Go's filepath.Match: ``[^a]`` is any letter but a, ``[!a]`` is one of the two.
    """
    out = ""
    at = 0
    while at < len(pattern):
        rest = pattern[at:]
        if rest.startswith("**/"):
            out, at = out + "(?:.*/)?", at + 3
        elif rest.startswith("**"):
            out, at = out + ".*", at + 2
        elif rest[0] == "*":
            # The shortest match of a star is as good as any other, so none is tried twice: a row of stars stays cheap.
            plain = PLAIN.match(rest.lstrip("*"))
            assert plain
            at += len(rest) - len(rest.lstrip("*")) + plain.end()
            ends = at == len(pattern) or pattern[at] == "/"
            text = re.escape(plain[0])
            out += f"[^/]*{text}" if ends or not text else f"(?>[^/]*?{text})"
        elif rest[0] == "?":
            out, at = out + "[^/]", at + 1
        elif rest[0] == "[" and "]" in rest[1:]:
            end = rest.index("]", 2)
            out, at = out + "[" + rest[1:end].replace("\\", "\\\\") + "]", at + end + 1
        elif rest[0] == "\\" and len(rest) > 1:
            out, at = out + re.escape(rest[1]), at + 2
        else:
            out, at = out + re.escape(rest[0]), at + 1
    return out
