"""Push: an image here becomes a name at a registry.

    layers ─► compressed ones go as they are; a bare tar is compressed once, and the result is kept for the next push
    three upload at a time; what the repository has is not sent, what a sister repository has is mounted
    config, then the manifest under the tag: nothing is named before all of it is there

A manifest whose layers need no compression goes out byte for byte, so that digests agree with where it came from.
"""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import BinaryIO, cast

import msgspec

from corten.content import Store
from corten.images import records
from corten.images.image import Image
from corten.images.stores import Stores
from corten.images.transfer import Done, Meter, Notice, Step, Tell, Told, follow, short
from corten.layers.compression import gzip_writer
from corten.metadata import Node, leases
from corten.metadata.leases import Lease
from corten.model import manifest as documents
from corten.model import mediatype
from corten.model.cancel import Cancel
from corten.model.descriptor import Descriptor
from corten.model.digest import Digest
from corten.model.document import Document
from corten.model.errors import InvalidArgument
from corten.model.event import Event
from corten.model.manifest import Manifest
from corten.model.reference import Reference
from corten.remote import Repository

__all__ = ["push"]

PARALLEL = 3
CHUNK = 1 << 20
BARE = {
    mediatype.OCI_LAYER_TAR: mediatype.OCI_LAYER_GZIP,
    mediatype.DOCKER_LAYER_TAR: mediatype.DOCKER_LAYER_GZIP,
}


def push(stores: Stores, image: Image, reference: Reference, repository: Repository, cancel: Cancel) -> Iterator[Told]:
    """Push `image` as `reference` and yield the progress; the tag is set when the iterator ends."""

    def work(tell: Tell, cancel: Cancel) -> None:
        Push(stores, image, reference, repository, tell, cancel).run()

    if not reference.tag:
        raise InvalidArgument(f"push {reference.familiar}: a tag is needed", hint="corten tag IMAGE NAME:TAG")
    return follow(work, cancel)


class Push:
    """One push under way."""

    def __init__(
        self, stores: Stores, image: Image, reference: Reference, repository: Repository, tell: Tell, cancel: Cancel
    ) -> None:
        self.stores = stores
        self.content: Store = stores.content
        self.image = image
        self.reference = reference
        self.repository = repository
        self.tell = tell
        self.cancel = cancel
        self.sisters = self.find_sisters()

    def find_sisters(self) -> Sequence[Reference]:
        """Other repositories of this registry that this image came from: their blobs can be mounted."""
        with self.stores.db.read() as rows:
            names = records.names_of(rows, self.image.id)
        here = self.reference
        return [one for one in names if one.digest and one.domain == here.domain and one.path != here.path]

    def run(self) -> None:
        tag = str(self.reference.tag)
        self.tell(Notice(f"The push refers to repository [{self.reference.name}]"))
        with leases.hold(self.stores.db, f"push {self.reference}") as lease:
            for layer in self.image.manifest.value.layers:
                self.tell(Step(short(layer.digest), "Preparing"))
            with ThreadPoolExecutor(PARALLEL, "push") as pool:
                futures = [pool.submit(self.push_layer, layer, lease) for layer in self.image.manifest.value.layers]
                try:
                    layers = [future.result() for future in futures]
                except BaseException:
                    self.cancel.set()
                    raise
            self.send(self.image.manifest.value.config, "")
            manifest = self.manifest_of(layers)
            self.repository.push_manifest(tag, manifest.media_type, manifest.raw)
        self.record(manifest.digest)
        self.tell(Notice(f"{tag}: digest: {manifest.digest} size: {len(manifest.raw)}"))
        self.tell(Done(tag, manifest.digest, len(manifest.raw)))

    def push_layer(self, layer: Descriptor, lease: Lease) -> Descriptor:
        """Send one layer and return the descriptor under which the registry has it."""
        sent = compressed(self.stores, layer, lease) if layer.media_type in BARE else layer
        self.send(sent, short(layer.digest))
        return sent

    def send(self, blob: Descriptor, id: str) -> None:
        self.cancel.check()
        if self.repository.has_blob(blob.digest):
            self.tell_step(id, "Layer already exists")
            return
        upload = ""
        for sister in self.sisters:
            upload = self.repository.mount_blob(blob.digest, sister)
            if not upload:
                self.tell_step(id, f"Mounted from {sister.path}")
                return
            break
        self.repository.push_blob(blob.digest, blob.size, lambda: self.chunks(blob, id), upload)
        self.tell_step(id, "Pushed")

    def tell_step(self, id: str, status: str) -> None:
        if id:
            self.tell(Step(id, status))

    def chunks(self, blob: Descriptor, id: str) -> Iterable[bytes]:
        meter = Meter(self.tell, id, "Pushing", blob.size) if id else None
        with self.content.open(blob.digest) as stored:
            for offset in range(0, stored.size, CHUNK):
                self.cancel.check()
                if meter:
                    meter.at(offset)
                yield stored.read_at(offset, CHUNK)

    def manifest_of(self, layers: list[Descriptor]) -> Document[Manifest]:
        """The image's own manifest, byte for byte, unless layers were compressed on the way."""
        own = self.image.manifest
        if layers == list(own.value.layers):
            return own
        made = documents.document_of(msgspec.structs.replace(own.value, layers=layers))
        return documents.parse_manifest(made.raw)

    def record(self, digest: Digest) -> None:
        with self.stores.db.write() as tx:
            records.name(tx, self.reference.with_digest(digest), self.image.id)
            tx.emit(Event("image", "push", self.reference.familiar, {"name": self.reference.familiar_name}))


def compressed(stores: Stores, layer: Descriptor, lease: Lease) -> Descriptor:
    """The layer as gzip: made once for each bare tar, always the same bytes, and kept as long as the tar is."""
    with stores.unpacking.hold(f"compress {layer.digest}"):
        with stores.db.read() as rows:
            known = records.compressed_form(rows, layer.digest)
        if known and known.digest in stores.content:
            lease.keep(Node("blob", known.digest))
            return known
        return compress(stores, layer, lease)


def compress(stores: Stores, layer: Descriptor, lease: Lease) -> Descriptor:
    with stores.content.ingest(f"gzip {layer.digest}") as writer:
        writer.restart()
        with stores.content.open(layer.digest) as blob, gzip_writer(cast(BinaryIO, writer)) as out:
            for offset in range(0, blob.size, CHUNK):
                out.write(blob.read_at(offset, CHUNK))
        made = Descriptor(BARE[layer.media_type], writer.digest, writer.offset)
        lease.keep(Node("blob", made.digest))
        with stores.db.write(durable=False) as tx:
            records.set_compressed_form(tx, layer.digest, made)
        if made.digest in stores.content:
            writer.abort()
        else:
            writer.commit()
    return made
