"""What people type to name an image, and Docker's rules to complete it.

``nginx`` means ``docker.io/library/nginx:latest``. The first part is a registry only when it looks like a host: it
has a dot or a colon, is ``localhost``, or has capitals. Names shown to people are *familiar*: without the
default parts.

    reference = name [":" tag] ["@" digest]        name = domain "/" path
    path      = component *("/" component)         component = lower-case letters, digits, separators . _ __ -…
    tag       = [A-Za-z0-9_][A-Za-z0-9._-]{0,127}

>>> Reference.parse("ghcr.io/Me/app")
Traceback (most recent call last):
corten.model.errors.InvalidArgument: invalid reference format: repository name (Me/app) must be lowercase
"""

import re

import msgspec

from corten.model.digest import Digest
from corten.model.errors import InvalidArgument

__all__ = ["DEFAULT_DOMAIN", "DEFAULT_TAG", "Reference"]

DEFAULT_DOMAIN = "docker.io"
LEGACY_DOMAIN = "index.docker.io"
DEFAULT_TAG = "latest"
OFFICIAL = "library/"
NAME_LIMIT = 255

_LABEL = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
DOMAIN = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?")
PATH = re.compile(r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*")
TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
IDENTIFIER = re.compile(r"[a-f0-9]{64}")


class Reference(msgspec.Struct, frozen=True):
    """A complete name: domain and path always, then a tag, a digest, both or (a bare repository) neither."""

    domain: str
    path: str
    tag: str | None = None
    digest: Digest | None = None

    @classmethod
    def parse(cls, text: str) -> "Reference":
        """Read what a person typed and complete it, tag included; raises InvalidArgument with Docker's words."""
        return cls.parse_name(text).with_default_tag()

    @classmethod
    def parse_name(cls, text: str) -> "Reference":
        """As `parse`, but a missing tag stays missing: the name of a whole repository."""
        if IDENTIFIER.fullmatch(text):
            raise InvalidArgument(
                f"invalid repository name ({text}), cannot specify 64-byte hexadecimal strings",
                hint="an image id is written sha256:…",
            )
        rest, at, digest = text.partition("@")
        domain, path = _split_domain(rest)
        path, tag = _split_tag(path)
        _check(text, domain, path, tag)
        return cls(domain, path, tag, Digest(digest) if at else None)

    def with_default_tag(self) -> "Reference":
        """The same, with ``latest`` where neither tag nor digest say which."""
        return self if self.tag or self.digest else msgspec.structs.replace(self, tag=DEFAULT_TAG)

    def with_tag(self, tag: str) -> "Reference":
        """The repository with this tag, and no digest."""
        if not TAG.fullmatch(tag):
            raise InvalidArgument(f"invalid tag format: {tag[:200]!r}")
        return msgspec.structs.replace(self, tag=tag, digest=None)

    def with_digest(self, digest: Digest) -> "Reference":
        """The repository at this digest, and no tag."""
        return msgspec.structs.replace(self, tag=None, digest=digest)

    @property
    def name(self) -> str:
        """Domain and path: the repository's full name."""
        return f"{self.domain}/{self.path}"

    @property
    def familiar_name(self) -> str:
        """The repository as Docker shows it: without docker.io, and for official images without library."""
        if self.domain != DEFAULT_DOMAIN:
            return self.name
        short = self.path.removeprefix(OFFICIAL)
        return short if "/" not in short else self.path

    @property
    def familiar(self) -> str:
        """The whole reference as Docker shows it."""
        return self.familiar_name + self._suffix()

    def _suffix(self) -> str:
        return (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")

    def __str__(self) -> str:
        return self.name + self._suffix()


def _split_domain(text: str) -> tuple[str, str]:
    first, slash, rest = text.partition("/")
    is_host = "." in first or ":" in first or first == "localhost" or first.lower() != first
    domain, path = (first, rest) if slash and is_host else (DEFAULT_DOMAIN, text)
    if domain == LEGACY_DOMAIN:
        domain = DEFAULT_DOMAIN
    if domain == DEFAULT_DOMAIN and "/" not in path:
        path = OFFICIAL + path
    return domain, path


def _split_tag(path: str) -> tuple[str, str | None]:
    name, colon, tag = path.rpartition(":")
    return (name, tag) if colon else (path, None)


def _check(text: str, domain: str, path: str, tag: str | None) -> None:
    if path.lower() != path:
        raise InvalidArgument(f"invalid reference format: repository name ({path[:NAME_LIMIT]}) must be lowercase")
    well_formed = DOMAIN.fullmatch(domain) and PATH.fullmatch(path) and (tag is None or TAG.fullmatch(tag))
    if not well_formed:
        raise InvalidArgument("invalid reference format", place=text[:NAME_LIMIT])
    if len(path) > NAME_LIMIT:
        raise InvalidArgument(f"repository name must not be more than {NAME_LIMIT} characters")
