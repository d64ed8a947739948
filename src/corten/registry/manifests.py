"""Reading a manifest that a client pushes: what it names decides what must be there and who lists it.

The bytes are stored exactly as they came; this is the parsed view beside them.
"""

import msgspec

from corten.model.descriptor import Descriptor
from corten.model.digest import Digest
from corten.model.document import Document, encode
from corten.model.errors import InvalidArgument
from corten.model.manifest import Index, Manifest, parse
from corten.registry.refusals import ManifestInvalid, ManifestTooLong

__all__ = ["LIMIT", "Accepted", "StoredManifest", "link_to", "read", "requires"]

LIMIT = 4 << 20  # distribution-spec: at least 4 megabytes; docker-registry's limit too


class StoredManifest(msgspec.Struct, frozen=True):
    """A manifest as it goes out: the bytes as they came, and the media type they came with."""

    digest: Digest
    media_type: str
    raw: bytes


class Accepted(msgspec.Struct, frozen=True):
    """What a push came to: `subject` is what the manifest refers to, when it does (OCI-Subject)."""

    digest: Digest
    subject: Digest | None
    tags: tuple[str, ...]


def read(raw: bytes, content_type: str) -> Document[Manifest] | Document[Index]:
    """Parse pushed bytes; parameters of the content type are ignored. Raises ManifestInvalid, ManifestTooLong."""
    if len(raw) > LIMIT:
        raise ManifestTooLong(f"the manifest is longer than {LIMIT} bytes")
    try:
        return parse(raw, content_type.partition(";")[0].strip())
    except InvalidArgument as error:
        raise ManifestInvalid(error.message, hint=error.hint, place=error.place) from error


def requires(value: Manifest | Index) -> tuple[list[Digest], list[Digest]]:
    """The blobs and the manifests that must be in the repository before this manifest may be.

    Layers that may not be distributed live elsewhere, and a subject may come later or never.
    """
    if isinstance(value, Index):
        return [], [child.digest for child in value.manifests]
    return [one.digest for one in (value.config, *value.layers) if not _lives_elsewhere(one)], []


def link_to(document: Document[Manifest] | Document[Index], digest: Digest) -> str:
    """The descriptor by which the referrers of a subject list this manifest ("Listing Referrers")."""
    value = document.value
    kind = value.artifact_type or (value.config.media_type if isinstance(value, Manifest) else None)
    return encode(
        Descriptor(
            document.media_type,
            digest,
            len(document.raw),
            annotations=value.annotations or None,
            artifact_type=kind or None,
        )
    ).decode()


def _lives_elsewhere(descriptor: Descriptor) -> bool:
    return (
        bool(descriptor.urls) or ".nondistributable." in descriptor.media_type or ".foreign." in descriptor.media_type
    )
