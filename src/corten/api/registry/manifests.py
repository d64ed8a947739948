"""Manifests: end-3, end-7 and end-9."""

from corten.api.registry.exchange import Asked, Reply, blob_headers
from corten.registry import LIMIT

__all__ = ["delete", "get", "put"]


def get(asked: Asked) -> Reply:
    """end-3: the bytes as they were pushed. HEAD is the same without them; http knows."""
    stored = asked.repository.manifest(asked.path["reference"])
    return Reply(200, [("Content-Type", stored.media_type), *blob_headers(stored.digest)], stored.raw)


def put(asked: Asked) -> Reply:
    """end-7a by tag or digest; end-7b: ?tag=…&tag=… names it besides."""
    raw = asked.body.read(LIMIT + 1)  # one byte too many is refused; the rest of it is never read
    tags = tuple(asked.query.get("tag", ()))
    repository = asked.repository
    accepted = repository.put_manifest(asked.path["reference"], asked.headers.get("content-type", ""), raw, tags)
    location = f"/v2/{repository.name}/manifests/{accepted.digest}"
    head = [("Location", location), ("Docker-Content-Digest", str(accepted.digest))]
    if accepted.subject:
        head.append(("OCI-Subject", str(accepted.subject)))
    head += [("OCI-Tag", tag) for tag in accepted.tags]
    return Reply(201, head)


def delete(asked: Asked) -> Reply:
    """end-9: a tag, or by digest a manifest with all its tags."""
    asked.repository.delete_manifest(asked.path["reference"])
    return Reply(202)
