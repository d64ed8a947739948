"""The edge of distribution-spec 1.1: what docker, skopeo, podman, buildah and ourselves push to and pull from.

    http.Connection ─Exchange→ Distribution ─route→ handler(request) ─Reply→ http
                                  └ basic auth, names      └ registry.Repository

Every endpoint of the standard is a row in `routes`, with its number there (end-1 … end-14), and `_catalog`, which
is docker's. Handlers are blocking functions that run in a lane; blobs go out by sendfile. Errors leave as the
standard's ``{"errors": [{"code", "message", "detail"}]}``, by one table in `problems`.
"""

from corten.api.registry.distribution import Distribution

__all__ = ["Distribution"]
