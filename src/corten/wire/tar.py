"""Tar archives as bytes in, entries out, and back: ustar, PAX and GNU's long names.

A tar is 512-byte blocks. Each entry is a header block, then its data padded to whole blocks; two zero blocks end it:

    name[100] mode[8] uid[8] gid[8] size[12] mtime[12] checksum[8] type[1] linkname[100]
    "ustar\\0" "00" uname[32] gname[32] devmajor[8] devminor[8] prefix[155]

Numbers are octal text, or big-endian binary when the first byte is 0x80 (GNU base-256). What does not fit comes in
an entry before: PAX records (type ``x``: ``"length key=value\\n"``), or GNU's long name (``L``) and long link (``K``).

Everything here may be hostile: sizes that lie, negative numbers, endless extension headers. `entries` checks each
number, bounds what it holds in memory, and never believes a size until the bytes have come. Names stay bytes.

>>> for entry in entries(source):
...     if entry.type == REGULAR:
...         data = source.take(entry.size)
"""

from __future__ import annotations

import zlib
from struct import Struct

from corten.model.errors import InvalidArgument, Unimplemented

TYPE_CHECKING = False  # the command line packs with this module, and typing alone costs as much as a small context
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Protocol
else:
    Protocol = object

__all__ = [
    "BLOCK", "BLOCK_DEVICE", "CHARACTER", "DIRECTORY", "END", "FIFO", "HARDLINK", "REGULAR", "SYMLINK",
    "XATTR_PREFIX", "Entry", "Source", "encode", "entries", "padding",
]  # fmt: skip

BLOCK = 512
END = bytes(2 * BLOCK)

REGULAR, HARDLINK, SYMLINK, CHARACTER, BLOCK_DEVICE, DIRECTORY, FIFO = b"0", b"1", b"2", b"3", b"4", b"5", b"6"
CONTIGUOUS, OLD_REGULAR = b"7", b"\0"
PAX, PAX_GLOBAL, GNU_NAME, GNU_LINK, GNU_SPARSE = b"x", b"g", b"L", b"K", b"S"
# The kinds that carry data; for all others the size field means nothing (pax(1): "ignored"), whatever it says.
WITH_DATA = frozenset((REGULAR, CONTIGUOUS, OLD_REGULAR))
KINDS = frozenset((REGULAR, HARDLINK, SYMLINK, CHARACTER, BLOCK_DEVICE, DIRECTORY, FIFO))

XATTR_PREFIX = b"SCHILY.xattr."
# One extension header is held in memory; longer ones are no names but an attack. Go's archive/tar has the same bound.
EXTENSION_LIMIT = 1 << 20
EXTENSION_CHAIN = 8
SIZE_LIMIT = 1 << 60
OCTAL_LIMIT = 0o77777777777
ADLER = 65521

HEADER = Struct("100s24s12s12s8sc100s6s2s32s32s8s8s155s12x")


class Source(Protocol):
    """Where a tar comes from. `position` counts the bytes handed out since the beginning."""

    position: int

    def take(self, length: int) -> bytes | memoryview:
        """Exactly `length` bytes, fewer only where the stream ends."""

    def skip(self, length: int) -> None:
        """Move on; raises InvalidArgument where the stream ends before."""


class Entry:
    """One entry, checked and with its extensions applied. `mtime_ns` is Unix time; `xattrs` are as PAX carries them."""

    __slots__ = ("device", "gid", "link", "mode", "mtime_ns", "name", "size", "type", "uid", "xattrs")

    def __init__(
        self,
        name: bytes,
        type: bytes,
        *,
        mode: int = 0o644,
        uid: int = 0,
        gid: int = 0,
        size: int = 0,
        mtime_ns: int = 0,
        link: bytes = b"",
        device: tuple[int, int] = (0, 0),
        xattrs: dict[bytes, bytes] | None = None,
    ) -> None:
        self.name = name
        self.type = type
        self.mode = mode
        self.uid = uid
        self.gid = gid
        self.size = size
        self.mtime_ns = mtime_ns
        self.link = link
        self.device = device
        self.xattrs = xattrs

    def __repr__(self) -> str:
        return f"Entry({self.name!r}, {self.type!r}, mode={self.mode:#o}, size={self.size})"


def entries(source: Source) -> Iterator[Entry]:
    """The entries of the archive, one by one. What the caller leaves of an entry's data is skipped.

    Raises InvalidArgument for a damaged or hostile archive, naming the entry before the damage; Unimplemented for
    sparse files, which image-spec forbids in layers.
    """
    owners: dict[bytes, tuple[int, int, int]] = {}
    extra: dict[bytes, bytes] = {}
    chain = 0
    before = b"the beginning"
    while block := source.take(BLOCK):
        if len(block) < BLOCK:
            raise InvalidArgument(f"truncated tar after {_show(before)}: a header is cut short")
        fields = HEADER.unpack(block)
        if not fields[4].strip(b"\0 ") and not any(block):
            return
        _check_sum(block, fields[4], before)
        kind: bytes = fields[5]
        if kind in (PAX, GNU_NAME, GNU_LINK, PAX_GLOBAL):
            chain += 1
            _read_extension(source, kind, _number(fields[2], before), extra, chain, before)
            continue
        entry = _entry(fields, extra, owners, before)
        end = source.position + entry.size + padding(entry.size)
        yield entry
        source.skip(end - source.position)
        before = entry.name
        if chain:
            extra, chain = {}, 0


def _entry(
    fields: tuple[bytes, ...], extra: dict[bytes, bytes], owners: dict[bytes, tuple[int, int, int]], before: bytes
) -> Entry:
    name, owner, size, mtime, _, kind, link = fields[:7]
    name = name.partition(b"\0")[0]
    if fields[7] == b"ustar\0" and fields[13][0]:
        name = fields[13].partition(b"\0")[0] + b"/" + name
    known = owners.get(owner)
    if known is None:
        known = owners[owner] = (
            _number(owner[:8], before) & 0o7777,
            _number(owner[8:16], before),
            _number(owner[16:], before),
        )
    entry = Entry(
        name,
        kind,
        mode=known[0],
        uid=known[1],
        gid=known[2],
        size=_number(size, before) if kind in WITH_DATA else 0,
        mtime_ns=_number(mtime, before, signed=True) * 1_000_000_000,
        link=link.partition(b"\0")[0],
    )
    if kind in (CHARACTER, BLOCK_DEVICE):
        entry.device = (_number(fields[11], before), _number(fields[12], before))
    if extra:
        _extend(entry, extra)
    return _checked(entry)


def _checked(entry: Entry) -> Entry:
    if entry.type in (OLD_REGULAR, CONTIGUOUS):
        entry.type = REGULAR
    if entry.type == REGULAR and entry.name.endswith(b"/") and not entry.size:
        entry.type = DIRECTORY  # as tars older than ustar wrote them
    if entry.type == GNU_SPARSE:
        raise Unimplemented(f"tar entry {_show(entry.name)}: sparse files are not supported in layers")
    if entry.type not in KINDS:
        raise InvalidArgument(f"tar entry {_show(entry.name)}: unknown type {entry.type!r}")
    if b"\0" in entry.name or b"\0" in entry.link:
        raise InvalidArgument(f"tar entry {_show(entry.name)}: a name with a NUL byte")
    return entry


def _extend(entry: Entry, extra: dict[bytes, bytes]) -> None:
    for key, value in extra.items():
        if key == b"path":
            entry.name = value
        elif key == b"linkpath":
            entry.link = value
        elif key == b"size":
            if entry.type in WITH_DATA:
                entry.size = _decimal(value, key)
        elif key == b"uid":
            entry.uid = _decimal(value, key)
        elif key == b"gid":
            entry.gid = _decimal(value, key)
        elif key == b"mtime":
            entry.mtime_ns = _nanoseconds(value)
        elif key.startswith(XATTR_PREFIX):
            entry.xattrs = {**(entry.xattrs or {}), key[len(XATTR_PREFIX) :]: value}
        elif key.startswith(b"GNU.sparse."):
            raise Unimplemented(f"tar entry {_show(entry.name)}: sparse files are not supported in layers")


def _read_extension(
    source: Source, kind: bytes, size: int, extra: dict[bytes, bytes], chain: int, before: bytes
) -> None:
    if size > EXTENSION_LIMIT or chain > EXTENSION_CHAIN:
        raise InvalidArgument(f"hostile tar after {_show(before)}: extension headers longer than {EXTENSION_LIMIT}")
    data = bytes(source.take(size))
    if len(data) < size:
        raise InvalidArgument(f"truncated tar after {_show(before)}: an extension header is cut short")
    source.skip(padding(size))
    if kind == PAX:
        _pax_records(data, extra)
    elif kind == GNU_NAME:
        extra[b"path"] = data.partition(b"\0")[0]
    elif kind == GNU_LINK:
        extra[b"linkpath"] = data.partition(b"\0")[0]


def _pax_records(data: bytes, extra: dict[bytes, bytes]) -> None:
    at = 0
    while at < len(data):
        digits, space, _ = data[at : at + 20].partition(b" ")
        length = int(digits) if space and digits.isdigit() else 0
        record = data[at : at + length]
        key, equals, value = record[len(digits) + 1 : -1].partition(b"=")
        if not equals or not key or len(record) != length or record[-1:] != b"\n":
            raise InvalidArgument(f"malformed PAX record {record[:40]!r}")
        if value:
            extra[key] = value
        else:
            extra.pop(key, None)  # an empty value takes the record back (pax(1))
        at += length


def _check_sum(block: bytes | memoryview, stored: bytes, before: bytes) -> None:
    # The checksum is the sum of all bytes with its own field as spaces. Adler-32's low half is that sum plus one,
    # modulo 65521, at a tenth of the cost of sum().
    total = (zlib.adler32(block) & 0xFFFF) - 1 - sum(stored) + 8 * 0x20
    if (total - _number(stored, before)) % ADLER:
        raise InvalidArgument(f"damaged tar after {_show(before)}: wrong header checksum")


def _number(field: bytes, before: bytes, *, signed: bool = False) -> int:
    """A number field, octal text or GNU base-256; never negative unless `signed`."""
    if field[0] & 0x80:
        value = int.from_bytes(field, "big", signed=False) & ((1 << (8 * len(field) - 1)) - 1)
        if field[0] == 0xFF:
            value -= 1 << (8 * len(field) - 1)
    else:
        try:
            value = int(field.rstrip(b"\0 ").lstrip(b" ") or b"0", 8)
        except ValueError:
            raise InvalidArgument(f"damaged tar after {_show(before)}: {field!r} is no number") from None
    if not (-SIZE_LIMIT if signed else 0) <= value <= SIZE_LIMIT:
        raise InvalidArgument(f"hostile tar after {_show(before)}: the number {value} is out of bounds")
    return value


def _decimal(value: bytes, key: bytes) -> int:
    if not value.isdigit() or len(value) > 19 or int(value) > SIZE_LIMIT:
        raise InvalidArgument(f"malformed PAX record {key.decode()}={value[:40]!r}")
    return int(value)


def _nanoseconds(value: bytes) -> int:
    whole, _, fraction = value.partition(b".")
    digits = whole.removeprefix(b"-")
    if not digits.isdigit() or len(digits) > 18 or (fraction and not fraction.isdigit()):
        raise InvalidArgument(f"malformed PAX record mtime={value[:40]!r}")
    nanoseconds = int(digits) * 1_000_000_000 + int(fraction[:9].ljust(9, b"0"))
    return -nanoseconds if whole.startswith(b"-") else nanoseconds


def padding(size: int) -> int:
    """How many zero bytes follow data of this size."""
    return -size % BLOCK


def encode(entry: Entry) -> bytes:
    """The header of an entry, with a PAX header before it where ustar cannot say it. Equal entries give equal bytes.

    Times are written to the second, as Docker's layers have them.
    """
    records = [(XATTR_PREFIX + key, value) for key, value in sorted((entry.xattrs or {}).items())]
    name, prefix = _split_name(entry.name)
    if name is None:
        records.append((b"path", entry.name))
        name, prefix = entry.name[:100], b""
    link = entry.link
    if len(link) > 100 or not link.isascii():
        records.append((b"linkpath", link))
        link = link[:100]
    for key, value, limit in ((b"uid", entry.uid, 0o7777777), (b"gid", entry.gid, 0o7777777)):
        if value > limit:
            records.append((key, b"%d" % value))
    if entry.size > OCTAL_LIMIT:
        records.append((b"size", b"%d" % entry.size))
    seconds = entry.mtime_ns // 1_000_000_000
    if not 0 <= seconds <= OCTAL_LIMIT:
        records.append((b"mtime", b"%d" % seconds))
    header = _header(entry, name, prefix, link)
    if not records:
        return header
    return _pax_header(entry, sorted(records)) + header


def _header(entry: Entry, name: bytes, prefix: bytes, link: bytes) -> bytes:
    major, minor = entry.device
    block = b"".join(
        (
            name.ljust(100, b"\0"),
            b"%07o\0%07o\0%07o\0" % (entry.mode, _fit(entry.uid, 0o7777777), _fit(entry.gid, 0o7777777)),
            b"%011o\0%011o\0" % (_fit(entry.size, OCTAL_LIMIT), _fit(entry.mtime_ns // 1_000_000_000, OCTAL_LIMIT)),
            b"        ",
            entry.type,
            link.ljust(100, b"\0"),
            b"ustar\x0000",
            bytes(64),
            b"%07o\0%07o\0" % (major, minor),
            prefix.ljust(155, b"\0"),
            bytes(12),
        )
    )
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def _fit(value: int, limit: int) -> int:
    return value if 0 <= value <= limit else 0  # the PAX record before says the real one


def _split_name(name: bytes) -> tuple[bytes | None, bytes]:
    if not name.isascii():
        return None, b""
    if len(name) <= 100:
        return name, b""
    cut = name.find(b"/", len(name) - 101)
    if 0 < cut <= 155 and cut < len(name) - 1:
        return name[cut + 1 :], name[:cut]
    return None, b""


def _pax_header(entry: Entry, records: list[tuple[bytes, bytes]]) -> bytes:
    body = b"".join(_pax_record(key, value) for key, value in records)
    base = entry.name.rstrip(b"/").rpartition(b"/")[2]
    name = (b"PaxHeaders.0/" + bytes(c if c < 128 else 0x5F for c in base))[:100]
    header = _header(Entry(name, PAX, size=len(body)), name, b"", b"")
    return header + body + bytes(padding(len(body)))


def _pax_record(key: bytes, value: bytes) -> bytes:
    length = len(key) + len(value) + 3
    while len(b"%d" % length) + len(key) + len(value) + 3 != length:
        length = len(b"%d" % length) + len(key) + len(value) + 3
    return b"%d %s=%s\n" % (length, key, value)


def _show(name: bytes) -> str:
    return repr(name[:200].decode(errors="replace"))
