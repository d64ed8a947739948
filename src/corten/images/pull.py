"""Pull: a name at a registry becomes an image here.

    resolve ─► manifest (an index: this machine's platform) ─► config
    layers: three download at a time, each verified as it comes; they unpack in order, the current one while it arrives
    one transaction: the image, its tag, its digest name

Everything is kept under a lease while it works. A pull that breaks keeps the bytes it has: the next one goes on there.
"""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from typing import NamedTuple

from corten.content import Store
from corten.images import records
from corten.images.arrival import Arrival
from corten.images.stores import Stores
from corten.images.transfer import Meter, Notice, Step, Tell, Told, follow, short
from corten.images.unpack import missing, unpack
from corten.metadata import Node, leases
from corten.metadata.leases import Lease
from corten.model import manifest as documents
from corten.model import mediatype
from corten.model.cancel import Cancel
from corten.model.descriptor import Descriptor
from corten.model.digest import Digest
from corten.model.document import Document
from corten.model.errors import DataLoss, InvalidArgument, NotFound
from corten.model.event import Event
from corten.model.image import ImageConfig, chain_ids, parse_config
from corten.model.manifest import Index, Manifest
from corten.model.platform import Platform, choose
from corten.model.reference import Reference
from corten.remote import Fetched, Repository

__all__ = ["Remote", "pull", "resolve"]

PARALLEL = 3
CONFIG_LIMIT = 8 << 20
NESTING_LIMIT = 4
CHUNK = 1 << 20


class Remote(NamedTuple):
    """An image at a registry: what the name leads to (an index, maybe), and the one manifest that was chosen."""

    named: Fetched
    manifest: Document[Manifest]


def resolve(repository: Repository, name: str, platform: Platform) -> Remote:
    """Follow a tag or digest to the manifest for `platform`.

    Raises `NotFound` where an index has nothing for it, `InvalidArgument` for an artifact that is no image.
    """
    named = fetched = repository.manifest(name)
    for _ in range(NESTING_LIMIT):
        document = documents.parse(fetched.raw, fetched.media_type)
        value = document.value
        if isinstance(value, Manifest):
            if value.config.media_type not in mediatype.CONFIGS:
                raise InvalidArgument(f"pull {name}: it is not an image but a {value.config.media_type}")
            return Remote(named, Document(document.raw, document.media_type, value))
        fetched = repository.manifest(chosen(value, platform, repository.reference).digest)
    raise InvalidArgument(f"pull {name}: indexes are nested more than {NESTING_LIMIT} deep")


def chosen(index: Index, platform: Platform, reference: Reference) -> Descriptor:
    found = choose(platform, index.manifests, lambda offered: offered.platform)
    if found is None:
        offers = ", ".join(sorted({str(one.platform) for one in index.manifests if one.platform}))
        raise NotFound(
            f"no matching manifest for {platform} in the manifest list entries of {reference.familiar}",
            hint=f"it offers: {offers}" if offers else "",
        )
    return found


def pull(
    stores: Stores, repository: Repository, reference: Reference, platform: Platform, cancel: Cancel
) -> Iterator[Told]:
    """Pull `reference` and yield the progress; the image is there when the iterator ends."""

    def work(tell: Tell, cancel: Cancel) -> None:
        Pull(stores, repository, reference, platform, tell, cancel).run()

    return follow(work, cancel)


class Pull:
    """One pull under way."""

    def __init__(
        self,
        stores: Stores,
        repository: Repository,
        reference: Reference,
        platform: Platform,
        tell: Tell,
        cancel: Cancel,
    ) -> None:
        self.stores = stores
        self.content: Store = stores.content
        self.repository = repository
        self.reference = reference
        self.platform = platform
        self.tell = tell
        self.cancel = cancel

    def run(self) -> None:
        name = str(self.reference.digest or self.reference.tag)
        remote = resolve(self.repository, name, self.platform)
        self.tell(Notice(f"Pulling from {self.reference.path}", str(self.reference.tag or name)))
        with leases.hold(self.stores.db, f"pull {self.reference}", resumable=True) as lease:
            config = self.fetch_config(remote.manifest, lease)
            new = self.fetch_layers(remote.manifest.value, config.value, lease)
            known = self.record(remote, config)
        self.stores.content.purge()
        self.tell(Notice(f"Digest: {remote.named.digest}"))
        verdict = "Downloaded newer image for" if new or not known else "Image is up to date for"
        self.tell(Notice(f"Status: {verdict} {self.reference.familiar}"))

    def fetch_config(self, manifest: Document[Manifest], lease: Lease) -> Document[ImageConfig]:
        descriptor = manifest.value.config
        if descriptor.size > CONFIG_LIMIT:
            raise InvalidArgument(f"pull {self.reference.familiar}: its config is larger than {CONFIG_LIMIT} bytes")
        lease.keep(Node("blob", manifest.digest), Node("blob", descriptor.digest))
        self.content.put(manifest.raw)
        self.fetch(descriptor, Arrival(), "")
        config = parse_config(self.content.read(descriptor.digest), descriptor.media_type)
        if not self.platform.runs(config.value.platform):
            self.tell(Notice(f"The image is for {config.value.platform}, this machine is {self.stores.platform}"))
        return config

    def fetch_layers(self, manifest: Manifest, config: ImageConfig, lease: Lease) -> bool:
        """Download and unpack side by side; true when anything was not here before."""
        chain = chain_ids(config.diff_ids)
        snapshots = (Node("snapshot", self.stores.snapshots.node(one)) for one in chain)
        lease.keep(*(Node("blob", layer.digest) for layer in manifest.layers), *snapshots)
        unpacked = set(chain) - set(missing(self.stores, config))
        arrivals: dict[Digest, Arrival] = {}
        with ExitStack() as stack:
            pool = stack.enter_context(ThreadPoolExecutor(PARALLEL, "pull"))
            futures: list[Future[None]] = []
            stack.callback(self.give_up, futures)
            for layer, chain_id in zip(manifest.layers, chain, strict=False):
                present = layer.digest in self.content
                if not (present and chain_id in unpacked):
                    self.tell(Step(short(layer.digest), "Pulling fs layer"))
                else:
                    self.tell(Step(short(layer.digest), "Already exists"))
                if not present and layer.digest not in arrivals:
                    arrival = arrivals[layer.digest] = Arrival()
                    stack.callback(arrival.close)
                    futures.append(pool.submit(self.fetch, layer, arrival, short(layer.digest)))
            unpack(self.stores, manifest, config, arrivals=arrivals, unpacked=self.tell_unpacked)
            for future in futures:
                future.result()
        return bool(arrivals) or len(unpacked) < len(chain)

    def give_up(self, futures: list[Future[None]]) -> None:
        """After an error the other downloads stop; after success there is nothing to stop."""
        if any(not future.done() for future in futures):
            self.cancel.set()

    def tell_unpacked(self, layer: Descriptor) -> None:
        self.tell(Step(short(layer.digest), "Pull complete"))

    def fetch(self, descriptor: Descriptor, arrival: Arrival, id: str) -> None:
        """Bring one blob here, from where an earlier pull stopped; `arrival` follows it."""
        try:
            with self.stores.unpacking.hold(f"fetch {descriptor.digest}"):
                if descriptor.digest in self.content:
                    self.already(descriptor, arrival)
                else:
                    self.download(descriptor, arrival, id)
        except BaseException as error:
            arrival.finish(error)
            raise

    def already(self, descriptor: Descriptor, arrival: Arrival) -> None:
        """Another pull has brought it meanwhile."""
        with self.content.open(descriptor.digest) as blob:
            arrival.begin(blob.fd, blob.size)
        arrival.finish()

    def download(self, descriptor: Descriptor, arrival: Arrival, id: str) -> None:
        meter = Meter(self.tell, id, "Downloading", descriptor.size) if id else None
        reference = f"pull {descriptor.digest}"
        with self.content.ingest(reference, expected=descriptor.digest, size=descriptor.size) as writer:
            writer.require_space()
            arrival.begin(writer.fileno(), writer.offset)
            with self.repository.blob(descriptor, writer.offset) as stream:
                while writer.offset < descriptor.size and (data := stream.read(CHUNK)):
                    self.cancel.check()
                    writer.write(data)
                    arrival.advance(writer.offset)
                    if meter:
                        meter.at(writer.offset)
            if writer.offset != descriptor.size:
                raise DataLoss(f"pull {descriptor.digest}: {writer.offset} of {descriptor.size} bytes came")
            writer.commit()
        if id:
            self.tell(Step(id, "Download complete"))
        arrival.finish()

    def record(self, remote: Remote, config: Document[ImageConfig]) -> bool:
        """One transaction for the image and its names; true when the tag named this image already."""
        named = self.reference.with_digest(remote.named.digest)
        with self.stores.db.write() as tx:
            known = records.by_name(tx, self.reference) == config.digest
            id = records.put(tx, self.stores, remote.manifest, config)
            records.name(tx, named, id)
            if self.reference.tag:
                records.name(tx, self.reference.with_tag(self.reference.tag), id)
            tx.emit(Event("image", "pull", self.reference.familiar, {"name": self.reference.familiar_name}))
        return known
