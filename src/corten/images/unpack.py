"""From layers to a filesystem: a committed snapshot for each chain ID, made once and shared by every image.

A snapshot gets the name of its chain ID only when the whole layer is in it and its digest is right; whatever happens
before leaves an active snapshot that is removed, or, after a crash, collected. Two that want the same layer at the
same time wait for each other; different layers are unpacked side by side.
"""

import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from types import MappingProxyType

from corten import layers
from corten.images import records
from corten.images.arrival import Arrival
from corten.images.stores import Stores
from corten.layers import source
from corten.model.descriptor import Descriptor
from corten.model.digest import Digest
from corten.model.errors import DataLoss, InvalidArgument
from corten.model.image import ImageConfig, chain_ids
from corten.model.manifest import Manifest
from corten.snapshots import Kind

__all__ = ["missing", "opened", "unpack"]

NOTHING: Mapping[Digest, Arrival] = MappingProxyType({})


def missing(stores: Stores, config: ImageConfig) -> list[Digest]:
    """The chain IDs of this image that have no snapshot yet."""
    return [chain_id for chain_id in chain_ids(config.diff_ids) if not _is_committed(stores, chain_id)]


def unpack(
    stores: Stores,
    manifest: Manifest,
    config: ImageConfig,
    *,
    arrivals: Mapping[Digest, Arrival] = NOTHING,
    unpacked: Callable[[Descriptor], None] = lambda _: None,
) -> str | None:
    """Make every snapshot of the image that is not there yet; returns the last one's name, None for no layers at all.

    `arrivals` are the layers that still come in, each read as it comes; `unpacked` hears of each new snapshot.
    Whoever calls holds a reference to the snapshots and blobs (a lease, or the image's own row). Raises DataLoss when
    a layer is not what the config says, InvalidArgument for a hostile one.
    """
    if len(manifest.layers) != len(config.diff_ids):
        raise InvalidArgument(
            f"unpack image: its manifest has {len(manifest.layers)} layers, its config {len(config.diff_ids)}"
        )
    parent: str | None = None
    for layer, diff_id, chain_id in zip(manifest.layers, config.diff_ids, chain_ids(config.diff_ids), strict=True):
        with stores.unpacking.hold(chain_id):
            if not _is_committed(stores, chain_id):
                _unpack_layer(stores, layer, diff_id, chain_id, parent, arrivals.get(layer.digest))
                unpacked(layer)
        parent = str(chain_id)
    return parent


def _is_committed(stores: Stores, chain_id: str) -> bool:
    info = stores.snapshots.find(chain_id)
    return info is not None and info.kind is Kind.COMMITTED


def _unpack_layer(
    stores: Stores,
    layer: Descriptor,
    diff_id: Digest,
    chain_id: str,
    parent: str | None,
    arrival: Arrival | None,
) -> None:
    key = f"unpack {chain_id} {secrets.token_hex(4)}"
    stores.snapshots.prepare(key, parent)
    try:
        applied = _apply(stores, layer, key, arrival)
        if applied.diff_id != diff_id:
            raise DataLoss(f"unpack layer {layer.digest}: its content is {applied.diff_id}, the config says {diff_id}")
        with stores.db.write(durable=False) as tx:
            records.set_layer_size(tx, diff_id, applied.size)
        stores.snapshots.commit(chain_id, key)
    except BaseException:
        stores.snapshots.remove(key)
        raise


def _apply(stores: Stores, layer: Descriptor, key: str, arrival: Arrival | None) -> layers.Applied:
    changes = stores.snapshots.changes(key)
    with ExitStack() as stack:
        root_fd, *lower_fds = [opened(stack, path) for path in (changes.path, *changes.lowers)]
        stream = stack.enter_context(_source(stores, layer, arrival))
        return layers.apply(stream, root_fd, form=changes.form, lower_fds=lower_fds, owners=os.geteuid() == 0)


def opened(stack: ExitStack, directory: Path) -> int:
    """A handle of the directory, closed when the stack unwinds."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    stack.callback(os.close, fd)
    return fd


@contextmanager
def _source(stores: Stores, layer: Descriptor, arrival: Arrival | None) -> Iterator[source.LayerSource]:
    if arrival is not None:
        with closing(source.of_stream(arrival)) as stream:
            try:
                yield stream
            except BaseException:
                arrival.close()
                raise
        return
    with stores.content.open(layer.digest) as blob:
        with closing(source.of_blob(blob.fd, blob.size, digest=layer.digest)) as stored:
            yield stored
