"""A blob on its way in: bytes are hashed as they are written, and appear under their digest only when they match."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from corten.model.digest import Digest
from corten.model.errors import DataLoss, InvalidArgument, ResourceExhausted

__all__ = ["Writer"]

REHASH_CHUNK = 1 << 20


class Writer:
    """Made by `Store.ingest`. Leaving the block without a commit keeps the bytes, to be resumed; `abort` drops them."""

    def __init__(
        self,
        path: Path,
        *,
        algorithm: str,
        expected: Digest | None,
        size: int | None,
        publish: Callable[[int, Path, Digest], None],
        release: Callable[[], None],
    ) -> None:
        self._path = path
        self._expected = expected
        self._size = size
        self._publish = publish
        self._release = release
        self._hash = hashlib.new(algorithm)
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        self.offset = 0
        self._rehash()

    def _rehash(self) -> None:
        while chunk := os.pread(self._fd, REHASH_CHUNK, self.offset):
            self._hash.update(chunk)
            self.offset += len(chunk)
        os.lseek(self._fd, self.offset, os.SEEK_SET)

    def fileno(self) -> int:
        """The file being written, for whoever wants to read along; nothing in it is verified before the commit."""
        return self._fd

    def require_space(self) -> None:
        """Raise ResourceExhausted where the announced rest cannot fit: a disk that a lie has filled helps nobody."""
        if self._size is None:
            return
        disk = os.fstatvfs(self._fd)
        left, free = self._size - self.offset, disk.f_bavail * disk.f_frsize
        if left > free:
            raise ResourceExhausted(
                f"write blob {self._name}: it needs {left} bytes more, and {free} are free",
                hint="free space below the engine's root: corten system df",
            )

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append. More bytes than were announced are an error at once, not at the end (a size that lies)."""
        if self._size is not None and self.offset + len(data) > self._size:
            raise DataLoss(f"write blob {self._name}: more than the announced {self._size} bytes came")
        self._hash.update(data)
        view = memoryview(data)
        while view:
            written = self._append(view)
            self.offset += written
            view = view[written:]

    def _append(self, view: memoryview) -> int:
        try:
            return os.write(self._fd, view)
        except OSError as error:
            raise ResourceExhausted(
                f"write blob {self._name}: {error.strerror}",
                hint="free space below the engine's root: corten system df",
            ) from error

    @property
    def _name(self) -> str:
        return str(self._expected or self._path.name)

    @property
    def digest(self) -> Digest:
        """The digest of what has been written so far."""
        return Digest(f"{self._hash.name}:{self._hash.hexdigest()}")

    def restart(self) -> None:
        """Forget what was there and begin again (the source cannot resume)."""
        os.ftruncate(self._fd, 0)
        os.lseek(self._fd, 0, os.SEEK_SET)
        self.offset = 0
        self._hash = hashlib.new(self._hash.name)

    def commit(self, expected: Digest | None = None) -> Digest:
        """Verify, make durable, and let the blob appear under its digest; returns that digest.

        A sender that promises a digest only at the end gives it as `expected`; of another algorithm than the one the
        bytes were hashed with, they are read and hashed once more. Raises DataLoss when size or digest are not the
        promised ones; the bytes are dropped then.
        """
        if self._size is not None and self.offset != self._size:
            self._reject(f"{self.offset} bytes came, {self._size} were announced")
        self._expected = expected or self._expected
        if self._expected is not None and self._expected.algorithm != self._hash.name:
            self._hash, self.offset = hashlib.new(self._expected.algorithm), 0
            self._rehash()
        digest = self.digest
        if self._expected is not None and digest != self._expected:
            self._reject(f"what came has the digest {digest}")
        self._publish(self._fd, self._path, digest)
        self.close()
        return digest

    def _reject(self, cause: str) -> None:
        name = self._name
        self.abort()
        raise DataLoss(f"commit blob {name}: {cause}", hint="try again; if it stays so, the source is damaged")

    def abort(self) -> None:
        """Drop the bytes."""
        if self._fd >= 0:
            self._path.unlink(missing_ok=True)
            self.close()

    def close(self) -> None:
        """Stop writing; what is not committed stays to be resumed under the same ref."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
            self._release()

    def __enter__(self) -> "Writer":
        if self._fd < 0:
            raise InvalidArgument(f"write blob {self._name}: the writer is closed")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()
