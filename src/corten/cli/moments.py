"""Points in time as users name them for `--since` and `--until`: dates, unix times, and spans before now.

>>> moment("1700000000.5")
'1700000000.500000000'
"""

from __future__ import annotations

import time

from corten.cli.human import seconds_of
from corten.cli.values import duration

__all__ = ["moment"]


def moment(text: str) -> str:
    """Seconds since 1970 with nine decimals; ValueError when `text` names no moment.

    A date without a zone is meant here; `10m` is ten minutes ago.
    """
    if not text:
        return ""
    try:
        return _stamp(time.time_ns() - duration(text))
    except ValueError:
        pass
    whole, _, fraction = text.partition(".")
    if whole.removeprefix("-").isdecimal() and (not fraction or fraction.isdecimal()):
        return f"{whole}.{fraction[:9]:0<9}"
    return _dated(text)


def _dated(text: str) -> str:
    date, mark, clock = text.replace(" ", "T").partition("T")
    try:
        if clock and (clock[-1] in "Zz" or any(sign in clock for sign in "+-")):
            return _stamp(round(seconds_of(text) * 10**9))
        year, month, day = (int(part) for part in date.split("-"))
        parts = [*clock.split(":"), "0", "0", "0"][:3] if mark else ["0", "0", "0"]
        seconds, _, fraction = parts[2].partition(".")
        local = (year, month, day, int(parts[0]), int(parts[1]), int(seconds), 0, 0, -1)
        return f"{int(time.mktime(local))}.{fraction[:9]:0<9}"
    except (ValueError, OverflowError):
        raise ValueError(f'failed to parse value as time or duration: "{text}"') from None


def _stamp(nanoseconds: int) -> str:
    return f"{nanoseconds // 10**9}.{nanoseconds % 10**9:09d}"
