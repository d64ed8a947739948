"""The image configuration: what a container starts with, and which layers it stands on (image-spec, config.md).

An image's id is the digest of this document's bytes. A *diff ID* is the digest of one uncompressed layer; a
*chain ID* names the filesystem state after a layer, whatever the compression, and so names the snapshot.

>>> chain_ids([Digest("sha256:" + "0" * 64)])
['sha256:0000000000000000000000000000000000000000000000000000000000000000']
"""

import json
from collections.abc import Iterable
from typing import Any

import msgspec

from corten.model import mediatype
from corten.model.digest import Digest
from corten.model.document import Document, decode
from corten.model.platform import Platform

__all__ = ["Healthcheck", "History", "ImageConfig", "RootFS", "RunConfig", "chain_ids", "exec_form", "parse_config"]


class Healthcheck(msgspec.Struct, frozen=True, omit_defaults=True, rename="pascal"):
    """Docker's addition; times are nanoseconds."""

    test: list[str] | None = None
    interval: int = 0
    timeout: int = 0
    retries: int = 0
    start_period: int = 0
    start_interval: int = 0


class RunConfig(msgspec.Struct, frozen=True, omit_defaults=True, rename="pascal"):
    """The defaults of a container made from the image. `None` and empty differ: an empty Entrypoint resets one."""

    user: str = ""
    exposed_ports: dict[str, dict[str, Any]] | None = None
    env: list[str] | None = None
    entrypoint: list[str] | None = None
    cmd: list[str] | None = None
    volumes: dict[str, dict[str, Any]] | None = None
    working_dir: str = ""
    labels: dict[str, str] | None = None
    stop_signal: str = ""
    args_escaped: bool = False
    healthcheck: Healthcheck | None = None
    on_build: list[str] | None = None
    shell: list[str] | None = None


class RootFS(msgspec.Struct, frozen=True):
    """`diff_ids` are the digests of the uncompressed layers, the base first."""

    type: str = "layers"
    diff_ids: list[Digest] | None = None


class History(msgspec.Struct, frozen=True, omit_defaults=True):
    """How one step came to be; an `empty_layer` changed only the configuration."""

    created: str | None = None
    author: str = ""
    created_by: str = ""
    comment: str = ""
    empty_layer: bool = False


class ImageConfig(msgspec.Struct, frozen=True, omit_defaults=True):
    """Unknown fields are no error: they stay in the document's raw bytes."""

    architecture: str = ""
    os: str = ""
    config: RunConfig | None = None
    created: str | None = None
    author: str = ""
    variant: str = ""
    os_version: str | None = msgspec.field(default=None, name="os.version")
    os_features: list[str] | None = msgspec.field(default=None, name="os.features")
    rootfs: RootFS = RootFS()
    history: list[History] | None = None
    comment: str = ""
    container: str = ""
    container_config: dict[str, Any] | None = None

    @property
    def platform(self) -> Platform:
        return Platform(self.architecture, self.os, self.os_version, self.os_features, self.variant)

    @property
    def diff_ids(self) -> list[Digest]:
        return self.rootfs.diff_ids or []

    @property
    def run(self) -> RunConfig:
        """The run defaults; an image without any has the empty ones."""
        return self.config or RunConfig()


def parse_config(raw: bytes, media_type: str = mediatype.OCI_CONFIG) -> Document[ImageConfig]:
    """Read an image configuration, bounded and strict; raises InvalidArgument with the place."""
    return Document(raw, media_type, decode(raw, ImageConfig, "image config"))


def chain_ids(diff_ids: Iterable[Digest]) -> list[Digest]:
    """The chain ID after each layer (config.md, "Layer ChainID"): C(1) = D(1), C(n) = digest of "C(n-1) D(n)"."""
    chain: list[Digest] = []
    for diff_id in diff_ids:
        chain.append(Digest.of(f"{chain[-1]} {diff_id}".encode()) if chain else diff_id)
    return chain


def exec_form(text: str) -> list[str] | None:
    """The words of a command written as a JSON array; None when it is not one (it is shell text then)."""
    if not text.startswith("["):
        return None
    try:
        words = json.loads(text)
    except ValueError:
        return None
    return words if isinstance(words, list) and all(isinstance(word, str) for word in words) else None
