"""One thing that was looked at."""

from __future__ import annotations

__all__ = ["FAIL", "NOTE", "OK", "WARN", "Finding", "read"]

OK, NOTE, WARN, FAIL = "ok", "note", "warn", "fail"


class Finding:
    """`what` is so, in `area`; `mend` says how to change it.

    The levels: ok; a note on something that some use would miss; a warning that something usual does not work;
    a failure when no container can run.
    """

    __slots__ = ("area", "level", "mend", "what")

    def __init__(self, area: str, level: str, what: str, mend: str = "") -> None:
        self.area = area
        self.level = level
        self.what = what
        self.mend = mend


def read(path: str) -> str:
    """A small file of /proc or /sys, stripped; empty when it is not there or not for us."""
    try:
        with open(path) as file:
            return file.read().strip()
    except OSError:
        return ""
