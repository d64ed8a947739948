"""Reads a json-file log as the monitor writes it, rotated files included.

    ID-json.log.2.gz  ID-json.log.1  ID-json.log        the oldest first, the last one is being written
    {"log":"a line\\n","stream":"stdout","attrs":{…},"time":"2026-11-23T18:00:00.123456789Z"}

A long line is split over several records; only the last of them ends in a newline. A record cut short (the machine
went down) ends the reading of its file.
"""

import calendar
import gzip
import os
from collections.abc import Iterator
from typing import BinaryIO

import msgspec

__all__ = ["Entry", "entries", "files", "moment", "tail_entries"]

STDOUT, STDERR = 1, 2
BLOCK = 1 << 16


class Entry(msgspec.Struct, frozen=True):
    """One record of the log."""

    log: str = ""
    stream: str = "stdout"
    time: str = ""
    attrs: dict[str, str] | None = None

    @property
    def number(self) -> int:
        """The stream as stdcopy numbers it."""
        return STDERR if self.stream == "stderr" else STDOUT


DECODER = msgspec.json.Decoder(Entry)


def moment(text: str) -> int:
    """RFC3339 in UTC with a fraction, to nanoseconds since 1970; 0 when it is none."""
    try:
        year, month, day = int(text[0:4]), int(text[5:7]), int(text[8:10])
        hour, minute, second = int(text[11:13]), int(text[14:16]), int(text[17:19])
    except ValueError:
        return 0
    fraction = text[20:].rstrip("Z").ljust(9, "0")[:9] if text[19:20] == "." else "0"
    seconds = calendar.timegm((year, month, day, hour, minute, second))
    return seconds * 1_000_000_000 + (int(fraction) if fraction.isdigit() else 0)


def files(path: str) -> list[str]:
    """The log's files that are there, the oldest first."""
    found = []
    number = 1
    while True:
        name = next((n for n in (f"{path}.{number}", f"{path}.{number}.gz") if os.path.exists(n)), None)
        if name is None:
            break
        found.append(name)
        number += 1
    return [*reversed(found), *([path] if os.path.exists(path) else [])]


def entries(file: BinaryIO) -> Iterator[Entry]:
    """The whole records from the file's position on; afterwards the position is behind the last whole one."""
    while True:
        start = file.tell()
        line = file.readline()
        if not line.endswith(b"\n"):
            file.seek(start)
            return
        try:
            yield DECODER.decode(line)
        except msgspec.MsgspecError:
            continue


def open_log(path: str) -> BinaryIO:
    return gzip.open(path, "rb") if path.endswith(".gz") else open(path, "rb")  # type: ignore[return-value]


def tail_entries(path: str, count: int | None) -> tuple[list[str], int | None]:
    """Which files to read for the last `count` lines, and at which offset in the first of them; None for all of it."""
    names = files(path)
    if count is None:
        return names, None
    wanted = count
    for index in range(len(names) - 1, -1, -1):
        with open_log(names[index]) as file:
            offset, found = offset_of_last(file, wanted)
        if found >= wanted:
            return names[index:], offset
        wanted -= found
    return names, None


def offset_of_last(file: BinaryIO, count: int) -> tuple[int, int]:
    """Where the last `count` lines begin, and how many lines there are when there are fewer."""
    end = file.seek(0, os.SEEK_END)
    if count == 0:
        return end, 0
    found, position, blocks = 0, end, b""
    while position > 0:
        step = min(BLOCK, position)
        position -= step
        file.seek(position)
        blocks = file.read(step) + blocks
        found = blocks.count(b"\n")
        if found > count:
            break
    # The newline before the first wanted line.
    at = len(blocks)
    for _ in range(min(found, count + 1)):
        at = blocks.rfind(b"\n", 0, at)
    return (position + at + 1, count) if found > count else (0, found)
