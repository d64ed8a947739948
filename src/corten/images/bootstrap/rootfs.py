"""A file tree in memory, and its one deterministic tar.

Packages' files are merged by path as dpkg would lay them over each other; `/bin`, `/sbin` and `/lib*` lead into
`/usr` where the release has merged them. Nothing is unpacked to a disk, so neither root nor a case-preserving or
device-capable file system is needed. The tar is sorted by path, has clamped times and no user names: the same tree
gives the same bytes.
"""

import io
import tarfile
from collections.abc import Callable

from corten.model.errors import DataLoss

__all__ = ["Rootfs"]

XATTR = "SCHILY.xattr."
MERGED = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")


class Rootfs:
    """Files by path (no leading slash); `date` is the latest modification time any of them may have."""

    def __init__(self, date: int, *, merged_usr: bool) -> None:
        self.date = date
        self.merged_usr = merged_usr
        self.entries: dict[str, tarfile.TarInfo] = {}
        self.bodies: dict[str, bytes] = {}

    def add_archive(self, archive: tarfile.TarFile, keep: Callable[[str], bool]) -> None:
        """Lay a package's files over the tree; `keep` says which paths are wanted."""
        for entry in archive:
            path = self.place(entry.name)
            if not path or not (entry.isdir() or keep(path)):
                continue
            file = archive.extractfile(entry) if entry.isreg() else None
            if entry.islnk():
                entry.linkname = self.place(entry.linkname)
            self.put(path, entry, file.read() if file else b"")

    def place(self, name: str) -> str:
        """Where a package's path lies in this tree; refuses one that would leave it."""
        parts = [part for part in name.split("/") if part not in ("", ".")]
        if ".." in parts:
            raise DataLoss(f"lay out the packages: the path {name!r} leaves the root")
        if self.merged_usr and parts and parts[0] in MERGED:
            parts.insert(0, "usr")
        return "/".join(parts)

    def put(self, path: str, entry: tarfile.TarInfo, body: bytes) -> None:
        entry.name, entry.size = path, len(body)
        entry.mtime = int(min(entry.mtime, self.date))
        entry.uname = entry.gname = ""
        entry.pax_headers = {key: value for key, value in entry.pax_headers.items() if key.startswith(XATTR)}
        self.entries[path] = entry
        self.bodies[path] = body

    def add_file(self, path: str, body: bytes, mode: int = 0o644, *, gid: int = 0) -> None:
        entry = tarfile.TarInfo(path)
        entry.mode, entry.mtime, entry.gid = mode, self.date, gid
        self.put(path, entry, body)

    def drop(self, path: str) -> None:
        """Forget what lies at `path`, if anything does."""
        self.entries.pop(path, None)
        self.bodies.pop(path, None)

    def add_directory(self, path: str, mode: int = 0o755) -> None:
        entry = tarfile.TarInfo(path)
        entry.type, entry.mode, entry.mtime = tarfile.DIRTYPE, mode, self.date
        self.put(path, entry, b"")

    def add_link(self, path: str, target: str, *, hard: bool = False) -> None:
        entry = tarfile.TarInfo(path)
        entry.type, entry.linkname = (tarfile.LNKTYPE if hard else tarfile.SYMTYPE), target
        entry.mode, entry.mtime = 0o777, self.date
        self.put(path, entry, b"")

    def read(self, path: str) -> bytes:
        """The bytes of the regular file at `path`, following links within the tree; empty when it is absent."""
        entry = self.entries.get(path)
        return self.read(entry.linkname) if entry and entry.islnk() else self.bodies.get(path, b"")

    def below(self, directory: str) -> list[str]:
        """Paths of the regular files below `directory`, sorted."""
        prefix = directory + "/"
        return sorted(path for path, entry in self.entries.items() if path.startswith(prefix) and entry.isreg())

    def tar(self) -> bytes:
        """The tree as one tar; every parent directory stands before its children, every file before its links."""
        self.complete_parents()
        if self.merged_usr:
            self.merge_links()
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
            for path in sorted(self.entries, key=lambda path: (self.entries[path].islnk(), path)):
                archive.addfile(self.entries[path], io.BytesIO(self.bodies[path]))
        return out.getvalue()

    def merge_links(self) -> None:
        for name in MERGED:
            if f"usr/{name}" in self.entries:
                self.add_link(name, f"usr/{name}")

    def complete_parents(self) -> None:
        for path in list(self.entries):
            parent = path.rpartition("/")[0]
            while parent and parent not in self.entries:
                self.add_directory(parent)
                parent = parent.rpartition("/")[0]
