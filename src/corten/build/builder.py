"""The builder: `build`, and what is to be said and done about its cache.

receive the context → parse → lower (bases are resolved here) → solve → export → name
"""

import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from corten.build import context as contexts
from corten.build import graph
from corten.build.cache import Cache, Entry
from corten.build.dockerfile import DockerfileError, parse
from corten.build.dockerfile.error import excerpt
from corten.build.execute import PREFIX
from corten.build.export import export
from corten.build.lower import Base, Lowered, Options, lower
from corten.build.mounts import CacheMounts
from corten.build.progress import Classic, Told
from corten.build.shelf import Shelf
from corten.build.solve import Given, Solved, Solver
from corten.build.status import Status
from corten.build.tools import Tools
from corten.images import Image
from corten.images.stores import KeyedLock
from corten.kernel import detached, tree
from corten.layers.compression import Readable
from corten.metadata import Node, leases
from corten.model.cancel import Cancel
from corten.model.container import HostConfig
from corten.model.errors import Cancelled, CortenError, InvalidArgument, NotFound
from corten.model.platform import Platform
from corten.model.reference import Reference

__all__ = ["Builder", "Pruned", "Request"]

Send = Callable[[dict[str, Any]], None]
# Brings an image here from its registry, (reference, platform); yields the progress, raises when it cannot be had.
Pull = Callable[[str, Platform], Iterable[dict[str, Any]]]
EPOCH = "SOURCE_DATE_EPOCH"


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be built, and how.

    `limits` holds what RUN's processes get of Docker's HostConfig; `cache_dir` is a directory where the engine runs.
    With `status` the build is told vertex by vertex (`build.status`), not in the classic stream's lines.
    """

    names: tuple[str, ...] = ()
    dockerfile: str = "Dockerfile"
    remote: str = ""
    target: str = ""
    platform: str = ""
    network: str = "default"
    build_args: Mapping[str, str] = msgspec.field(default_factory=dict)
    labels: Mapping[str, str] = msgspec.field(default_factory=dict)
    secrets: Mapping[str, bytes] = msgspec.field(default_factory=dict)
    limits: HostConfig = HostConfig()
    no_cache: bool = False
    cache_from: tuple[str, ...] = ()
    pull: bool = False
    cache_dir: str = ""
    status: bool = False


class Pruned(NamedTuple):
    """Which records went, and the bytes that this freed."""

    keys: list[str]
    size: int


def no_registry(name: str, _: Platform) -> Iterable[dict[str, Any]]:
    """What `pull` is without registries."""
    raise NotFound(f"No such image: {name}")


class Builder:
    """Builds, any number at a time. Making one clears what a crash left behind."""

    def __init__(self, tools: Tools) -> None:
        self.tools = tools
        self.cache = Cache(tools.database, tools.snapshots.node)
        self.mounts = CacheMounts(tools.scratch.parent / "mounts")
        self.locks = KeyedLock()
        self._running = 0
        self._lock = threading.Lock()
        self.clear()

    def clear(self) -> None:
        """Remove what an engine that was killed left: processes, mounts, scratch files."""
        for task in list(self.tools.tasks):
            if task.id.startswith(PREFIX):
                task.delete(force=True)
                self.tools.networks.release(task.id)
        for place in (self.tools.scratch, self.tools.run):
            if place.exists():
                for mounted in place.glob("mount-*/merged"):
                    detached.unmount(str(mounted))
                tree.remove(place)
            place.mkdir(parents=True, mode=0o700)

    def running(self) -> int:
        """How many builds go on."""
        return self._running

    def build(self, request: Request, stream: Readable, send: Send, cancel: Cancel, pull: Pull = no_registry) -> Image:
        """Build an image of the context's tar `stream`; `send` gets the messages of Docker's classic stream.

        Errors in the Dockerfile, or of one of its steps, show the lines they are about. `pull` is for bases that are
        not here.
        """
        names = [Reference.parse_name(name).with_default_tag() for name in request.names]
        with self._lock:
            self._running += 1
        try:
            with contexts.received(self.tools.scratch, stream, request.remote, cancel) as context:
                text = context.read(request.dockerfile)
                context.ignore(request.dockerfile)
                try:
                    return Building(self, request, names, context.path, send, cancel, pull).run(text)
                except DockerfileError as error:
                    shown = excerpt(text, error, request.dockerfile)
                    raise InvalidArgument(f"{error.message}\n{shown}", hint=error.hint, place=error.place) from error
        finally:
            with self._lock:
                self._running -= 1

    def usage(self) -> list[Entry]:
        """Every cached step."""
        return self.cache.entries()

    def prune(self, *, everything: bool = False, keep: int = 0, before_ns: int | None = None) -> Pruned:
        """Forget cached steps, those first that were used longest ago, until `keep` bytes are left.

        With `before_ns` only those that were not used since; with `everything` the cache mounts too that no RUN uses.
        """
        entries = self.cache.entries()
        total = sum(entry.size for entry in entries)
        chosen: list[Entry] = []
        for entry in entries:
            if keep and total <= keep:
                break
            if before_ns is None or entry.used_ns < before_ns:
                chosen.append(entry)
                total -= entry.size
        keys = self.cache.forget(chosen)
        freed = self.tools.images.collect().size
        if everything:
            freed += self.mounts.clear()
        return Pruned(keys, freed)


def keys_of(lowered: Lowered) -> list[str]:
    return [line.key for line in lowered.script if line.key]


class Building:
    """One build."""

    def __init__(
        self,
        builder: Builder,
        request: Request,
        names: list[Reference],
        context: Path,
        send: Send,
        cancel: Cancel,
        pull: Pull,
    ) -> None:
        self.builder = builder
        self.tools = builder.tools
        self.request = request
        self.names = names
        self.context = context
        self.send = send
        self.cancel = cancel
        self.pull = pull
        self.bases: dict[str, Image] = {}
        self.shelf: Shelf | None = None
        asked = request.platform
        self.platform = Platform.parse(asked).normal() if asked else self.tools.images.platform

    def run(self, text: str) -> Image:
        with leases.hold(self.tools.database, "build") as lease, ExitStack() as stack:
            self.lease = lease
            place = self.request.cache_dir
            self.shelf = stack.enter_context(Shelf.opened(place, self.warn)) if place else None
            lowered = lower(parse(text), self.options(), self.resolve)
            for warning in lowered.warnings:
                self.send({"stream": f"{warning}\n"})
            solver, solved = self.solve(lowered)
            epoch = self.epoch()
            image = export(
                self.tools,
                lowered,
                solved,
                self.base_of(lowered),
                platform=self.platform,
                names=self.names,
                epoch=epoch,
                lease=lease,
            )
            self.keep(solver, lowered)
            return image

    def warn(self, text: str) -> None:
        self.send({"stream": f"[Warning] {text}\n"})

    def solve(self, lowered: Lowered) -> tuple[Solver, dict[str, Solved]]:
        builder, request = self.builder, self.request
        given = Given({"context": self.context}, request.secrets, request.limits, self.epoch(), self.shelf)
        lines = keys_of(lowered)
        known = frozenset[str]()
        if not self.no_cache:
            shelved = self.shelf.index.lines if self.shelf else ()
            known = builder.cache.known(lines) | frozenset(lines).intersection(shelved)
        told: Told = Status(lowered.vertex, self.send) if request.status else Classic(lowered.script, self.send, known)
        solver = Solver(
            self.tools, builder.cache, builder.mounts, builder.locks, given, self.lease, told, self.cancel
        )  # fmt: skip
        solved = solver.solve(lowered.vertex)
        builder.cache.remember(lines)
        return solver, solved

    def keep(self, solver: Solver, lowered: Lowered) -> None:
        """Put what this build used into its cache directory; that it cannot does not fail the build."""
        if self.shelf is None:
            return
        caches = self.builder.mounts
        runs = [one.vertex.op for one in solver.done.values() if isinstance(one.vertex.op, graph.Exec)]
        places = [caches.path(mount) for run in runs for mount in run.mounts if mount.type == "cache"]
        mounts = {path.name: str(path) for path in places if path.is_dir()}
        try:
            self.shelf.write(solver.records(), keys_of(lowered), mounts, self.tools.content)
        except (CortenError, OSError) as error:
            self.warn(f"the cache directory could not be written: {getattr(error, 'message', error)}")

    @property
    def no_cache(self) -> bool:
        """Whether steps are built anew: asked for, or the cache may only be of images of which none is here."""
        sources = self.request.cache_from
        return self.request.no_cache or (bool(sources) and not any(map(self.is_here, sources)))

    def is_here(self, name: str) -> bool:
        try:
            self.tools.images.get(name)
        except CortenError:
            return False
        return True

    def options(self) -> Options:
        request = self.request
        return Options(
            target=request.target,
            platform=self.platform,
            build_args=request.build_args,
            labels=request.labels,
            network=request.network,
            no_cache=self.no_cache,
        )

    def epoch(self) -> int | None:
        text = self.request.build_args.get(EPOCH, "")
        if not text:
            return None
        if not text.isdigit():
            raise InvalidArgument(f"{EPOCH}={text}: not a number of seconds since 1970")
        return int(text)

    def base_of(self, lowered: Lowered) -> Image | None:
        return self.bases.get(lowered.base.id) if lowered.base else None

    def resolve(self, name: str, platform: Platform) -> Base:
        """The image that a FROM or --from names, here or from its registry; kept by the lease, and unpacked."""
        images = self.tools.images
        wanted = str(platform) if self.request.platform or platform != self.tools.images.platform else ""
        if self.request.pull:
            self.fetch(name, platform)
        try:
            image = images.resolve_for_run(name, wanted)
        except NotFound:
            self.fetch(name, platform)
            image = images.resolve_for_run(name, wanted)
        kept = [Node("blob", str(layer.digest)) for layer in image.manifest.value.layers]
        self.lease.keep(*kept, *(Node("snapshot", self.tools.snapshots.node(chain)) for chain in image.chain))
        self.bases[str(image.id)] = image
        config = msgspec.to_builtins(image.config.run, enc_hook=str)
        return Base(str(image.id), images.unpack(image) or "", config)

    def fetch(self, name: str, platform: Platform) -> None:
        """Bring a base image here; the progress goes to whoever watches."""
        try:
            for message in self.pull(name, platform):
                self.cancel.check()
                self.send(message)
        except Cancelled:
            raise
        except CortenError as error:
            cause = f"cannot get the base image {name} ({platform}): {error.message}"
            raise type(error)(cause, hint=error.hint, place=error.place) from error
