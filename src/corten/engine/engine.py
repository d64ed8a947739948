"""The engine: its use-cases, put together over the stores below, brought in line with reality when it begins.

`Engine` is what an edge holds. Its attributes are the families of use-cases; every method blocks and may be called
from any thread.
"""

import os
from functools import partial
from pathlib import Path
from typing import Any

from corten.content import Store
from corten.engine import restore
from corten.engine.building import Builder
from corten.engine.catalog import Catalog
from corten.engine.containers import Containers
from corten.engine.ending import Exits
from corten.engine.events import Events
from corten.engine.execs import Execs
from corten.engine.images import Images as ImageUses
from corten.engine.images import users
from corten.engine.networks import Networks as NetworkUses
from corten.engine.registries import RegistryUses
from corten.engine.services import Services, Settings
from corten.engine.system import System
from corten.engine.volumes import Volumes
from corten.images import Images
from corten.metadata import Database
from corten.network import Networks
from corten.remote import Registries
from corten.snapshots import Snapshotter
from corten.spec.resources import HostLimits
from corten.spec.seccomp import kernel_version
from corten.tasks import Tasks

__all__ = ["Engine", "settings_for"]

BOOT_ID = "/proc/sys/kernel/random/boot_id"


class Engine:
    """An engine over given stores. Making one restores: running containers are adopted, the rest is put right."""

    def __init__(
        self,
        settings: Settings,
        *,
        database: Database,
        content: Store,
        images: Images,
        snapshots: Snapshotter,
        networks: Networks,
        tasks: Tasks,
        registries: Registries,
    ) -> None:
        execs = Execs()
        self._services = Services(
            settings=settings,
            database=database,
            content=content,
            images=images,
            snapshots=snapshots,
            networks=networks,
            tasks=tasks,
            volumes=Volumes(database, settings.data / "volumes"),
            catalog=Catalog(),
            exits=Exits(),
            execs=execs,
        )
        execs.bind(self._services)
        images.users = partial(users, self._services)
        self.containers = Containers(self._services)
        self.execs = execs
        self.images = ImageUses(self._services)
        self.registries = RegistryUses(self._services, registries)
        self.networks = NetworkUses(self._services)
        self.volumes = self._services.volumes
        self.system = System(self._services, lambda: self.builder, self.registries.settings())
        self.events = Events(self._services)
        self.settings = settings
        self.builder: Builder | None = None  # beside the engine, not above it: the composer puts it here
        restore.load(self._services)
        restore.restore(self._services, booted=remember_boot(settings.data))

    def running(self) -> int:
        """How many containers are up, or will be, and builds go on: while there is one, the engine has work."""
        building = self.builder.running() if self.builder else 0
        return building + sum(container.state.is_up for container in self._services.catalog)

    def close(self) -> None:
        """Let everything go; containers run on, and the next engine adopts them."""
        self._services.exits.close()
        for container in self._services.catalog:
            with container.lock:
                if container.probe is not None:
                    container.probe.stop()
                if container.retry is not None:
                    container.retry.cancel()
        self._services.networks.close()
        self._services.images.close()
        self._services.database.close()


def settings_for(data: Path, run: Path, identity: str, program: Path, **configured: Any) -> Settings:
    """The settings of an engine on this host, asked of the host once; `configured` are fields that somebody chose."""
    system = os.uname()
    return Settings(
        data=data,
        run=run,
        identity=identity,
        program=program,
        cgroup_v2=os.path.exists("/sys/fs/cgroup/cgroup.controllers"),
        machine=system.machine,
        kernel=kernel_version(system.release),
        bounding=bounding_set(),
        limits=HostLimits(
            cpus=len(os.sched_getaffinity(0)),
            cpuset=first_line("/sys/devices/system/cpu/online"),
            mems=first_line("/sys/devices/system/node/online") or "0",
            swap_limit=has_swap_limit(),
        ),
        **configured,
    )


def bounding_set() -> frozenset[str]:
    """The capabilities that the engine may still hand out."""
    from corten.spec.capabilities import ALL

    with open("/proc/self/status", encoding="ascii") as file:
        words = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
    bits = int(words["CapBnd"], 16)
    return frozenset(name for number, name in enumerate(ALL) if bits >> number & 1)


def has_swap_limit() -> bool:
    unified = os.path.exists("/sys/fs/cgroup/cgroup.controllers")
    return unified or os.path.exists("/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes")


def first_line(path: str) -> str:
    try:
        with open(path, encoding="ascii") as file:
            return file.readline().strip()
    except OSError:
        return ""


def remember_boot(data: Path) -> bool:
    """Whether the machine has booted since an engine was here last; notes this boot."""
    note, boot = data / "boot", first_line(BOOT_ID)
    before = first_line(str(note))
    if before == boot:
        return False
    partial = note.with_suffix(".partial")
    partial.write_text(boot + "\n")
    partial.replace(note)
    return bool(before)
