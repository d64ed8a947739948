"""The image use-cases in Docker's shapes; the work is `corten.images`'s.

Which containers were made from an image is known here, not below: so the engine says whether an image is in use.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

import msgspec

from corten.engine.difference import hidden_paths
from corten.engine.logfile import moment
from corten.engine.merging import merge
from corten.engine.moment import SECOND, rfc3339
from corten.engine.record import Container, Record
from corten.engine.services import Services, commit, event, now
from corten.images import Deleted, Image, Loaded, Untagged, User
from corten.images.amend import amend
from corten.images.commit import Authored
from corten.images.listing import Summary
from corten.layers.compression import Readable
from corten.model.cancel import Cancel
from corten.model.container import ContainerConfig, encode
from corten.model.digest import Digest
from corten.model.errors import Conflict, InvalidArgument, NotFound
from corten.model.image import Healthcheck, RunConfig
from corten.model.platform import Platform
from corten.model.reference import Reference
from corten.tasks import Task
from corten.wire.filters import NONE, Filters

__all__ = ["Images", "ShownNames", "descendants", "size_of", "users"]


Listed = list[dict[str, Any]]
Removals = list[dict[str, str]]


class Images:
    """Docker's image endpoints over the engine's images."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._images = services.images

    def require(self, names: Sequence[str], platforms: Sequence[Platform]) -> None:
        """Raise NotFound, in Docker's words, where an image is for none of `platforms`; none means any."""
        for name in names if platforms else ():
            actual = self._images.get(name).config.platform.normal()
            if not any(wanted.normal().runs(actual) for wanted in platforms):
                asked = ", ".join(str(wanted) for wanted in platforms)
                raise NotFound(
                    f"image with reference {name} was found but does not provide the specified platform ({asked})",
                    hint=f"it is for {actual}; an image is kept here for the platform that it was pulled for",
                )

    def load(
        self, stream: Readable, *, quiet: bool = False, platform: Platform | None = None, cancel: Cancel | None = None
    ) -> Iterator[dict[str, Any]]:
        """Load an archive; the messages that `docker load` shows."""
        del quiet  # progress is not told, with or without it
        for loaded in self._images.load(stream, platform):
            if cancel is not None:
                cancel.check()
            if isinstance(loaded, Loaded):
                name = f"Loaded image: {loaded.name.familiar}" if loaded.name else f"Loaded image ID: {loaded.id}"
                yield {"stream": f"{name}\n"}

    def save(self, names: Sequence[str], cancel: Cancel | None = None) -> Iterator[bytes]:
        """The images as an archive, in pieces; NotFound before the first of them."""
        pieces = self._images.save(names)
        return until_cancelled(pieces, cancel or Cancel())

    def tag(self, name: str, repo: str, tag: str = "") -> None:
        target = Reference.parse_name(repo)
        self._images.tag(name, target.with_tag(tag) if tag else target)

    def remove(self, name: str, *, force: bool = False, prune: bool = True) -> Removals:
        return [as_json(one) for one in self._images.remove(name, force=force, prune=prune)]

    def list(
        self, *, all: bool = False, filters: Filters = NONE, shared_size: bool = False, digests: bool = False
    ) -> Listed:
        """The images that filters let through, the newest first, as `docker images` shows them."""
        del digests  # they are always shown
        wanted = {key: filters.values(key) for key in filters.keys}
        found = self._images.summaries(wanted, everything=all, shared_size=shared_size)
        return [summary(self._services, one) for one in found]

    def history(self, name: str) -> Listed:
        """How an image came to be, the newest step first."""
        return [
            {
                "Id": str(step.id or "<missing>"),
                "Created": moment(step.created or "") // SECOND,
                "CreatedBy": step.created_by,
                "Tags": step.tags or None,
                "Size": step.size,
                "Comment": step.comment,
            }
            for step in self._images.history(name)
        ]

    def prune(self, filters: Filters = NONE) -> dict[str, Any]:
        """Remove images without a name, or with `dangling=false` all that no container uses."""
        removed, freed = self._images.prune({key: filters.values(key) for key in filters.keys})
        return {"ImagesDeleted": [as_json(one) for one in removed] or None, "SpaceReclaimed": freed}

    def commit(
        self,
        ref: str,
        *,
        repo: str = "",
        tag: str = "",
        comment: str = "",
        author: str = "",
        pause: bool = True,
        changes: Sequence[str] = (),
        config: ContainerConfig | None = None,
    ) -> str:
        """An image of a container as it is now; a running one is held meanwhile, unless `pause` is off."""
        services = self._services
        container = services.catalog.find(ref)
        with container.lock:
            if container.state.status in ("removing", "dead"):
                raise Conflict(f"You cannot commit container {container.id} which is being removed")
            task = held(container) if pause else None
            try:
                made = self._commit(container, run_defaults(container, config, changes), repo, tag, comment, author)
            finally:
                if task is not None:
                    with suppress(Conflict):  # it may have been ending when it was held
                        task.resume()
            commit(services, container, events=[event(container, "commit", comment=comment, imageID=made)])
        return made

    def _commit(self, container: Container, run: RunConfig, repo: str, tag: str, comment: str, author: str) -> str:
        about = Authored(
            now(),
            author=author,
            comment=comment,
            created_by=" ".join(container.record.command),
            container=container.id,
            container_config=encode(container.record.config),
        )
        base = find(self._services, container.record.image_id)
        target = Reference.parse_name(repo).with_tag(tag or "latest") if repo else None
        hidden = hidden_paths(container)
        return str(self._images.commit(base, container.id, run, about, name=target, hidden=hidden))

    def import_(
        self,
        stream: Readable,
        *,
        repo: str = "",
        tag: str = "",
        message: str = "",
        changes: Sequence[str] = (),
        platform: str = "",
    ) -> str:
        """An image of one layer from a tar of a root filesystem; returns its id."""
        target = Reference.parse_name(repo) if repo else None  # a tag may stand in `repo`, as `docker import` sends it
        target = target and (target.with_tag(tag) if tag else target.with_default_tag())
        about = Authored(now(), comment=message or "Imported from -")
        wanted = Platform.parse(platform).normal() if platform else None
        return str(self._images.import_(stream, amend(RunConfig(), changes), about, name=target, platform=wanted))

    def inspect(self, name: str) -> dict[str, Any]:
        """An image as `docker image inspect` shows it."""
        image = self._images.get(name)
        config = image.config
        return {
            "Id": str(image.id),
            "RepoTags": image.tags,
            "RepoDigests": image.digests,
            "Parent": str(image.parent or ""),
            "Comment": config.comment,
            "Created": config.created or "",
            "DockerVersion": "",
            **({"Container": config.container, "ContainerConfig": config.container_config} if config.container else {}),
            "Author": config.author,
            "Architecture": config.architecture,
            **({"Variant": config.variant} if config.variant else {}),
            "Os": config.os,
            "Size": image.size,
            "VirtualSize": image.size,
            "GraphDriver": {"Name": self._services.snapshots.name, "Data": None},
            "RootFS": {"Type": "layers", "Layers": [str(diff_id) for diff_id in config.diff_ids]},
            "Metadata": {"LastTagTime": rfc3339(image.tagged_ns)},
            "Config": run_config(image),
        }


def held(container: Container) -> Task | None:
    """Its task, paused; None where there is nothing to hold, also when it ends at this very moment."""
    if container.task is None or container.state.status != "running":
        return None
    try:
        container.task.pause()
    except Conflict:
        return None
    return container.task


def until_cancelled(pieces: Iterator[bytes], cancel: Cancel) -> Iterator[bytes]:
    for piece in pieces:
        cancel.check()
        yield piece


def run_config(image: Image) -> dict[str, Any]:
    """The run defaults with the fields that Docker always shows, set or not."""
    shown: dict[str, Any] = {
        "Hostname": "",
        "Domainname": "",
        "User": "",
        "AttachStdin": False,
        "AttachStdout": False,
        "AttachStderr": False,
        "Tty": False,
        "OpenStdin": False,
        "StdinOnce": False,
        "Env": None,
        "Cmd": None,
        "Image": "",
        "Volumes": None,
        "WorkingDir": "",
        "Entrypoint": None,
        "OnBuild": None,
        "Labels": None,
    }
    own: dict[str, Any] = msgspec.to_builtins(image.config.run)
    return shown | own


def users(services: Services, image: Digest) -> list[User]:
    """The containers that were made from an image."""
    return [
        User(container.id, container.state.is_up)
        for container in services.catalog
        if container.record.image_id == str(image)
    ]


def as_json(removed: Untagged | Deleted) -> dict[str, str]:
    return {"Untagged": removed.name} if isinstance(removed, Untagged) else {"Deleted": str(removed.id)}


def summary(services: Services, found: Summary) -> dict[str, Any]:
    """An image as `docker images` and `docker system df` show it."""
    image = found.image
    return {
        "Id": str(image.id),
        "ParentId": str(image.parent or ""),
        "RepoTags": found.tags or ["<none>:<none>"],
        "RepoDigests": found.digests or ["<none>@<none>"],
        "Created": int(image.created_unix),
        "Size": image.size,
        "VirtualSize": image.size,
        "SharedSize": found.shared_size,
        "Labels": image.config.run.labels,
        "Containers": len(users(services, image.id)),
    }


def run_defaults(container: Container, asked: ContainerConfig | None, changes: Sequence[str]) -> RunConfig:
    """What an image made of a container starts with: what is asked for, then the container's own, then `--change`."""
    own = from_container(container.record.config)
    merged = from_container(merge(asked, own)) if asked is not None else own
    return amend(merged, changes)


def from_container(config: ContainerConfig) -> RunConfig:
    health = config.healthcheck
    return RunConfig(
        user=config.user,
        exposed_ports=config.exposed_ports,
        env=as_list(config.env),
        entrypoint=as_list(config.entrypoint),
        cmd=as_list(config.cmd),
        volumes=config.volumes,
        working_dir=config.working_dir,
        labels=config.labels,
        stop_signal=config.stop_signal,
        healthcheck=msgspec.convert(msgspec.to_builtins(health), Healthcheck) if health else None,
        on_build=as_list(config.on_build),
        shell=as_list(config.shell),
    )


def as_list(values: tuple[str, ...] | None) -> list[str] | None:
    return None if values is None else list(values)


def find(services: Services, image_id: str) -> Image | None:
    """An image that may have been removed since."""
    try:
        return services.images.get(image_id) if image_id else None
    except NotFound:
        return None


class ShownNames:
    """The names that a list shows for images: each is looked up once, however many containers have it."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._meant: dict[str, str] = {}

    def of(self, record: Record) -> str:
        """The name a container was made from, while it still means that image; else the image's id."""
        meant = self._meant.get(record.image)
        if meant is None:
            meant = self._meant[record.image] = self._look_up(record.image)
        return record.image if meant == record.image_id else record.image_id

    def _look_up(self, name: str) -> str:
        try:
            return str(self._services.images.get(name).id)
        except (NotFound, InvalidArgument):
            return "none"


def size_of(services: Services, image_id: str) -> int:
    """The bytes of an image's unpacked files; 0 when it is gone."""
    image = find(services, image_id)
    return image.size if image else 0


def descendants(services: Services, text: str) -> set[str]:
    """The ids of the images that stand on this one, itself included."""
    base = services.images.get(text)
    chain = base.chain
    images = [one.image for one in services.images.summaries({}, everything=True)]
    standing = {str(image.id) for image in images if chain and image.chain[: len(chain)] == chain}
    return {str(base.id)} | standing
