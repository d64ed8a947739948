"""From an active snapshot to a layer: the changes as a tar in the content store, the snapshot under its chain ID."""

import os
import secrets
from contextlib import ExitStack, closing, suppress

from corten import layers
from corten.build.cache import Result
from corten.build.tools import Tools
from corten.images import records
from corten.images.commit import write_layer
from corten.images.stores import KeyedLock, Stores
from corten.images.unpack import opened
from corten.kernel import rooted
from corten.layers import source
from corten.metadata import Node
from corten.metadata.leases import Lease
from corten.model.digest import Digest
from corten.model.errors import AlreadyExists

__all__ = ["Layers"]


class Layers:
    """Makes layers for one build, kept by its lease. `epoch` is the latest time a file may have, in seconds."""

    def __init__(self, tools: Tools, lease: Lease, epoch: int | None) -> None:
        self._tools = tools
        self._lease = lease
        self._epoch = epoch
        images = tools.images
        self._stores = Stores(tools.database, tools.content, tools.snapshots, images.platform, KeyedLock())

    def finish(self, base: Result, key: str) -> tuple[Result, int]:
        """Freeze the snapshot `key`, which stands on `base`; the result, and the bytes that the layer adds.

        A snapshot without changes is dropped, and the result is `base`.
        """
        snapshots = self._tools.snapshots
        changes = snapshots.changes(key)
        with ExitStack() as stack:
            root, *lowers = [opened(stack, path) for path in (changes.path, *changes.lowers)]
            found = layers.changes(root, lowers, changes.form)
            if not found:
                return base, 0
            if self._epoch is not None:
                clamp(root, found, self._epoch)
            layer = write_layer(self._stores, layers.diff(root, lowers, changes.form), self._lease)
        if layer is None:
            return base, 0
        chain = str(chain_id(base.chain, layer.digest))
        self._lease.keep(Node("snapshot", snapshots.node(chain)))
        size = snapshots.usage(key).size
        with self._tools.database.write(durable=False) as tx:
            records.set_layer_size(tx, layer.digest, size)
        if snapshots.find(chain) is None:
            with suppress(AlreadyExists):  # another build made the very same layer meanwhile
                snapshots.commit(chain, key)
        return Result(chain, (*base.layers, layer)), size

    def stack(self, below: Result, above: Result) -> Result:
        """The layers of `above`, which stand on nothing, on top of `below`."""
        chain = below.chain
        for layer in above.layers:
            parent, chain = chain, str(chain_id(chain, layer.digest))
            self._lease.keep(Node("snapshot", self._tools.snapshots.node(chain)))
            if self._tools.snapshots.find(chain) is None:
                self._apply(layer.digest, parent, chain)
        return Result(chain, (*below.layers, *above.layers))

    def _apply(self, digest: Digest, parent: str, chain: str) -> None:
        snapshots = self._tools.snapshots
        key = f"build {secrets.token_hex(8)}"
        snapshots.prepare(key, parent or None)
        try:
            changes = snapshots.changes(key)
            with ExitStack() as stack:
                root, *lowers = [opened(stack, path) for path in (changes.path, *changes.lowers)]
                blob = stack.enter_context(self._tools.content.open(digest))
                stream = stack.enter_context(closing(source.of_blob(blob.fd, blob.size, digest=digest)))
                layers.apply(stream, root, form=changes.form, lower_fds=lowers, owners=os.geteuid() == 0)
            with suppress(AlreadyExists):  # another build stacked the very same layers meanwhile
                snapshots.commit(chain, key)
        finally:
            if snapshots.find(key) is not None:
                snapshots.remove(key)


def chain_id(below: str, diff_id: Digest) -> Digest:
    """The next chain ID (image-spec, config.md)."""
    return Digest.of(f"{below} {diff_id}".encode()) if below else diff_id


def clamp(root: int, found: list[layers.Change], epoch: int) -> None:
    """No file of the layer is younger than `epoch`; directories last, since nothing is written into them any more."""
    latest = epoch * 10**9
    for change in reversed(found):
        if change.kind is layers.Kind.DELETED:
            continue
        parent, _, name = change.path.rpartition("/")
        fd = rooted.open(root, parent or ".", os.O_RDONLY | os.O_DIRECTORY, follow=False)
        try:
            about = os.stat(name, dir_fd=fd, follow_symlinks=False)
            if about.st_mtime_ns > latest:
                os.utime(name, ns=(latest, latest), dir_fd=fd, follow_symlinks=False)
        finally:
            os.close(fd)
