"""The endpoints of distribution-spec 1.1: method, path, what answers it, and in which lane."""

import re
from collections.abc import Callable
from typing import NamedTuple

from corten.api.lanes import Lane
from corten.api.registry import blobs, listings, manifests
from corten.api.registry.exchange import Asked, Reply

__all__ = ["ROUTES", "Found", "Route", "find"]

Handler = Callable[[Asked], Reply]


class Route(NamedTuple):
    """One endpoint; `number` is its row in the standard's table."""

    number: str
    method: str
    pattern: str
    handler: Handler
    lane: Lane = Lane.QUICK


class Found(NamedTuple):
    """The routes of one path, by method, and what the names in it stand for."""

    methods: dict[str, Route]
    names: dict[str, str]


_UPLOADS, _UPLOAD = "/v2/{name}/blobs/uploads/", "/v2/{name}/blobs/uploads/{id}"
_BLOB, _MANIFEST = "/v2/{name}/blobs/{digest}", "/v2/{name}/manifests/{reference}"

# A repository's name may itself hold the words of the standard ("a/blobs/b"): the more special pattern stands first.
ROUTES = (
    Route("end-1", "GET", "/v2/", listings.base),
    Route("catalog", "GET", "/v2/_catalog", listings.catalog, Lane.CHANGE),
    Route("end-4", "POST", _UPLOADS, blobs.begin, Lane.STREAM),
    Route("end-5", "PATCH", _UPLOAD, blobs.patch, Lane.STREAM),
    Route("end-6", "PUT", _UPLOAD, blobs.finish, Lane.STREAM),
    Route("end-13", "GET", _UPLOAD, blobs.status),
    Route("end-14", "DELETE", _UPLOAD, blobs.cancel),
    Route("end-2", "GET", _BLOB, blobs.get),
    Route("end-10", "DELETE", _BLOB, blobs.delete, Lane.CHANGE),
    Route("end-3", "GET", _MANIFEST, manifests.get),
    Route("end-7", "PUT", _MANIFEST, manifests.put, Lane.STREAM),
    Route("end-9", "DELETE", _MANIFEST, manifests.delete, Lane.CHANGE),
    Route("end-8", "GET", "/v2/{name}/tags/list", listings.tags, Lane.CHANGE),
    Route("end-12", "GET", "/v2/{name}/referrers/{digest}", listings.referrers, Lane.CHANGE),
)


def find(path: str) -> Found | None:
    """Who answers this unquoted path; HEAD is answered by whoever answers GET."""
    for pattern, methods in _PATHS.items():
        if match := pattern.fullmatch(path):
            return Found(methods, match.groupdict())
    return None


def _compile(pattern: str) -> re.Pattern[str]:
    built = re.sub(r"\{name\}", "(?P<name>.+)", pattern)
    return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", built), re.DOTALL)


def _paths() -> dict[re.Pattern[str], dict[str, Route]]:
    found: dict[re.Pattern[str], dict[str, Route]] = {}
    for route in ROUTES:
        methods = found.setdefault(_compile(route.pattern), {})
        methods[route.method] = route
        if route.method == "GET":
            methods["HEAD"] = route
    return found


_PATHS = _paths()
