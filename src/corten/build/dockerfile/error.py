"""An error in a Dockerfile, with the place and the text that people need to mend it."""

from typing import NamedTuple

from corten.model.errors import InvalidArgument

__all__ = ["DockerfileError", "Range", "excerpt"]

AROUND = 2


class Range(NamedTuple):
    """Lines `first` to `last`, counted from 1."""

    first: int
    last: int

    def __str__(self) -> str:
        return str(self.first)


class DockerfileError(InvalidArgument):
    """`message` begins as Docker's does: ``dockerfile parse error on line N: …``."""

    def __init__(self, cause: str, at: Range, *, hint: str = "", near: str = "") -> None:
        message = f"dockerfile parse error on line {at.first}: {cause}"
        super().__init__(message, hint=hint, place=f"Dockerfile:{at.first}")
        self.at = at
        self.near = near


def excerpt(text: str, error: DockerfileError, name: str = "Dockerfile") -> str:
    """The lines around the error, those it is about marked, and a caret under the words at fault.

    >>> print(excerpt("FROM scratch\\nRUNN x\\n", DockerfileError("unknown instruction", Range(2, 2), near="RUNN")))
    Dockerfile:2
       1 |   FROM scratch
       2 | > RUNN x
         |   ^^^^
    """
    lines = text.splitlines()
    shown = [f"{name}:{error.at.first}"]
    for number in range(max(1, error.at.first - AROUND), min(len(lines), error.at.last + AROUND) + 1):
        line = lines[number - 1]
        inside = error.at.first <= number <= error.at.last
        shown.append(f"{number:4} | {'>' if inside else ' '} {line}")
        if inside and error.near and error.near in line:
            shown.append(f"     |   {' ' * line.index(error.near)}{'^' * len(error.near)}")
    return "\n".join(shown)
