"""New images: a container's changes as one more layer (commit), a root filesystem as the only one (import).

Both write a layer into the content store under a lease, add it to a configuration, and record the result like any
other image. The layer is unpacked into its own snapshot, as every layer is: so what runs is what was written.
"""

import secrets
from collections.abc import Iterable
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any

import msgspec

from corten import layers
from corten.images.image import Image
from corten.images.load import Candidate, record
from corten.images.stores import Stores
from corten.images.unpack import opened, unpack
from corten.layers import source
from corten.layers.compression import Readable
from corten.metadata import Node, leases
from corten.metadata.leases import Lease
from corten.model import manifest as documents
from corten.model import mediatype
from corten.model.descriptor import Descriptor
from corten.model.digest import Digest
from corten.model.document import Document, encode
from corten.model.errors import InvalidArgument
from corten.model.image import History, ImageConfig, RootFS, RunConfig, chain_ids, parse_config
from corten.model.manifest import Manifest
from corten.model.platform import Platform
from corten.model.reference import Reference
from corten.wire import tar

__all__ = ["Authored", "commit", "import_", "write_layer"]

PIECE = 1 << 20


class Authored(msgspec.Struct, frozen=True):
    """What the maker says of a new image; `created_ns` is Unix time.

    `container` and `container_config` are what it was made from, as Docker's own images tell it.
    """

    created_ns: int
    author: str = ""
    comment: str = ""
    created_by: str = ""
    container: str = ""
    container_config: dict[str, Any] | None = None


def commit(
    stores: Stores,
    base: Image | None,
    snapshot: str,
    run: RunConfig,
    about: Authored,
    *,
    name: Reference | None = None,
    hidden: frozenset[str] = frozenset(),
) -> Digest:
    """An image of `base` and what the snapshot changed on it; `hidden` are the engine's own mount points.

    A container without changes adds no layer, only a configuration. Returns the id.
    """
    with leases.hold(stores.db, "commit") as lease:
        changes = stores.snapshots.changes(snapshot)
        with ExitStack() as stack:
            root_fd, *lower_fds = [opened(stack, path) for path in (changes.path, *changes.lowers)]
            layer = write_layer(stores, layers.diff(root_fd, lower_fds, changes.form, hidden=hidden), lease)
        config = _configured(base, run, about, layer, stores.platform)
        below = list(base.manifest.value.layers) if base else []
        manifest = Manifest(config.descriptor(), [*below, layer] if layer else below)
        return _make(stores, manifest, config, lease, name, parent=base.id if base else None, action="tag")


def import_(
    stores: Stores,
    stream: Readable,
    run: RunConfig,
    about: Authored,
    *,
    name: Reference | None = None,
    platform: Platform | None = None,
) -> Digest:
    """An image of one layer, from a tar of a root filesystem, compressed or not. Returns the id."""
    with leases.hold(stores.db, "import") as lease:
        tar_stream = source.of_stream(stream)
        try:
            layer = write_layer(stores, _whole(tar_stream), lease)
        finally:
            tar_stream.close()
        if layer is None:
            raise InvalidArgument("import: the archive is empty")
        config = _configured(None, run, about, layer, platform or stores.platform)
        manifest = Manifest(config.descriptor(), [layer])
        return _make(stores, manifest, config, lease, name, parent=None, action="import")


def _whole(stream: source.StreamSource) -> Iterable[bytes | memoryview]:
    while piece := stream.take(PIECE):
        yield piece


def write_layer(stores: Stores, pieces: Iterable[bytes | memoryview], lease: Lease) -> Descriptor | None:
    """Store the tar; None when it holds nothing."""
    with stores.content.ingest(f"layer {secrets.token_hex(8)}", resumable=False) as writer:
        try:
            for piece in pieces:
                writer.write(piece)
            if writer.offset <= len(tar.END):
                return None
            lease.keep(Node("blob", writer.digest))
            digest, size = writer.digest, writer.offset
            if digest not in stores.content:
                writer.commit()
            return Descriptor(mediatype.OCI_LAYER_TAR, digest, size)
        finally:
            writer.abort()


def _configured(
    base: Image | None, run: RunConfig, about: Authored, layer: Descriptor | None, platform: Platform
) -> Document[ImageConfig]:
    """The base's configuration with new run defaults, one more layer, and the step that made it."""
    created = _rfc3339(about.created_ns)
    step = History(
        created=created,
        author=about.author,
        created_by=about.created_by,
        comment=about.comment,
        empty_layer=layer is None,
    )
    old = base.config if base else ImageConfig(platform.architecture, platform.os, variant=platform.variant)
    diff_ids = [*old.diff_ids, *([layer.digest] if layer else [])]
    new = msgspec.structs.replace(
        old,
        config=run,
        created=created,
        author=about.author or old.author,
        comment=about.comment,
        container=about.container,
        container_config=about.container_config,
        rootfs=RootFS(diff_ids=diff_ids),
        history=[*(old.history or []), step],
    )
    return parse_config(encode(new))


def _make(
    stores: Stores,
    manifest: Manifest,
    config: Document[ImageConfig],
    lease: Lease,
    name: Reference | None,
    *,
    parent: Digest | None,
    action: str,
) -> Digest:
    document = documents.parse_manifest(documents.document_of(manifest).raw)
    snapshots = [Node("snapshot", stores.snapshots.node(chain_id)) for chain_id in chain_ids(config.value.diff_ids)]
    lease.keep(Node("blob", document.digest), Node("blob", config.digest), *snapshots)
    stores.content.put(document.raw)
    stores.content.put(config.raw)
    unpack(stores, manifest, config.value)
    names = (name,) if name else ()
    with stores.db.write() as tx:
        return record(tx, stores, Candidate(document, config, names), parent=parent, action=action)


def _rfc3339(time_ns: int) -> str:
    """Go's RFC3339Nano in UTC."""
    seconds, nanoseconds = divmod(time_ns, 10**9)
    whole = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    fraction = f".{nanoseconds:09d}".rstrip("0") if nanoseconds else ""
    return f"{whole}{fraction}Z"
