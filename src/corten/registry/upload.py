"""Uploads: blobs on their way in, resumable at any byte, also by another process after a crash.

    begun ──append──> … ──finish(digest)──> a blob of the repository
      └──────────────cancel, or a day of silence──> gone

What came is hashed as it comes. A file in the repository says that the upload exists; a process that does not know
it (it was started after a crash) opens the bytes again and hashes them once.
"""

import os
import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from corten.content import Store
from corten.content.writer import Writer
from corten.model.digest import ALGORITHMS, Digest
from corten.model.errors import DataLoss, Unavailable
from corten.registry.refusals import DigestInvalid, OutOfOrder, SizeInvalid, UploadUnknown
from corten.registry.tree import Tree

__all__ = ["Stream", "Upload", "Uploads"]

PIECE = 1 << 20
OPEN_LIMIT = 256  # uploads that keep their file open and their hash in memory
SILENCE = 24 * 3600.0


class Stream(Protocol):
    """Where a chunk's bytes come from: as many as there are, empty at the end."""

    def read1(self, size: int, /) -> bytes: ...


class Upload:
    """One upload. One request at a time may change it; another is refused, not queued."""

    def __init__(self, id: str, writer: Writer, marker: Path, link: Callable[[Writer, Digest], None]) -> None:
        self.id = id
        self.marker = marker
        self.busy = threading.Lock()
        self._writer = writer
        self._link = link
        self.ended = False

    @property
    def offset(self) -> int:
        """How many bytes have come."""
        return self._writer.offset

    def append(self, stream: Stream, start: int | None = None, length: int | None = None) -> int:
        """Take a chunk; returns the new offset. `start` and `length` are what its sender says of it.

        Raises OutOfOrder, SizeInvalid. Bytes that came before a sender broke off are kept.
        """
        with self._alone():
            if start is not None and start != self.offset:
                raise OutOfOrder(
                    f"upload {self.id}: the chunk begins at {start}, the last one ended at {self.offset}", self.offset
                )
            before = self.offset
            while data := stream.read1(PIECE):
                self._writer.write(data)
            if length is not None and self.offset - before != length:
                raise SizeInvalid(f"upload {self.id}: {self.offset - before} bytes came, {length} were announced")
            os.utime(self.marker)
            return self.offset

    def finish(self, digest: Digest) -> None:
        """End the upload: its bytes become a blob of the repository. Raises DigestInvalid; the bytes are gone then."""
        with self._alone():
            try:
                self._link(self._writer, digest)
            except DataLoss as error:
                raise DigestInvalid(f"upload {self.id}: {error.message}") from error
            finally:
                self.ended = self._writer.fileno() < 0

    def cancel(self) -> None:
        """Drop what came."""
        with self._alone():
            self.ended = True
            self._writer.abort()

    def suspend(self) -> None:
        """Let go of the file; the next use opens it again."""
        self.ended = True
        self._writer.close()

    def _alone(self) -> "_Alone":
        return _Alone(self)


class _Alone:
    """Holding an upload for the time of one request."""

    def __init__(self, upload: Upload) -> None:
        self._upload = upload

    def __enter__(self) -> None:
        if not self._upload.busy.acquire(blocking=False):
            raise Unavailable(f"upload {self._upload.id}: another request is writing it", hint="wait and try again")
        if self._upload.ended:
            self._upload.busy.release()
            raise UploadUnknown(f"upload {self._upload.id}: unknown")

    def __exit__(self, *_: object) -> None:
        self._upload.busy.release()


class Uploads:
    """Every upload of a registry; those in use are open."""

    def __init__(self, tree: Tree, store: Store) -> None:
        self._tree = tree
        self._store = store
        self._lock = threading.Lock()
        self._open: OrderedDict[Path, Upload] = OrderedDict()

    def begin(self, directory: Path, algorithm: str, link: Callable[[Writer, Digest], None]) -> Upload:
        """A new upload into the repository whose uploads are in `directory`; raises DigestInvalid."""
        if algorithm not in ALGORITHMS:
            raise DigestInvalid(f"unsupported digest algorithm {algorithm[:50]!r}", hint="use sha256 or sha512")
        marker = directory / str(uuid.uuid4())
        self._tree.write(marker, algorithm)
        return self.find(marker, link)

    def find(self, marker: Path, link: Callable[[Writer, Digest], None]) -> Upload:
        """The upload whose file is `marker`; raises UploadUnknown."""
        with self._lock:
            upload = self._open.get(marker)
            if upload is None or upload.ended:
                upload = self._reopen(marker, link)
            self._open[marker] = upload
            self._open.move_to_end(marker)
            self._suspend_idle()
            return upload

    def forget(self, upload: Upload) -> None:
        """After its end: nothing names it any more."""
        with self._lock:
            self._open.pop(upload.marker, None)
        self._tree.remove(upload.marker)

    def expire(self, markers: Iterator[Path], *, silence: float = SILENCE) -> int:
        """Drop uploads that nobody went on with for `silence` seconds; returns how many."""
        expired = 0
        oldest = time.time() - silence
        for marker in markers:
            with self._lock:
                upload = self._open.get(marker)
                if marker.stat().st_mtime > oldest or (upload and upload.busy.locked()):
                    continue
                if upload:
                    upload.suspend()
                    del self._open[marker]
            self._store.forget(_ingest_name(marker))
            self._tree.remove(marker)
            expired += 1
        return expired

    def close(self) -> None:
        """Let go of all; every one can be resumed by the next process."""
        with self._lock:
            for upload in self._open.values():
                upload.suspend()
            self._open.clear()

    def _reopen(self, marker: Path, link: Callable[[Writer, Digest], None]) -> Upload:
        algorithm = self._tree.read(marker)
        if algorithm is None:
            raise UploadUnknown(f"upload {marker.name}: unknown")
        writer = self._store.ingest(_ingest_name(marker), algorithm=algorithm)
        return Upload(marker.name, writer, marker, link)

    def _suspend_idle(self) -> None:
        for marker, upload in list(self._open.items()):
            if len(self._open) <= OPEN_LIMIT:
                return
            if upload.busy.acquire(blocking=False):
                upload.suspend()
                upload.busy.release()
                del self._open[marker]


def _ingest_name(marker: Path) -> str:
    return f"registry upload {marker.name}"
