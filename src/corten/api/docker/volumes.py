"""Volumes: directories that outlive the containers that use them."""

from typing import Any

import msgspec

from corten.api.call import Answer, Call, Empty, Json
from corten.api.docker import older
from corten.api.lanes import Lane
from corten.api.query import Nothing
from corten.api.router import Route
from corten.engine.requests import VolumeCreate
from corten.model.errors import Unavailable
from corten.wire.filters import NONE, Filters

__all__ = ["ROUTES"]

LIST_FILTERS = ("dangling", "driver", "label", "label!", "name")
PRUNE_FILTERS = ("all", "label", "label!")


class FilterQuery(msgspec.Struct, frozen=True):
    filters: Filters = NONE


class RemoveQuery(msgspec.Struct, frozen=True):
    force: bool = False


def list_(call: Call[FilterQuery, None]) -> Answer:
    return Json(call.engine.volumes.list(call.query.filters.only(LIST_FILTERS)))


def create(call: Call[Nothing, VolumeCreate]) -> Answer:
    return Json(call.engine.volumes.create(call.body), 201)


def inspect(call: Call[Nothing, None]) -> Answer:
    return Json(call.engine.volumes.inspect(call.path["name"]))


def update(_: Call[Nothing, None]) -> Answer:
    raise Unavailable("volume update only valid for cluster volumes, and this engine is in no swarm")


def remove(call: Call[RemoveQuery, None]) -> Answer:
    call.engine.volumes.remove(call.path["name"], force=call.query.force)
    return Empty()


def prune(call: Call[FilterQuery, None]) -> Answer:
    filters = older.volume_prune(call.query.filters.only(PRUNE_FILTERS), call.version)
    return Json(call.engine.volumes.prune(filters))


ROUTES: tuple[Route[Any, Any], ...] = (
    Route("GET", "/volumes", list_, Lane.QUICK, FilterQuery),
    Route("POST", "/volumes/create", create, Lane.CHANGE, Nothing, VolumeCreate),
    Route("POST", "/volumes/prune", prune, Lane.CHANGE, FilterQuery),
    Route("GET", "/volumes/{name:path}", inspect),
    Route("PUT", "/volumes/{name:path}", update),
    Route("DELETE", "/volumes/{name:path}", remove, Lane.CHANGE, RemoveQuery),
)
