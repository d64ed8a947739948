"""Where a layer's tar comes from: a stored blob, or a stream through a decompressor.

A *source* pours the tar into the pipe that the extraction reads, and knows in the end the digest of everything that
passed: the layer's diff ID. Hashing runs in a thread of its own. A stream can also be walked here (`wire.tar.Source`),
for archives that are no layers.
"""

import hashlib
import mmap
import os
import queue
import threading
from collections.abc import Iterator
from typing import Protocol

from corten.layers.compression import Readable, decompressed, detect
from corten.model.digest import Digest
from corten.model.errors import InvalidArgument, ResourceExhausted

__all__ = ["LayerSource", "StoredSource", "StreamSource", "of_blob", "of_stream"]

CHUNK = 1 << 20
AHEAD = 8
# A sane upper bound for one unpacked layer: bombs grow past any disk, layers do not.
SIZE_LIMIT = 1 << 40


class LayerSource(Protocol):
    """A whole layer that can be poured into a pipe, and then names what passed."""

    def pour(self, pipe: int) -> None:
        """Write all of the uncompressed layer to `pipe`; BrokenPipeError when nobody reads it any more."""

    def finish(self) -> Digest:
        """Read to the end; the digest of all bytes since the beginning (sha256)."""

    def close(self) -> None: ...


def of_blob(fd: int, size: int, *, digest: Digest | None = None) -> LayerSource:
    """A stored blob, compressed or not. `digest` is that of its bytes, when it has been verified already."""
    if size and not detect(os.pread(fd, 10, 0)):
        return StoredSource(fd, size, digest=digest)
    return of_stream(open(fd, "rb", buffering=0, closefd=False))


def of_stream(stream: Readable, *, limit: int = SIZE_LIMIT, hashed: bool = True) -> "StreamSource":
    """Anything that can be read once, compressed or not; more than `limit` unpacked bytes are refused.

    `hashed=False` is for who does not need the digest of the whole (an archive of blobs that have their own).
    """
    return StreamSource(decompressed(stream), limit=limit, hashed=hashed)


class StoredSource:
    """An uncompressed blob; the kernel moves it from its file to the pipe, and we never see it."""

    def __init__(self, fd: int, size: int, *, digest: Digest | None) -> None:
        self._fd = fd
        self._size = size
        self._digest = digest if digest is not None and digest.algorithm == "sha256" else None
        self._hashing = None if self._digest else threading.Thread(target=self._hash, daemon=True)
        if self._hashing:
            self._hashing.start()

    def _hash(self) -> None:
        flags, access = mmap.MAP_SHARED | mmap.MAP_POPULATE, mmap.PROT_READ
        with mmap.mmap(self._fd, self._size, flags=flags, prot=access) as mapped, memoryview(mapped) as view:
            self._digest = Digest.of(view)

    def pour(self, pipe: int) -> None:
        at = 0
        while at < self._size and (sent := os.sendfile(pipe, self._fd, at, self._size - at)):
            at += sent

    def finish(self) -> Digest:
        self.close()
        assert self._digest is not None
        return self._digest

    def close(self) -> None:
        if self._hashing:
            self._hashing.join()


class StreamSource:
    """A stream; a thread reads ahead, unpacks and hashes."""

    def __init__(self, stream: Readable, *, limit: int, hashed: bool = True) -> None:
        self.position = 0
        self._hashed = hashed
        self._stream = stream
        self._limit = limit
        self._state = hashlib.sha256()
        self._chunks: queue.Queue[bytes | BaseException] = queue.Queue(AHEAD)
        self._stop = False
        self._view = memoryview(b"")
        self._ended = False
        self._thread = threading.Thread(target=self._read_ahead, daemon=True)
        self._thread.start()

    def _read_ahead(self) -> None:
        total = 0
        try:
            while not self._stop and (chunk := self._stream.read(CHUNK)):
                total += len(chunk)
                if total > self._limit:
                    raise ResourceExhausted(
                        f"unpack layer: more than {self._limit} bytes", hint="is it a decompression bomb?"
                    )
                if self._hashed:
                    self._state.update(chunk)
                self._chunks.put(chunk)
        except BaseException as error:
            self._chunks.put(error)
        else:
            self._chunks.put(b"")

    def _next(self) -> bool:
        """Make the next chunk current; False at the end."""
        if self._ended:
            return False
        chunk = self._chunks.get()
        if isinstance(chunk, BaseException):
            self._ended = True
            raise chunk
        self._ended = not chunk
        self._view = memoryview(chunk)
        return not self._ended

    def take(self, length: int) -> bytes | memoryview:
        if len(self._view) >= length:
            taken, self._view = self._view[:length], self._view[length:]
            self.position += length
            return taken
        parts = []
        missing = length
        while missing and (self._view or self._next()):
            part, self._view = self._view[:missing], self._view[missing:]
            parts.append(part)
            missing -= len(part)
        self.position += length - missing
        return b"".join(parts)

    def skip(self, length: int) -> None:
        for _ in self.pieces(length):
            pass

    def copy_to(self, fd: int, length: int) -> None:
        for piece in self.pieces(length):
            while piece:
                piece = piece[os.write(fd, piece) :]

    def pieces(self, length: int) -> Iterator[memoryview]:
        """The next `length` bytes as they come; raises InvalidArgument where the stream ends before."""
        while length:
            if not self._view and not self._next():
                raise InvalidArgument("truncated tar: an entry is longer than the archive")
            piece, self._view = self._view[:length], self._view[length:]
            self.position += len(piece)
            length -= len(piece)
            yield piece

    def pour(self, pipe: int) -> None:
        while self._view or self._next():
            piece, self._view = self._view, memoryview(b"")
            self.position += len(piece)
            while piece:
                piece = piece[os.write(pipe, piece) :]

    def finish(self) -> Digest:
        while self._next():
            pass
        self._thread.join()
        return Digest(f"sha256:{self._state.hexdigest()}")

    def close(self) -> None:
        """Stop reading; what was read ahead is dropped."""
        self._stop = True
        while self._thread.is_alive():
            try:
                self._chunks.get_nowait()
            except queue.Empty:
                self._thread.join(0.01)
