"""Solving: from vertices to results, those that do not stand on each other at the same time.

Each vertex is solved once. One that makes files is looked up in the cache by its definition, then by its content;
what is found is kept by the build's lease and checked before it is believed. What is not found is made on an active
snapshot, written as a layer, and committed under its chain ID; then the record is put. A crash at any point leaves an
active snapshot and perhaps a blob that nothing refers to: both are collected when the engine starts.
"""

import errno
import hashlib
import json
import os
import secrets
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

from corten.build import execute, graph, selection, tree
from corten.build.cache import Cache, Result
from corten.build.copy import copy, make_directory, owner_of
from corten.build.dockerfile.error import DockerfileError
from corten.build.fetch import fetch
from corten.build.graph import Vertex, walk
from corten.build.layer import Layers
from corten.build.mounts import CacheMounts, Secrets, Sources
from corten.build.progress import Told
from corten.build.redaction import Redaction
from corten.build.shelf import Record, Shelf
from corten.build.tools import Tools
from corten.images.stores import KeyedLock
from corten.kernel import tree as trees
from corten.metadata import Node
from corten.metadata.leases import Lease
from corten.model.cancel import Cancel
from corten.model.container import HostConfig
from corten.model.errors import Cancelled, CortenError, Internal, ResourceExhausted
from corten.snapshots import Kind

__all__ = ["Given", "Solved", "Solver"]

PARALLEL = max(2, min(8, os.cpu_count() or 2))


class Given(NamedTuple):
    """What a build gives to its vertices beside their operations: contexts by name, secrets, limits for RUN.

    `epoch` (SOURCE_DATE_EPOCH, in seconds) is the latest time that a file of a new layer may have; `shelf` is a cache
    beside the engine's own.
    """

    contexts: dict[str, Path]
    secrets: Secrets
    limits: HostConfig
    epoch: int | None = None
    shelf: Shelf | None = None


class Solved(NamedTuple):
    """A vertex with its result. `key` says what it is to those that stand on it; `path` is the directory of what is
    no snapshot (a context, a download, a here-document).
    """

    vertex: Vertex
    result: Result
    key: str
    path: Path | None = None


class Solver:
    """One build's run over the shared cache; `locks` are shared too, so that builds side by side make a step once."""

    def __init__(
        self,
        tools: Tools,
        cache: Cache,
        caches: CacheMounts,
        locks: KeyedLock,
        given: Given,
        lease: Lease,
        told: Told,
        cancel: Cancel,
    ) -> None:
        self.tools = tools
        self.cache = cache
        self.caches = caches
        self.locks = locks
        self.given = given
        self.lease = lease
        self.told = told
        self.cancel = Cancel()
        cancel.on_set(self.cancel.set)
        self.layers = Layers(tools, lease, given.epoch)
        self.done: dict[str, Solved] = {}
        self.scratch = ExitStack()

    def solve(self, root: Vertex) -> dict[str, Solved]:
        """Every vertex below `root` by its digest, solved. The first failure stops the rest and is raised."""
        waiting = {vertex.digest: vertex for vertex in walk(root)}
        running: dict[Future[Solved], str] = {}
        with self.scratch, ThreadPoolExecutor(PARALLEL, thread_name_prefix="corten-build") as pool:
            try:
                while waiting or running:
                    ready = [vertex for vertex in waiting.values() if self.is_ready(vertex)]
                    for vertex in ready:
                        del waiting[vertex.digest]
                        # What nobody need wait for beside it is done here: a thread costs more than a cached step.
                        if self.is_quick(vertex) or (len(ready) == 1 and not running):
                            self.done[vertex.digest] = self.one(vertex)
                        else:
                            running[pool.submit(self.one, vertex)] = vertex.digest
                    if ready and not running:
                        continue
                    finished, _ = wait(running, timeout=0 if ready else None, return_when=FIRST_COMPLETED)
                    for future in finished:
                        self.done[running.pop(future)] = future.result()
            except BaseException:
                self.cancel.set()
                raise
        return self.done

    def is_ready(self, vertex: Vertex) -> bool:
        return all(one.digest in self.done for one in vertex.inputs)

    def is_quick(self, vertex: Vertex) -> bool:
        """Whether a vertex takes no time worth a thread: nothing to fetch, or in the cache by its definition."""
        if isinstance(vertex.op, graph.Fetch | graph.Merge):
            return False
        if not vertex.inputs:
            return True
        key = self.definition_key(vertex, [self.done[one.digest] for one in vertex.inputs])
        return bool(key) and not vertex.no_cache and self.cache.has(key)

    def one(self, vertex: Vertex) -> Solved:
        try:
            return self.solved(vertex)
        except Exception as error:
            self.told.failed(vertex, str(getattr(error, "message", error)))
            raise

    def solved(self, vertex: Vertex) -> Solved:
        self.cancel.check()
        try:
            solved = self.source(vertex) or self.merged(vertex) or self.step(vertex)
        except (DockerfileError, Cancelled, execute.RunFailed):
            raise
        except CortenError as error:
            raise placed(error, vertex) from error
        except OSError as error:
            raise placed(explained(error, vertex), vertex) from error
        self.told.done(vertex, solved.key)
        return solved

    # -- what stands on nothing

    def source(self, vertex: Vertex) -> Solved | None:
        match vertex.op:
            case graph.Scratch():
                return Solved(vertex, Result(), "scratch")
            case graph.Image(id=identity, chain=chain):
                return Solved(vertex, Result(chain), f"image {chain or identity}")
            case graph.Context(name=name):
                return Solved(vertex, Result(), "", self.given.contexts[name])
            case graph.Fetch():
                self.told.started(vertex)
                key, path = fetch(vertex.op, self.directory(), self.cancel)
                return Solved(vertex, Result(), key, path)
            case graph.Write(files=files, mode=mode):
                path = self.directory()
                for name, text in files:
                    (path / name).write_text(text)
                    (path / name).chmod(mode)
                return Solved(vertex, Result(), "", path)
        return None

    def directory(self) -> Path:
        """A scratch directory that goes when the build ends."""
        path = self.tools.scratch / f"source-{secrets.token_hex(8)}"
        path.mkdir(mode=0o700)
        self.scratch.callback(trees.remove, path)
        return path

    # -- what makes files

    def merged(self, vertex: Vertex) -> Solved | None:
        """Layers that are there already on top of others: nothing to remember but the layers themselves."""
        if not isinstance(vertex.op, graph.Merge):
            return None
        below, above = (self.done[one.digest].result for one in vertex.inputs)
        with self.locks.hold(vertex.digest):
            result = self.layers.stack(below, above)
        return Solved(vertex, result, f"merge {result.chain}")

    def step(self, vertex: Vertex) -> Solved:
        inputs = [self.done[one.digest] for one in vertex.inputs]
        with self.locks.hold(vertex.digest):
            keys = [key] if (key := self.definition_key(vertex, inputs)) else []
            found = self.found(vertex, keys)
            if found is None:
                content = self.content_key(vertex, inputs)
                keys += [content]
                found = self.found(vertex, [content])
                if found is not None and len(keys) > 1:
                    self.cache.put(keys, found, vertex.name, 0)
            if found is not None:
                self.told.cached(vertex)
                return Solved(vertex, found, keys[0])
            self.told.started(vertex)
            result, size = self.make(vertex, inputs)
            self.cache.put(keys, result, vertex.name, size)
            return Solved(vertex, result, keys[0])

    def found(self, vertex: Vertex, keys: list[str]) -> Result | None:
        """A cached result, when all of it is still there."""
        if vertex.no_cache or not keys:
            return None
        result = self.cache.find(keys, self.lease) or self.shelved(vertex, keys)
        if result is None:
            return None
        whole = all(layer.digest in self.tools.content for layer in result.layers)
        snapshot = self.tools.snapshots.find(result.chain) if result.chain else None
        is_there = not result.chain or (snapshot is not None and snapshot.kind is Kind.COMMITTED)
        return result if whole and is_there else None

    def shelved(self, vertex: Vertex, keys: list[str]) -> Result | None:
        """A result out of the build's cache directory, verified, and from now on in our own cache."""
        shelf = self.given.shelf
        record = shelf.find(keys) if shelf else None
        if shelf is None or record is None:
            return None
        try:
            for layer in record.layers:
                self.lease.keep(Node("blob", str(layer.digest)))
                shelf.bring(layer, self.tools.content)
            result = self.layers.stack(Result(ground(vertex)), Result("", record.layers))
        except Cancelled:
            raise
        except CortenError as error:
            shelf.warn(f"a step in the cache directory is passed over: {error.message}")
            shelf.forget(record)
            return None
        self.cache.put(record.keys, result, vertex.name, sum(layer.size for layer in record.layers[-1:]))
        return result

    def records(self) -> list[Record]:
        """What there is to be kept of the steps that were solved."""
        steps = [one for one in self.done.values() if isinstance(one.vertex.op, graph.Exec | graph.Copy | graph.Mkdir)]
        return [Record((one.key, *self.cache.twins(one.key)), one.result.layers) for one in steps]

    def definition_key(self, vertex: Vertex, inputs: list[Solved]) -> str:
        """The key that nothing need be read for; "" when an input is known by its content alone."""
        if any(not one.key for one in inputs):
            return ""
        return self.hashed("definition", vertex, [one.key for one in inputs])

    def content_key(self, vertex: Vertex, inputs: list[Solved]) -> str:
        """The key by what the step really stands on: the files below it, and those that it selects of others."""
        parts = [inputs[0].result.chain, *(self.selected(vertex, n, one) for n, one in enumerate(inputs) if n)]
        return self.hashed("content", vertex, parts)

    def hashed(self, kind: str, vertex: Vertex, parts: list[str]) -> str:
        meaning = asdict(vertex.op)
        meaning.pop("hidden_env", None)
        fields = [kind, type(vertex.op).__name__, meaning, parts, self.given.epoch, self.surroundings(vertex)]
        encoded = json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()
        return "sha256:" + hashlib.sha256(encoded).hexdigest()

    def surroundings(self, vertex: Vertex) -> list[str]:
        """What a RUN sees of the request itself."""
        return list(self.given.limits.extra_hosts or ()) if isinstance(vertex.op, graph.Exec) else []

    def selected(self, vertex: Vertex, number: int, one: Solved) -> str:
        """The digest of what the vertex takes of its input `number`."""
        op = vertex.op
        with self.tree(one) as root:
            owners = one.path is None
            if isinstance(op, graph.Copy):
                chosen = selection.select(root, op.sources, parents=op.parents, where=where(one))
                return selection.digest(root, chosen, exclude=op.exclude, owners=owners)
            assert isinstance(op, graph.Exec)
            sources = tuple(mount.source for mount in op.mounts if mount.input == number and mount.type == "bind")
            chosen = selection.select(root, sources, where=where(one))
            return selection.digest(root, chosen, owners=owners)

    @contextmanager
    def tree(self, one: Solved) -> Iterator[int]:
        if one.path is not None:
            with tree.directory(one.path) as fd:
                yield fd
        else:
            with tree.committed(self.tools.snapshots, one.result.chain, self.tools.scratch) as fd:
                yield fd

    def make(self, vertex: Vertex, inputs: list[Solved]) -> tuple[Result, int]:
        """Do the step's work on a new snapshot; its result, and the bytes that it added."""
        base = inputs[0].result
        key = f"build {secrets.token_hex(8)}"
        mounts = self.tools.snapshots.prepare(key, base.chain or None)
        try:
            if isinstance(vertex.op, graph.Exec):
                self.execute(vertex, inputs, key)
            else:
                with tree.writable(mounts[0]) as target:
                    self.write(vertex, inputs, target)
            return self.layers.finish(base, key)
        finally:
            if self.tools.snapshots.find(key) is not None:
                self.tools.snapshots.remove(key)

    def write(self, vertex: Vertex, inputs: list[Solved], target: int) -> None:
        op = vertex.op
        if isinstance(op, graph.Mkdir):
            owner = owner_of(target, op.user) if op.user else None
            os.close(make_directory(target, op.path, owner) if owner else make_directory(target, op.path))
            return
        assert isinstance(op, graph.Copy)
        with self.tree(inputs[1]) as source:
            chosen = selection.select(source, op.sources, parents=op.parents, where=where(inputs[1]))
            copy(op, source, target, chosen, keep_owner=inputs[1].path is None, cancel=self.cancel)

    def execute(self, vertex: Vertex, inputs: list[Solved], key: str) -> None:
        assert isinstance(vertex.op, graph.Exec)

        def layers_of(number: int) -> list[str]:
            one = inputs[number]
            if one.path is not None:
                return [str(one.path)]
            if not one.result.chain:
                return [str(self.directory())]
            changes = self.tools.snapshots.changes(one.result.chain)
            return [str(path) for path in (changes.path, *changes.lowers)]

        tools, given = self.tools, self.given
        sources = Sources(
            layers_of, self.caches, given.shelf, given.secrets, tools.scratch, tools.run, self.cancel
        )  # fmt: skip
        around = execute.Surroundings(given.limits, sources)
        hidden = [given.secrets[mount.id] for mount in vertex.op.mounts if mount.id in given.secrets]
        streams = {number: Redaction(hidden) for number in (1, 2)}

        def told(stream: int, data: bytes) -> None:
            if shown := streams[stream].pass_on(data):
                self.told.output(vertex, stream, shown)

        try:
            execute.execute(tools, vertex.op, key, around, told, self.cancel)
        finally:
            for number, redaction in streams.items():
                if rest := redaction.rest():
                    self.told.output(vertex, number, rest)


def ground(vertex: Vertex) -> str:
    """The chain ID that a vertex's layers stand on: its base image's, or "" for nothing."""
    while vertex.inputs:
        vertex = vertex.inputs[0]
    return vertex.op.chain if isinstance(vertex.op, graph.Image) else ""


def placed(error: CortenError, vertex: Vertex) -> CortenError:
    """The error with its line, of the same kind."""
    if vertex.at is not None and not error.place:
        error.place = f"Dockerfile:{vertex.at}"
    return error


def explained(error: OSError, vertex: Vertex) -> CortenError:
    cause = f"{vertex.name}: {error.strerror or error}" + (f": {error.filename}" if error.filename else "")
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return ResourceExhausted(cause, hint="free space below the engine's root: corten builder prune")
    return Internal(cause)


def where(one: Solved) -> str:
    """How messages call an input."""
    return "the build context" if isinstance(one.vertex.op, graph.Context) else one.vertex.name
