"""A platform says on which machines an image runs: ``os/architecture[/variant]`` (image-spec, image-index.md).

Names differ between kernels, distributions and Go (``x86_64``, ``aarch64``, ``armhf``); `normal` folds them into
Go's. A newer processor runs older variants, and amd64 runs 386: `compatible` lists what a machine can run, best first.

>>> str(Platform.parse("aarch64"))
'linux/arm64'
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec

from corten.model.errors import InvalidArgument

__all__ = ["Platform", "choose"]

# What uname(2), Debian and Rust call the processors, in Go's words: (architecture, variant).
ALIASES = {
    "x86_64": ("amd64", ""),
    "x86-64": ("amd64", ""),
    "i386": ("386", ""),
    "i486": ("386", ""),
    "i586": ("386", ""),
    "i686": ("386", ""),
    "aarch64": ("arm64", ""),
    "armhf": ("arm", "v7"),
    "armv7l": ("arm", "v7"),
    "armv6l": ("arm", "v6"),
    "armel": ("arm", "v6"),
    "armv8l": ("arm", "v7"),
}
# The variant that an absent variant means, which is therefore never written.
IMPLIED = {"arm64": ("8", "v8"), "amd64": ("v1",)}
ARM = ("v8", "v7", "v6", "v5")
ARCHITECTURES = frozenset(
    {"386", "amd64", "arm", "arm64", "loong64", "mips", "mips64", "mips64le", "mipsle", "ppc64", "ppc64le"}
    | {"riscv64", "s390x", "wasm"}
)
SYSTEMS = frozenset(
    {"aix", "darwin", "dragonfly", "freebsd", "illumos", "linux", "netbsd", "openbsd", "plan9", "solaris"}
    | {"wasip1", "windows"}
)

T = TypeVar("T")


class Platform(msgspec.Struct, frozen=True, omit_defaults=True):
    """``architecture`` and ``os`` in Go's words. An absent variant means the architecture's lowest common one."""

    architecture: str = ""
    os: str = ""
    os_version: str | None = msgspec.field(default=None, name="os.version")
    os_features: list[str] | None = msgspec.field(default=None, name="os.features")
    variant: str = ""

    @classmethod
    def parse(cls, text: str) -> "Platform":
        """Read ``os``, ``architecture``, ``os/architecture`` or ``os/architecture/variant`` as Docker does."""
        parts = text.strip().lower().split("/")
        if not 1 <= len(parts) <= 3 or not all(part.replace("_", "").replace("-", "").isalnum() for part in parts):
            raise InvalidArgument(
                f"invalid platform {text!r}", hint="write os/architecture[/variant], for instance linux/arm64"
            )
        if len(parts) == 1:
            return cls._from_one_word(parts[0])
        return cls(os=parts[0], architecture=parts[1], variant=parts[2] if len(parts) == 3 else "").normal()

    @classmethod
    def _from_one_word(cls, word: str) -> "Platform":
        if word in SYSTEMS:
            return cls(os=word)
        named = cls(os="linux", architecture=word).normal()
        if named.architecture in ARCHITECTURES:
            return named
        raise InvalidArgument(f"invalid platform {word!r}: unknown operating system or architecture")

    def normal(self) -> "Platform":
        """The same platform in the one spelling that can be compared."""
        os = "darwin" if self.os.lower() == "macos" else self.os.lower()
        architecture, variant = ALIASES.get(self.architecture.lower(), (self.architecture.lower(), ""))
        variant = self.variant.lower() or variant
        if architecture == "arm":
            variant = f"v{variant}" if variant in ("5", "6", "7", "8") else variant or "v7"
        if variant in IMPLIED.get(architecture, ()):
            variant = ""
        return msgspec.structs.replace(self, os=os, architecture=architecture, variant=variant)

    def compatible(self) -> "list[Platform]":
        """Everything a machine of this platform can run, the best first."""
        me = self.normal()
        return [msgspec.structs.replace(me, architecture=a, variant=v) for a, v in _runs(me.architecture, me.variant)]

    def runs(self, image: "Platform") -> bool:
        """Whether a machine of this platform can run an image of that one."""
        return self._rank(image) is not None

    def _rank(self, image: "Platform") -> int | None:
        other = image.normal()
        for rank, mine in enumerate(self.compatible()):
            if (mine.os, mine.architecture, mine.variant) == (other.os, other.architecture, other.variant):
                return rank
        return None

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)


def _runs(architecture: str, variant: str) -> list[tuple[str, str]]:
    if architecture == "arm64":
        own = [("arm64", variant)] if variant else []
        return [*own, ("arm64", ""), *(("arm", v) for v in ARM)]
    if architecture == "arm":
        return [("arm", v) for v in ARM if v <= variant] or [("arm", variant)]
    if architecture == "amd64":
        levels = [f"v{n}" for n in range(int(variant[1:]), 1, -1)] if variant[1:].isdecimal() else []
        return [*(("amd64", v) for v in levels), ("amd64", ""), ("386", "")]
    return [(architecture, variant)]


def choose(wanted: Platform, candidates: Sequence[T], platform_of: Callable[[T], Platform | None]) -> T | None:
    """The candidate that runs best on `wanted`; of equals the first one (image-index.md: the first match wins)."""
    best: tuple[int, T] | None = None
    for candidate in candidates:
        platform = platform_of(candidate)
        rank = wanted._rank(platform) if platform else None
        if rank is not None and (best is None or rank < best[0]):
            best = (rank, candidate)
    return best[1] if best else None
