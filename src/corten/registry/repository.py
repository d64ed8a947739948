"""A repository: the blobs, manifests, tags and referrers that live under one name."""

import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path

from corten.content import Blob, Store
from corten.content.writer import Writer
from corten.model.digest import Digest
from corten.model.errors import AlreadyExists, NotFound
from corten.registry import manifests, names
from corten.registry.manifests import Accepted, StoredManifest
from corten.registry.refusals import (
    BlobUnknown,
    DigestInvalid,
    ManifestBlobUnknown,
    ManifestUnknown,
    RepositoryUnknown,
    UploadUnknown,
)
from corten.registry.tree import Tree
from corten.registry.upload import Upload, Uploads

__all__ = ["BLOBS", "MANIFESTS", "UPLOADS", "Repository"]

BLOBS, MANIFESTS, TAGS, REFERRERS, UPLOADS = "_blobs", "_manifests", "_tags", "_referrers", "_uploads"
_UPLOAD_ID = re.compile(r"[0-9a-f-]{36}")


class Repository:
    """Made by `Registry.repository`; it need not exist yet. Thread-safe: what changes links holds `changing`."""

    def __init__(self, name: str, tree: Tree, store: Store, uploads: Uploads, changing: threading.Lock) -> None:
        self.name = name
        self.place = tree.root / "repositories" / name
        self._tree = tree
        self._store = store
        self._uploads = uploads
        self._changing = changing

    @property
    def exists(self) -> bool:
        """Whether anything was ever pushed under this name."""
        return any((self.place / part).is_dir() for part in (MANIFESTS, BLOBS))

    # -- blobs

    def has_blob(self, digest: Digest) -> bool:
        return self._link(BLOBS, digest).exists() and digest in self._store

    def open_blob(self, digest: Digest) -> Blob:
        """The blob's bytes; the caller closes it. Raises BlobUnknown."""
        if self._link(BLOBS, digest).exists():
            try:
                return self._store.open(digest)
            except NotFound:
                pass  # the link outlived its bytes: somebody changed the files by hand
        raise BlobUnknown(f"{self.name} has no blob {digest}")

    def mount_blob(self, digest: Digest, source: "Repository | None") -> bool:
        """Show a blob of another repository here too, without moving a byte; False when it is not there.

        Without a source any repository's will do.
        """
        with self._changing:
            if not (source.has_blob(digest) if source else digest in self._store):
                return False
            self._tree.write(self._link(BLOBS, digest), "")
            return True

    def delete_blob(self, digest: Digest) -> None:
        """Show the blob no longer; its bytes go at the next collection. Raises BlobUnknown."""
        with self._changing:
            if not self._tree.remove(self._link(BLOBS, digest)):
                raise BlobUnknown(f"{self.name} has no blob {digest}")

    # -- uploads

    def begin_upload(self, algorithm: str = "sha256") -> Upload:
        """Begin an upload whose bytes are hashed by `algorithm` as they come; raises DigestInvalid."""
        return self._uploads.begin(self.place / UPLOADS, algorithm, self._commit)

    def upload(self, id: str) -> Upload:
        """An upload that has begun, by this process or one before it; raises UploadUnknown."""
        if not _UPLOAD_ID.fullmatch(id):
            raise UploadUnknown(f"upload {id[:50]!r}: unknown")
        return self._uploads.find(self.place / UPLOADS / id, self._commit)

    def end_upload(self, upload: Upload) -> None:
        """After `finish` or `cancel`, whatever came of it: forget an upload that has ended."""
        if upload.ended:
            self._uploads.forget(upload)

    def _commit(self, writer: Writer, digest: Digest) -> None:
        os.fsync(writer.fileno())  # the long part, before anybody has to wait for us
        with self._changing:
            writer.commit(digest)
            self._tree.write(self._link(BLOBS, digest), "")

    # -- manifests

    def manifest(self, reference: str) -> StoredManifest:
        """The manifest under a tag or digest, byte by byte as it was pushed; raises ManifestUnknown."""
        digest = names.digest(reference) if names.is_digest(reference) else self._tagged(names.tag(reference))
        media_type = self._tree.read(self._link(MANIFESTS, digest)) if digest else None
        if digest is None or media_type is None:
            raise self._unknown(reference)
        try:
            return StoredManifest(digest, media_type, self._store.read(digest))
        except NotFound:
            raise self._unknown(reference) from None

    def put_manifest(self, reference: str, content_type: str, raw: bytes, tags: tuple[str, ...] = ()) -> Accepted:
        """Store a manifest under its digest and its tags, in one step as readers see it.

        `reference` is a tag, or the digest the bytes must have. Raises ManifestInvalid, ManifestTooLong,
        DigestInvalid, TagInvalid, and ManifestBlobUnknown when something it names is not in this repository.
        """
        document = manifests.read(raw, content_type)
        if names.is_digest(reference):
            digest = names.digest(reference)
            if Digest.of(raw, digest.algorithm) != digest:
                raise DigestInvalid(f"the manifest's bytes do not have the digest {digest}")
        else:
            digest, tags = document.digest, (names.tag(reference), *tags)
        tags = tuple(dict.fromkeys(names.tag(one) for one in tags))
        subject = document.value.subject.digest if document.value.subject else None
        with self._changing:
            self._require(*manifests.requires(document.value))
            self._keep(digest, raw)
            if subject:
                self._tree.write(self._referrer(subject, digest), manifests.link_to(document, digest))
            self._tree.write(self._link(MANIFESTS, digest), document.media_type)
            for one in tags:
                self._tree.write(self.place / TAGS / one, str(digest))
        return Accepted(digest, subject, tags)

    def delete_manifest(self, reference: str) -> None:
        """Remove a tag; or, by digest, a manifest with every tag that names it. Raises ManifestUnknown."""
        with self._changing:
            if not names.is_digest(reference):
                if not self._tree.remove(self.place / TAGS / names.tag(reference)):
                    raise self._unknown(reference)
                return
            digest = names.digest(reference)
            raw = self.manifest(reference).raw
            for tag in self._tree.names(self.place / TAGS):
                if self._tagged(tag) == digest:
                    self._tree.remove(self.place / TAGS / tag)
            self._tree.remove(self._link(MANIFESTS, digest))
            if subject := manifests.read(raw, "").value.subject:
                self._tree.remove(self._referrer(subject.digest, digest))

    def manifest_digests(self) -> Iterator[Digest]:
        """Every manifest of this repository."""
        return (_digest_of(name) for name in self._tree.names(self.place / MANIFESTS))

    def blob_links(self) -> Iterator[tuple[Digest, Path]]:
        """Every blob of this repository, with the file that says so."""
        return ((_digest_of(name), self.place / BLOBS / name) for name in self._tree.names(self.place / BLOBS))

    def tags(self) -> list[str]:
        """Every tag, in the order of their bytes; raises RepositoryUnknown."""
        if not self.exists:
            raise RepositoryUnknown(f"repository {self.name}: nothing was ever pushed under this name")
        return self._tree.names(self.place / TAGS)

    def referrers(self, subject: Digest) -> Iterator[str]:
        """The descriptors, as JSON, of all manifests whose subject is this one; none is no error."""
        directory = self._referrer_directory(subject)
        for name in self._tree.names(directory):
            if (text := self._tree.read(directory / name)) is not None:
                yield text

    # -- private

    def _link(self, part: str, digest: Digest) -> Path:
        return self.place / part / f"{digest.algorithm}-{digest.encoded}"

    def _referrer_directory(self, subject: Digest) -> Path:
        return self._link(REFERRERS, subject)

    def _referrer(self, subject: Digest, digest: Digest) -> Path:
        return self._referrer_directory(subject) / f"{digest.algorithm}-{digest.encoded}"

    def _tagged(self, tag: str) -> Digest | None:
        text = self._tree.read(self.place / TAGS / tag)
        return Digest(text) if text else None

    def _require(self, blobs: list[Digest], children: list[Digest]) -> None:
        for digest in blobs:
            if not self.has_blob(digest):
                raise ManifestBlobUnknown(f"{self.name} has no blob {digest}, which the manifest names")
        for digest in children:
            if not self._link(MANIFESTS, digest).exists():
                raise ManifestBlobUnknown(f"{self.name} has no manifest {digest}, which the index names")

    def _keep(self, digest: Digest, raw: bytes) -> None:
        try:
            with self._store.ingest(f"registry manifest {digest}", digest, len(raw), resumable=False) as writer:
                writer.restart()
                writer.write(raw)
                writer.commit()
        except AlreadyExists:
            pass  # pushed before, perhaps to another repository

    def _unknown(self, reference: str) -> ManifestUnknown:
        return ManifestUnknown(f"{self.name} has no manifest {reference}")


def _digest_of(name: str) -> Digest:
    return Digest(name.replace("-", ":", 1))
