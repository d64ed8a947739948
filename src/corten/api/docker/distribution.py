"""What a registry says about an image, asked by the engine for its client."""

from typing import Any

from corten.api.call import Answer, Call
from corten.api.query import Nothing
from corten.api.router import Route
from corten.model.errors import Unimplemented

__all__ = ["ROUTES"]


def inspect(call: Call[Nothing, None]) -> Answer:
    raise Unimplemented(f"cannot ask the registry of {call.path['name']}: the registry client is not built yet")


ROUTES: tuple[Route[Any, Any], ...] = (Route("GET", "/distribution/{name:path}/json", inspect),)
