"""The build context: the files that a client sent, below a directory that only we can reach.

    tar (plain or compressed) ─unpack→ scratch/context-…/ ─.dockerignore→ what COPY can select
    a git repository          ─checkout→ (a directory of it)
    a Dockerfile alone        ─────────────────────────→ a context with nothing else in it

Names and links of the tar are hostile: the unpacking stays below the directory, and later every path is opened with
the directory as `/`, so that a link out of the context ends inside it.
"""

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from corten.build import git, repository, selection, tree
from corten.build.copy import is_archive
from corten.build.dockerfile.ignore import Ignore
from corten.build.fetch import download
from corten.kernel import rooted
from corten.kernel import tree as trees
from corten.layers import unpacking
from corten.layers.compression import Readable
from corten.model.cancel import Cancel
from corten.model.errors import InvalidArgument, NotFound

__all__ = ["Context", "received"]

# What a Dockerfile may hold; a client's file is read whole.
LIMIT = 4 << 20


class Context:
    """An unpacked context: `fd` is its directory."""

    def __init__(self, path: Path, fd: int) -> None:
        self.path = path
        self.fd = fd

    def read(self, name: str) -> str:
        """A text file of it; NotFound, InvalidArgument when it is none."""
        try:
            fd = rooted.open(self.fd, name, os.O_RDONLY | os.O_NONBLOCK)
        except (FileNotFoundError, NotADirectoryError):
            raise NotFound(f"Cannot locate specified Dockerfile: {name}", hint="name it with -f") from None
        with open(fd, "rb") as file:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise InvalidArgument(f"cannot read {name}: it is no regular file")
            data = file.read(LIMIT + 1)
        if len(data) > LIMIT:
            raise InvalidArgument(f"cannot read {name}: it is longer than {LIMIT} bytes")
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            raise InvalidArgument(f"cannot read {name}: it is not UTF-8 text (byte {error.start})") from None

    def ignore(self, dockerfile: str) -> None:
        """Remove what `.dockerignore` leaves out; ``NAME.dockerignore`` beside the Dockerfile wins over it."""
        text = self._ignore_file(f"{dockerfile}.dockerignore") or self._ignore_file(".dockerignore")
        rules = Ignore(text)
        if not rules.rules:
            return
        kept: set[str] = set()
        left_out: list[str] = []
        for file in selection.walk(self.fd):
            if file.path and rules.excludes(file.path):
                left_out.append(file.path)
            elif file.path:
                parts = file.path.split("/")
                kept.update("/".join(parts[:depth]) for depth in range(1, len(parts)))
        for path in left_out:
            if path not in kept:
                self._remove(path)

    def _ignore_file(self, name: str) -> str:
        with suppress(NotFound):
            return self.read(name)
        return ""

    def _remove(self, path: str) -> None:
        with suppress(FileNotFoundError):  # gone with the directory it stood in
            parent, name = rooted.open_parent(self.fd, path)
            try:
                trees.remove(name, dir_fd=parent)
            finally:
                os.close(parent)


@contextmanager
def received(scratch: Path, stream: Readable, remote: str, cancel: Cancel) -> Iterator[Context]:
    """Unpack what a client sent, or what is at the address `remote`; it is removed when the block ends."""
    path = Path(tempfile.mkdtemp(prefix="context-", dir=scratch))
    try:
        path.chmod(0o755)  # what a copy of the whole context takes over; above it nobody but us can pass
        files = path
        if found := repository.parse(remote):
            git.checkout(found, path, cancel, keep=False)
            files = git.below(path, found.directory)
        with tree.directory(files) as fd:
            if remote and not found:
                from_address(remote, path, fd, cancel)
            elif not remote:
                unpacking.unpack(stream, fd, unpacking.Rules(owner=(0, 0)), cancel)
            yield Context(files, fd)
    finally:
        shutil.rmtree(path, ignore_errors=True)


def from_address(remote: str, path: Path, fd: int, cancel: Cancel) -> None:
    """An address gives a tar, or a Dockerfile alone."""
    fetched = path.with_name(f"{path.name}-fetched")
    try:
        download(remote, fetched, cancel)
        with tree.file(fetched) as top:
            if not is_archive(top):
                fetched.rename(path / "Dockerfile")
                return
        with open(fetched, "rb") as stream:
            unpacking.unpack(stream, fd, unpacking.Rules(owner=(0, 0)), cancel)
    finally:
        fetched.unlink(missing_ok=True)
