"""What a handler of the registry's edge is given and what it gives back."""

from collections.abc import Sequence
from typing import NamedTuple

from corten.api.http.body import BlockingBody
from corten.api.http.sendfile import FilePart
from corten.registry import Registry, Repository
from corten.registry.refusals import SizeInvalid

__all__ = ["Asked", "Headers", "Reply", "blob_headers"]

Headers = Sequence[tuple[str, str]]


class Reply(NamedTuple):
    """An answer: `part`, when there is one, is what follows the head instead of `body`."""

    status: int
    headers: Headers = ()
    body: bytes = b""
    part: FilePart | None = None


class Asked(NamedTuple):
    """One request. `path` are the names in the route, `query` each parameter's values in order."""

    registry: Registry
    method: str
    path: dict[str, str]
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: BlockingBody

    @property
    def repository(self) -> Repository:
        """The repository that the path names; raises NameInvalid."""
        return self.registry.repository(self.path["name"])

    def parameter(self, name: str) -> str:
        """The first value of a query parameter; empty when it was not given."""
        return self.query.get(name, [""])[0]

    @property
    def length(self) -> int | None:
        """How many bytes the body is said to have; raises SizeInvalid for what is no number."""
        text = self.headers.get("content-length")
        if text is None:
            return None
        if not (text.isascii() and text.isdigit()):
            raise SizeInvalid(f"invalid Content-Length {text[:50]!r}")
        return int(text)


def blob_headers(digest: str) -> list[tuple[str, str]]:
    """What every answer about a blob or manifest carries: its digest, twice, since it never changes."""
    return [("Docker-Content-Digest", digest), ("ETag", f'"{digest}"')]
