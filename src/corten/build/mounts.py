"""What `RUN --mount` shows to its command: files of other stages or the context, caches, memory, secrets.

Every source is reached by a handle below its tree, and given to the launcher as that handle (`/proc/PID/fd/N`), so
that no link and no `..` in it can name a file of the host (CVE-2024-23651, CVE-2024-9675).
"""

import hashlib
import os
import secrets
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from corten.build import tree
from corten.build.copy import copy
from corten.build.graph import Copy, Mount
from corten.build.selection import Chosen
from corten.build.shelf import Shelf
from corten.images.stores import KeyedLock
from corten.kernel import detached, rooted
from corten.kernel import tree as trees
from corten.model.cancel import Cancel
from corten.model.errors import InvalidArgument, NotFound
from corten.spec import Option, options

__all__ = ["CacheMounts", "Mounted", "Secrets", "Sources", "mounted"]

Secrets = Mapping[str, bytes]
TMPFS = ("nosuid", "nodev", "noexec", "mode=1777")
SECRET_MODE = 0o400
UNFINISHED = ".new-"


class Mounted(NamedTuple):
    """One mount made ready: the option for the spec, whether it is a directory, and a variable for the process."""

    target: str
    option: Option | None
    is_directory: bool = True
    env: str = ""


# The directories that make an input's tree, the topmost first, by the input's number.
Trees = Callable[[int], list[str]]


class Sources(NamedTuple):
    """Where mounts come from: inputs, caches and what a cache directory kept of them, secrets; and scratch places."""

    trees: Trees
    caches: "CacheMounts"
    shelf: Shelf | None
    secrets: Secrets
    scratch: Path
    run: Path
    cancel: Cancel


class CacheMounts:
    """Directories that outlive builds, one for each id (`private` ones may have several); kept below `root`.

    Making one removes what a killed engine did not finish.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.making = KeyedLock()
        for name in os.listdir(root) if root.exists() else []:
            if name.startswith(UNFINISHED):
                trees.remove(root / name)
        self._condition = threading.Condition()
        self._users: dict[str, int] = {}

    @contextmanager
    def hold(self, mount: Mount, cancel: Cancel) -> Iterator[Path]:
        """The place for one RUN: shared by all, alone (`locked` waits, `private` takes another)."""
        taken = self._take(self.path(mount).name, mount.sharing, cancel)
        try:
            yield self.root / taken
        finally:
            with self._condition:
                self._users[taken] -= 1
                self._condition.notify_all()

    def path(self, mount: Mount) -> Path:
        """Where the mount's cache is, or would be. As with BuildKit one with another owner or mode is another cache."""
        asked = (mount.mode, mount.uid, mount.gid)
        name = f"{mount.id}\0{asked}" if any(asked) else mount.id
        return self.root / hashlib.sha256(name.encode()).hexdigest()[:32]

    @contextmanager
    def made(self, path: Path) -> Iterator[int | None]:
        """A handle of the new directory that will stand at `path`, to be filled; None when it is there already."""
        with self.making.hold(path.name):
            if path.is_dir():
                yield None
                return
            part = self.root / f"{UNFINISHED}{secrets.token_hex(8)}"
            part.mkdir(mode=0o755, parents=True)
            with tree.directory(part) as fd:
                yield fd
            part.rename(path)

    def _take(self, name: str, sharing: str, cancel: Cancel) -> str:
        with self._condition:
            if sharing == "locked":
                while self._users.get(name):
                    self._condition.wait(0.1)
                    cancel.check()
            elif sharing == "private":
                number = 0
                while self._users.get(f"{name}-{number}" if number else name):
                    number += 1
                name = f"{name}-{number}" if number else name
            self._users[name] = self._users.get(name, 0) + 1
            return name

    def size(self) -> int:
        """Bytes on the disk in all of them."""
        total = 0
        for directory, _, files in os.walk(self.root):
            for file in files:
                total += os.lstat(os.path.join(directory, file)).st_blocks * 512
        return total

    def clear(self) -> int:
        """Remove those that nobody uses; returns the bytes freed."""
        freed = 0
        with self._condition:
            for name in os.listdir(self.root) if self.root.exists() else []:
                if not self._users.get(name) and not name.startswith(UNFINISHED):
                    freed += trees.remove(self.root / name)
        return freed


def mounted(mount: Mount, sources: Sources, undo: ExitStack) -> Mounted:
    """Make one mount ready; what it needs is let go when `undo` unwinds."""
    match mount.type:
        case "tmpfs":
            size = (f"size={mount.size}",) if mount.size else ()
            return Mounted(mount.target, options.mount(mount.target, "tmpfs", "tmpfs", (*TMPFS, *size)))
        case "secret":
            return secret(mount, sources, undo)
        case "cache":
            return cache(mount, sources, undo)
    return bind(mount, sources.trees(mount.input), sources.scratch, undo)


def bind(mount: Mount, layers: list[str], scratch: Path, undo: ExitStack) -> Mounted:
    """A file or directory of another tree; what is written to it (`rw`) is dropped afterwards."""
    root = opened(layers, scratch, undo, writable=not mount.readonly)
    try:
        fd = rooted.open(root, mount.source or "/", os.O_PATH)
    except FileNotFoundError:
        raise NotFound(f"--mount: {mount.source!r} is not in the source") from None
    undo.callback(os.close, fd)
    access = ("ro",) if mount.readonly else ()
    option = options.bind(handle(fd), mount.target, ("rbind", "rprivate", "nosuid", "nodev", *access))
    return Mounted(mount.target, option, is_directory(fd))


def opened(layers: list[str], scratch: Path, undo: ExitStack, *, writable: bool = False) -> int:
    """A handle of a tree that the launcher can clone: before Linux 6.15 not of a mount that stands nowhere.

    So an overlay stands at a private place of ours as long as the RUN lasts.
    """
    if len(layers) == 1 and not writable:
        return undo.enter_context(tree.directory(layers[0]))
    place = Path(tempfile.mkdtemp(prefix="mount-", dir=scratch))
    undo.callback(trees.remove, place)
    merged, upper, work = place / "merged", place / "upper", place / "work"
    for path in (merged, upper, work):
        path.mkdir()
    if writable:
        fd = detached.overlay(layers, str(upper), str(work))
    else:
        fd = detached.overlay(layers[1:], layers[0], "", readonly=True)
    try:
        detached.move(fd, str(merged))
    finally:
        os.close(fd)
    undo.callback(detached.unmount, str(merged))
    return undo.enter_context(tree.directory(merged))


def handle(fd: int) -> str:
    """A descriptor of ours as a path that the launcher can open."""
    return f"/proc/{os.getpid()}/fd/{fd}"


def is_directory(fd: int) -> bool:
    return (os.fstat(fd).st_mode & 0o170000) == 0o040000


def cache(mount: Mount, sources: Sources, undo: ExitStack) -> Mounted:
    path = undo.enter_context(sources.caches.hold(mount, sources.cancel))
    with sources.caches.made(path) as new:
        if new is not None:
            begin(mount, path.name, new, sources)
    fd = undo.enter_context(tree.directory(path))
    access = ("ro",) if mount.readonly else ()
    return Mounted(mount.target, options.bind(handle(fd), mount.target, ("rbind", "rprivate", *access)))


def begin(mount: Mount, name: str, fd: int, sources: Sources) -> None:
    """What a new cache begins with: what a cache directory kept, the files of `from`, the owner and mode asked for."""
    if mount.input >= 0:
        with ExitStack() as undo:
            root = opened(sources.trees(mount.input), sources.scratch, undo)
            chosen = [Chosen((mount.source or "/").strip("/"))]
            copy(Copy((mount.source,), "/"), root, fd, chosen, keep_owner=True, cancel=sources.cancel)
    if sources.shelf is not None:
        sources.shelf.fill(name, fd, sources.cancel)
    os.fchown(fd, mount.uid, mount.gid)
    os.fchmod(fd, mount.mode or 0o755)


def secret(mount: Mount, sources: Sources, undo: ExitStack) -> Mounted:
    """A secret's file in memory, only for as long as the RUN lasts; never in the cache key, never in a layer."""
    content = sources.secrets.get(mount.id)
    if content is None:
        if mount.required:
            raise InvalidArgument(f"secret {mount.id}: not found", hint=f"pass it: --secret id={mount.id},src=FILE")
        return Mounted("", None)
    variable = f"{mount.env}={content.decode(errors='surrogateescape')}" if mount.env else ""
    if not mount.target:
        return Mounted("", None, env=variable)
    path = sources.run / f"secret-{secrets.token_hex(8)}"
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    undo.callback(path.unlink)
    undo.callback(os.close, fd)
    with open(fd, "wb", closefd=False) as file:
        file.write(content)
    os.fchown(fd, mount.uid, mount.gid)
    os.fchmod(fd, mount.mode or SECRET_MODE)
    option = options.bind(handle(fd), mount.target, ("bind", "rprivate", "ro", "nosuid", "nodev", "noexec"))
    return Mounted(mount.target, option, is_directory=False, env=variable)
