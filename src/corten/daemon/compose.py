"""Which parts make up an engine, put together in one place.

    database ─┬─ content ─┬─ images ─┐
              │  snapshots┘          ├─ Engine
              ├─ networks ───────────┤
              └─ tasks ──────────────┘

This module is imported once the lock is held: it loads everything an engine is made of.
"""

import os
from pathlib import Path
from typing import NamedTuple

from corten.content import Store
from corten.daemon import builder
from corten.daemon.builder import BuilderOnDemand
from corten.daemon.config import Config, ProxySettings
from corten.engine import Engine, settings_for
from corten.images import Images
from corten.kernel import program
from corten.metadata import Database
from corten.model.roots import Roots
from corten.network import Identity, Networks
from corten.remote import HostRules, Proxies, Registries
from corten.snapshots import Native, Overlay, Snapshotter
from corten.tasks import Tasks

__all__ = ["Parts", "compose", "parts"]

# What cannot hold overlay's upper directory: no whiteouts or no trusted attributes there.
NO_UPPER = frozenset(("overlay", "nfs", "nfs4", "cifs", "vfat", "fuse", "9p"))


class Parts(NamedTuple):
    """The stores and the hands of an engine."""

    database: Database
    content: Store
    images: Images
    snapshots: Snapshotter
    networks: Networks
    tasks: Tasks
    registries: Registries


def parts(roots: Roots, config: Config | None = None) -> Parts:
    """Open what `roots` hold. The caller has the lock: each of these has one process as its owner."""
    data, run = Path(roots.data), Path(roots.run)
    database = Database(data / "engine.db")
    content = Store(data / "content")
    snapshots = snapshotter(data / "snapshots")
    binary = program.path()
    return Parts(
        database=database,
        content=content,
        images=Images(database, content, snapshots),
        snapshots=snapshots,
        networks=Networks(database, Identity.of(roots.data), data / "network", program=binary),
        tasks=Tasks(str(run / "tasks"), binary),
        registries=Registries(host_rules(config), proxies=proxies(config)),
    )


def compose(roots: Roots, made_of: Parts, config: Config | None = None) -> Engine:
    """The engine of `roots`, restored: containers that outlived the last engine are adopted."""
    made_of.images.restore()
    config = config or Config()
    settings = settings_for(
        *(Path(roots.data), Path(roots.run), roots.identity, Path(program.path())),
        runtimes=config.runtime_commands,
        default_runtime=config.default_runtime,
    )
    engine = Engine(settings, **made_of._asdict())
    # It comes after the engine, which has found the processes of the last one.
    engine.builder = on_demand = BuilderOnDemand(lambda: builder.make(made_of, engine.settings))
    if builder.has_leftovers(made_of, engine.settings):
        on_demand.get()
    return engine


def host_rules(config: Config | None) -> HostRules:
    """How registries are reached: loopback may speak plain HTTP, others only when the configuration names them."""
    if config is None:
        return HostRules()
    return HostRules(HostRules().insecure + config.insecure_registries, config.registry_mirrors)


def proxies(config: Config | None) -> Proxies:
    """The proxies to registries: the configuration's before those of the engine's environment."""
    set_here = config.proxies if config else ProxySettings()
    return Proxies.of(os.environ, set_here.http_proxy, set_here.https_proxy, set_here.no_proxy)


def snapshotter(root: Path) -> Snapshotter:
    """Overlay where the kernel has it and `root` can be its upper side; copies where not."""
    root.mkdir(mode=0o700, exist_ok=True)
    filesystems = Path("/proc/filesystems").read_text().split()
    return Overlay(root) if "overlay" in filesystems and filesystem_of(root) not in NO_UPPER else Native(root)


def filesystem_of(path: Path) -> str:
    """The type of the file system that holds `path`."""
    device = path.stat().st_dev
    numbers = f"{os.major(device)}:{os.minor(device)}"
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        mounted, _, source = line.partition(" - ")
        if mounted.split()[2] == numbers:
            return source.split()[0]
    return ""
