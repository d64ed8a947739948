"""The image use-cases in Docker's shapes; the work is `corten.images`'s.

Which containers were made from an image is known here, not below: so the engine says whether an image is in use.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from corten.engine.logfile import moment
from corten.engine.moment import SECOND, rfc3339
from corten.engine.record import Record
from corten.engine.services import Services
from corten.images import Image, Loaded, Untagged, User
from corten.layers.compression import Readable
from corten.model.cancel import Cancel
from corten.model.digest import Digest
from corten.model.errors import InvalidArgument, NotFound
from corten.model.reference import Reference

__all__ = ["Images", "descendants", "every", "shown_name", "size_of", "usage", "users"]


class Images:
    """Docker's image endpoints over the engine's images."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._images = services.images

    def load(self, stream: Readable, *, quiet: bool = False, cancel: Cancel | None = None) -> Iterator[dict[str, Any]]:
        """Load an archive; the messages that `docker load` shows."""
        del quiet  # progress is not told, with or without it
        for loaded in self._images.load(stream):
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

    def remove(self, name: str, *, force: bool = False, prune: bool = True) -> list[dict[str, str]]:
        removed = self._images.remove(name, force=force, prune=prune)
        return [{"Untagged": r.name} if isinstance(r, Untagged) else {"Deleted": str(r.id)} for r in removed]

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


def every(services: Services) -> list[Image]:
    """All images of the store."""
    with services.database.read() as rows:
        ids = [id for (id,) in rows.execute("SELECT id FROM images")]
    found = []
    for id in ids:
        try:
            found.append(services.images.get(id))
        except NotFound:
            continue  # removed meanwhile
    return found


def usage(services: Services, image: Image) -> dict[str, Any]:
    """An image as `docker images` and `docker system df` show it. Sizes that are shared with others are not counted."""
    created = image.config.created or ""
    return {
        "Id": str(image.id),
        "ParentId": str(image.parent or ""),
        "RepoTags": image.tags or ["<none>:<none>"],
        "RepoDigests": image.digests or ["<none>@<none>"],
        "Created": moment(created) // SECOND if created else 0,
        "Size": image.size,
        "VirtualSize": image.size,
        "SharedSize": -1,
        "Labels": image.config.run.labels,
        "Containers": len(users(services, image.id)),
    }


def shown_name(services: Services, record: Record) -> str:
    """The name a container was made from, while it still means that image; else the image's id."""
    try:
        found = services.images.get(record.image)
    except (NotFound, InvalidArgument):
        return record.image_id
    return record.image if str(found.id) == record.image_id else record.image_id


def size_of(services: Services, image_id: str) -> int:
    """The bytes of an image's unpacked files; 0 when it is gone."""
    try:
        return services.images.get(image_id).size
    except NotFound:
        return 0


def descendants(services: Services, text: str) -> set[str]:
    """The ids of the images that stand on this one, itself included."""
    base = services.images.get(text)
    chain = base.chain
    standing = {str(image.id) for image in every(services) if chain and image.chain[: len(chain)] == chain}
    return {str(base.id)} | standing
