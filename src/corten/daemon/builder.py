"""The builder, loaded when somebody first builds.

Its Dockerfile frontend and solver take a fifth of an engine's start and some megabytes, and most engines never build.
Only what a killed engine's builds left behind makes it come at the start, since making a builder clears that.
"""

import os
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from corten.build import Builder
    from corten.daemon.compose import Parts
    from corten.engine import Settings

__all__ = ["BuilderOnDemand", "has_leftovers"]

LEFT_BY_BUILDS = "build-"


class BuilderOnDemand:
    """Stands where the builder will. Thread-safe."""

    def __init__(self, make: "Callable[[], Builder]") -> None:
        self._make = make
        self._lock = threading.Lock()
        self._made: Builder | None = None

    def get(self) -> "Builder":
        """The builder, made by the first who asks."""
        with self._lock:
            if self._made is None:
                self._made = self._make()
            return self._made

    def running(self) -> int:
        """How many builds go on; a builder that was never made has none."""
        return self._made.running() if self._made else 0

    def usage(self) -> Sequence[Any]:
        """What its cache holds."""
        return self.get().usage()


def make(parts: "Parts", settings: "Settings") -> "Builder":
    """A builder over an engine's own stores."""
    from corten.build import Builder, Host, Tools

    host = Host(
        machine=settings.machine,
        kernel=settings.kernel,
        bounding=settings.bounding,
        cgroup_v2=settings.cgroup_v2,
        cgroup_parent=f"/corten-{settings.identity}",
    )
    tools = Tools(
        database=parts.database,
        content=parts.content,
        images=parts.images,
        snapshots=parts.snapshots,
        networks=parts.networks,
        tasks=parts.tasks,
        host=host,
        scratch=settings.data / "build" / "scratch",
        run=settings.run / "build",
    )
    return Builder(tools)


def has_leftovers(parts: "Parts", settings: "Settings") -> bool:
    """Whether builds of an engine that is gone still run, or left files or mounts."""
    places = (settings.data / "build" / "scratch", settings.run / "build")
    return any(place.exists() and os.listdir(place) for place in places) or any(
        task.id.startswith(LEFT_BY_BUILDS) for task in parts.tasks
    )
