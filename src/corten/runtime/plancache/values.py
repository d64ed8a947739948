"""The strings and numbers that differ from container to container, marked, so that a plan shows where they went.

A `Value` is the string itself, and remembers which value it is; a pass that hands it on whole keeps that, and a pass
that makes another string of it loses it, which `template` then notices. The numbers are native/front.h's.
"""

from __future__ import annotations

__all__ = ["ARGV", "BUNDLE", "CREATED", "DOCUMENT_HOLES", "HOLES", "ID", "PID", "PROGRAM", "START", "STATUS", "STREAMS"]
__all__ += ["Number", "Value"]

ID, BUNDLE, PID, START, STATUS, CREATED, STREAMS, PROGRAM, ARGV, HOLES = range(10)
DOCUMENT_HOLES = 48


class Value(str):
    """A string that is value `number`."""

    number: int

    @classmethod
    def of(cls, text: str, number: int) -> Value:
        made = cls(text)
        made.number = number
        return made


class Number(int):
    """An integer that is value `number`."""

    number: int

    @classmethod
    def of(cls, value: int, number: int) -> Number:
        made = cls(value)
        made.number = number
        return made
