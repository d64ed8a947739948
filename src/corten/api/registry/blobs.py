"""Blobs and their uploads: end-2, end-4 to end-6, end-10, end-11, end-13 and end-14."""

import os

from corten.api.http.sendfile import FilePart
from corten.api.registry import ranges
from corten.api.registry.exchange import Asked, Headers, Reply, blob_headers
from corten.content import Blob
from corten.model.digest import Digest
from corten.registry import Upload, names
from corten.registry.refusals import DigestInvalid, OutOfOrder

__all__ = ["begin", "cancel", "delete", "finish", "get", "patch", "status"]

LITTLE = 64 << 10


def get(asked: Asked) -> Reply:
    """end-2: a blob, or a range of it; HEAD asks for the same head."""
    digest = names.digest(asked.path["digest"])
    with asked.repository.open_blob(digest) as blob:
        head = [("Content-Type", "application/octet-stream"), ("Accept-Ranges", "bytes"), *blob_headers(digest)]
        try:
            part = ranges.wanted(asked.headers.get("range", ""), blob.size)
        except ranges.Unsatisfiable:
            return Reply(416, [("Content-Range", f"bytes */{blob.size}"), *blob_headers(digest)])
        if part is None:
            return _bytes_of(blob, 200, head, 0, blob.size)
        start, length = part
        head.append(("Content-Range", f"bytes {start}-{start + length - 1}/{blob.size}"))
        return _bytes_of(blob, 206, head, start, length)


def _bytes_of(blob: Blob, status: int, head: Headers, start: int, length: int) -> Reply:
    """Little is sent with the head; much by sendfile, which costs a thread and two more system calls."""
    if length <= LITTLE:
        return Reply(status, head, blob.read_at(start, length))
    return Reply(status, head, part=FilePart(os.dup(blob.fd), start, length))


def delete(asked: Asked) -> Reply:
    """end-10."""
    asked.repository.delete_blob(names.digest(asked.path["digest"]))
    return Reply(202)


def begin(asked: Asked) -> Reply:
    """end-4a: begin an upload; 4b: with ?digest= the body is the whole blob; 4c: say the algorithm; 11: mount."""
    if mount := asked.parameter("mount"):
        return _mount(asked, names.digest(mount))
    digest = names.digest(asked.parameter("digest")) if "digest" in asked.query else None
    algorithm = digest.algorithm if digest else asked.parameter("digest-algorithm") or "sha256"
    upload = asked.repository.begin_upload(algorithm)
    return _finish(asked, upload, digest) if digest else _state(asked, upload, 202)


def patch(asked: Asked) -> Reply:
    """end-5: a chunk, at the place its Content-Range says or else behind the last one."""
    upload = asked.repository.upload(asked.path["id"])
    _append(asked, upload)
    return _state(asked, upload, 202)


def finish(asked: Asked) -> Reply:
    """end-6: the digest, with a last chunk or without."""
    upload = asked.repository.upload(asked.path["id"])
    if "digest" not in asked.query:
        raise DigestInvalid("the end of an upload must name the blob's digest", hint="PUT LOCATION?digest=DIGEST")
    return _finish(asked, upload, names.digest(asked.parameter("digest")))


def status(asked: Asked) -> Reply:
    """end-13: how far an upload has come."""
    return _state(asked, asked.repository.upload(asked.path["id"]), 204)


def cancel(asked: Asked) -> Reply:
    """end-14."""
    upload = asked.repository.upload(asked.path["id"])
    upload.cancel()
    asked.repository.end_upload(upload)
    return Reply(204)


def _mount(asked: Asked, digest: Digest) -> Reply:
    """201 when the blob is here now; else an upload has begun, as if nobody had spoken of mounting."""
    repository = asked.repository
    source = asked.registry.repository(asked.parameter("from")) if asked.parameter("from") else None
    if repository.mount_blob(digest, source):
        return _created(asked, digest)
    return _state(asked, repository.begin_upload(digest.algorithm), 202)


def _append(asked: Asked, upload: Upload) -> None:
    place = ranges.chunk(asked.headers.get("content-range", ""), asked.length, upload.offset)
    start, length = place or (None, asked.length)
    upload.append(asked.body, start, length)


def _finish(asked: Asked, upload: Upload, digest: Digest) -> Reply:
    try:
        _append(asked, upload)
        upload.finish(digest)
    finally:
        asked.repository.end_upload(upload)
    return _created(asked, digest)


def _created(asked: Asked, digest: Digest) -> Reply:
    return Reply(201, [("Location", f"/v2/{asked.path['name']}/blobs/{digest}"), ("Docker-Content-Digest", digest)])


def _state(asked: Asked, upload: Upload, status: int) -> Reply:
    return Reply(status, state_headers(asked.path["name"], upload.id, upload.offset))


def state_headers(name: str, id: str, offset: int) -> list[tuple[str, str]]:
    """Where an upload goes on, and from which byte."""
    return [
        ("Location", f"/v2/{name}/blobs/uploads/{id}"),
        ("Range", ranges.received(offset)),
        ("Docker-Upload-UUID", id),
    ]


def refused_chunk(asked: Asked, error: OutOfOrder) -> list[tuple[str, str]]:
    """What a 416 tells besides: the client need not ask where to go on."""
    return state_headers(asked.path["name"], asked.path["id"], error.offset)
