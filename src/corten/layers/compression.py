"""Compression, found by the bytes and not by what anybody claims: gzip, zstd, bzip2, xz, or none.

Bounds against bombs: xz and zstd may ask for a window of 128 MiB at most, and whoever reads bounds the total.
"""

import bz2
import lzma
import sys
import zlib
from typing import Any, BinaryIO, NamedTuple, Protocol, cast

from isal import igzip

from corten.model.errors import InvalidArgument

__all__ = ["FORMATS", "Peekable", "Readable", "decompressed", "detect", "gzip_writer"]

MEMORY_LIMIT = 128 << 20
ZSTD_WINDOW_LOG = 27
# Enough to recognise every format.
MAGIC_LENGTH = 10


class Readable(Protocol):
    """Bytes that can be read once."""

    def read(self, size: int = -1, /) -> bytes: ...


class Format(NamedTuple):
    """A compression format by its first bytes."""

    name: str
    magic: bytes


FORMATS = (
    Format("gzip", b"\x1f\x8b\x08"),
    Format("zstd", b"\x28\xb5\x2f\xfd"),
    Format("bzip2", b"BZh"),
    Format("xz", b"\xfd7zXZ\x00"),
)
# A zstd stream may begin with a skippable frame (0x184D2A5?), as eStargz's zstd:chunked writes it.
ZSTD_SKIPPABLE = tuple(bytes((0x50 + n, 0x2A, 0x4D, 0x18)) for n in range(16))

# What the decompressors raise for damaged input (igzip raises zlib's).
DAMAGE = (EOFError, lzma.LZMAError, zlib.error)


class Peekable:
    """A stream whose first bytes can be looked at without losing them (a pipe cannot seek)."""

    def __init__(self, stream: Readable) -> None:
        self._stream = stream
        self._head = b""

    def peek(self, size: int) -> bytes:
        """The next bytes, fewer than `size` only where the stream ends."""
        while len(self._head) < size:
            chunk = self._stream.read(size - len(self._head))
            if not chunk:
                break
            self._head += chunk
        return self._head

    def read(self, size: int = -1, /) -> bytes:
        if not self._head:
            return self._stream.read(size)
        if size < 0:
            head, self._head = self._head, b""
            return head + self._stream.read()
        head, self._head = self._head[:size], self._head[size:]
        return head

    def readinto(self, buffer: bytearray | memoryview, /) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def detect(head: bytes) -> str:
    """The name of the format that begins so; "" when it is none we know, and so presumably not compressed."""
    if head.startswith(ZSTD_SKIPPABLE):
        return "zstd"
    return next((format.name for format in FORMATS if head.startswith(format.magic)), "")


def decompressed(stream: Readable) -> Readable:
    """The same content without its compression. Damage raises InvalidArgument from `read`."""
    peekable = stream if isinstance(stream, Peekable) else Peekable(stream)
    format = detect(peekable.peek(MAGIC_LENGTH))
    if not format:
        return peekable
    return _Guarded(_open(format, cast(BinaryIO, peekable)), format)


class _Guarded:
    """Turns what decompressors raise into our errors."""

    def __init__(self, stream: Readable, format: str) -> None:
        self._stream = stream
        self._format = format

    def read(self, size: int = -1, /) -> bytes:
        try:
            return self._stream.read(size)
        except OSError as error:
            if error.errno is not None:  # the source failed, not the format
                raise
            raise InvalidArgument(f"damaged {self._format} stream: {error}") from error
        except DAMAGE as error:
            raise InvalidArgument(f"damaged {self._format} stream: {error}") from error
        except Exception as error:
            if type(error).__name__ in ("ZstdError", "IsalError"):
                raise InvalidArgument(f"damaged {self._format} stream: {error}") from error
            raise


def _open(format: str, stream: BinaryIO) -> Readable:
    gzip: Any = igzip.IGzipFile
    if format == "gzip":
        return cast(Readable, gzip(fileobj=stream, mode="rb"))
    if format == "zstd":
        return _open_zstd(stream)
    if format == "bzip2":
        return bz2.BZ2File(stream)
    return _Xz(stream)


def _open_zstd(stream: BinaryIO) -> Readable:
    zstd: Any
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    options = {zstd.DecompressionParameter.window_log_max: ZSTD_WINDOW_LOG}
    return cast(Readable, zstd.ZstdFile(stream, "rb", options=options))


class _Xz:
    """xz with a bound on memory, which `lzma.LZMAFile` does not offer; streams may follow each other."""

    def __init__(self, stream: Readable) -> None:
        self._stream = stream
        self._decoder = lzma.LZMADecompressor(memlimit=MEMORY_LIMIT)
        self._rest = b""

    def read(self, size: int = -1, /) -> bytes:
        if size < 0:
            return b"".join(iter(lambda: self.read(1 << 20), b""))
        while True:
            if self._decoder.eof:
                self._rest = self._decoder.unused_data.lstrip(b"\0") or self._stream.read(1 << 16).lstrip(b"\0")
                if not self._rest:
                    return b""
                self._decoder = lzma.LZMADecompressor(memlimit=MEMORY_LIMIT)
            if self._decoder.needs_input and not self._rest:
                self._rest = self._stream.read(1 << 16)
                if not self._rest:
                    raise EOFError("the stream is cut short")
            data, self._rest = self._decoder.decompress(self._rest, size), b""
            if data:
                return data


def gzip_writer(stream: BinaryIO, *, level: int = 1) -> BinaryIO:
    """A gzip stream that holds no name and no time, so that equal content gives equal bytes."""
    gzip: Any = igzip.IGzipFile
    return cast(BinaryIO, gzip(filename="", fileobj=stream, mode="wb", compresslevel=level, mtime=0))
