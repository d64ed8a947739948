"""Networks, and a container's places in them."""

from typing import Any

import msgspec

from corten.api.call import Answer, Call, Empty, Json
from corten.api.lanes import Lane
from corten.api.query import Nothing
from corten.api.router import Route
from corten.engine.requests import NetworkCreate
from corten.model.container import DockerStruct, EndpointSettings
from corten.wire.filters import NONE, Filters

__all__ = ["ROUTES"]

LIST_FILTERS = ("dangling", "driver", "id", "label", "label!", "name", "scope", "type")
PRUNE_FILTERS = ("label", "label!", "until")


class FilterQuery(msgspec.Struct, frozen=True):
    filters: Filters = NONE


class InspectQuery(msgspec.Struct, frozen=True):
    verbose: bool = False
    scope: str = ""


class Connect(DockerStruct, frozen=True):
    """The body of `POST /networks/{id}/connect`."""

    container: str = ""
    endpoint_config: EndpointSettings = EndpointSettings()


class Disconnect(DockerStruct, frozen=True):
    """The body of `POST /networks/{id}/disconnect`."""

    container: str = ""
    force: bool = False


def list_(call: Call[FilterQuery, None]) -> Answer:
    return Json(call.engine.networks.list(call.query.filters.only(LIST_FILTERS)))


def inspect(call: Call[InspectQuery, None]) -> Answer:
    query = call.query
    return Json(call.engine.networks.inspect(call.path["id"], verbose=query.verbose, scope=query.scope))


def create(call: Call[Nothing, NetworkCreate]) -> Answer:
    return Json(call.engine.networks.create(call.body), 201)


def connect(call: Call[Nothing, Connect]) -> Answer:
    call.engine.networks.connect(call.path["id"], call.body.container, call.body.endpoint_config)
    return Empty(200)


def disconnect(call: Call[Nothing, Disconnect]) -> Answer:
    call.engine.networks.disconnect(call.path["id"], call.body.container, force=call.body.force)
    return Empty(200)


def remove(call: Call[Nothing, None]) -> Answer:
    call.engine.networks.remove(call.path["id"])
    return Empty()


def prune(call: Call[FilterQuery, None]) -> Answer:
    return Json(call.engine.networks.prune(call.query.filters.only(PRUNE_FILTERS)))


ROUTES: tuple[Route[Any, Any], ...] = (
    Route("GET", "/networks", list_, Lane.QUICK, FilterQuery),
    Route("POST", "/networks/create", create, Lane.CHANGE, Nothing, NetworkCreate),
    Route("POST", "/networks/prune", prune, Lane.CHANGE, FilterQuery),
    Route("POST", "/networks/{id:path}/connect", connect, Lane.CHANGE, Nothing, Connect),
    Route("POST", "/networks/{id:path}/disconnect", disconnect, Lane.CHANGE, Nothing, Disconnect),
    Route("GET", "/networks/{id:path}", inspect, Lane.QUICK, InspectQuery),
    Route("DELETE", "/networks/{id:path}", remove, Lane.CHANGE),
)
