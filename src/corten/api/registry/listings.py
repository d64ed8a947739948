"""Lists, page by page: end-8 (tags), end-12 (referrers) and docker's `_catalog`.

A page ends with a ``Link: <…>; rel="next"`` header that names the last entry, so that the next one begins behind it
whatever was added meanwhile.
"""

from urllib.parse import quote, urlencode

import msgspec

from corten.api.registry.exchange import Asked, Reply
from corten.model import mediatype
from corten.model.errors import InvalidArgument
from corten.registry import names

__all__ = ["base", "catalog", "referrers", "tags"]

CATALOG_PAGE = 1000
REFERRERS_BYTES = 4 << 20  # a list of referrers is read like a manifest, so it must not be longer
_JSON = ("Content-Type", "application/json")


def base(_: Asked) -> Reply:
    """end-1: we speak this protocol, and to you."""
    return Reply(200, [_JSON], b"{}")


def tags(asked: Asked) -> Reply:
    """end-8: a repository's tags, sorted; without n, all."""
    repository = asked.repository
    page, head = _page(asked, repository.tags(), 0)
    return Reply(200, head, msgspec.json.encode({"name": repository.name, "tags": page}))


def catalog(asked: Asked) -> Reply:
    """The names of all repositories, sorted."""
    page, head = _page(asked, asked.registry.catalog(), CATALOG_PAGE)
    return Reply(200, head, msgspec.json.encode({"repositories": page}))


def referrers(asked: Asked) -> Reply:
    """end-12: an index of the manifests whose subject is this digest; empty when there is none, never 404."""
    subject = names.digest(asked.path["digest"])
    head = [("Content-Type", mediatype.OCI_INDEX)]
    kind = asked.parameter("artifactType")
    if kind:
        head.append(("OCI-Filters-Applied", "artifactType"))
    chosen: list[str] = []
    size = 0
    last = asked.parameter("last")
    for text in asked.repository.referrers(subject):
        entry = msgspec.json.decode(text)
        if entry["digest"] <= last or (kind and entry.get("artifactType") != kind):
            continue
        size += len(text)
        if size > REFERRERS_BYTES and chosen:
            head.append(_next(asked, msgspec.json.decode(chosen[-1])["digest"]))
            break
        chosen.append(text)
    index = {"schemaVersion": 2, "mediaType": mediatype.OCI_INDEX, "manifests": [*map(_raw, chosen)]}
    return Reply(200, head, msgspec.json.encode(index))


def _raw(text: str) -> msgspec.Raw:
    return msgspec.Raw(text.encode())


def _page(asked: Asked, entries: list[str], usual: int) -> tuple[list[str], list[tuple[str, str]]]:
    """The entries behind `last`, at most n of them (`usual` when n is not given, 0 for all), and the answer's head."""
    last, text = asked.parameter("last"), asked.parameter("n")
    if text and not (text.isascii() and text.isdigit() and len(text) < 10):
        raise InvalidArgument(f"invalid number of entries n={text[:50]!r}")
    rest = [entry for entry in entries if entry > last]
    if text and not int(text):
        return [], [_JSON]
    page = rest[: int(text) if text else usual or None]
    return page, [_JSON, _next(asked, page[-1])] if len(page) < len(rest) else [_JSON]


def _next(asked: Asked, last: str) -> tuple[str, str]:
    kept = {name: values[0] for name, values in asked.query.items() if name in ("n", "artifactType")}
    place = asked.path.get("name", "")
    path = f"/v2/{place}/referrers/{quote(asked.path['digest'], safe=':')}" if "digest" in asked.path else ""
    path = path or (f"/v2/{place}/tags/list" if place else "/v2/_catalog")
    return "Link", f'<{path}?{urlencode({**kept, "last": last})}>; rel="next"'
