"""Text in columns, by the elastic rule of Go's tabwriter.

Cells end with a tab; a column is a run of neighbouring lines that have a cell there, as wide as its widest cell
plus three blanks and at least ten. What follows the last tab of a line is no cell and gets no padding.

>>> laid_out(["ID\\tNAME", "1\\ta"])
'ID        NAME\\n1         a\\n'
"""

from __future__ import annotations

__all__ = ["laid_out"]

_PADDING = 3
_LEAST = 10


def laid_out(lines: list[str], *, least: int = _LEAST, padding: int = _PADDING) -> str:
    """The lines with their tabs replaced by what lines the columns up; each line ends with a line end."""
    rows = [line.split("\t") for line in lines]
    widths: list[list[int]] = [[] for _ in rows]
    _measure(rows, widths, 0, len(rows), 0, least, padding)
    return "".join(_line(row, width) for row, width in zip(rows, widths, strict=True))


def _measure(
    rows: list[list[str]], widths: list[list[int]], first: int, last: int, column: int, least: int, padding: int
) -> None:
    """Set the width of `column` for each run of lines in first..last that have it, then of the columns right of it."""
    at = first
    while at < last:
        if column >= len(rows[at]) - 1:
            at += 1
            continue
        end = at
        while end < last and column < len(rows[end]) - 1:
            end += 1
        width = max(least, *(len(rows[number][column]) + padding for number in range(at, end)))
        for number in range(at, end):
            widths[number].append(width)
        _measure(rows, widths, at, end, column + 1, least, padding)
        at = end


def _line(row: list[str], widths: list[int]) -> str:
    return "".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)) + row[-1] + "\n"
