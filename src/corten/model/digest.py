"""A digest names bytes by their hash: ``sha256:`` followed by 64 lower-case hex digits (image-spec, descriptor.md).

Digests come from hostile places and become file names, so the text is checked once, here: a `Digest` that exists
is well formed, of an algorithm we can verify, and safe as a path component.

>>> Digest.of(b"{}").short
'44136fa355b3'
"""

import hashlib
from collections.abc import Callable

from corten.model.errors import InvalidArgument

__all__ = ["ALGORITHMS", "Digest", "Hash"]

# Every algorithm that Corten verifies, with the length of its encoded part.
ALGORITHMS = {"sha256": 64, "sha512": 128}
HEX = frozenset("0123456789abcdef")

Hash = Callable[[], "hashlib._Hash"]


class Digest(str):
    """``algorithm:encoded``; raises InvalidArgument for anything else, so that no other text carries this type."""

    __slots__ = ()

    def __new__(cls, text: str) -> "Digest":
        algorithm, _, encoded = text.partition(":")
        length = ALGORITHMS.get(algorithm)
        if length is None:
            raise InvalidArgument(f"invalid digest {text[:200]!r}: unsupported digest algorithm", hint="use sha256")
        if len(encoded) != length or not HEX.issuperset(encoded):
            raise InvalidArgument(f"invalid digest {text[:200]!r}: want {length} lower-case hex digits")
        return super().__new__(cls, text)

    @classmethod
    def of(cls, data: bytes | memoryview, algorithm: str = "sha256") -> "Digest":
        """The digest of these bytes."""
        return cls(f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}")

    @property
    def algorithm(self) -> str:
        return self.partition(":")[0]

    @property
    def encoded(self) -> str:
        return self.partition(":")[2]

    @property
    def short(self) -> str:
        """The first twelve hex digits, as people write image ids."""
        return self.encoded[:12]
