"""The finished tree as a loadable image: one layer, its config, and `manifest.json` (docker-archive).

`corten load`, `docker load`, `podman load` and skopeo's `docker-archive:` read it.
"""

import hashlib
import io
import json
import tarfile
from datetime import UTC, datetime
from typing import Any, NamedTuple

__all__ = ["Image", "image", "write"]


class Image(NamedTuple):
    """An image of one layer; `config` is exact, since its SHA-256 is the image's id."""

    config: bytes
    layer: bytes
    tag: str

    @property
    def id(self) -> str:
        return "sha256:" + hashlib.sha256(self.config).hexdigest()


def image(layer: bytes, tag: str, *, architecture: str, date: int, created_by: str, settings: dict[str, Any]) -> Image:
    """An image of `layer`, created at the Unix time `date`; `settings` is the `config` object of the image-spec."""
    created = datetime.fromtimestamp(date, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    config = {
        "architecture": architecture,
        "os": "linux",
        "created": created,
        "config": settings,
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest()]},
        "history": [{"created": created, "created_by": created_by}],
    }
    return Image(json.dumps(config, sort_keys=True, separators=(",", ":")).encode(), layer, tag)


def write(one: Image, out: io.BufferedIOBase) -> None:
    """Write the image as a docker-archive, deterministically."""
    config_name = one.id.removeprefix("sha256:") + ".json"
    layer_name = hashlib.sha256(one.layer).hexdigest() + "/layer.tar"
    manifest = [{"Config": config_name, "RepoTags": [one.tag], "Layers": [layer_name]}]
    with tarfile.open(fileobj=out, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        members = {"manifest.json": json.dumps(manifest).encode(), config_name: one.config, layer_name: one.layer}
        for name, body in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(body)
            archive.addfile(entry, io.BytesIO(body))
