"""Reading an image archive into the content store, in one pass, from a pipe.

Two formats share one tar (``docker save`` writes both): a **docker-archive** has ``manifest.json`` saying which files
are config and layers; an **OCI layout** has ``index.json`` and ``blobs/<algorithm>/<hex>``. Which it is, and which
files matter, is often known only at the end of the stream. So every file goes into the content store under a lease as
it passes, and is known by its digest afterwards; what nobody refers to in the end is dropped again.
"""

import posixpath
import secrets

import msgspec

from corten.content import Writer
from corten.images.stores import Stores
from corten.layers.source import StreamSource
from corten.metadata import Node
from corten.metadata.leases import Lease
from corten.model.digest import Digest
from corten.model.errors import InvalidArgument, NotFound
from corten.wire import tar

__all__ = ["Archive", "read_archive"]

# The few files that say what is in the archive are held in memory; all else is only passed on.
NOTES = frozenset(("manifest.json", "index.json", "oci-layout", "repositories"))
NOTE_LIMIT = 8 << 20
FILES_LIMIT = 100_000


class Archive(msgspec.Struct, frozen=True):
    """`blobs` are the archive's files by their path in it, `links` its links; `notes` are those of `NOTES` it had."""

    blobs: dict[str, Digest]
    links: dict[str, str]
    notes: dict[str, bytes]

    def digest(self, path: str) -> Digest:
        """The digest of the file at `path`, links followed within the archive; raises NotFound."""
        seen = set()
        at = _clean(path)
        while at in self.links and at not in seen:
            seen.add(at)
            at = self.links[at]
        if at not in self.blobs:
            raise NotFound(f"load: the archive has no file {path!r}", hint="is it cut short, or not an image?")
        return self.blobs[at]


def read_archive(stores: Stores, stream: StreamSource, lease: Lease) -> Archive:
    """Take everything in; raises InvalidArgument when the stream is no tar, or a hostile one."""
    archive = Archive({}, {}, {})
    token = secrets.token_hex(8)
    for number, entry in enumerate(tar.entries(stream)):
        if number >= FILES_LIMIT:
            raise InvalidArgument(f"load: the archive has more than {FILES_LIMIT} entries")
        path = _clean(entry.name.decode(errors="surrogateescape"))
        if entry.type == tar.REGULAR and path in NOTES:
            archive.notes[path] = _note(stream, entry, path)
        elif entry.type == tar.REGULAR:
            archive.blobs[path] = _take_in(stores, stream, entry, lease, f"load {token} {number}", path)
        elif entry.type in (tar.SYMLINK, tar.HARDLINK):
            target = entry.link.decode(errors="surrogateescape")
            base = posixpath.dirname(path) if entry.type == tar.SYMLINK else ""
            archive.links[path] = _clean(posixpath.join(base, target))
    if not archive.blobs and not archive.notes:
        raise InvalidArgument("load: the archive holds no files", hint="give it a tar made by: corten save")
    return archive


def _clean(path: str) -> str:
    return posixpath.normpath("/" + path).lstrip("/")


def _note(stream: StreamSource, entry: tar.Entry, path: str) -> bytes:
    if entry.size > NOTE_LIMIT:
        raise InvalidArgument(f"load: {path} is {entry.size} bytes long; at most {NOTE_LIMIT} are read")
    return b"".join(bytes(piece) for piece in stream.pieces(entry.size))


def _take_in(stores: Stores, stream: StreamSource, entry: tar.Entry, lease: Lease, ref: str, path: str) -> Digest:
    promised = _promised(path)
    if promised is not None:
        lease.keep(Node("blob", promised))
        if promised in stores.content:
            return promised  # the walk skips what we leave
    with stores.content.ingest(ref, expected=promised, size=entry.size, resumable=False) as writer:
        try:
            for piece in stream.pieces(entry.size):
                writer.write(piece)
            return _commit(stores, writer, lease)
        finally:
            writer.abort()


def _promised(path: str) -> Digest | None:
    """In an OCI layout the path is the digest, and a file that is something else is refused as it comes."""
    match path.split("/"):
        case ["blobs", algorithm, encoded]:
            return Digest(f"{algorithm}:{encoded}")
    return None


def _commit(stores: Stores, writer: Writer, lease: Lease) -> Digest:
    # The reference first: between the two, collection would find a blob that nobody keeps.
    digest = writer.digest
    lease.keep(Node("blob", digest))
    return digest if digest in stores.content else writer.commit()
