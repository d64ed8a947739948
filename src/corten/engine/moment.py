"""Moments as Docker writes them. Inside, a moment is an integer: nanoseconds since 1970, 0 for "never".

>>> rfc3339(1_500_000_000_123_000_000)
'2017-07-14T02:40:00.123Z'
>>> duration(90 * SECOND)
'About a minute'
"""

import time

__all__ = ["SECOND", "duration", "exact", "rfc3339"]

SECOND = 1_000_000_000
NEVER = "0001-01-01T00:00:00Z"


def rfc3339(moment: int) -> str:
    """Go's RFC3339Nano in UTC: trailing zeros of the fraction are left out."""
    return exact(moment) if moment > 0 else NEVER


def exact(moment: int) -> str:
    """The same for a moment that is always there: 0 is the beginning of 1970."""
    seconds, fraction = divmod(moment, SECOND)
    digits = f".{fraction:09d}".rstrip("0").rstrip(".")
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + digits + "Z"


def duration(nanoseconds: int) -> str:
    """A span of time in the words that `docker ps` uses (go-units, HumanDuration)."""
    seconds = nanoseconds // SECOND
    minutes, hours = seconds // 60, int(seconds / 3600 + 0.5)
    if seconds < 1:
        return "Less than a second"
    if seconds < 60:
        return "1 second" if seconds == 1 else f"{seconds} seconds"
    if minutes < 60:
        return "About a minute" if minutes == 1 else f"{minutes} minutes"
    if hours < 48:
        return "About an hour" if hours == 1 else f"{hours} hours"
    if hours < 24 * 7 * 2:
        return f"{hours // 24} days"
    if hours < 24 * 30 * 2:
        return f"{hours // 24 // 7} weeks"
    if hours < 24 * 365 * 2:
        return f"{hours // 24 // 30} months"
    return f"{int(seconds / 3600) // 24 // 365} years"
