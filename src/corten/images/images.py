"""`Images`: every use-case of images, over the stores; the rest of the package does the work."""

import os
import threading
from collections.abc import Iterator, Sequence

from corten.content import Store
from corten.images import lookup, records, unpack
from corten.images.commit import Authored, commit, import_
from corten.images.image import Image
from corten.images.listing import Filters, Step, Summary, history, summaries
from corten.images.load import Candidate, Loaded, Unpacked, load, record
from corten.images.prune import prune
from corten.images.pull import pull
from corten.images.push import push
from corten.images.remove import Deleted, Removed, Users, remove
from corten.images.save import Wanted, save
from corten.images.stores import KeyedLock, Stores
from corten.images.transfer import Told
from corten.layers.compression import Readable
from corten.metadata import Collected, Database, collect, leases
from corten.model.cancel import Cancel
from corten.model.digest import Digest
from corten.model.document import Document
from corten.model.errors import CortenError, InvalidArgument, NotFound
from corten.model.event import Event
from corten.model.image import ImageConfig, RunConfig, chain_ids
from corten.model.manifest import Manifest
from corten.model.platform import Platform
from corten.model.reference import Reference
from corten.remote import Repository
from corten.snapshots import Snapshotter
from corten.snapshots.collector import SnapshotCollector

__all__ = ["Images"]


class Images:
    """Thread-safe. `users` says which containers were made from an image; until the engine sets it, nobody was."""

    def __init__(
        self,
        db: Database,
        content: Store,
        snapshots: Snapshotter,
        *,
        users: Users = lambda _: (),
        platform: Platform | None = None,
    ) -> None:
        machine = platform or Platform(os.uname().machine, "linux").normal()
        self._stores = Stores(db, content, snapshots, machine, KeyedLock())
        self.users = users
        self._syncing: list[threading.Thread] = []

    @property
    def platform(self) -> Platform:
        """What this machine runs."""
        return self._stores.platform

    def get(self, text: str) -> Image:
        """The image of that name or id; raises NotFound ``No such image: X``."""
        return lookup.find(self._stores, text)

    def resolve_for_run(self, text: str, platform: str = "") -> Image:
        """As `get`, for a container: an image for another platform than was asked for is not found."""
        image = self.get(text)
        if platform and not Platform.parse(platform).runs(image.config.platform):
            raise NotFound(
                f"No such image: {text}: image with reference {text} was found but does not match the specified"
                f" platform: wanted {Platform.parse(platform)}, actual: {image.config.platform}"
            )
        return image

    def load(self, stream: Readable, platform: Platform | None = None) -> Iterator[Unpacked | Loaded]:
        """Load every image of an archive; nothing is visible until all of it is good.

        Of an image for several platforms the one for `platform`, else for this machine. Raises NotFound where an image
        is not for the `platform` that was asked for.
        """
        yield from load(self._stores, stream, platform)
        self._sync_later()

    def put(
        self,
        manifest: Document[Manifest],
        config: Document[ImageConfig],
        *,
        names: Sequence[Reference] = (),
        parent: Digest | None = None,
    ) -> Image:
        """Make an image of blobs that are stored and kept by the caller's lease: unpack it, record it, name it."""
        unpack.unpack(self._stores, manifest.value, config.value)
        with self._stores.db.write() as tx:
            id = record(tx, self._stores, Candidate(manifest, config, tuple(names)), parent=parent)
        self._sync_later()
        return self.get(id)

    def save(self, texts: Sequence[str]) -> Iterator[bytes]:
        """An archive of these images in pieces; a name without a tag means all tags. Raises NotFound at once."""
        return save(self._stores.content, [wanted for text in texts for wanted in self._wanted(text)])

    def _wanted(self, text: str) -> list[Wanted]:
        with self._stores.db.read() as rows:
            id = lookup.resolve(rows, text) if _is_digest_or_tagged(text) else None
            if id is not None:
                named = () if lookup.is_id(id, text) else (Reference.parse(text),)
                return [Wanted(lookup.read(self._stores, rows, id), named)]
            by_id: dict[Digest, list[Reference]] = {}
            for name, id in records.names_of_repository(rows, Reference.parse_name(text).name):
                if name.tag:
                    by_id.setdefault(id, []).append(name)
            if not by_id:
                by_id = {lookup.resolve(rows, text): []}
            return [Wanted(lookup.read(self._stores, rows, id), tuple(names)) for id, names in by_id.items()]

    def pull(
        self,
        repository: Repository,
        reference: Reference,
        platform: Platform | None = None,
        cancel: Cancel | None = None,
    ) -> Iterator[Told]:
        """Bring an image here from its registry; yields the progress, and is done when that ends."""
        yield from pull(self._stores, repository, reference, platform or self.platform, cancel or Cancel())
        self._sync_later()

    def push(
        self, text: str, reference: Reference, repository: Repository, cancel: Cancel | None = None
    ) -> Iterator[Told]:
        """Send the image `text` to the registry as `reference`; yields the progress, and is done when that ends."""
        return push(self._stores, self.get(text), reference, repository, cancel or Cancel())

    def tag(self, text: str, target: Reference) -> Reference:
        """Give an image one more name, taken from another image if need be; returns the name."""
        if target.digest:
            raise InvalidArgument("refusing to create a tag with a digest reference")
        if target.familiar_name == "sha256":
            raise InvalidArgument("refusing to create an ambiguous tag using digest algorithm as name")
        name = target.with_default_tag()
        with self._stores.db.write() as tx:
            id = lookup.resolve(tx, text)
            records.name(tx, name, id)
            tx.emit(Event("image", "tag", id, {"name": name.familiar}))
        return name

    def remove(self, text: str, *, force: bool = False, prune: bool = True) -> list[Removed]:
        """Remove a name or an image with Docker's rules; what nobody refers to afterwards goes as well."""
        removed, chain = remove(self._stores, text, self.users, force=force, prune=prune)
        if chain:
            self.collect()
        return removed + self._layers_gone(chain)

    def prune(self, filters: Filters) -> tuple[list[Removed], int]:
        """Remove images without a name, or (``dangling=false``) without a user; and how many bytes that freed."""
        pruned = prune(self._stores, self.users, filters)
        freed = self.collect().size
        return pruned.removed + self._layers_gone(pruned.chain_ids), freed

    def _layers_gone(self, chain: Sequence[str]) -> list[Removed]:
        return [Deleted(key) for key in reversed(dict.fromkeys(chain)) if self._stores.snapshots.find(key) is None]

    def summaries(self, filters: Filters, *, everything: bool = False, shared_size: bool = False) -> list[Summary]:
        """The images that pass, the newest first; `everything` shows those as well that are only steps to others."""
        return summaries(self._stores, filters, everything=everything, shared_size=shared_size)

    def history(self, text: str) -> list[Step]:
        """How the image came to be, the newest step first."""
        return history(self._stores, text)

    def commit(
        self,
        base: Image | None,
        snapshot: str,
        run: RunConfig,
        about: Authored,
        *,
        name: Reference | None = None,
        hidden: frozenset[str] = frozenset(),
    ) -> Digest:
        """A new image: `base` and what the snapshot of a container changed on it; returns its id."""
        id = commit(self._stores, base, snapshot, run, about, name=name, hidden=hidden)
        self._sync_later()
        return id

    def import_(
        self,
        stream: Readable,
        run: RunConfig,
        about: Authored,
        *,
        name: Reference | None = None,
        platform: Platform | None = None,
    ) -> Digest:
        """A new image of one layer, from a tar of a root filesystem; returns its id."""
        id = import_(self._stores, stream, run, about, name=name, platform=platform)
        self._sync_later()
        return id

    def unpack(self, image: Image) -> str | None:
        """The snapshot that a container of this image stands on (None: an empty one); made if it is not there."""
        chain = chain_ids(image.config.diff_ids)
        if chain and self._stores.snapshots.find(chain[-1]):
            return str(chain[-1])
        return unpack.unpack(self._stores, image.manifest.value, image.config)

    def collect(self) -> Collected:
        """Free every blob and layer that no image, container or lease refers to."""
        stores = self._stores
        return collect(stores.db, [SnapshotCollector(stores.snapshots), stores.content])

    def restore(self) -> None:
        """Put the stores in order when an engine starts and nobody is at work yet.

        What a crash interrupted is dropped, except what a pull can go on with; what a power cut took is unpacked again.
        """
        stores = self._stores
        with stores.db.write(durable=False) as tx:
            leases.expire(tx, interrupted=True)
        stores.content.abandon()
        collect(stores.db, [SnapshotCollector(stores.snapshots, actives=True), stores.content])
        if stores.snapshots.lost:
            self._unpack_again()

    def _unpack_again(self) -> None:
        with self._stores.db.read() as rows:
            ids = [row.id for row in records.all_rows(rows)]
        for id in ids:
            try:
                self.unpack(self.get(id))
            except CortenError:
                continue  # a damaged image must not keep the engine from starting: who uses it hears of it
        self._sync_later()

    def _sync_later(self) -> None:
        """Unpacked layers reach the disk in the background: until they have, a power cut costs only unpacking again."""
        thread = threading.Thread(target=self._stores.snapshots.sync, name="snapshots-sync", daemon=True)
        self._syncing = [*(other for other in self._syncing if other.is_alive()), thread]
        thread.start()

    def close(self) -> None:
        """Wait for what still goes on in the background."""
        for thread in self._syncing:
            thread.join()


def _is_digest_or_tagged(text: str) -> bool:
    try:
        name = Reference.parse_name(text)
    except InvalidArgument:
        return True
    return bool(name.tag or name.digest)
