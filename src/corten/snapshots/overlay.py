"""Snapshots as overlayfs layers: a directory for each snapshot's own changes, stacked by the kernel when mounted."""

import os
import shutil
from pathlib import Path

from corten.model import lowerdir
from corten.model.errors import FailedPrecondition, ResourceExhausted
from corten.model.mount import Mount
from corten.model.whiteout import Form
from corten.snapshots import measure
from corten.snapshots.protocol import Changes, Kind, Usage
from corten.snapshots.recorded import Recorded
from corten.snapshots.records import Record

__all__ = ["Overlay"]

# Docker's bound; the kernel's own is 500 (OVL_MAX_STACK), and names of five letters fill a page at about 800.
LAYERS_LIMIT = 128


class Overlay(Recorded):
    """`user_xattr` is for user namespaces, where ``trusted.`` attributes are out of reach (mount option userxattr)."""

    name = "overlay"

    def __init__(self, root: Path, *, user_xattr: bool = False, boot: str | None = None) -> None:
        self._form = Form.OVERLAY_USER if user_xattr else Form.OVERLAY
        super().__init__(root, boot=boot)
        self._usage: dict[str, Usage] = {}

    def prepare(self, key: str, parent: str | None = None, *, volatile: bool = False) -> list[Mount]:
        return self._create(key, Kind.ACTIVE, parent, volatile=volatile)

    def view(self, key: str, parent: str | None = None) -> list[Mount]:
        return self._create(key, Kind.VIEW, parent)

    def _create(self, key: str, kind: Kind, parent: str | None, *, volatile: bool = False) -> list[Mount]:
        below = self._records.chain(parent)
        if len(below) >= LAYERS_LIMIT:
            raise ResourceExhausted(f"snapshot {key}: more than {LAYERS_LIMIT} layers", hint="squash the image")

        def fill(directory: Path) -> None:
            content = directory / "fs"
            content.mkdir(mode=0o755)
            if kind is Kind.ACTIVE:
                (directory / "work").mkdir(mode=0o700)
            if below:
                # The root directory itself is not merged: the upper one's attributes are what the container sees.
                _copy_attributes(self._content(below[0]), content)

        return self._mounts(self._records.create(key, kind, parent, fill, volatile=volatile), below)

    def mounts(self, key: str) -> list[Mount]:
        record = self._records.get(key)
        if record.kind is Kind.COMMITTED:
            raise FailedPrecondition(f"mount snapshot {key}: it is committed", hint="prepare or view one on top of it")
        if record.volatile:
            # overlayfs refuses a volatile upper that was used before; what was lost, if anything, was scratch.
            shutil.rmtree(self._records.directory(record) / "work" / "work" / "incompat", ignore_errors=True)
        return self._mounts(record, self._records.chain(record.parent))

    def _mounts(self, record: Record, below: list[Record]) -> list[Mount]:
        content = str(self._content(record))
        lowers = [str(self._content(lower)) for lower in below]
        if record.kind is Kind.VIEW:
            if len(lowers) <= 1:
                return [Mount("bind", lowers[0] if lowers else content, ("rbind", "ro"))]
            return [Mount("overlay", "overlay", ("ro", f"lowerdir={lowerdir.join(lowers)}", *self._options()))]
        if not lowers:
            return [Mount("bind", content, ("rbind", "rw"))]
        work = self._records.directory(record) / "work"
        paths = (f"lowerdir={lowerdir.join(lowers)}", f"upperdir={content}", f"workdir={work}")
        return [Mount("overlay", "overlay", (*paths, *self._options(), *(("volatile",) if record.volatile else ())))]

    def _options(self) -> tuple[str, ...]:
        # Without an index lower directories may be shared and moved; with one the kernel would bind them to an upper.
        return ("index=off", *(("userxattr",) if self._form is Form.OVERLAY_USER else ()))

    def changes(self, key: str) -> Changes:
        record = self._records.get(key)
        lowers = [self._content(lower) for lower in self._records.chain(record.parent)]
        return Changes(self._content(record), self._form, lowers)

    def commit(self, name: str, key: str) -> None:
        record = self._records.commit(name, key)
        shutil.rmtree(self._records.directory(record) / "work", ignore_errors=True)

    def remove(self, key: str) -> int:
        self._usage.pop(key, None)
        return self._records.remove(key)

    def usage(self, key: str) -> Usage:
        record = self._records.get(key)
        if key in self._usage:
            return self._usage[key]
        counted = measure.usage(self._content(record))
        if record.kind is Kind.COMMITTED:
            self._usage[key] = counted
        return counted


def _copy_attributes(source: Path, target: Path) -> None:
    found = source.stat()
    os.chown(target, found.st_uid, found.st_gid)
    target.chmod(found.st_mode & 0o7777)
    os.utime(target, ns=(found.st_atime_ns, found.st_mtime_ns))
