"""Building, and BuildKit's two ways in. There is no builder yet: what would need one says so."""

from typing import Any

from corten.api.call import Answer, Call, Json
from corten.api.query import Nothing
from corten.api.router import Route
from corten.model.errors import Unimplemented

__all__ = ["ROUTES"]


def build(_: Call[Nothing, None]) -> Answer:
    raise Unimplemented("cannot build: the Dockerfile builder is not built yet")


def buildkit(call: Call[Nothing, None]) -> Answer:
    """docker's buildx plugin speaks only this."""
    path = call.exchange.request.target.partition("?")[0]
    raise Unimplemented(
        f"{path} needs the BuildKit API, which Corten does not have yet: set DOCKER_BUILDKIT=0",
        hint="DOCKER_BUILDKIT=0 docker build …",
    )


def prune(_: Call[Nothing, None]) -> Answer:
    """Without a builder there is no cache: nothing is deleted, truthfully."""
    return Json({"CachesDeleted": [], "SpaceReclaimed": 0})


ROUTES: tuple[Route[Any, Any], ...] = (
    Route("POST", "/build", build),
    Route("POST", "/build/prune", prune),
    Route("POST", "/build/cancel", build),
    Route("POST", "/session", buildkit),
    Route("POST", "/grpc", buildkit),
)
