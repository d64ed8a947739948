"""A descriptor points from a document at other bytes: media type, digest, size (image-spec, descriptor.md)."""

from typing import Annotated

import msgspec

from corten.model.digest import Digest
from corten.model.platform import Platform

__all__ = ["Descriptor"]

# What a file can be long: nobody's arithmetic overflows, and no negative number passes for "nothing left".
Size = Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)]


class Descriptor(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """`size` is in bytes. `data` is the bytes themselves, when they are small enough to be carried along."""

    media_type: str
    digest: Digest
    size: Size
    urls: list[str] | None = None
    annotations: dict[str, str] | None = None
    data: bytes | None = None
    artifact_type: str | None = None
    platform: Platform | None = None
