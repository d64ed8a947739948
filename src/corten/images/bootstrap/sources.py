"""Which mirror serves a suite: what the caller names, else what this host's own package manager is set up to use.

No mirror is built in: on a host without apt the caller names one (`--mirror URL`, or CORTEN_DEBIAN_MIRROR).
Formats: sources.list(5), both the one-line style and deb822.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from corten.model.errors import FailedPrecondition

__all__ = ["Suite", "suites"]


class Suite(NamedTuple):
    """One suite of a mirror: `uri` ends without a slash, `keyring` is a file or empty for the shipped default."""

    uri: str
    suite: str
    components: tuple[str, ...]
    keyring: str = ""


def suites(codename: str, mirror: str, *, etc: Path = Path("/etc/apt")) -> list[Suite]:
    """The suites that make up the release `codename`, the base suite first, then its updates and security suites."""
    if mirror:
        return [Suite(mirror.rstrip("/"), codename, ("main",))]
    wanted = [codename, f"{codename}-updates", f"{codename}-security"]
    found = {suite.suite: suite for suite in configured(etc) if suite.suite in wanted and "main" in suite.components}
    if codename not in found:
        raise FailedPrecondition(
            f"bootstrap {codename}: this host's package sources do not name a mirror that has it",
            hint="name one with --mirror URL or CORTEN_DEBIAN_MIRROR",
        )
    return [found[name]._replace(components=("main",)) for name in wanted if name in found]


def configured(etc: Path) -> Iterator[Suite]:
    """Every binary suite of the host's sources, in file order."""
    files = [etc / "sources.list", *sorted((etc / "sources.list.d").glob("*"))]
    for file in files:
        if file.suffix == ".sources":
            yield from deb822(file.read_text())
        elif file.suffix == ".list" and file.is_file():
            yield from one_line(file.read_text())


def deb822(text: str) -> Iterator[Suite]:
    for stanza in text.split("\n\n"):
        fields = {
            key.strip().lower(): value.strip()
            for key, colon, value in (line.partition(":") for line in stanza.splitlines() if not line.startswith("#"))
            if colon
        }
        if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes").lower() == "no":
            continue
        keyring = fields.get("signed-by", "")
        for uri in fields.get("uris", "").split():
            for suite in fields.get("suites", "").split():
                components = tuple(fields.get("components", "").split())
                yield Suite(uri.rstrip("/"), suite, components, keyring if keyring.startswith("/") else "")


def one_line(text: str) -> Iterator[Suite]:
    for line in text.splitlines():
        words = line.partition("#")[0].split()
        if not words or words[0] != "deb":
            continue
        keyring = ""
        if len(words) > 1 and words[1].startswith("["):
            end = next((n for n, word in enumerate(words) if word.endswith("]")), 0)
            options = " ".join(words[1 : end + 1]).strip("[] ").split()
            keyring = next((o.removeprefix("signed-by=") for o in options if o.startswith("signed-by=/")), "")
            words = [words[0], *words[end + 1 :]]
        if len(words) >= 3:
            yield Suite(words[1].rstrip("/"), words[2], tuple(words[3:]), keyring)
