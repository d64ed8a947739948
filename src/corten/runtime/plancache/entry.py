"""The file form of an entry, which native/front_entry.c reads; its struct is the layout.

::

    header      magic, version, size, CRC-32 of what follows; options wanted and their mask; where start socket and
                console go; flags of the record and how many values it keeps; nine areas (offset, size or count)
    areas       key and literal (bytes), plan (as `plan.encode` writes it), exec (an entry of its own, or nothing),
                witnesses, holes, patches, and the pieces of state.json and of the record
"""

from __future__ import annotations

from binascii import crc32
from struct import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from corten.runtime.plancache.holes import Hole
    from corten.runtime.plancache.host import Witness

__all__ = ["NO_VALUE", "Entry", "Patch", "Piece"]

MAGIC, VERSION = 0x4E454C50, 1
NO_VALUE = 0xFFFF
_HEAD = Struct("<4I6I18I")
_CHECKED = 16  # the checksum counts from here
_WITNESS, _HOLE, _PATCH, _PIECE = Struct("<4I"), Struct("<4I"), Struct("<IHH"), Struct("<3I")
_LONGEST_NAME, _LONGEST = 64, 1000

Patch = tuple[int, int, int]
"""Which word of the plan, as what (text 0, number 1, list 2), and which value."""
Piece = tuple[bytes, int]
"""Bytes, and the value that follows them, or NO_VALUE."""


class Entry:
    """What is kept of one compilation."""

    def __init__(
        self,
        *,
        key: bytes,
        wanted: tuple[int, int],
        document: bytes,
        holes: Sequence[Hole],
        witnesses: Sequence[Witness],
        plan: bytes,
        patches: Sequence[Patch],
        fds: tuple[int, int] = (0, 0),
        record: tuple[int, int] = (0, 0),
        state_pieces: Sequence[Piece] = (),
        record_pieces: Sequence[Piece] = (),
        exec: bytes = b"",
    ) -> None:
        self.key = key
        self.wanted = wanted
        self.document = document
        self.holes = holes
        self.witnesses = witnesses
        self.plan = plan
        self.patches = patches
        self.fds = fds
        self.record = record
        self.state_pieces = state_pieces
        self.record_pieces = record_pieces
        self.exec = exec

    def encode(self) -> bytes:
        pool = _Pool(_HEAD.size)
        areas = [pool.area(self.key), pool.area(self._literal()), pool.area(self.plan), pool.area(self.exec)]
        tables = (self._witnesses(pool), self._holes(pool), [_PATCH.pack(*patch) for patch in self.patches])
        pieces = [[_PIECE.pack(*pool.area(at), value) for at, value in some] for some in self._pieces()]
        areas += [pool.table(rows) for rows in (*tables, *pieces)]
        numbers = (*self.wanted, *self.fds, *self.record, *(number for area in areas for number in area))
        size = _HEAD.size + len(pool.bytes) + 1
        body = _HEAD.pack(MAGIC, VERSION, size, 0, *numbers)[_CHECKED:] + bytes(pool.bytes) + b"\0"
        head = b"".join(number.to_bytes(4, "little") for number in (MAGIC, VERSION, size, crc32(body)))
        return head + body

    def _pieces(self) -> tuple[Sequence[Piece], Sequence[Piece]]:
        return self.state_pieces, self.record_pieces

    def _literal(self) -> bytes:
        parts, at = [], 0
        for hole in self.holes:
            parts.append(self.document[at : hole.start])
            at = hole.end
        return b"".join((*parts, self.document[at:]))

    def _holes(self, pool: _Pool) -> list[bytes]:
        rows, at = [], 0
        for hole in self.holes:
            most = _LONGEST_NAME if hole.pointer == ("hostname",) else _LONGEST
            prefix = pool.area(hole.prefix.encode() + b"\0")[0]
            rows.append(_HOLE.pack(hole.start - at, hole.flags, prefix, most))
            at = hole.end
        return rows

    def _witnesses(self, pool: _Pool) -> list[bytes]:
        rows = []
        for witness in self.witnesses:
            path = pool.area(witness.path.encode() + b"\0")[0]
            rows.append(_WITNESS.pack(witness.kind, path, *pool.area(witness.data)))
        return rows


class _Pool:
    """Bytes behind the header, each area aligned."""

    def __init__(self, start: int) -> None:
        self.start = start
        self.bytes = bytearray()

    def area(self, data: bytes) -> tuple[int, int]:
        self.bytes += bytes(-(self.start + len(self.bytes)) % 8)
        at = self.start + len(self.bytes)
        self.bytes += data
        return at, len(data)

    def table(self, rows: Sequence[bytes]) -> tuple[int, int]:
        return self.area(b"".join(rows))[0], len(rows)
