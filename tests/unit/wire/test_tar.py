"""The tar walk agrees with Python's tarfile on honest archives, and survives every dishonest one."""

import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corten.model.errors import CortenError, InvalidArgument, Unimplemented
from corten.wire import tar


class Bytes:
    """A source over bytes in memory."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.position = 0

    def take(self, length: int) -> bytes:
        taken = self._data[self.position : self.position + length]
        self.position += len(taken)
        return taken

    def skip(self, length: int) -> None:
        self.position += length
        if self.position > len(self._data):
            raise InvalidArgument("truncated tar")


def walk(data: bytes) -> list[tuple[tar.Entry, bytes]]:
    source = Bytes(data)
    found = []
    for entry in tar.entries(source):
        found.append((entry, source.take(entry.size)))
        if len(found[-1][1]) < entry.size:
            raise InvalidArgument("truncated tar")  # as layers.source does
    return found


def archive(format: int, *entries: tuple[tarfile.TarInfo, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=format) as out:
        for entry, data in entries:
            entry.size = len(data)
            out.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


FORMATS = [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]
LONG_FORMATS = [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]


@pytest.mark.parametrize("format", FORMATS)
def test_every_dialect_reads_the_same(format: int) -> None:
    info = tarfile.TarInfo("dir/" + "n" * 95)
    info.mode, info.uid, info.gid, info.mtime = 0o4755, 1000, 100, 1700000000
    link = tarfile.TarInfo("link")
    link.type, link.linkname = tarfile.SYMTYPE, "../target"
    device = tarfile.TarInfo("null")
    device.type, device.devmajor, device.devminor = tarfile.CHRTYPE, 1, 3
    (first, data), (second, _), (third, _) = walk(archive(format, (info, b"abc" * 200), (link, b""), (device, b"")))
    assert (first.name, first.type, first.mode) == (info.name.encode(), tar.REGULAR, 0o4755)
    assert (first.uid, first.gid, first.mtime_ns, data) == (1000, 100, 1700000000 * 10**9, b"abc" * 200)
    assert (second.type, second.link) == (tar.SYMLINK, b"../target")
    assert (third.type, third.device) == (tar.CHARACTER, (1, 3))


@pytest.mark.parametrize("format", LONG_FORMATS)
def test_long_names_large_ids_and_old_times(format: int) -> None:
    info = tarfile.TarInfo("d/" * 200 + "é")
    info.uid, info.gid, info.mtime = 4_000_000_000, 3_000_000, -5
    link = tarfile.TarInfo("l")
    link.type, link.linkname = tarfile.LNKTYPE, "t" * 300
    (first, _), (second, _) = walk(archive(format, (info, b""), (link, b"")))
    assert first.name == info.name.encode()
    assert (first.uid, first.gid, first.mtime_ns) == (4_000_000_000, 3_000_000, -5 * 10**9)
    assert second.link == b"t" * 300


def test_pax_gives_nanoseconds_and_binary_attributes() -> None:
    info = tarfile.TarInfo("f")
    info.pax_headers = {"mtime": "12.000000345", "SCHILY.xattr.security.capability": "\x01\x02"}
    [(entry, _)] = walk(archive(tarfile.PAX_FORMAT, (info, b"")))
    assert entry.mtime_ns == 12_000_000_345
    assert entry.xattrs == {b"security.capability": b"\x01\x02"}


def test_data_that_nobody_reads_is_skipped() -> None:
    data = archive(tarfile.PAX_FORMAT, (tarfile.TarInfo("a"), b"x" * 700), (tarfile.TarInfo("b"), b"y"))
    assert [entry.name for entry in tar.entries(Bytes(data))] == [b"a", b"b"]


def test_the_size_of_what_has_no_data_means_nothing() -> None:
    entry = tar.Entry(b"d/", tar.DIRECTORY, size=10**6)
    after = tar.encode(tar.Entry(b"f", tar.REGULAR))
    assert [found.name for found, _ in walk(tar.encode(entry) + after)] == [b"d/", b"f"]


def header(**changes: bytes) -> bytes:
    """A header with fields overwritten and the checksum made right again."""
    places = {"name": 0, "mode": 100, "uid": 108, "size": 124, "mtime": 136, "type": 156, "link": 157, "major": 329}
    block = bytearray(tar.encode(tar.Entry(b"file", tar.REGULAR)))
    for field, value in changes.items():
        block[places[field] : places[field] + len(value)] = value
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def pax(body: bytes, size: int | None = None) -> bytes:
    length = len(body) if size is None else size
    return header(type=b"x", size=b"%011o" % length) + body + bytes(tar.padding(len(body))) + header()


HOSTILE = {
    "negative size": header(size=b"\xff" * 12),
    "size beyond the archive": header(size=b"77777777777\0"),
    "huge base-256 size": header(size=b"\x80" + b"\x7f" * 11),
    "letters in a number": header(mode=b"rwxr-xr"),
    "wrong checksum": b"x" + header()[1:],
    "unknown type": header(type=b"V"),
    "cut header": header()[:300],
    "cut data": header(size=b"00000001000\0") + b"abc",
    "endless pax header": header(type=b"x", size=b"77777777777\0"),
    "cut pax header": header(type=b"x", size=b"00000001000\0") + b"abc",
    "pax length zero": pax(b"0 path=x\n"),
    "pax length lies": pax(b"99 path=x\n"),
    "pax without newline": pax(b"9 path=xx"),
    "pax without equals": pax(b"9 pathxx\n"),
    "pax negative size": pax(b"12 size=-10\n"),
    "pax huge size": pax(b"29 size=99999999999999999999\n"),
    "pax size with letters": pax(b"12 size=0x1\n"),
    "pax time with letters": pax(b"13 mtime=abc\n"),
    "pax name with NUL": pax(b"12 path=a\0b\n"),
    "chain of headers": pax(b"10 path=a\n")[:1024] * 20 + header(),
    "pax size lies": pax(b"14 size=99999\n"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_archive_is_an_invalid_argument(case: str) -> None:
    with pytest.raises(InvalidArgument):
        walk(HOSTILE[case])


@pytest.mark.parametrize("block", [header(type=b"S"), pax(b"22 GNU.sparse.major=1\n")])
def test_sparse_files_are_refused_by_name(block: bytes) -> None:
    with pytest.raises(Unimplemented, match="sparse"):
        walk(block)


names = st.binary(min_size=1, max_size=300).map(lambda name: name.replace(b"\0", b"_").strip(b"/") or b"n")
xattrs = st.none() | st.dictionaries(
    st.from_regex(rb"user\.[a-z]{1,9}", fullmatch=True), st.binary(min_size=1, max_size=99), min_size=1
)
kinds = st.sampled_from([tar.REGULAR, tar.SYMLINK, tar.HARDLINK, tar.CHARACTER, tar.FIFO])


@given(names, kinds, st.integers(0, 0o7777), st.integers(0, 2**32), names, st.integers(0, 2**33), xattrs)
def test_what_is_encoded_is_read_back(
    name: bytes, kind: bytes, mode: int, owner: int, link: bytes, seconds: int, attributes: dict[bytes, bytes] | None
) -> None:
    wrote = tar.Entry(
        name,
        kind,
        mode=mode,
        uid=owner,
        gid=owner,
        mtime_ns=seconds * 10**9,
        link=link if kind in (tar.SYMLINK, tar.HARDLINK) else b"",
        xattrs=attributes,
    )
    [(read, _)] = walk(tar.encode(wrote) + tar.END)
    assert [getattr(read, field) for field in tar.Entry.__slots__] == [
        getattr(wrote, field) for field in tar.Entry.__slots__
    ]
    with tarfile.open(fileobj=io.BytesIO(tar.encode(wrote) + tar.END)) as oracle:
        info = oracle.getmembers()[0]
        assert info.name.encode("utf-8", "surrogateescape") == name
        assert (info.mode, info.uid, info.mtime) == (mode, owner, seconds)


@given(st.binary(max_size=3000))
def test_noise_is_an_archive_or_an_error_of_ours(data: bytes) -> None:
    try:
        walk(data)
    except CortenError:
        return


@given(st.integers(0, 511), st.binary(min_size=1, max_size=30), st.booleans())
def test_a_header_with_noise_in_it_is_read_or_refused(at: int, noise: bytes, repair: bool) -> None:
    block = bytearray(header())
    block[at : at + len(noise)] = noise
    del block[512:]
    if repair:
        block[148:156] = b" " * 8
        block[148:156] = b"%06o\0 " % sum(block)
    try:
        walk(bytes(block) + header())
    except CortenError:
        return
