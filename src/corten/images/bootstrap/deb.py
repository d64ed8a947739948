"""The `.deb` container (deb(5)): an `ar` archive of `debian-binary`, `control.tar.*` and `data.tar.*`."""

import bz2
import gzip
import io
import lzma
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

from corten.model.errors import DataLoss

__all__ = ["control", "files", "text"]

MAGIC = b"!<arch>\n"
LARGEST_MEMBER = 1 << 30


def members(data: bytes, origin: str) -> Iterator[tuple[str, bytes]]:
    """(name, bytes) of each member of an `ar` archive."""
    if not data.startswith(MAGIC):
        raise DataLoss(f"open {origin}: it is not a Debian package")
    at = len(MAGIC)
    while at + 60 <= len(data):
        name, size = data[at : at + 16].decode("ascii", "replace").strip().rstrip("/"), data[at + 48 : at + 58].strip()
        if not size.isdigit() or at + 60 + int(size) > len(data):
            raise DataLoss(f"open {origin}: member {name} is cut short")
        yield name, data[at + 60 : at + 60 + int(size)]
        at += 60 + int(size) + int(size) % 2


def zstd(data: bytes) -> bytes:
    if sys.version_info >= (3, 14):
        from compression.zstd import decompress
    else:
        from backports.zstd import decompress
    return decompress(data)


DECOMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".xz": lzma.decompress,
    ".gz": gzip.decompress,
    ".bz2": bz2.decompress,
    ".zst": zstd,
}


def member(path: Path, prefix: str) -> tarfile.TarFile:
    for name, body in members(path.read_bytes(), path.name):
        if name.startswith(prefix):
            return tarfile.open(fileobj=io.BytesIO(DECOMPRESS[name.removeprefix(prefix)](body)))
    raise DataLoss(f"open {path.name}: it has no {prefix}")


def files(path: Path) -> tarfile.TarFile:
    """The package's files; read them by iterating, never by extracting."""
    return member(path, "data.tar")


def control(path: Path) -> str:
    """The package's control paragraph."""
    with member(path, "control.tar") as archive:
        for entry in archive:
            if entry.name.removeprefix("./") == "control" and (file := archive.extractfile(entry)):
                return file.read().decode()
    raise DataLoss(f"open {path.name}: it has no control file")


def text(path: Path, name: str) -> str:
    """The file `name` of the package as text; empty when it has none."""
    with files(path) as archive:
        for entry in archive:
            if entry.name.removeprefix("./") == name and entry.isreg() and (file := archive.extractfile(entry)):
                return file.read().decode("utf-8", "replace")
    return ""
