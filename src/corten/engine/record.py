"""What the engine knows of one container: a record of what was asked (`Record`) and one of how it goes (`State`).

Both are frozen; a change is a new value that `Container.set` puts in place after the database took it. The live side
(process id, standard streams, exit code while nobody looked) belongs to the container's monitor: `State` holds only
what must still be known when the monitor is gone.
"""

import os
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, NamedTuple, NewType

import msgspec
from msgspec.structs import replace

from corten.engine.lifecycle import Status, is_up
from corten.model.container import ContainerConfig, EndpointSettings, HostConfig

if TYPE_CHECKING:
    from corten.engine.attach import Pending
    from corten.engine.health import Probe
    from corten.tasks import Task

__all__ = ["Container", "ContainerId", "HealthCheck", "HealthState", "MountPoint", "Record", "State", "WaitResult"]

ContainerId = NewType("ContainerId", str)
SHORT = 12


class MountPoint(msgspec.Struct, frozen=True):
    """A volume, bind, tmpfs or image seen in the container at `destination`.

    `source` is a path of the host. `copy_up` asks that the image's content at the destination fill an empty volume;
    `anonymous` that the volume goes with the container; `options` are those of the mount beyond ro/rw and
    propagation.
    """

    type: str
    destination: str
    source: str = ""
    name: str = ""
    driver: str = ""
    mode: str = ""
    rw: bool = True
    propagation: str = ""
    copy_up: bool = False
    anonymous: bool = False
    subpath: str = ""
    options: tuple[str, ...] = ()
    volume_options: dict[str, str] = {}
    volume_labels: dict[str, str] = {}


class HealthCheck(msgspec.Struct, frozen=True):
    """The outcome of one probe; moments in ns."""

    start: int
    end: int
    exit_code: int
    output: str


class HealthState(msgspec.Struct, frozen=True):
    """`status` is starting, healthy or unhealthy; the log keeps the last five probes."""

    status: str
    failing_streak: int = 0
    log: tuple[HealthCheck, ...] = ()


class State(msgspec.Struct, frozen=True):
    """How it goes. `stopped` says that a user stopped it, which restart policies respect."""

    status: Status = "created"
    exit_code: int = 0
    error: str = ""
    started: int = 0
    finished: int = 0
    oom_killed: bool = False
    restart_count: int = 0
    stopped: bool = False
    pid: int = 0
    health: HealthState | None = None

    @property
    def is_up(self) -> bool:
        return is_up(self.status)


class Record(msgspec.Struct, frozen=True):
    """What was asked. `image` is the name the user gave, `image_id` what it meant then; `parent` names its snapshot."""

    id: ContainerId
    name: str
    created: int
    image: str
    image_id: str
    parent: str
    config: ContainerConfig
    host: HostConfig
    networks: dict[str, EndpointSettings]
    mounts: tuple[MountPoint, ...] = ()
    os: str = "linux"

    @property
    def command(self) -> tuple[str, ...]:
        """The program and its arguments."""
        return (*(self.config.entrypoint or ()), *(self.config.cmd or ()))

    @property
    def attributes(self) -> dict[str, str]:
        """What every event of the container carries."""
        return {"image": self.image, "name": self.name, **(self.config.labels or {})}


class WaitResult(NamedTuple):
    """What `wait` answers."""

    status_code: int
    error: str = ""


class Container:
    """The identity of one container in this engine: its two records, its lock, its task while it runs, who waits for
    it.

    `lock` is held during every change of the container and never while waiting for its exit. `keepers` is
    how many are about to start it again, so that `--rm` must not take it away; `doomed` that its
    process was sent SIGKILL.
    """

    def __init__(self, record: Record, state: State) -> None:
        self.lock = threading.RLock()
        self.record = record
        self.state = state
        self.task: Task | None = None
        self.pending: list[Pending] = []
        self.exit_waiters: list[Future[WaitResult]] = []
        self.removal_waiters: list[Future[WaitResult]] = []
        self.retry: threading.Timer | None = None
        self.probe: Probe | None = None
        self.story: list[dict[str, object]] = []
        self.backoff = 0.0
        self.keepers = 0
        self.doomed = False
        self.followers: set[int] = set()

    def ring(self) -> None:
        """Wake who follows the log: the container has ended. The lock must be held."""
        for bell in self.followers:
            os.eventfd_write(bell, 1)

    def drop_pending(self) -> None:
        """Hang up on the clients that waited for a start which will not come. The lock must be held."""
        while self.pending:
            self.pending.pop().close()

    @property
    def id(self) -> ContainerId:
        return self.record.id

    @property
    def name(self) -> str:
        return self.record.name

    @property
    def hostname(self) -> str:
        """The name the container calls itself: as configured, else the short id."""
        return self.record.config.hostname or self.id[:SHORT]

    @property
    def is_up(self) -> bool:
        """Whether it runs, for who wants to act on it: a start under way is over when this answers.

        A client sees the first output before the engine has recorded the start; Ctrl-C right then must not be told
        that nothing runs.
        """
        with self.lock:
            return self.state.is_up

    def changed(self, **fields: object) -> State:
        """The state with other values in some fields; nothing is stored by this."""
        return replace(self.state, **fields)
