"""What every use-case of the engine works with: the stores below it, its settings, and the one way to record a
change.
"""

import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from corten.engine import ledger
from corten.engine.catalog import Catalog
from corten.engine.record import Container, Record, State
from corten.engine.runtimes import DEFAULT
from corten.metadata import Database
from corten.model.event import Event

if TYPE_CHECKING:
    from corten.content import Store
    from corten.engine.ending import Exits
    from corten.engine.execs import Execs
    from corten.engine.volumes import Volumes
    from corten.images import Images
    from corten.network import Networks
    from corten.snapshots import Snapshotter
    from corten.spec.resources import HostLimits
    from corten.tasks import Tasks

__all__ = ["Services", "Settings", "commit", "event", "now", "volume_events"]


class Settings(msgspec.Struct, frozen=True):
    """Where the engine keeps things and what the host is like. `identity` tells engines of one machine apart."""

    data: Path
    run: Path
    identity: str
    program: Path
    cgroup_v2: bool
    machine: str
    kernel: tuple[int, int]
    bounding: frozenset[str]
    limits: "HostLimits"
    name: str = ""
    pull_missing: bool = False
    runtimes: Mapping[str, tuple[str, ...]] = {}
    default_runtime: str = DEFAULT

    def container_directory(self, container_id: str) -> Path:
        """What must survive a reboot beside the database: the log and the files that are bound into the container."""
        return self.data / "containers" / container_id

    def log_path(self, container_id: str) -> Path:
        return self.container_directory(container_id) / f"{container_id}-json.log"


class Services(NamedTuple):
    """The parts an engine is made of, put together by `daemon`."""

    settings: Settings
    database: Database
    content: "Store"
    images: "Images"
    snapshots: "Snapshotter"
    networks: "Networks"
    tasks: "Tasks"
    volumes: "Volumes"
    catalog: Catalog
    exits: "Exits"
    execs: "Execs"


def event(container: Container, action: str, **attributes: str) -> Event:
    """An event of a container, with what all of them carry."""
    return Event("container", action, container.id, {**container.record.attributes, **attributes})


def volume_events(container: Container, action: str) -> list[Event]:
    """`mount` or `unmount` for each volume of a container."""
    return [
        Event(
            "volume",
            action,
            point.name,
            {
                "container": container.id,
                "destination": point.destination,
                "driver": point.driver,
                "propagation": point.propagation,
                "read/write": str(point.rw).lower(),
            },
        )
        for point in container.record.mounts
        if point.type == "volume"
    ]


def commit(
    services: Services,
    container: Container,
    *,
    state: State | None = None,
    record: Record | None = None,
    events: Iterable[Event] = (),
    durable: bool = False,
) -> None:
    """Record a change: database, memory and events together, or nothing. The container's lock must be held.

    Memory changes before the events go out, so that who hears one and looks sees what it told. Without `durable` a
    power cut (not a kill) may undo the change; restore then finds out what is true.
    """
    before = container.state, container.record
    try:
        with services.database.write(durable=durable) as tx:
            if state is not None:
                ledger.set_state(tx, container.id, state)
                container.state = state
            if record is not None:
                ledger.set_record(tx, record)
                container.record = record
            for happened in events:
                tx.emit(happened)
    except BaseException:
        container.state, container.record = before
        raise
    finally:
        services.catalog.touch()


def now() -> int:
    """The time in Unix nanoseconds."""
    return time.time_ns()
