"""The lock file: which packages, to the byte, an image was made of.

    corten image bootstrap debian:bookworm --lock base.lock       writes it
    corten image bootstrap debian:bookworm --locked base.lock     makes the same image again, from the very same files

With a lock no index is read and no signature asked for: the lock carries each file's SHA-256, as the signed index
gave it. The files come from the cache, else from the mirror, else from where they came from the first time. An archive
keeps only its newest packages; a snapshot of it (`--mirror`) keeps the others.

It is JSON, sorted and indented, so that a review reads the diff.
"""

from pathlib import Path
from typing import Any

import msgspec

from corten.images.bootstrap.index import Package
from corten.model.errors import InvalidArgument, NotFound

__all__ = ["Lock", "LockedFile", "read", "write"]

FORM = 1


class LockedFile(msgspec.Struct, frozen=True):
    """One package; `path` is below the mirror `uri`, `stage` counts the groups in order of installation."""

    name: str
    version: str
    architecture: str
    uri: str
    path: str
    size: int
    sha256: str
    stage: int = 0


class Lock(msgspec.Struct, frozen=True):
    """An image to be made again: `image` is its id, `corten` the version that laid it out."""

    form: int
    corten: str
    name: str
    variant: str
    packages: list[str]
    architecture: str
    codename: str
    date: int
    signers: list[str]
    sources: list[str]
    image: str
    files: list[LockedFile]

    def stages(self) -> tuple[tuple[Package, ...], ...]:
        """The packages as they were chosen."""
        count = 1 + max((one.stage for one in self.files), default=0)
        return tuple(tuple(package(one) for one in self.files if one.stage == number) for number in range(count))


def package(one: LockedFile) -> Package:
    url = f"{one.uri}/{one.path}"
    return Package(one.name, one.version, one.architecture, (), (), False, "", url, one.size, one.sha256)


def read(path: Path) -> Lock:
    """The lock at `path`; raises `NotFound`, or `InvalidArgument` with the place for a file that is none."""
    try:
        lock = msgspec.json.decode(path.read_bytes(), type=Lock)
    except OSError as error:
        raise NotFound(f"read the lock {path}: {error.strerror}", hint="write one with --lock FILE") from None
    except msgspec.DecodeError as error:
        raise InvalidArgument(f"read the lock {path}: {error}", hint="write it anew with --lock FILE") from None
    if lock.form != FORM:
        raise InvalidArgument(f"read the lock {path}: its form is {lock.form}, this Corten knows {FORM}")
    known = {source.partition(" ")[0] for source in lock.sources}
    for one in lock.files:
        if (
            one.uri not in known
            or ".." in one.path.split("/")
            or len(one.sha256) != 64
            or not set(one.sha256) <= set("0123456789abcdef")
        ):
            raise InvalidArgument(f"read the lock {path}: the entry of {one.name} names no file")
    return lock


def write(lock: Lock, path: Path) -> None:
    """Write the lock beside `path` and rename it there."""
    plain: Any = msgspec.to_builtins(lock)
    fresh = path.with_name(f"{path.name}.new")
    fresh.write_bytes(msgspec.json.format(msgspec.json.encode(plain), indent=2) + b"\n")
    fresh.rename(path)
