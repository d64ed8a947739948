"""What Corten tells beyond Docker's API: the story of a container's start (`corten run --explain`)."""

from typing import Any

from corten.api.call import Answer, Call, Json
from corten.api.query import Nothing
from corten.api.router import Route

__all__ = ["ROUTES"]


def explain(call: Call[Nothing, None]) -> Answer:
    """Each step of the last start: what, why, how long, and the rows of its launch plan."""
    return Json(call.engine.containers.explain(call.path["id"]))


ROUTES: tuple[Route[Any, Any], ...] = (Route("GET", "/corten/containers/{id}/explain", explain),)
