"""What a build works with: the stores, the hands, and where it may keep scratch files."""

from pathlib import Path
from typing import NamedTuple

from corten.content import Store
from corten.images import Images
from corten.metadata import Database
from corten.network import Networks
from corten.snapshots import Snapshotter
from corten.tasks import Tasks

__all__ = ["Host", "Tools"]


class Host(NamedTuple):
    """What the machine is like, as far as a RUN's process depends on it."""

    machine: str
    kernel: tuple[int, int]
    bounding: frozenset[str]
    cgroup_v2: bool
    cgroup_parent: str


class Tools(NamedTuple):
    """`scratch` is a private directory of the builder (0700) that is emptied when the engine starts; `run` is its
    twin in memory, for secrets.
    """

    database: Database
    content: Store
    images: Images
    snapshots: Snapshotter
    networks: Networks
    tasks: Tasks
    host: Host
    scratch: Path
    run: Path
