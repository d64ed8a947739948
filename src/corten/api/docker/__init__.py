"""Docker's REST API, one module per family of endpoints, each with its `ROUTES`.

`routes()` gathers them. The families: `system` (ping, version, info, events, df), `containers`, `execs`, `archive`
(cp), `images`, `build`, `volumes`, `networks`, `distribution`, `swarm` (everything that needs a cluster, answered as
an engine that is in none) and `plugins`.
"""

from typing import Any

from corten.api.docker import (
    archive,
    build,
    containers,
    distribution,
    events,
    execs,
    images,
    networks,
    swarm,
    system,
    volumes,
)
from corten.api.router import Route

__all__ = ["routes"]

FAMILIES = (
    system, events, containers, execs, archive, images, build, volumes, networks, distribution, swarm,
)  # fmt: skip


def routes() -> list[Route[Any, Any]]:
    """Every endpoint, in the order in which patterns are tried."""
    return [route for family in FAMILIES for route in family.ROUTES]
