"""From a solved build to an image: its configuration with the history, its manifest, its names."""

import time
from datetime import UTC, datetime
from typing import Any

import msgspec

from corten.build.cache import Result
from corten.build.lower import Lowered, Step
from corten.build.solve import Solved
from corten.build.tools import Tools
from corten.images import Image
from corten.metadata import Node
from corten.metadata.leases import Lease
from corten.model import manifest as documents
from corten.model.digest import Digest
from corten.model.document import Document, encode
from corten.model.image import History, ImageConfig, RootFS, RunConfig, chain_ids, parse_config
from corten.model.manifest import Manifest
from corten.model.platform import Platform
from corten.model.reference import Reference

__all__ = ["export"]

COMMENT = "buildkit.dockerfile.v0"


def export(
    tools: Tools,
    lowered: Lowered,
    solved: dict[str, Solved],
    base: Image | None,
    *,
    platform: Platform,
    names: list[Reference],
    epoch: int | None,
    lease: Lease,
) -> Image:
    """Make the image; with `epoch` the same build gives the same bytes. What it needs is kept by `lease` until then."""
    result = solved[lowered.vertex.digest].result
    created = moment(epoch if epoch is not None else time.time())
    config = configuration(lowered, solved, base, platform, created, result)
    below = list(base.manifest.value.layers) if base else []
    made = documents.document_of(Manifest(config.descriptor(), [*below, *result.layers]))
    manifest = documents.parse_manifest(made.raw)
    snapshots = [Node("snapshot", tools.snapshots.node(chain)) for chain in chain_ids(config.value.diff_ids)]
    lease.keep(Node("blob", manifest.digest), Node("blob", config.digest), *snapshots)
    tools.content.put(manifest.raw)
    tools.content.put(config.raw)
    return tools.images.put(manifest, config, names=names)


def configuration(
    lowered: Lowered,
    solved: dict[str, Solved],
    base: Image | None,
    platform: Platform,
    created: str,
    result: Result,
) -> Document[ImageConfig]:
    old = base.config if base else ImageConfig(platform.architecture, platform.os, variant=platform.variant)
    diff_ids: list[Digest] = [*old.diff_ids, *(layer.digest for layer in result.layers)]
    new = msgspec.structs.replace(
        old,
        config=run_config(lowered.config),
        created=created,
        author=lowered.author or old.author,
        comment="",
        rootfs=RootFS(diff_ids=diff_ids),
        history=[*(old.history or []), *history(lowered.steps, solved, created)],
    )
    return parse_config(encode(new))


def run_config(config: dict[str, Any]) -> RunConfig:
    """The `config` object; what this model does not know (an image's own extensions) is not carried over."""
    return msgspec.convert(config, RunConfig)


def history(steps: tuple[Step, ...], solved: dict[str, Solved], created: str) -> list[History]:
    """A line for each step, and one for each layer: a step that made two (a here-document and a file) has two."""
    found: list[History] = []
    before = 0
    for step in steps:
        after = len(solved[step.vertex.digest].result.layers) if step.vertex else before
        lines = max(1, after - before)
        empty = after == before
        line = History(created=created, created_by=step.created_by, comment=COMMENT, empty_layer=empty)
        found += [line] * lines
        before = after
    return found


def moment(seconds: float) -> str:
    """RFC 3339 in UTC, whole seconds."""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
