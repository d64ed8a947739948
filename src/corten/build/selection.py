"""What a copy selects of a tree, and the digest of it that decides whether the copy is cached.

A source is a path below the root of the tree, or a pattern (`*`, `?`, `[…]` within a component; `**` with --parents).
Links on the way to it end inside the tree; the source itself is followed, what lies below it is taken as it is. A
directory stands for what is in it.
"""

import hashlib
import os
import posixpath
import re
import stat
from collections.abc import Iterator
from typing import NamedTuple

from corten.build.dockerfile.ignore import Ignore, translate
from corten.kernel import rooted
from corten.model.errors import NotFound

__all__ = ["Chosen", "File", "digest", "select", "walk"]

WILD = re.compile(r"(?<!\\)[*?\[]")
NODE = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
LISTED = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
CHUNK = 1 << 20


class Chosen(NamedTuple):
    """`path` is as it was found, from the tree's root without a slash; `kept` is what --parents keeps of it."""

    path: str
    kept: str = ""

    @property
    def name(self) -> str:
        return posixpath.basename(self.path)


class File(NamedTuple):
    """One file below a chosen one: its path from there ("" is itself), what it is, and its directory's handle."""

    path: str
    about: os.stat_result
    parent: int
    name: str


def select(root: int, sources: tuple[str, ...], *, parents: bool = False, where: str = "") -> list[Chosen]:
    """The files that `sources` name, in order; raises NotFound for one that names none. `where` is for the message."""
    found: list[Chosen] = []
    for source in sources:
        matches = sorted(matching(root, source, parents=parents))
        if not matches:
            hint = "is it left out by .dockerignore, or outside the context?" if where == "the build context" else ""
            raise NotFound(f"{source!r} is not in {where or 'the source'}", hint=hint)
        found += matches
    return found


def matching(root: int, source: str, *, parents: bool) -> Iterator[Chosen]:
    before, pivot, after = source.partition("/./") if parents else (source, "", "")
    base = posixpath.normpath("/" + before).lstrip("/") if pivot else ""
    whole = posixpath.normpath("/" + (f"{before}/{after}" if pivot else before)).lstrip("/")
    parts = whole.split("/") if whole else []
    depth = len(base.split("/")) if base else 0
    for path in expand(root, "", parts, spans=parents):
        yield Chosen(path, "/".join(path.split("/")[depth:]) if parents else "")


def expand(root: int, at: str, parts: list[str], *, spans: bool) -> Iterator[str]:
    """The existing paths that the remaining components of a pattern match below `at`."""
    if not parts:
        if exists(root, at):
            yield at
        return
    first, rest = parts[0], parts[1:]
    if not WILD.search(first):
        yield from expand(root, join(at, re.sub(r"\\(.)", r"\1", first)), rest, spans=spans)
        return
    if first == "**" and spans:
        yield from expand(root, at, rest, spans=spans)
        rest = parts
    expression = re.compile(translate("*" if first == "**" else first))
    for name, is_directory in names(root, at):
        if expression.fullmatch(name) and (is_directory or not rest or rest == ["**"]):
            yield from expand(root, join(at, name), rest, spans=spans)


def join(directory: str, name: str) -> str:
    return f"{directory}/{name}" if directory else name


def exists(root: int, path: str) -> bool:
    try:
        os.close(rooted.open(root, path or ".", os.O_PATH))
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def names(root: int, path: str) -> list[tuple[str, bool]]:
    try:
        fd = rooted.open(root, path or ".", os.O_RDONLY | os.O_DIRECTORY)
    except (FileNotFoundError, NotADirectoryError):
        return []
    try:
        with os.scandir(fd) as found:
            return sorted((entry.name, entry.is_dir()) for entry in found)
    finally:
        os.close(fd)


def opened(root: int, chosen: Chosen) -> int:
    """A handle of what was chosen, the last link followed; the caller closes it."""
    return rooted.open(root, chosen.path or ".", os.O_PATH)


def walk(top: int, exclude: Ignore | None = None, prefix: str = "") -> Iterator[File]:
    """The file behind the handle `top` and all below it, parents first, each directory in order.

    `parent` is open only until the next step. For `top` itself `parent` is `top` and `name` is empty.
    """
    about = os.fstat(top)
    yield File("", about, top, "")
    if not stat.S_ISDIR(about.st_mode):
        return
    waiting = [""]
    while waiting:
        directory = waiting.pop()
        fd = os.open(".", LISTED, dir_fd=top) if not directory else rooted.open(top, directory, LISTED, follow=False)
        try:
            below = []
            for name in sorted(os.listdir(fd)):
                path = join(directory, name)
                shown = join(prefix, path)
                if exclude is not None and exclude.excludes(shown) and not exclude.takes_back:
                    continue
                found = os.stat(name, dir_fd=fd, follow_symlinks=False)
                is_directory = stat.S_ISDIR(found.st_mode)
                if is_directory:
                    below.append(path)
                if exclude is None or not exclude.excludes(shown):
                    yield File(path, found, fd, name)
        finally:
            os.close(fd)
        waiting += reversed(below)


def digest(root: int, chosen: list[Chosen], *, exclude: tuple[str, ...] = (), owners: bool = False) -> str:
    """What the chosen files are: names, kinds, modes, links and bytes; not their times, and owners only on demand."""
    state = hashlib.sha256()
    left_out = Ignore("\n".join(exclude)) if exclude else None
    for one in chosen:
        state.update(f"{one.name}\0{one.kept}\0".encode("utf-8", "surrogateescape"))
        top = opened(root, one)
        try:
            for file in walk(top, left_out, ""):
                state.update(described(file, owners=owners))
        finally:
            os.close(top)
    return "sha256:" + state.hexdigest()


def described(file: File, *, owners: bool) -> bytes:
    about = file.about
    words = [file.path, oct(about.st_mode), *((str(about.st_uid), str(about.st_gid)) if owners else ())]
    if stat.S_ISREG(about.st_mode):
        words.append(hashed(file))
    elif stat.S_ISLNK(about.st_mode):
        words.append(os.readlink(file.name, dir_fd=file.parent))
    elif not stat.S_ISDIR(about.st_mode):
        words.append(str(about.st_rdev))
    return ("\0".join(words) + "\n").encode("utf-8", "surrogateescape")


def open_file(file: File) -> int:
    """A regular file's bytes; the caller closes it."""
    if file.name:
        return os.open(file.name, READ, dir_fd=file.parent)
    return os.open(f"/proc/self/fd/{file.parent}", os.O_RDONLY | os.O_CLOEXEC)


def hashed(file: File) -> str:
    fd = open_file(file)
    try:
        state = hashlib.sha256()
        while chunk := os.read(fd, CHUNK):
            state.update(chunk)
        return state.hexdigest()
    finally:
        os.close(fd)
