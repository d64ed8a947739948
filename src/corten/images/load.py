"""Loading images from an archive: docker-archive and OCI layout, also compressed, from a pipe.

Nothing is visible until all of it is good: blobs come in under a lease, every image is checked and unpacked, and one
transaction makes the images and gives them their names.
"""

from collections.abc import Iterator
from contextlib import closing
from typing import NamedTuple

import msgspec

from corten.images import records
from corten.images.archive import Archive, read_archive
from corten.images.stores import Stores
from corten.images.unpack import missing, unpack
from corten.layers import source
from corten.layers.compression import Readable, detect
from corten.metadata import Collector, Node, Transaction, leases, references
from corten.metadata.leases import Lease
from corten.model import manifest as documents
from corten.model import mediatype
from corten.model.descriptor import Descriptor
from corten.model.digest import Digest
from corten.model.document import Document, decode
from corten.model.errors import DataLoss, InvalidArgument, NotFound, Unimplemented
from corten.model.event import Event
from corten.model.image import ImageConfig, chain_ids, parse_config
from corten.model.manifest import Index, Manifest
from corten.model.platform import Platform, choose
from corten.model.reference import Reference
from corten.snapshots.collector import SnapshotCollector

__all__ = ["Candidate", "Loaded", "Unpacked", "load"]

LAYER_TYPES = {"": mediatype.OCI_LAYER_TAR, "gzip": mediatype.OCI_LAYER_GZIP, "zstd": mediatype.OCI_LAYER_ZSTD}
FULL_NAME = "io.containerd.image.name"
REF_NAME = "org.opencontainers.image.ref.name"
NESTING_LIMIT = 4


class Unpacked(NamedTuple):
    """A layer became a snapshot."""

    diff_id: Digest


class Loaded(NamedTuple):
    """An image is there; `name` is one of its names, None when it has none."""

    id: Digest
    name: Reference | None


class Candidate(msgspec.Struct, frozen=True):
    """An image of the archive, not yet ours."""

    manifest: Document[Manifest]
    config: Document[ImageConfig]
    names: tuple[Reference, ...] = ()


class _Item(msgspec.Struct, frozen=True, rename="pascal"):
    """One image in ``manifest.json``, as ``docker save`` describes it."""

    config: str
    layers: list[str] | None = None
    repo_tags: list[str] | None = None


def load(stores: Stores, stream: Readable, platform: Platform | None = None) -> Iterator[Unpacked | Loaded]:
    """Load every image of the archive. Raises InvalidArgument or NotFound with the file that is at fault."""
    if platform is not None:
        stores = stores._replace(platform=platform)
    with leases.hold(stores.db, "load") as lease:
        try:
            with closing(source.of_stream(stream, hashed=False)) as tar_stream:
                archive = read_archive(stores, tar_stream, lease)
                tar_stream.finish()
            candidates = _candidates(stores, archive, lease)
            if platform is not None:
                _check_platforms(candidates, platform)
            for candidate in candidates:
                yield from _unpacked(stores, candidate, lease)
            with stores.db.write() as tx:
                for candidate in candidates:
                    record(tx, stores, candidate)
        except DataLoss as error:  # what came is damaged, not what we hold
            hint = "the archive is damaged: save the image again"
            raise InvalidArgument(error.message, hint=hint, place=error.place) from error
        finally:
            _drop_unused(stores, lease)
    for candidate in candidates:
        for name in candidate.names or (None,):
            yield Loaded(candidate.config.digest, name)


def record(
    tx: Transaction, stores: Stores, candidate: Candidate, *, parent: Digest | None = None, action: str = "load"
) -> Digest:
    """Make the image and give it its names, in the caller's transaction; `action` is what the events say.

    A commit says nothing but the name it gave (``tag``): what happened, happened to the container.
    """
    id = records.put(tx, stores, candidate.manifest, candidate.config, parent=parent)
    for name in candidate.names:
        records.name(tx, name, id)
        tx.emit(Event("image", action, id, {"name": name.familiar}))
    if not candidate.names and action != "tag":
        tx.emit(Event("image", action, id, {"name": id}))
    return id


def _check_platforms(candidates: list[Candidate], wanted: Platform) -> None:
    for candidate in candidates:
        actual = candidate.config.value.platform.normal()
        if not wanted.normal().runs(actual):
            raise NotFound(f"load: the archive has no image for {wanted}", hint=f"it has one for {actual}")


def _unpacked(stores: Stores, candidate: Candidate, lease: Lease) -> Iterator[Unpacked]:
    config = candidate.config.value
    new = missing(stores, config)
    lease.keep(*(Node("snapshot", stores.snapshots.node(chain_id)) for chain_id in chain_ids(config.diff_ids)))
    unpack(stores, candidate.manifest.value, config)
    for diff_id in config.diff_ids[len(config.diff_ids) - len(new) :]:
        yield Unpacked(diff_id)


def _drop_unused(stores: Stores, lease: Lease) -> None:
    """What the archive had beside its images, or all of it after a failure, leaves with the lease."""
    collectors: tuple[Collector, ...] = (SnapshotCollector(stores.snapshots), stores.content)
    with stores.db.write(durable=False) as tx:
        unused = {node.id for node in references.of(tx, lease.node) if references.to(tx, node) == [lease.node]}
        for collector in collectors:
            for id in [id for id in collector.walk() if id in unused]:
                collector.discard(id)
    stores.content.purge()


def _candidates(stores: Stores, archive: Archive, lease: Lease) -> list[Candidate]:
    if "index.json" in archive.notes and "oci-layout" in archive.notes:
        return _from_layout(stores, archive)
    if "manifest.json" in archive.notes:
        items = decode(archive.notes["manifest.json"], list[_Item], "manifest.json")
        return [_from_item(stores, archive, item, lease) for item in items]
    if "repositories" in archive.notes:
        raise Unimplemented("load: archives older than Docker 1.10 (without manifest.json) are not supported")
    raise InvalidArgument(
        "load: no manifest.json and no index.json in the archive",
        hint="a tar of a root filesystem is brought in by: corten import",
    )


def _from_item(stores: Stores, archive: Archive, item: _Item, lease: Lease) -> Candidate:
    """An image as manifest.json describes it; it has no manifest of its own, so one is made, always the same."""
    config = parse_config(stores.content.read(archive.digest(item.config)))
    layers = [_layer(stores, archive.digest(path)) for path in item.layers or []]
    if len(layers) != len(config.value.diff_ids):
        raise InvalidArgument(
            f"load {item.config}: manifest.json lists {len(layers)} layers, the config {len(config.value.diff_ids)}"
        )
    manifest = documents.document_of(Manifest(config.descriptor(), layers))
    lease.keep(Node("blob", manifest.digest))
    stores.content.put(manifest.raw)
    names = tuple(Reference.parse(tag) for tag in item.repo_tags or [])
    return Candidate(documents.parse_manifest(manifest.raw), config, names)


def _layer(stores: Stores, digest: Digest) -> Descriptor:
    with stores.content.open(digest) as blob:
        compression = detect(blob.read_at(0, 10))
        return Descriptor(LAYER_TYPES.get(compression, mediatype.OCI_LAYER_TAR), digest, blob.size)


def _from_layout(stores: Stores, archive: Archive) -> list[Candidate]:
    index = documents.parse_index(archive.notes["index.json"]).value
    tags = _tags_by_config(archive)
    found: dict[Digest, Candidate] = {}
    for descriptor in index.manifests:
        candidate = _from_descriptor(stores, archive, descriptor)
        if candidate is None:
            continue
        id = candidate.config.digest
        known = found.get(id, candidate)
        names = {*known.names, *_names(descriptor), *tags.get(id, ())}
        found[id] = msgspec.structs.replace(candidate, names=tuple(sorted(names, key=str)))
    return list(found.values())


def _tags_by_config(archive: Archive) -> dict[Digest, list[Reference]]:
    """docker save says the names twice; older writers only in manifest.json."""
    items = decode(archive.notes.get("manifest.json", b"[]"), list[_Item], "manifest.json")
    return {archive.digest(item.config): [Reference.parse(tag) for tag in item.repo_tags or []] for item in items}


def _names(descriptor: Descriptor) -> list[Reference]:
    annotations = descriptor.annotations or {}
    full = annotations.get(FULL_NAME)
    if full:
        return [Reference.parse(full)]
    short = annotations.get(REF_NAME, "")
    # A tag alone names nothing; some writers put the whole name there.
    return [Reference.parse(short)] if "/" in short or ":" in short else []


def _from_descriptor(stores: Stores, archive: Archive, descriptor: Descriptor, depth: int = 0) -> Candidate | None:
    if depth > NESTING_LIMIT:
        raise InvalidArgument(f"load: indexes are nested more than {NESTING_LIMIT} deep")
    document = documents.parse(_blob(stores, archive, descriptor), descriptor.media_type)
    if isinstance(document.value, Index):
        chosen = choose(stores.platform, document.value.manifests, lambda offered: offered.platform)
        if chosen is None:
            raise NotFound(f"load: no image for {stores.platform} in the index {descriptor.digest}")
        return _from_descriptor(stores, archive, chosen, depth + 1)
    if document.value.config.media_type not in mediatype.CONFIGS:
        return None  # an artifact: a signature, an attestation
    config = parse_config(_blob(stores, archive, document.value.config), document.value.config.media_type)
    for layer in document.value.layers:
        _check_present(stores, archive, layer)
    return Candidate(Document(document.raw, document.media_type, document.value), config)


def _blob(stores: Stores, archive: Archive, descriptor: Descriptor) -> bytes:
    _check_present(stores, archive, descriptor)
    return stores.content.read(descriptor.digest)


def _check_present(stores: Stores, archive: Archive, descriptor: Descriptor) -> None:
    digest = archive.digest(f"blobs/{descriptor.digest.algorithm}/{descriptor.digest.encoded}")
    if stores.content.info(digest).size != descriptor.size:
        raise InvalidArgument(f"load: blob {digest} is not {descriptor.size} bytes long, as its descriptor says")
