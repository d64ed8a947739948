"""A cache directory (`--cache-dir DIR`): what a build remembers, as plain files that a CI job stores and brings back.

    DIR/index.json       records (a step's keys, the layers that it gave), cache mounts, the lines that were built
    DIR/blobs/sha256/…   layers, and the contents of cache mounts, as tars named by their digests

Nothing in it is believed: a file counts only when its bytes have the digest that the index says, chain IDs are
computed here, tars are unpacked as hostile ones are, no link is followed. What is damaged is passed over with a
warning, and the step is built as if it were not there. Which *layers* belong to a step is the word of whoever could
write the directory, as with every build cache that is carried about (docs/security.md).

What the last builds did not use goes after a week, so that the directory does not grow for ever.
"""

import fcntl
import hashlib
import os
import secrets
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import BinaryIO

import msgspec

from corten import layers
from corten.content import Store
from corten.kernel import rooted
from corten.layers import unpacking
from corten.model import mediatype
from corten.model.cancel import Cancel
from corten.model.descriptor import Descriptor
from corten.model.digest import Digest
from corten.model.document import decode, encode
from corten.model.errors import CortenError, DataLoss, InvalidArgument, NotFound, Unavailable

__all__ = ["Record", "Shelf"]

INDEX = "index.json"
BLOBS = "blobs/sha256"
LIMIT = 32 << 20
CHUNK = 1 << 20
KEPT = 7 * 24 * 3600
PATIENCE = 10.0
READ = os.O_RDONLY | os.O_NONBLOCK
CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL


class Record(msgspec.Struct, frozen=True):
    """A step: the keys that it is found by, and all layers that its files have above the base image."""

    keys: tuple[str, ...]
    layers: tuple[Descriptor, ...]
    used: int = 0


class Index(msgspec.Struct, frozen=True):
    """`mounts` are the contents of cache mounts, by the name of their directory; `used` are times in seconds."""

    version: int = 1
    records: tuple[Record, ...] = ()
    mounts: dict[str, Descriptor] = msgspec.field(default_factory=dict)
    lines: tuple[str, ...] = ()


class Shelf:
    """One cache directory, while a build uses it. `warn` hears of what is passed over."""

    def __init__(self, fd: int, warn: Callable[[str], None]) -> None:
        self.fd = fd
        self.warn = warn
        self.index = self._read_index()
        self.by_key = {key: record for record in self.index.records for key in record.keys}

    @classmethod
    @contextmanager
    def opened(cls, path: str, warn: Callable[[str], None]) -> Iterator["Shelf"]:
        """The directory at `path`, which must be there; NotFound, InvalidArgument."""
        if not path.startswith("/"):
            raise InvalidArgument(f"cache directory {path!r}: not an absolute path")
        try:
            fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            hint = "it must be a directory where the engine runs"
            raise NotFound(f"cannot open the cache directory {path}: {error.strerror}", hint=hint) from None
        try:
            yield cls(fd, warn)
        finally:
            os.close(fd)

    # -- taking from it

    def find(self, keys: Iterable[str]) -> Record | None:
        return next((self.by_key[key] for key in keys if key in self.by_key), None)

    def forget(self, record: Record) -> None:
        """Not to be found again in this build: it was damaged."""
        for key in record.keys:
            self.by_key.pop(key, None)

    def bring(self, layer: Descriptor, content: Store) -> None:
        """Copy a layer into the content store; DataLoss when its bytes are not what the index promises."""
        if layer.digest in content:
            return
        with self._blob(layer) as file:
            name = f"cache directory {layer.digest} {secrets.token_hex(4)}"
            with content.ingest(name, layer.digest, layer.size, resumable=False) as writer:
                try:
                    while chunk := file.read(CHUNK):
                        writer.write(chunk)
                    writer.commit()
                finally:
                    writer.abort()

    def fill(self, name: str, target: int, cancel: Cancel) -> None:
        """Unpack what was kept of the cache mount `name` into the directory `target`, if anything was."""
        kept = self.index.mounts.get(name)
        if kept is None:
            return
        try:
            with self._blob(kept) as file:
                self._verify(file, kept)
                unpacking.unpack(file, target, unpacking.Rules(), cancel)
        except CortenError as error:
            self.warn(f"a cache mount in the cache directory is passed over: {error.message}")

    # -- putting into it

    def write(self, records: Sequence[Record], lines: Iterable[str], mounts: Mapping[str, str], content: Store) -> None:
        """Put what a build used and made there, beside what others put there lately; `mounts` are directories."""
        with self._locked():
            before = self._read_index()
            now = int(time.time())
            fresh = [msgspec.structs.replace(record, used=now) for record in records]
            mine = {key for record in fresh for key in record.keys}
            others = [one for one in before.records if one.used > now - KEPT and not mine.intersection(one.keys)]
            for layer in {layer.digest: layer for record in fresh for layer in record.layers}.values():
                self._put_layer(layer, content)
            packed = {name: self._pack(path) for name, path in mounts.items()}
            index = Index(
                records=tuple(one for one in (*others, *fresh) if self._is_whole(one)),
                mounts={**before.mounts, **packed},
                lines=tuple(dict.fromkeys((*before.lines, *lines))),
            )
            with self._new(INDEX) as file:
                file.write(encode(index))
            self._sweep(index)

    def _put_layer(self, layer: Descriptor, content: Store) -> None:
        if self._has(layer):
            return
        with content.open(layer.digest) as blob, self._new(f"{BLOBS}/{layer.digest.encoded}") as file:
            for offset in range(0, blob.size, CHUNK):
                file.write(blob.read_at(offset, CHUNK))

    def _pack(self, path: str) -> Descriptor:
        """A directory as a tar under its digest."""
        state, size = hashlib.sha256(), 0
        place = f"{BLOBS}/.pack-{secrets.token_hex(8)}"
        source = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            with self._new(place) as file:
                for piece in layers.pack(source):
                    state.update(piece)
                    size += len(piece)
                    file.write(piece)
        finally:
            os.close(source)
        digest = Digest(f"sha256:{state.hexdigest()}")
        self._rename(place, f"{BLOBS}/{digest.encoded}")
        return Descriptor(mediatype.OCI_LAYER_TAR, digest, size)

    def _sweep(self, index: Index) -> None:
        """Remove the blobs that nothing names any more."""
        named = {layer.digest.encoded for record in index.records for layer in record.layers}
        named |= {mount.digest.encoded for mount in index.mounts.values()}
        fd = rooted.open(self.fd, BLOBS, os.O_RDONLY | os.O_DIRECTORY, follow=False)
        try:
            for name in os.listdir(fd):
                if name not in named:
                    with suppress(OSError):
                        os.unlink(name, dir_fd=fd)
        finally:
            os.close(fd)

    # -- files below a directory that is not ours

    def _read_index(self) -> Index:
        try:
            with self._open(INDEX) as file:
                found = decode(file.read(LIMIT + 1), Index, "cache index", limit=LIMIT)
            if found.version != 1:
                raise InvalidArgument(f"cache index: version {found.version} is not known")
        except FileNotFoundError:
            return Index()
        except (CortenError, OSError) as error:
            cause = error.message if isinstance(error, CortenError) else error.strerror
            self.warn(f"the cache directory is passed over: {cause}")
            return Index()
        return found

    @contextmanager
    def _open(self, name: str) -> Iterator[BinaryIO]:
        """A regular file of it: no link on the way, no pipe that would never end."""
        fd = rooted.open(self.fd, name, READ, follow=False)
        with open(fd, "rb") as file:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise InvalidArgument(f"{name} in the cache directory is no regular file")
            yield file

    @contextmanager
    def _blob(self, one: Descriptor) -> Iterator[BinaryIO]:
        try:
            with self._open(f"{BLOBS}/{one.digest.encoded}") as file:
                if os.fstat(file.fileno()).st_size != one.size:
                    raise DataLoss(f"{one.digest} in the cache directory has another size than its index says")
                yield file
        except OSError as error:
            raise DataLoss(f"{one.digest} in the cache directory cannot be read: {error.strerror}") from None

    def _verify(self, file: BinaryIO, one: Descriptor) -> None:
        state = hashlib.new(one.digest.algorithm)
        while chunk := file.read(CHUNK):
            state.update(chunk)
        if state.hexdigest() != one.digest.encoded:
            raise DataLoss(f"{one.digest} in the cache directory is damaged")
        file.seek(0)

    def _has(self, layer: Descriptor) -> bool:
        with suppress(CortenError), self._blob(layer) as file:
            self._verify(file, layer)
            return True
        return False

    def _is_whole(self, record: Record) -> bool:
        """Whether its layers are there, by name and size: their bytes are verified when they are used."""
        with suppress(CortenError), ExitStack() as stack:
            for layer in record.layers:
                stack.enter_context(self._blob(layer))
            return True
        return False

    @contextmanager
    def _new(self, name: str) -> Iterator[BinaryIO]:
        """A file that appears under its name when it is whole; it belongs to whom the directory belongs to."""
        parent, _, _ = name.rpartition("/")
        os.close(rooted.make_directories(self.fd, parent or "."))
        part = f"{parent or '.'}/.new-{secrets.token_hex(8)}"
        fd = rooted.open(self.fd, part, CREATE, 0o644, follow=False)
        try:
            with open(fd, "wb") as file:
                about = os.fstat(self.fd)
                os.fchown(fd, about.st_uid, about.st_gid)
                yield file
            self._rename(part, name)
        except BaseException:
            with suppress(OSError):
                self._unlink(part)
            raise

    def _rename(self, old: str, new: str) -> None:
        directory, base = rooted.open_parent(self.fd, new)
        try:
            os.rename(old.rpartition("/")[2], base, src_dir_fd=directory, dst_dir_fd=directory)
        finally:
            os.close(directory)

    def _unlink(self, name: str) -> None:
        directory, base = rooted.open_parent(self.fd, name)
        try:
            os.unlink(base, dir_fd=directory)
        finally:
            os.close(directory)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Alone among those who write there; Unavailable when somebody holds it for long."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise Unavailable("the cache directory is locked by another build") from None
                time.sleep(0.05)
        try:
            yield
        finally:
            fcntl.flock(self.fd, fcntl.LOCK_UN)
