"""`rm`, `--rm` and `container prune`.

First the record says "removing", then files go, then the record: whatever is interrupted is finished by the next
engine. References keep image and volumes until the record goes.
"""

import shutil
from contextlib import suppress
from typing import Any

from corten.engine import ledger, lifecycle, links, stop, waiting
from corten.engine.record import Container
from corten.engine.services import Services, commit, event
from corten.model.errors import Conflict, CortenError, NotFound, ResourceExhausted
from corten.model.event import Event
from corten.wire.filters import NONE, Filters

__all__ = ["erase", "prune", "remove"]


def remove(
    services: Services, reference: str, *, force: bool = False, volumes: bool = False, link: bool = False
) -> None:
    """Remove a container; `force` kills it first, `volumes` takes its anonymous volumes along."""
    if link:
        links.remove(services, reference)
        return
    container = services.catalog.find(reference)
    if container.is_up:
        if not force:
            lifecycle.move(container.state.status, "remove", id=container.id, name=f"/{container.name}")
        stop.terminate(services, container, signal="SIGKILL", timeout=int(stop.KILL_PATIENCE))
    try:
        erase(services, container, volumes=volumes or container.record.host.auto_remove)
    except (Conflict, NotFound):
        # `--rm` may have been quicker after our kill: then it is gone, as was wished.
        if force and services.catalog.get(container.id) is None:
            return
        raise


def erase(services: Services, container: Container, *, volumes: bool) -> None:
    """Take away a container that does not run, with everything of it."""
    with container.lock:
        if services.catalog.get(container.id) is not container:
            raise NotFound(f"No such container: {container.id}")
        status = lifecycle.move(container.state.status, "remove", id=container.id, name=f"/{container.name}")
        commit(services, container, state=container.changed(status=status))
        try:
            take_away(services, container)
            forget(services, container)
        except (CortenError, OSError) as error:
            mark_dead(services, container, error)
            raise
    try:
        if volumes:
            services.volumes.remove_if_unused(point.name for point in container.record.mounts if point.anonymous)
    finally:  # whoever waits for the removal finds nothing of it afterwards
        with container.lock:
            container.drop_pending()
            waiting.notify_removal(container)


def forget(services: Services, container: Container) -> None:
    with services.database.write(durable=False) as tx:
        ledger.drop(tx, container.id)
        tx.emit(event(container, "destroy"))
        services.catalog.remove(container)


def mark_dead(services: Services, container: Container, error: Exception) -> None:
    """Half removed: it can only be removed, also where a full disk does not even let that be recorded."""
    dead = container.changed(status="dead", error=str(error))
    try:
        commit(services, container, state=dead)
    except ResourceExhausted:
        container.state = dead


def take_away(services: Services, container: Container) -> None:
    """Every trace but the record; each step is repeated without harm."""
    services.networks.release(container.id)
    if container.task is not None:
        container.task.delete()
        container.task = None
    with suppress(NotFound):  # an engine that was killed in here had removed it already
        services.snapshots.remove(container.id)
    shutil.rmtree(services.settings.container_directory(container.id), ignore_errors=True)


def prune(services: Services, filters: Filters = NONE) -> dict[str, Any]:
    """Remove the containers that do not run and that the filters (until, label, label!) let through."""
    from corten.engine.listing import until

    filters.only(("until", "label", "label!"))
    before = until(filters)
    removed, size = [], 0
    for container in services.catalog:
        stopped = container.state.status in ("created", "exited", "dead")
        matches = filters.labels(container.record.config.labels or {})
        if not stopped or not matches or (before is not None and container.record.created >= before):
            continue
        try:
            used = services.snapshots.usage(container.id).size
            erase(services, container, volumes=False)
        except (Conflict, NotFound):
            continue
        removed.append(container.id)
        size += used
    with services.database.write(durable=False) as tx:
        tx.emit(Event("container", "prune", "", {"reclaimed": str(size)}))
    return {"ContainersDeleted": removed or None, "SpaceReclaimed": size}
