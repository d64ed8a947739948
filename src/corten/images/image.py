"""One image, as a value: its documents and what the engine knows about it."""

import re
from datetime import datetime

import msgspec

from corten.model.digest import Digest
from corten.model.document import Document
from corten.model.image import ImageConfig, chain_ids
from corten.model.manifest import Manifest
from corten.model.reference import Reference

__all__ = ["Image"]


class Image(msgspec.Struct, frozen=True):
    """`size` is the bytes of its unpacked files; `parent` is the image it was made from on this machine, if any.

    `names` has tags and digests both; `tagged_ns` is when a name was last given to it (0: never).
    """

    id: Digest
    manifest: Document[Manifest]
    document: Document[ImageConfig]
    names: tuple[Reference, ...]
    parent: Digest | None
    size: int
    created_ns: int
    tagged_ns: int

    @property
    def config(self) -> ImageConfig:
        return self.document.value

    @property
    def tags(self) -> list[str]:
        """As Docker shows them in RepoTags: familiar, sorted."""
        return sorted(name.familiar for name in self.names if name.tag)

    @property
    def digests(self) -> list[str]:
        """As Docker shows them in RepoDigests."""
        return sorted(name.familiar for name in self.names if name.digest)

    @property
    def created_unix(self) -> float:
        """When it was made, in Unix seconds; 0 where the config does not say."""
        if not self.config.created:
            return 0.0
        try:
            return datetime.fromisoformat(_to_microseconds(self.config.created)).timestamp()
        except ValueError:
            return 0.0

    @property
    def chain(self) -> list[Digest]:
        """The chain IDs of its layers, the base first; the last one names the whole root filesystem."""
        return chain_ids(self.config.diff_ids)

    @property
    def layer_media_types(self) -> list[str]:
        return [layer.media_type for layer in self.manifest.value.layers]


def _to_microseconds(text: str) -> str:
    """Go writes nanoseconds, which Python does not read."""
    return re.sub(r"(\.\d{6})\d+", r"\1", text)
