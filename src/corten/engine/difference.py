"""`diff`: what a container changed in its file system, without what the engine put there to mount on."""

import os
from contextlib import ExitStack
from typing import Any

from corten import layers
from corten.engine.record import Container
from corten.engine.services import Services

__all__ = ["changes", "hidden_paths"]

# Places that the launch makes where the image lacks them: mount points, and the links in /dev.
MADE_BY_US = frozenset(("dev", "proc", "sys", "dev/console", "dev/pts", "dev/shm", "dev/mqueue", "sbin/docker-init"))
RESOLVER_FILES = frozenset(("etc/hosts", "etc/resolv.conf", "etc/hostname"))


def changes(services: Services, reference: str) -> list[dict[str, Any]] | None:
    """Docker's list of paths with their kind (0 modified, 1 added, 2 deleted); None when nothing changed."""
    container = services.catalog.find(reference)
    found = services.snapshots.changes(container.id)
    with ExitStack() as stack:
        handles = [os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC) for path in (found.path, *found.lowers)]
        for handle in handles:
            stack.callback(os.close, handle)
        changed = layers.changes(handles[0], handles[1:], found.form, hidden=hidden_paths(container))
    return [{"Path": f"/{change.path}", "Kind": int(change.kind)} for change in changed] or None


def hidden_paths(container: Container) -> frozenset[str]:
    """The paths below the root that are the engine's and not the container's doing."""
    own = {point.destination.lstrip("/") for point in container.record.mounts}
    parents = {"/".join(path.split("/")[:depth]) for path in own for depth in range(1, path.count("/") + 1)}
    return MADE_BY_US | RESOLVER_FILES | own | parents
