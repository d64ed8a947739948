"""The container use-cases under one name, as edges call them: each is one line that leads to its module."""

from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

from corten.engine import (
    archive,
    attach,
    change,
    create,
    difference,
    inspection,
    listing,
    logs,
    remove,
    start,
    stats,
    stop,
    story,
    top,
    waiting,
)
from corten.engine.record import WaitResult
from corten.engine.requests import AttachOptions, LogQuery
from corten.engine.services import Services
from corten.layers.compression import Readable
from corten.model.cancel import Cancel
from corten.model.container import ContainerConfig, HostConfig, NetworkingConfig, UpdateConfig
from corten.wire.filters import NONE, Filters

__all__ = ["Containers"]


class Containers:
    """Every method takes a container by id, name or the start of an id, blocks until done, and may be called from any
    thread.
    """

    def __init__(self, services: Services) -> None:
        self._services = services

    @property
    def generation(self) -> int:
        """Grows with every change that `list` could show; read without a lock."""
        return self._services.catalog.generation

    def create(
        self,
        config: ContainerConfig,
        host: HostConfig,
        networking: NetworkingConfig,
        *,
        name: str = "",
        platform: str = "",
    ) -> create.Created:
        return create.create(self._services, config, host, networking, name=name, platform=platform)

    def start(self, ref: str, *, detach_keys: str = "") -> None:
        attach.detach_sequence(detach_keys)
        start.start(self._services, ref)

    def stop(
        self, ref: str, *, signal: str | None = None, timeout: int | None = None, cancel: Cancel | None = None
    ) -> None:
        stop.stop(self._services, ref, signal=signal, timeout=timeout, cancel=cancel)

    def restart(
        self, ref: str, *, signal: str | None = None, timeout: int | None = None, cancel: Cancel | None = None
    ) -> None:
        stop.restart(self._services, ref, signal=signal, timeout=timeout, cancel=cancel)

    def kill(self, ref: str, signal: str = "") -> None:
        stop.kill(self._services, ref, signal)

    def pause(self, ref: str) -> None:
        stop.pause(self._services, ref)

    def unpause(self, ref: str) -> None:
        stop.unpause(self._services, ref)

    def remove(self, ref: str, *, force: bool = False, volumes: bool = False, link: bool = False) -> None:
        remove.remove(self._services, ref, force=force, volumes=volumes, link=link)

    def prune(self, filters: Filters = NONE) -> dict[str, Any]:
        return remove.prune(self._services, filters)

    def rename(self, ref: str, name: str) -> None:
        change.rename(self._services, ref, name)

    def update(self, ref: str, wanted: UpdateConfig) -> "list[str]":
        return change.update(self._services, ref, wanted)

    def resize(self, ref: str, height: int, width: int) -> None:
        change.resize(self._services, ref, height, width)

    def wait(self, ref: str, condition: str = "not-running") -> "Future[WaitResult]":
        return waiting.wait(self._services, ref, condition)

    def attach(self, ref: str, options: AttachOptions, take: attach.Take) -> None:
        attach.attach(self._services, ref, options, take)

    def logs(self, ref: str, query: LogQuery, cancel: Cancel | None = None) -> logs.Logs:
        return logs.read(self._services, ref, query, cancel)

    def inspect(self, ref: str, *, size: bool = False) -> dict[str, Any]:
        return inspection.inspect(self._services, ref, size=size)

    def stats(self, ref: str) -> dict[str, Any]:
        return stats.sample(self._services, ref)

    def top(self, ref: str, ps_args: str = "") -> dict[str, Any]:
        return top.top(self._services, ref, ps_args)

    def changes(self, ref: str) -> "list[dict[str, Any]] | None":
        return difference.changes(self._services, ref)

    def export(self, ref: str, cancel: Cancel | None = None) -> Iterator[bytes]:
        return archive.export(self._services, ref, cancel)

    def archive_stat(self, ref: str, path: str) -> dict[str, Any]:
        return archive.status(self._services, ref, path)

    def archive_get(self, ref: str, path: str, cancel: Cancel | None = None) -> tuple[dict[str, Any], Iterator[bytes]]:
        return archive.get(self._services, ref, path, cancel)

    def archive_put(
        self,
        ref: str,
        path: str,
        stream: Readable,
        *,
        no_overwrite_dir_non_dir: bool = False,
        copy_uid_gid: bool = False,
        cancel: Cancel | None = None,
    ) -> None:
        archive.put(
            self._services,
            ref,
            path,
            stream,
            no_overwrite_dir_non_dir=no_overwrite_dir_non_dir,
            copy_uid_gid=copy_uid_gid,
            cancel=cancel,
        )

    def explain(self, ref: str) -> dict[str, Any]:
        """The story of the container's last start: what was done, how long each part took, the plan row by row."""
        container = self._services.catalog.find(ref)
        return {"steps": story.with_rows(container.story, self._services.tasks.plan(container.id))}

    def list(
        self, *, all: bool = False, limit: int = 0, size: bool = False, filters: Filters = NONE
    ) -> "list[dict[str, Any]]":
        return listing.containers(self._services, all=all, limit=limit, size=size, filters=filters)
