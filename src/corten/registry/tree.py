"""Small files below a root: each is whole or absent, also after a crash or a power cut.

A file is written beside, made durable, and renamed to its name; then the directory is made durable. Readers, in this
process or another, need no lock.
"""

import itertools
import os
from pathlib import Path

__all__ = ["Tree"]


class Tree:
    """The directory and how to change it. `durable=False` skips fsync, for tests and scratch registries."""

    def __init__(self, root: Path, *, durable: bool = True) -> None:
        self.root = root
        self._durable = durable
        self._numbers = itertools.count()
        self._beside = root / "new"
        self._beside.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name in os.listdir(self._beside):
            (self._beside / name).unlink()  # what a crash left half written

    def read(self, path: Path) -> str | None:
        """The file's text, None when there is none."""
        try:
            return path.read_text()
        except FileNotFoundError:
            return None

    def write(self, path: Path, text: str) -> None:
        """Let the file appear, or replace it, whole."""
        beside = self._beside / str(next(self._numbers))
        with beside.open("w") as file:
            file.write(text)
            if self._durable:
                file.flush()
                os.fsync(file.fileno())
        self._make(path.parent)
        beside.rename(path)
        self._sync(path.parent)

    def remove(self, path: Path) -> bool:
        """Take the file away; False when there is none."""
        try:
            path.unlink()
        except FileNotFoundError:
            return False
        self._sync(path.parent)
        return True

    def names(self, path: Path) -> list[str]:
        """What the directory holds, sorted; nothing when there is none."""
        try:
            return sorted(os.listdir(path))
        except FileNotFoundError:
            return []

    def _make(self, path: Path) -> None:
        missing = []
        while not path.is_dir():
            missing.append(path)
            path = path.parent
        for one in reversed(missing):
            one.mkdir(exist_ok=True, mode=0o700)
            self._sync(one.parent)

    def _sync(self, path: Path) -> None:
        if not self._durable:
            return
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
