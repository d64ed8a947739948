"""Volumes of Docker's `local` driver: directories below the engine's data, or what `--opt type=… device=…` names.

A named volume is made when first used. An anonymous one has 64 hex digits as its name and goes with `rm -v` or
`--rm`. While any container, running or not, keeps a volume it cannot be removed. A new volume mounted over a
directory of the image is filled with that directory's content first, once.
"""

import os
import re
import secrets
import shutil
import stat
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from corten.engine import ledger
from corten.engine.moment import rfc3339
from corten.engine.requests import VolumeCreate
from corten.engine.volume import Volume
from corten.metadata import Database
from corten.model.errors import Conflict, InvalidArgument, NotFound, Unimplemented
from corten.model.event import Event
from corten.wire.filters import NONE, Filters

__all__ = ["MountSource", "Volumes"]

VALID_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")
FILTERS = ("dangling", "driver", "label", "label!", "name")
OPTIONS = frozenset(("type", "device", "o", "size"))


class MountSource(NamedTuple):
    """How the launcher mounts a volume: type, source and options of one mount."""

    type: str
    source: str
    options: tuple[str, ...]


class Volumes:
    """All volumes of an engine. Thread-safe; what it answers are Docker's JSON values."""

    def __init__(self, database: Database, root: Path) -> None:
        self._database = database
        self._root = root
        self._lock = threading.RLock()
        # Files of containers, set-user-id ones too: no other user of the machine may pass (CVE-2021-41091).
        root.mkdir(parents=True, exist_ok=True)
        root.chmod(0o700)
        with database.read() as rows:
            self._by_name = {volume.name: volume for volume in ledger.volumes(rows)}

    def create(self, asked: VolumeCreate) -> dict[str, Any]:
        """Make a volume; one that is there already with the same options is simply answered."""
        if asked.driver not in ("", "local"):
            raise NotFound(
                f'error looking up volume plugin {asked.driver}: plugin "{asked.driver}" not found',
                hint="the local driver is built in",
            )
        if asked.cluster_volume_spec:
            raise Unimplemented("cluster volumes need a swarm, which this engine is not part of")
        options = dict(asked.driver_opts or {})
        with self._lock:
            existing = self._by_name.get(asked.name)
            if existing is not None:
                if options and options != existing.options:
                    raise Conflict(
                        f"conflict: volume name {asked.name} is already in use with other options",
                        hint="remove the volume or take another name",
                    )
                return self.described(existing)
            return self.described(self._make(asked.name, options, asked.labels or {}, anonymous=not asked.name))

    def ensure(self, name: str, options: dict[str, str], labels: dict[str, str]) -> Volume:
        """The volume of a name, made with these options when it is not there; "" makes an anonymous one."""
        with self._lock:
            return self._by_name.get(name) or self._make(name, options, labels, anonymous=not name)

    def _make(self, name: str, options: dict[str, str], labels: dict[str, str], *, anonymous: bool = False) -> Volume:
        name = name or secrets.token_hex(32)
        if not VALID_NAME.fullmatch(name):
            raise InvalidArgument(
                f'create {name}: "{name}" includes invalid characters for a local volume name, only '
                '"[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path'
            )
        check_options(options)
        if anonymous:
            labels = {**labels, "com.docker.volume.anonymous": ""}
        volume = Volume(name, time.time_ns(), anonymous, labels, options)
        with self._database.write(durable=False) as tx:
            ledger.add_volume(tx, volume)
            tx.emit(Event("volume", "create", name, {"driver": "local"}))
        # The record comes first: a directory without one would be nobody's.
        self.directory(name).mkdir(parents=True, exist_ok=True)
        self._by_name[name] = volume
        return volume

    def directory(self, name: str) -> Path:
        """Where a volume's data is; the place has Docker's layout below the engine's own root."""
        return self._root / name / "_data"

    def mount_source(self, name: str) -> MountSource:
        """What to mount for a volume; one with `type`/`device` options is mounted anew for each container."""
        volume = self.get(name)
        kind, device = volume.options.get("type", ""), volume.options.get("device", "")
        options = tuple(filter(None, volume.options.get("o", "").split(",")))
        if "bind" in options or "rbind" in options:
            return MountSource("bind", device, ("rbind", *(o for o in options if o not in ("bind", "rbind"))))
        if kind:
            return MountSource(kind, device or kind, options)
        self.directory(name).mkdir(parents=True, exist_ok=True)
        return MountSource("bind", str(self.directory(name)), ("rbind",))

    def takes_content(self, name: str) -> bool:
        """Whether a volume is a directory of ours that is still empty, and so takes over the image's content."""
        return not self.get(name).options and not any(self.directory(name).iterdir())

    def get(self, name: str) -> Volume:
        volume = self._by_name.get(name)
        if volume is None:
            raise NotFound(f"get {name}: no such volume", hint="list them with: corten volume ls")
        return volume

    def inspect(self, name: str) -> dict[str, Any]:
        return self.described(self.get(name))

    def described(self, volume: Volume) -> dict[str, Any]:
        """A volume as Docker's API shows it."""
        return {
            "CreatedAt": rfc3339(volume.created // 1_000_000_000 * 1_000_000_000),
            "Driver": "local",
            "Labels": volume.labels or None,
            "Mountpoint": str(self.directory(volume.name)),
            "Name": volume.name,
            "Options": volume.options or None,
            "Scope": "local",
        }

    def users(self, name: str) -> tuple[str, ...]:
        """The ids of the containers that keep a volume."""
        with self._database.read() as rows:
            return tuple(ledger.users_of_volume(rows, name))

    def list(self, filters: Filters = NONE) -> dict[str, Any]:
        filters.only(FILTERS)
        chosen = [self.described(volume) for volume in self.chosen(filters)]
        return {"Volumes": chosen, "Warnings": []}

    def chosen(self, filters: Filters) -> tuple[Volume, ...]:
        volumes = sorted(self._by_name.values(), key=lambda volume: volume.name)
        names = filters.values("name")
        if "dangling" in filters:
            wanted = filters.flag("dangling", default=False)
            volumes = [volume for volume in volumes if (not self.users(volume.name)) == wanted]
        return tuple(
            volume
            for volume in volumes
            if filters.accepts("driver", "local")
            and filters.labels(volume.labels)
            and (not names or any(name in volume.name for name in names))
        )

    def remove(self, name: str, *, force: bool = False) -> None:
        """Remove a volume nobody keeps. `force` makes a missing one no error, as Docker's does."""
        with self._lock:
            if name not in self._by_name and force:
                return
            volume = self.get(name)
            with self._database.write(durable=False) as tx:
                if users := ledger.users_of_volume(tx, name):
                    raise Conflict(f"remove {name}: volume is in use - [{', '.join(users)}]")
                ledger.drop_volume(tx, name)
                tx.emit(Event("volume", "destroy", name, {"driver": "local"}))
            del self._by_name[volume.name]
        shutil.rmtree(self._root / name, ignore_errors=True)

    def remove_if_unused(self, names: Iterable[str]) -> None:
        """Remove the anonymous volumes of a removed container that no other container took over."""
        for name in names:
            try:
                self.remove(name)
            except (Conflict, NotFound):
                continue

    def prune(self, filters: Filters = NONE) -> dict[str, Any]:
        """Remove the unused volumes: the anonymous ones, with `all=true` the named ones too (API 1.42)."""
        filters.only(("label", "label!", "all"))
        everything = filters.flag("all", default=False)
        removed, size = [], 0
        for volume in self.all():
            if (everything or volume.anonymous) and filters.labels(volume.labels) and not self.users(volume.name):
                used = self.size(volume.name)
                self.remove(volume.name)
                removed.append(volume.name)
                size += used
        with self._database.write(durable=False) as tx:
            tx.emit(Event("volume", "prune", "", {"reclaimed": str(size)}))
        return {"VolumesDeleted": removed, "SpaceReclaimed": size}

    def size(self, name: str) -> int:
        """The bytes that a volume's files take; files linked twice count once."""
        return tree_size(self.directory(name))

    def all(self) -> tuple[Volume, ...]:
        return tuple(self._by_name.values())


def check_options(options: dict[str, str]) -> None:
    """Docker's rules for the local driver, and what we do not mount."""
    for name in options:
        if name not in OPTIONS:
            raise InvalidArgument(f"invalid option: {name!r}".replace("'", '"'))
    kind = options.get("type", "")
    if "size" in options:
        raise Unimplemented("quota size requested but no quota support: the volume's file system has no project quotas")
    if kind in ("nfs", "nfs4", "cifs", "smb3"):
        raise Unimplemented(f"volumes of type {kind} are not mounted by this engine: mount it on the host and bind it")
    words = options.get("o", "").split(",")
    if ("bind" in words or "rbind" in words) and not options.get("device", "").startswith("/"):
        raise InvalidArgument('missing required option: "device"')
    if kind and kind not in ("none", "bind", "tmpfs") and not options.get("device"):
        raise InvalidArgument('missing required option: "device"')
    if options and not kind and "device" in options and not ("bind" in words or "rbind" in words):
        raise InvalidArgument('missing required option: "type"')


def tree_size(root: Path) -> int:
    seen: set[tuple[int, int]] = set()
    total = 0
    for directory, directories, files in os.walk(root):
        for name in (*directories, *files):
            try:
                found = os.lstat(os.path.join(directory, name))
            except FileNotFoundError:
                continue
            if stat.S_ISREG(found.st_mode) and (found.st_dev, found.st_ino) not in seen:
                seen.add((found.st_dev, found.st_ino))
                total += found.st_size
    return total
