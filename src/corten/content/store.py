"""The store: where blobs live, and the only code that puts them there or takes them away."""

import hashlib
import itertools
import mmap
import os
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import msgspec

from corten.content.writer import Writer
from corten.model.digest import ALGORITHMS, Digest
from corten.model.errors import AlreadyExists, CortenError, DataLoss, NotFound, Unavailable

__all__ = ["Blob", "Info", "Store"]

DOCUMENT_LIMIT = 8 << 20
ONCE = ".once"
DAY = 24 * 3600.0


class Info(msgspec.Struct, frozen=True):
    """What is known of a blob without reading it; `size` in bytes, `committed_ns` in Unix nanoseconds."""

    digest: Digest
    size: int
    committed_ns: int


class Blob:
    """An open blob. Its bytes stay readable until it is closed, also when the blob is collected meanwhile."""

    def __init__(self, digest: Digest, fd: int) -> None:
        self.digest = digest
        self.fd = fd
        self.size = os.fstat(fd).st_size

    def read_at(self, offset: int, length: int) -> bytes:
        """Up to `length` bytes from `offset`; fewer only at the end."""
        return os.pread(self.fd, length, offset)

    def map(self) -> mmap.mmap:
        """All bytes as read-only memory, for those who jump about; the blob must not be empty."""
        return mmap.mmap(self.fd, self.size, flags=mmap.MAP_SHARED, prot=mmap.PROT_READ)

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def __enter__(self) -> "Blob":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


class Store:
    """Thread-safe; one process owns a root. `durable=False` skips fsync, for scratch stores and tests."""

    kind = "blob"

    def __init__(self, root: Path, *, durable: bool = True) -> None:
        self.root = root
        self._durable = durable
        self._lock = threading.Lock()
        self._writing: set[str] = set()
        self._discards = itertools.count()
        for name in ("ingest", "trash", *(f"blobs/{algorithm}" for algorithm in ALGORITHMS)):
            (root / name).mkdir(parents=True, exist_ok=True, mode=0o700)

    def path(self, digest: Digest) -> Path:
        """Where the blob is or would be. Read it through `open`."""
        return self.root / "blobs" / digest.algorithm / digest.encoded

    def __contains__(self, digest: Digest) -> bool:
        return self.path(digest).exists()

    def ingest(
        self,
        ref: str,
        expected: Digest | None = None,
        size: int | None = None,
        *,
        resumable: bool = True,
        algorithm: str = "sha256",
    ) -> Writer:
        """Begin, or go on with, the blob that the caller knows as `ref`; look at the writer's `offset`.

        What is not `resumable` goes at the next start, when a crash left it. The bytes are hashed by the `expected`
        digest's algorithm; who expects none yet says which `algorithm`. Raises AlreadyExists when `expected` is
        already there, Unavailable when somebody else writes `ref` now.
        """
        if expected is not None and expected in self:
            raise AlreadyExists(f"ingest {ref}: blob {expected} is already stored")
        name = hashlib.sha256(ref.encode()).hexdigest() + ("" if resumable else ONCE)
        with self._lock:
            if name in self._writing:
                raise Unavailable(f"ingest {ref}: it is being written by another request", hint="wait and try again")
            self._writing.add(name)
        try:
            path = self.root / "ingest" / name
            return Writer(
                path,
                algorithm=expected.algorithm if expected else algorithm,
                expected=expected,
                size=size,
                publish=self._publish,
                release=lambda: self._release(name),
            )
        except BaseException:
            self._release(name)
            raise

    def _release(self, name: str) -> None:
        with self._lock:
            self._writing.discard(name)

    def _publish(self, fd: int, path: Path, digest: Digest) -> None:
        """The bytes first, then the name: after a power cut a name never stands for bytes that are not there."""
        target = self.path(digest)
        os.fchmod(fd, 0o400)
        if self._durable:
            os.fsync(fd)
        path.rename(target)
        if self._durable:
            _sync_directory(target.parent)

    def put(self, data: bytes) -> Digest:
        """Store a small document whole; storing it twice is no error."""
        digest = Digest.of(data)
        if digest not in self:
            with self.ingest(f"document {digest} {threading.get_ident()}", size=len(data), resumable=False) as writer:
                writer.restart()
                writer.write(data)
                writer.commit()
        return digest

    def open(self, digest: Digest) -> Blob:
        """Raises NotFound."""
        try:
            fd = os.open(self.path(digest), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            raise NotFound(f"open blob {digest}: not found", hint="pull or load the image again") from None
        return Blob(digest, fd)

    def read(self, digest: Digest, *, limit: int = DOCUMENT_LIMIT) -> bytes:
        """A whole document, verified once more (it is short, and decisions hang on it); raises NotFound, DataLoss."""
        with self.open(digest) as blob:
            if blob.size > limit:
                raise DataLoss(f"read blob {digest}: {blob.size} bytes are too long for a document (at most {limit})")
            data = blob.read_at(0, limit)
        if Digest.of(data, digest.algorithm) != digest:
            raise DataLoss(
                f"read blob {digest}: the stored bytes are damaged", hint="remove the image and get it again"
            )
        return data

    def info(self, digest: Digest) -> Info:
        """Raises NotFound."""
        try:
            found = self.path(digest).stat()
        except FileNotFoundError:
            raise NotFound(f"blob {digest}: not found") from None
        return Info(digest, found.st_size, found.st_mtime_ns)

    def verify(self, digest: Digest) -> None:
        """Hash the stored bytes; raises DataLoss when they are damaged, NotFound."""
        state = hashlib.new(digest.algorithm)
        with self.open(digest) as blob:
            for offset in range(0, blob.size, 1 << 20):
                state.update(blob.read_at(offset, 1 << 20))
        if state.hexdigest() != digest.encoded:
            raise DataLoss(f"blob {digest}: the stored bytes are damaged", hint="remove the image and get it again")

    def delete(self, digest: Digest) -> int:
        """Remove a blob now; returns its size. Raises NotFound."""
        size = self.info(digest).size
        self.path(digest).unlink(missing_ok=True)
        return size

    def blobs(self) -> Iterator[Info]:
        """Every blob, in no order."""
        for algorithm in ALGORITHMS:
            for name in os.listdir(self.root / "blobs" / algorithm):
                try:
                    yield self.info(Digest(f"{algorithm}:{name}"))
                except CortenError:
                    continue  # collected while we looked, or no blob of ours

    def walk(self) -> Iterator[str]:
        """As a collector (`metadata.garbage`): the digest of every blob."""
        return (info.digest for info in self.blobs())

    def discard(self, id: str) -> int:
        """As a collector: the blob is gone for readers to come, its space is freed by `purge`."""
        digest = Digest(id)
        size = self.info(digest).size
        self.path(digest).rename(self.root / "trash" / f"{next(self._discards)}-{digest.encoded}")
        return size

    def purge(self) -> None:
        """As a collector: free what was discarded, and the ingests that nobody goes on with."""
        for path in (self.root / "trash").iterdir():
            path.unlink(missing_ok=True)

    def forget(self, ref: str) -> None:
        """Drop what was ingested as `ref`; nothing when somebody writes it now, or nobody ever did."""
        name = hashlib.sha256(ref.encode()).hexdigest()
        with self._lock:
            if name not in self._writing:
                (self.root / "ingest" / name).unlink(missing_ok=True)

    def abandon(self, *, older_than: float = DAY) -> None:
        """When an engine starts: drop the ingests that cannot be resumed, and those that nobody resumed in so long.

        `older_than` is in seconds.
        """
        oldest = time.time() - older_than
        with self._lock:
            for path in (self.root / "ingest").iterdir():
                if path.name not in self._writing and (path.suffix == ONCE or path.stat().st_mtime < oldest):
                    path.unlink(missing_ok=True)

    def remove_all(self) -> None:
        """Remove the whole store from the disk."""
        shutil.rmtree(self.root)


def _sync_directory(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
