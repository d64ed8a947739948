"""A descriptor points from a document at other bytes: media type, digest, size (image-spec, descriptor.md)."""

import msgspec

from corten.model.digest import Digest
from corten.model.platform import Platform

__all__ = ["Descriptor"]


class Descriptor(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """`size` is in bytes. `data` is the bytes themselves, when they are small enough to be carried along."""

    media_type: str
    digest: Digest
    size: int
    urls: list[str] | None = None
    annotations: dict[str, str] | None = None
    data: bytes | None = None
    artifact_type: str | None = None
    platform: Platform | None = None
