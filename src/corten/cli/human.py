"""Sizes and spans of time as people read them, in the words and roundings of Docker's output.

>>> size(1983000, 3), size_binary(339968), span(4000)
('1.98MB', '332KiB', 'About an hour')
"""

from __future__ import annotations

import time

__all__ = ["ago", "local_time", "seconds_of", "short_id", "shortened", "size", "size_binary", "span"]

_DECIMAL = ("B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB")
_BINARY = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB")
_DAYS_BEFORE = (0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334)


def size(count: float, digits: int = 4) -> str:
    """Bytes in powers of 1000 with `digits` significant digits: `1.983MB`."""
    return _scaled(count, 1000.0, _DECIMAL, digits)


def size_binary(count: float) -> str:
    """Bytes in powers of 1024: `332KiB`."""
    return _scaled(count, 1024.0, _BINARY, 4)


def _scaled(count: float, base: float, units: tuple[str, ...], digits: int) -> str:
    step = 0
    while count >= base and step < len(units) - 1:
        count /= base
        step += 1
    return f"{count:.{digits}g}{units[step]}"


def span(seconds: float) -> str:
    """A length of time in one unit: `About a minute`, `3 hours`, `2 weeks`."""
    whole = int(seconds)
    if whole < 1:
        return "Less than a second"
    if whole < 60:
        return "1 second" if whole == 1 else f"{whole} seconds"
    minutes = whole // 60
    if minutes < 60:
        return "About a minute" if minutes == 1 else f"{minutes} minutes"
    hours = int(seconds / 3600 + 0.5)
    if hours == 1:
        return "About an hour"
    for limit, length, unit in (
        (48, 1, "hours"),
        (24 * 14, 24, "days"),
        (24 * 60, 24 * 7, "weeks"),
        (24 * 730, 24 * 30, "months"),
    ):
        if hours < limit:
            return f"{hours // length} {unit}"
    return f"{int(seconds / 3600) // 24 // 365} years"


def ago(when: float) -> str:
    """How long ago the unix time `when` was, by this machine's clock."""
    return span(time.time() - when) + " ago"


def local_time(when: float) -> str:
    """A unix time in Go's default form, in the local zone: `2026-11-23 18:34:25 +0000 UTC`."""
    local = time.localtime(when)
    return time.strftime("%Y-%m-%d %H:%M:%S ", local) + zone(local)


def zone(local: time.struct_time) -> str:
    offset = local.tm_gmtoff // 60
    sign = "-" if offset < 0 else "+"
    return f"{sign}{abs(offset) // 60:02d}{abs(offset) % 60:02d} {local.tm_zone}"


def seconds_of(stamp: str) -> float:
    """The unix time of an RFC 3339 time stamp, however many digits its fraction has."""
    date, _, clock = stamp.replace("t", "T").partition("T")
    year, month, day = (int(part) for part in date.split("-"))
    offset = 0
    if clock[-1:] in "Zz":
        clock = clock[:-1]
    elif mark := next((c for c in "+-" if c in clock), ""):
        clock, _, away = clock.partition(mark)
        offset = (int(away[:2]) * 60 + int(away[3:5])) * (-60 if mark == "-" else 60)
    hours, minutes, rest = clock.split(":")
    leap = month > 2 and year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    past = year - 1
    days = past * 365 + past // 4 - past // 100 + past // 400 + _DAYS_BEFORE[month - 1] + day - 1 + leap - 719162
    return days * 86400 + int(hours) * 3600 + int(minutes) * 60 + float(rest) - offset


def short_id(text: str) -> str:
    """The first twelve digits of an id, without its algorithm."""
    return text.partition(":")[2][:12] if ":" in text else text[:12]


def shortened(text: str, width: int) -> str:
    """At most `width` characters, the last one an ellipsis when some were cut."""
    return text if len(text) <= width else text[: width - 1] + "…"
