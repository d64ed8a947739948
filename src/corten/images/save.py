"""Writing images as ``docker save`` does: an OCI layout that is a docker-archive at the same time.

    blobs/sha256/<hex>   config, manifest, layers, byte for byte as they are stored
    index.json           the manifests, with their names as annotations
    manifest.json        the same for readers that know only Docker's form
    oci-layout, repositories

The same images give the same bytes: blobs are sorted, no entry has a time or an owner.
"""

from collections.abc import Iterator, Sequence

import msgspec

from corten.content import Store
from corten.images.image import Image
from corten.images.load import FULL_NAME, REF_NAME
from corten.model.descriptor import Descriptor
from corten.model.digest import Digest
from corten.model.document import encode
from corten.model.manifest import Index, document_of
from corten.model.reference import Reference
from corten.wire import tar

__all__ = ["Wanted", "save"]

CHUNK = 1 << 20
LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'


class Wanted(msgspec.Struct, frozen=True):
    """An image to be written, under these of its names (none: it was asked for by id)."""

    image: Image
    names: tuple[Reference, ...]


def save(content: Store, wanted: Sequence[Wanted]) -> Iterator[bytes]:
    """The archive in pieces; raises NotFound before the first one when a blob is missing."""
    blobs = _blobs(wanted)
    sizes = {digest: content.info(digest).size for digest in blobs}
    return _pieces(content, sizes, _notes(wanted))


def _pieces(content: Store, sizes: dict[Digest, int], notes: dict[str, bytes]) -> Iterator[bytes]:
    for directory in ("blobs/", *(f"blobs/{name}/" for name in sorted({digest.algorithm for digest in sizes}))):
        yield tar.encode(tar.Entry(directory.encode(), tar.DIRECTORY, mode=0o755))
    for digest, size in sizes.items():
        yield tar.encode(tar.Entry(_path(digest).encode(), tar.REGULAR, mode=0o644, size=size))
        with content.open(digest) as blob:
            for offset in range(0, size, CHUNK):
                yield blob.read_at(offset, CHUNK)
        yield bytes(tar.padding(size))
    for name, data in sorted(notes.items()):
        header = tar.encode(tar.Entry(name.encode(), tar.REGULAR, mode=0o644, size=len(data)))
        yield header + data + bytes(tar.padding(len(data)))
    yield tar.END


def _blobs(wanted: Sequence[Wanted]) -> list[Digest]:
    found: set[Digest] = set()
    for one in wanted:
        layers = (layer.digest for layer in one.image.manifest.value.layers)
        found.update((one.image.id, one.image.manifest.digest, *layers))
    return sorted(found)


def _path(digest: Digest) -> str:
    return f"blobs/{digest.algorithm}/{digest.encoded}"


def _notes(wanted: Sequence[Wanted]) -> dict[str, bytes]:
    notes = {
        "index.json": document_of(Index([entry for one in wanted for entry in _index_entries(one)])).raw,
        "manifest.json": encode([_docker_item(one) for one in wanted]),
        "oci-layout": LAYOUT,
    }
    repositories = _repositories(wanted)
    if repositories:
        notes["repositories"] = encode(repositories)
    return notes


def _index_entries(one: Wanted) -> list[Descriptor]:
    platform = one.image.config.platform
    if not one.names:
        return [one.image.manifest.descriptor(platform=platform)]
    return [
        one.image.manifest.descriptor(
            platform=platform, annotations={FULL_NAME: str(name), REF_NAME: name.tag or "latest"}
        )
        for name in one.names
    ]


def _docker_item(one: Wanted) -> dict[str, object]:
    layers = [_path(layer.digest) for layer in one.image.manifest.value.layers]
    tags = [name.familiar for name in one.names if name.tag]
    return {"Config": _path(one.image.id), "RepoTags": tags or None, "Layers": layers}


def _repositories(wanted: Sequence[Wanted]) -> dict[str, dict[str, str]]:
    """Docker's oldest index: for each repository and tag the top layer."""
    found: dict[str, dict[str, str]] = {}
    for one in wanted:
        layers = one.image.manifest.value.layers
        for name in one.names:
            if name.tag and layers:
                found.setdefault(name.familiar_name, {})[name.tag] = layers[-1].digest.encoded
    return {repository: dict(sorted(tags.items())) for repository, tags in sorted(found.items())}
