"""Signals by the names and numbers that Docker takes.

>>> number("sigterm"), number("9"), number("RTMIN+3")
(15, 9, 37)
"""

import signal

from corten.model.errors import InvalidArgument

__all__ = ["number"]

HIGHEST = 64


def number(text: str) -> int:
    """The number of `TERM`, `SIGTERM`, `15`, `RTMIN+3`; InvalidArgument in Docker's words for anything else."""
    if text.isascii() and text.isdigit():
        value = int(text)
        if 0 < value <= HIGHEST:
            return value
        raise InvalidArgument(f"invalid signal: {text}")
    name = text.upper().removeprefix("SIG")
    base, sign, offset = partition_offset(name)
    found = getattr(signal, f"SIG{base}", None)
    if not isinstance(found, signal.Signals) or (sign and not base.startswith("RT")):
        raise InvalidArgument(f"invalid signal: {text}", hint="kill -l lists the names")
    value = int(found) + (int(offset) if sign == "+" else -int(offset) if sign == "-" else 0)
    if not 0 < value <= HIGHEST:
        raise InvalidArgument(f"invalid signal: {text}")
    return value


def partition_offset(name: str) -> tuple[str, str, str]:
    """`RTMIN+3` as its parts; no sign where there is none."""
    for sign in "+-":
        base, found, offset = name.partition(sign)
        if found and offset.isascii() and offset.isdigit():
            return base, sign, offset
    return name, "", ""
