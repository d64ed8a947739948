"""`cp`: a container's files as tar archives, in and out, running or not."""

import base64
from typing import Any

import msgspec

from corten.api.call import Answer, Call, Empty, Pieces
from corten.api.lanes import Lane
from corten.api.router import Route

__all__ = ["ROUTES"]

STAT = "X-Docker-Container-Path-Stat"


class PathQuery(msgspec.Struct, frozen=True):
    path: str


class PutQuery(msgspec.Struct, frozen=True):
    path: str
    no_overwrite_dir_non_dir: bool = msgspec.field(default=False, name="noOverwriteDirNonDir")
    copy_uid_gid: bool = msgspec.field(default=False, name="copyUIDGID")


def stat(call: Call[PathQuery, None]) -> Answer:
    return Empty(200, [_stat(call.engine.containers.archive_stat(call.path["id"], call.query.path))])


def get(call: Call[PathQuery, None]) -> Answer:
    found, pieces = call.engine.containers.archive_get(call.path["id"], call.query.path, call.cancel)
    return Pieces(pieces, "application/x-tar", [_stat(found)])


def put(call: Call[PutQuery, None]) -> Answer:
    query = call.query
    call.engine.containers.archive_put(
        call.path["id"],
        query.path,
        call.upload,
        no_overwrite_dir_non_dir=query.no_overwrite_dir_non_dir,
        copy_uid_gid=query.copy_uid_gid,
        cancel=call.cancel,
    )
    return Empty(200)


def _stat(found: Any) -> tuple[str, str]:
    """`mode` in it is Go's FileMode: the type stands in its upper bits."""
    return STAT, base64.b64encode(msgspec.json.encode(found)).decode()


ROUTES: tuple[Route[Any, Any], ...] = (
    Route("HEAD", "/containers/{id}/archive", stat, Lane.ARCHIVE, PathQuery),
    Route("GET", "/containers/{id}/archive", get, Lane.ARCHIVE, PathQuery),
    Route("PUT", "/containers/{id}/archive", put, Lane.ARCHIVE, PutQuery),
)
