"""Manifest and Index: an image is a config and layers, an index is a choice of images.

The clauses are in image-spec, manifest.md and image-index.md.

Both are read only through `parse`, which bounds the size, refuses bytes that are a manifest and an index at
once (CVE-2021-41190), and keeps the bytes: a document that has a digest is never serialised again.
"""

import msgspec

from corten.model import mediatype
from corten.model.descriptor import Descriptor
from corten.model.document import LIMIT, Document, decode, encode
from corten.model.errors import InvalidArgument

__all__ = ["Index", "Manifest", "document_of", "parse", "parse_index", "parse_manifest"]


class Manifest(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """One image for one platform: its config and its layers, the base first."""

    config: Descriptor
    layers: list[Descriptor]
    media_type: str = ""
    artifact_type: str | None = None
    subject: Descriptor | None = None
    annotations: dict[str, str] | None = None


class Index(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """A choice of manifests, usually one for each platform; of equal ones the first wins."""

    manifests: list[Descriptor]
    media_type: str = ""
    artifact_type: str | None = None
    subject: Descriptor | None = None
    annotations: dict[str, str] | None = None


class _Shape(msgspec.Struct, rename="camel"):
    """Just enough of either document to say which one it is."""

    schema_version: int = 0
    media_type: str = ""
    config: msgspec.Raw = msgspec.Raw()
    layers: msgspec.Raw = msgspec.Raw()
    manifests: msgspec.Raw = msgspec.Raw()


def parse(raw: bytes, media_type: str = "") -> Document[Manifest] | Document[Index]:
    """Read a manifest or an index; `media_type` is what the descriptor or the HTTP header claims, when there is one."""
    shape = decode(raw, _Shape, "manifest")
    if shape.schema_version != 2:
        raise InvalidArgument(
            f"unsupported manifest: schemaVersion is {shape.schema_version}, want 2", place="/schemaVersion"
        )
    is_index = _present(shape.manifests)
    if is_index and (_present(shape.layers) or _present(shape.config)):
        raise InvalidArgument("ambiguous manifest: it has both manifests and layers", hint="the image may be an attack")
    claimed = _claimed(shape.media_type, media_type)
    if is_index:
        return _typed(raw, Index, claimed, mediatype.INDEXES, mediatype.OCI_INDEX)
    return _typed(raw, Manifest, claimed, mediatype.MANIFESTS, mediatype.OCI_MANIFEST)


def parse_manifest(raw: bytes, media_type: str = "") -> Document[Manifest]:
    """Read a manifest; an index is refused."""
    document = parse(raw, media_type)
    if isinstance(document.value, Manifest):
        return Document(raw, document.media_type, document.value)
    raise InvalidArgument("want an image manifest, found an index")


def parse_index(raw: bytes, media_type: str = "") -> Document[Index]:
    """Read an index; a manifest is refused."""
    document = parse(raw, media_type)
    if isinstance(document.value, Index):
        return Document(raw, document.media_type, document.value)
    raise InvalidArgument("want an image index, found a manifest")


def document_of(value: Manifest | Index) -> Document[Manifest] | Document[Index]:
    """Serialise a new document, once; from here on its bytes are what counts. Two equal values give equal bytes."""
    default = mediatype.OCI_INDEX if isinstance(value, Index) else mediatype.OCI_MANIFEST
    media_type = value.media_type or default
    fields = msgspec.to_builtins(msgspec.structs.replace(value, media_type=media_type), enc_hook=str)
    return parse(encode({"schemaVersion": 2, "mediaType": media_type, **fields}), media_type)


def _present(field: msgspec.Raw) -> bool:
    return bytes(field) not in (b"", b"null")


def _claimed(inside: str, outside: str) -> str:
    if inside and outside and inside != outside:
        raise InvalidArgument(f"manifest says it is {inside}, but was announced as {outside}", place="/mediaType")
    return inside or outside


def _typed(raw: bytes, kind: type, claimed: str, known: frozenset[str], default: str) -> Document:  # type: ignore[type-arg]
    if claimed and claimed not in known:
        raise InvalidArgument(f"unsupported manifest media type {claimed}", place="/mediaType")
    return Document(raw, claimed or default, decode(raw, kind, "manifest", limit=LIMIT))
