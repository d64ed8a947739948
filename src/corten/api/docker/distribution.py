"""What a registry says about an image, asked by the engine for its client."""

from typing import Any

from corten.api.call import Answer, Call, Json
from corten.api.lanes import Lane
from corten.api.lending import lent_credentials
from corten.api.query import Nothing
from corten.api.router import Route

__all__ = ["ROUTES"]


def inspect(call: Call[Nothing, None]) -> Answer:
    return Json(call.engine.registries.inspect(call.path["name"], lent_credentials(call)))


ROUTES: tuple[Route[Any, Any], ...] = (Route("GET", "/distribution/{name:path}/json", inspect, Lane.IMAGE),)
