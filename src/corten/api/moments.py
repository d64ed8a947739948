"""Points in time as clients write them: Unix seconds with a fraction, ``1700000000.000000001``.

They become nanoseconds without passing through a float, which cannot hold them.

>>> nanoseconds("1.5", "since")
1500000000
"""

from corten.model.errors import InvalidArgument

__all__ = ["nanoseconds"]


def nanoseconds(text: str, name: str) -> int | None:
    """Unix nanoseconds of `text`; None when the client left it out or said 0. `InvalidArgument` names the parameter."""
    if text in ("", "0"):
        return None
    seconds, _, fraction = text.partition(".")
    digits = seconds.removeprefix("-") + fraction
    if not digits.isdecimal() or not digits.isascii():
        raise InvalidArgument(f"invalid value for parameter {name}: {text!r} is no Unix time", place=f"?{name}")
    whole = int(seconds or "0") * 1_000_000_000
    part = int(fraction[:9].ljust(9, "0")) if fraction else 0
    return whole - part if seconds.startswith("-") else whole + part
