"""One table from what the registry refuses to the standard's error codes and statuses."""

import msgspec

from corten.api.registry.exchange import Reply
from corten.model.errors import (
    CortenError,
    InvalidArgument,
    NotFound,
    ResourceExhausted,
    Unauthenticated,
    Unavailable,
    Unimplemented,
)
from corten.registry import refusals

__all__ = ["reply"]

# The most special first: the first type that fits decides (distribution-spec, "Error Codes").
_TABLE: tuple[tuple[type[CortenError], int, str], ...] = (
    (refusals.NameInvalid, 400, "NAME_INVALID"),
    (refusals.TagInvalid, 400, "MANIFEST_INVALID"),
    (refusals.DigestInvalid, 400, "DIGEST_INVALID"),
    (refusals.SizeInvalid, 400, "SIZE_INVALID"),
    (refusals.OutOfOrder, 416, "BLOB_UPLOAD_INVALID"),
    (refusals.ManifestInvalid, 400, "MANIFEST_INVALID"),
    (refusals.ManifestTooLong, 413, "SIZE_INVALID"),
    (refusals.ManifestBlobUnknown, 404, "MANIFEST_BLOB_UNKNOWN"),
    (refusals.RepositoryUnknown, 404, "NAME_UNKNOWN"),
    (refusals.ManifestUnknown, 404, "MANIFEST_UNKNOWN"),
    (refusals.BlobUnknown, 404, "BLOB_UNKNOWN"),
    (refusals.UploadUnknown, 404, "BLOB_UPLOAD_UNKNOWN"),
    (Unauthenticated, 401, "UNAUTHORIZED"),
    (Unimplemented, 405, "UNSUPPORTED"),
    (Unavailable, 503, "UNAVAILABLE"),
    (ResourceExhausted, 507, "UNAVAILABLE"),  # the disk is full; 429 would make clients wait and try again
    (NotFound, 404, "NAME_UNKNOWN"),
    (InvalidArgument, 400, "UNSUPPORTED"),
)


def reply(error: CortenError) -> Reply:
    """The answer that tells a client what was refused and why."""
    status, code = next(((status, code) for kind, status, code in _TABLE if isinstance(error, kind)), (500, "UNKNOWN"))
    detail = {"hint": error.hint} if error.hint else None
    document = {"errors": [{"code": code, "message": error.message, "detail": detail}]}
    return Reply(status, [("Content-Type", "application/json")], msgspec.json.encode(document))
