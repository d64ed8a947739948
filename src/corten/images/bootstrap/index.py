"""`Packages`: one stanza a package, with its dependencies, its file and the file's SHA-256."""

from collections.abc import Iterator
from typing import NamedTuple

__all__ = ["Package", "compare_versions", "newest", "parse_packages", "relations"]

KEPT = (
    {"Package", "Version", "Architecture", "Depends", "Pre-Depends", "Provides"}
    | {"Essential", "Priority", "Filename", "Size", "SHA256"}
)  # fmt: skip


class Package(NamedTuple):
    """One binary package; `depends` holds alternatives per dependency, names only, in the order written.

    The first `predepends` of them are Pre-Depends: they must work before this package is unpacked.
    """

    name: str
    version: str
    architecture: str
    depends: tuple[tuple[str, ...], ...]
    provides: tuple[str, ...]
    essential: bool
    priority: str
    url: str
    size: int
    sha256: str
    predepends: int = 0


def parse_packages(text: str, uri: str) -> Iterator[Package]:
    """Each stanza of an index of the mirror `uri`."""
    for stanza in text.split("\n\n"):
        fields = {}
        for line in stanza.split("\n"):
            key, colon, value = line.partition(": ")
            if colon and key in KEPT:
                fields[key] = value
        if "Package" in fields and "Filename" in fields and "SHA256" in fields:
            yield package(fields, uri)


def package(fields: dict[str, str], uri: str) -> Package:
    before, after = relations(fields.get("Pre-Depends", "")), relations(fields.get("Depends", ""))
    return Package(
        name=fields["Package"],
        version=fields.get("Version", "0"),
        architecture=fields.get("Architecture", ""),
        depends=before + after,
        provides=tuple(bare_name(one) for one in fields.get("Provides", "").split(",") if one.strip()),
        essential=fields.get("Essential") == "yes",
        priority=fields.get("Priority", "optional"),
        url=f"{uri}/{fields['Filename']}",
        size=int(fields.get("Size", "0")),
        sha256=fields["SHA256"],
        predepends=len(before),
    )


def relations(text: str) -> tuple[tuple[str, ...], ...]:
    """The dependencies of a Depends field, each as the names that meet it."""
    return tuple(alternatives(one) for one in text.split(",") if one.strip())


def alternatives(text: str) -> tuple[str, ...]:
    return tuple(bare_name(one) for one in text.split("|"))


def bare_name(text: str) -> str:
    """A dependency's name without version, architecture and qualifier: ``libc6 (>= 2.36)``, ``perl:any``."""
    return text.split("(")[0].split("[")[0].strip().split(":")[0]


def newest(packages: Iterator[Package]) -> dict[str, Package]:
    """The newest version of each name: an update or security suite wins over the base suite."""
    chosen: dict[str, Package] = {}
    for one in packages:
        other = chosen.get(one.name)
        if other is None or compare_versions(other.version, one.version) < 0:
            chosen[one.name] = one
    return chosen


def compare_versions(a: str, b: str) -> int:
    """Order two Debian versions (deb-version(7)): below zero, zero or above, as a is older, equal or newer."""
    epoch_a, rest_a = split_epoch(a)
    epoch_b, rest_b = split_epoch(b)
    upstream_a, _, revision_a = rest_a.rpartition("-") if "-" in rest_a else (rest_a, "", "")
    upstream_b, _, revision_b = rest_b.rpartition("-") if "-" in rest_b else (rest_b, "", "")
    epochs = (epoch_a > epoch_b) - (epoch_a < epoch_b)
    return epochs or fragment(upstream_a, upstream_b) or fragment(revision_a, revision_b)


def split_epoch(version: str) -> tuple[int, str]:
    epoch, colon, rest = version.partition(":")
    return (int(epoch), rest) if colon and epoch.isdigit() else (0, version)


def fragment(a: str, b: str) -> int:
    """Compare runs of non-digits and digits in turn; ``~`` sorts before everything, even the end."""
    while a or b:
        word_a, a = take(a, digits=False)
        word_b, b = take(b, digits=False)
        if word_a != word_b:
            weights = [[*map(weight, word), 0] for word in (word_a, word_b)]
            return 1 if weights[0] > weights[1] else -1
        number_a, a = take(a, digits=True)
        number_b, b = take(b, digits=True)
        if (difference := int(number_a or 0) - int(number_b or 0)) != 0:
            return difference
    return 0


def take(text: str, *, digits: bool) -> tuple[str, str]:
    at = 0
    while at < len(text) and text[at].isdigit() == digits:
        at += 1
    return text[:at], text[at:]


def weight(letter: str) -> int:
    if letter == "~":
        return -1
    return ord(letter) if letter.isalpha() else ord(letter) + 256
