"""Names and digests as clients write them: hostile until they have passed here, safe as paths afterwards."""

import re

from corten.model.digest import Digest
from corten.model.errors import InvalidArgument
from corten.registry.refusals import DigestInvalid, NameInvalid, TagInvalid

__all__ = ["NAME_LIMIT", "digest", "is_digest", "name", "tag"]

NAME_LIMIT = 255
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_NAME = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")


def name(text: str) -> str:
    """A repository's name (distribution-spec, "Pulling manifests"); raises NameInvalid."""
    if len(text) > NAME_LIMIT or not _NAME.fullmatch(text):
        raise NameInvalid(
            f"invalid repository name {text[:NAME_LIMIT]!r}",
            hint=f"lower-case letters, digits and . _ - between them, parts divided by /, at most {NAME_LIMIT} long",
        )
    return text


def tag(text: str) -> str:
    """A tag; raises TagInvalid."""
    if not _TAG.fullmatch(text):
        raise TagInvalid(f"invalid tag {text[:200]!r}", hint="at most 128 letters, digits and _ . -, no . or - first")
    return text


def digest(text: str) -> Digest:
    """A digest of an algorithm that can be verified; raises DigestInvalid."""
    try:
        return Digest(text)
    except InvalidArgument as error:
        raise DigestInvalid(error.message, hint=error.hint) from None


def is_digest(reference: str) -> bool:
    """Whether a manifest's reference is a digest (no tag holds a colon)."""
    return ":" in reference
