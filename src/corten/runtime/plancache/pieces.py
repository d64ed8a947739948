"""The files of a container's directory as pieces: bytes of this configuration, and values between them.

C writes state.json and the record from them on a hit, so that every verb sees what Python would have written.
"""

from __future__ import annotations

import os

from corten.runtime import record as records
from corten.runtime.compiler.control_groups import place
from corten.runtime.plancache.entry import NO_VALUE
from corten.runtime.plancache.values import BUNDLE, CREATED, HOLES, ID, PID, START, STATUS, STREAMS
from corten.wire import codec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from corten.kernel.cgroups import Layout
    from corten.runtime.plancache.entry import Piece
    from corten.runtime.plancache.holes import Hole
    from corten.runtime.plancache.store import Launched

__all__ = ["flags", "of_record", "of_state"]


class _Marks:
    """A word for each value that stands in no file otherwise; the text made with them is then cut at the words."""

    def __init__(self) -> None:
        self._secret = os.urandom(8).hex()

    def __getitem__(self, value: int) -> str:
        return f"<{self._secret}.{value:02}>"

    def cut(self, text: str) -> list[Piece]:
        parts: list[Piece] = []
        first, *rest = text.split(f"<{self._secret}.")
        parts.append((first.encode(), NO_VALUE))
        for part in rest:
            parts[-1] = (parts[-1][0], int(part[:2]))
            parts.append((part[3:].encode(), NO_VALUE))
        return parts


def flags(record: dict[str, Any]) -> int:
    return records.OWN_PIDS if record["ownPids"] else 0


def _with_marks(launched: Launched, holes: list[Hole], marks: _Marks) -> dict[str, Any]:
    """The record of state.json with marks for values; a path that is a hole is a value wherever it stands."""
    values = {hole.pointer: marks[HOLES + n] for n, hole in enumerate(holes)}
    record = launched.record
    rootfs = record["rootfs"].removeprefix(launched.bundle)
    return {
        **record,
        "id": marks[ID],
        "status": marks[STATUS],
        "pid": marks[PID],
        "start": marks[START],
        "bundle": marks[BUNDLE],
        "rootfs": values.get(("root", "path")) or f"{marks[BUNDLE]}{rootfs}",
        "created": marks[CREATED],
        "external_descriptors": marks[STREAMS],
        "cgroupsPath": values.get(("linux", "cgroupsPath")) or record["cgroupsPath"],
    }


def of_state(launched: Launched, holes: list[Hole]) -> list[Piece]:
    """state.json."""
    marks = _Marks()
    text = codec.dumps(_with_marks(launched, holes, marks))
    for number in (PID, START):
        text = text.replace(f'"{marks[number]}"', marks[number])
    return marks.cut(text)


def of_record(launched: Launched, holes: list[Hole], layout: Layout) -> list[Piece]:
    """The strings of the record (corten.runtime.record)."""
    marks = _Marks()
    record = _with_marks(launched, holes, marks)
    values = [marks[ID], marks[BUNDLE], *(marks[HOLES + n] for n in range(len(holes)))]
    real = launched.record["cgroupsPath"]
    if real and ("linux", "cgroupsPath") not in [hole.pointer for hole in holes]:
        record["cgroupsPath"] = real = place(real, "")
    return marks.cut(records.text(record, values, layout, absolute=real.startswith("/")))
