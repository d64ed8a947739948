"""`--link` on the default network: another container under an alias, as a host name, in variables and as a name.

A container `web` made with `--link db:store`

- finds `store` in its /etc/hosts (the network's work);
- is told of it in variables: STORE_NAME, for each port that `db` exposes STORE_PORT_5432_TCP and its parts, and `db`'s
  own variables as STORE_ENV_…;
- lends `db` the name `/web/store`, which `ps` shows, `inspect` takes and `rm --link` takes away.

In a network of one's own a link is an alias for the name service alone, as in Docker, and nothing here concerns it.
"""

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import NamedTuple

from msgspec.structs import replace

from corten.engine.record import Container
from corten.engine.sandbox import files_following, spread
from corten.engine.services import Services, commit
from corten.model.container import HostConfig
from corten.model.errors import Conflict, InvalidArgument, NotFound
from corten.network.files import link as parsed

__all__ = ["Link", "environment", "names", "of", "remove", "settled", "shown"]

DEFAULT_NETWORKS = ("default", "bridge", "")
# Variables of every image, which say nothing about the service behind a link.
COMMONPLACE = ("HOME", "PATH")


class Link(NamedTuple):
    """What a container calls another."""

    alias: str
    target: Container


def settled(services: Services, host: HostConfig) -> HostConfig:
    """The links of a request by the id of their target, so that they outlive its renaming.

    Raises InvalidArgument, and not NotFound, for one to nobody: to a client that would mean a missing image.
    """
    if not host.links or host.network_mode not in DEFAULT_NETWORKS:
        return host
    found = []
    for text in host.links:
        alias, name = parsed(text)
        try:
            target = services.catalog.find(name)
        except NotFound as error:
            raise InvalidArgument(f"could not get container for {name}: {error.message}") from None
        if target.record.host.network_mode == "host":
            raise InvalidArgument("conflicting options: host type networking can't be used with links")
        found.append(f"{target.id}:{alias}")
    return replace(host, links=tuple(found))


def of(services: Services, container: Container) -> Iterator[Link]:
    """A container's links whose targets still exist."""
    if container.record.host.network_mode not in DEFAULT_NETWORKS:
        return
    for text in container.record.host.links or ():
        alias, identity = parsed(text)
        if (target := services.catalog.get(identity)) is not None:
            yield Link(alias, target)


def shown(services: Services, container: Container) -> tuple[str, ...] | None:
    """HostConfig.Links of `inspect`: `/db:/web/store`."""
    if container.record.host.network_mode not in DEFAULT_NETWORKS:
        return container.record.host.links
    return tuple(f"/{target.name}:/{container.name}/{alias}" for alias, target in of(services, container)) or None


def names(services: Services) -> dict[str, list[str]]:
    """The names that links lend containers, by the id of these: `/web/store`."""
    found: dict[str, list[str]] = {}
    for container in services.catalog:
        if container.record.host.links:
            for alias, target in of(services, container):
                found.setdefault(target.id, []).append(f"/{container.name}/{alias}")
    return found


def environment(services: Services, container: Container) -> tuple[str, ...]:
    """The variables of all links; Conflict where a target does not run."""
    return tuple(entry for link in of(services, container) for entry in variables(services, container, link))


def variables(services: Services, container: Container, link: Link) -> Iterator[str]:
    name, target = f"/{container.name}/{link.alias}", link.target
    if not target.state.is_up:
        raise Conflict(f"Cannot link to a non running container: /{target.name} AS {name}")
    joined = services.networks.endpoints(target.id).get("bridge")
    if joined is None:
        raise Conflict(f"container {target.id} not attached to default bridge network")
    alias = link.alias.upper().replace("-", "_")
    yield from ports(alias, str(joined["IPAddress"]), target)
    yield f"{alias}_NAME={name}"
    for entry in target.record.config.env or ():
        key, equals, value = entry.partition("=")
        if equals and key not in COMMONPLACE:
            yield f"{alias}_ENV_{key}={value}"


def ports(alias: str, address: str, target: Container) -> Iterator[str]:
    """Each exposed port, the lowest of TCP as *the* port, and the ends of each run of consecutive ones."""
    exposed = [(protocol, n) for port in target.record.config.exposed_ports or {} for n, protocol in spread(port)]
    ordered = sorted(exposed, key=lambda port: (port[0] != "tcp", port[0], port[1]))
    for protocol, number in ordered[:1]:
        yield f"{alias}_PORT={protocol}://{address}:{number}"
    for protocol, number in ordered:
        prefix = f"{alias}_PORT_{number}_{protocol.upper()}"
        yield f"{prefix}={protocol}://{address}:{number}"
        yield f"{prefix}_ADDR={address}"
        yield f"{prefix}_PORT={number}"
        yield f"{prefix}_PROTO={protocol}"
    for protocol, first, last in runs(ordered):
        prefix = f"{alias}_PORT_{first}_{protocol.upper()}"
        for word, number in (("START", first), ("END", last)):
            yield f"{prefix}_{word}={protocol}://{address}:{number}"
            yield f"{prefix}_PORT_{word}={number}"


def runs(ordered: Iterable[tuple[str, int]]) -> Iterator[tuple[str, int, int]]:
    """The ranges of two and more consecutive ports of one protocol: (protocol, first, last)."""
    first: tuple[str, int] | None = None
    for port, following in pairwise((*ordered, ("", 0))):
        first = first or port
        if following != (port[0], port[1] + 1):
            if first != port:
                yield port[0], first[1], port[1]
            first = None


def remove(services: Services, reference: str) -> None:
    """Take the link away that `reference` (`web/store`) names; its target stays."""
    parent, _, alias = reference.lstrip("/").partition("/")
    if not alias:
        raise InvalidArgument("Conflict, cannot remove the default link name of the container")
    container = services.catalog.find(parent)
    with container.lock:
        links = container.record.host.links or ()
        kept = tuple(text for text in links if parsed(text)[0] != alias)
        if kept == links:
            raise NotFound(f"No such container: {reference.lstrip('/')}", hint=f"inspect {parent} shows its links")
        changed = replace(container.record, host=replace(container.record.host, links=kept or None))
        commit(services, container, record=changed, durable=True)
        if container.state.is_up:
            with files_following(services, container):
                services.networks.unlink(container.id, alias)
