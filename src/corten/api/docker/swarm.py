"""Everything that needs a cluster, answered as Docker's engine answers when it is in none.

Corten has no home-made cluster (docs/house.md): past one machine it is a CRI runtime under Kubernetes. So swarm,
nodes, services, tasks, secrets and configs exist only as far as clients must be able to see that there is none.
"""

from typing import Any

from corten.api.call import Answer, Call, Json
from corten.api.query import Nothing
from corten.api.router import Route
from corten.model.errors import NotFound, Unavailable, Unimplemented

__all__ = ["ROUTES"]

NO_MANAGER = (
    'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" '
    "to connect this node to swarm and try again."
)
HINT = "Corten has no swarm mode; a cluster of Corten nodes is made by Kubernetes"


def no_manager(_: Call[Nothing, None]) -> Answer:
    raise Unavailable(NO_MANAGER, hint=HINT)


def no_swarm(call: Call[Nothing, None]) -> Answer:
    raise Unimplemented(f"swarm mode is not supported: {call.exchange.request.target.partition('?')[0]}", hint=HINT)


def not_part(_: Call[Nothing, None]) -> Answer:
    raise Unavailable("This node is not part of a swarm", hint=HINT)


def no_plugin(call: Call[Nothing, None]) -> Answer:
    raise NotFound(f'plugin "{call.path["name"]}" not found')


def no_plugins(_: Call[Nothing, None]) -> Answer:
    return Json([])


def plugins_refused(_: Call[Nothing, None]) -> Answer:
    raise Unimplemented("plugins are not supported", hint="Corten's networks, volumes and log drivers are built in")


def _collection(noun: str) -> list[Route[Any, Any]]:
    paths = [("GET", ""), ("POST", "/create"), ("GET", "/{id}"), ("DELETE", "/{id}"), ("POST", "/{id}/update")]
    return [Route(method, f"/{noun}{path}", no_manager) for method, path in paths]


ROUTES: tuple[Route[Any, Any], ...] = (
    Route("GET", "/swarm", no_manager),
    Route("POST", "/swarm/init", no_swarm),
    Route("POST", "/swarm/join", no_swarm),
    Route("POST", "/swarm/leave", not_part),
    Route("POST", "/swarm/update", no_manager),
    Route("GET", "/swarm/unlockkey", no_manager),
    Route("POST", "/swarm/unlock", not_part),
    *(route for noun in ("nodes", "services", "secrets", "configs") for route in _collection(noun)),
    Route("GET", "/services/{id}/logs", no_manager),
    Route("GET", "/tasks", no_manager),
    Route("GET", "/tasks/{id}", no_manager),
    Route("GET", "/tasks/{id}/logs", no_manager),
    Route("GET", "/plugins", no_plugins),
    Route("GET", "/plugins/privileges", plugins_refused),
    Route("POST", "/plugins/pull", plugins_refused),
    Route("POST", "/plugins/create", plugins_refused),
    Route("GET", "/plugins/{name:path}/json", no_plugin),
    Route("DELETE", "/plugins/{name:path}", no_plugin),
    Route("POST", "/plugins/{name:path}/enable", no_plugin),
    Route("POST", "/plugins/{name:path}/disable", no_plugin),
    Route("POST", "/plugins/{name:path}/upgrade", no_plugin),
    Route("POST", "/plugins/{name:path}/push", no_plugin),
    Route("POST", "/plugins/{name:path}/set", no_plugin),
)
