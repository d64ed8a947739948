"""Docker's REST API, one module per family of endpoints, each with its `ROUTES`.

`routes()` gathers them. The families: `system` (ping, version, info, events, df), `containers`, `execs`, `archive`
(cp), `images`, `build`, `volumes`, `networks`, `distribution`, `swarm` (everything that needs a cluster, answered as
an engine that is in none) and `plugins`.
"""

from typing import Any

from corten.api.router import Route

__all__ = ["routes"]


def routes() -> list[Route[Any, Any]]:
    """Every endpoint, in the order in which patterns are tried."""
    from corten.api.docker import swarm, system

    families = (system, swarm)
    return [route for family in families for route in family.ROUTES]
