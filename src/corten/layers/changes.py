"""What changed: an upper directory against the layers below it, or one whole tree against another.

The result is Docker's (``docker diff``): paths with a kind, sorted, where a directory counts as modified when
something in it changed. In an overlay's upper directory everything that is there has changed; whether it is new or
modified depends on whether any layer below shows something at that path.
"""

import enum
import os
import stat
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from corten.kernel import rooted
from corten.layers.whiteouts import is_opaque, is_whiteout
from corten.model.whiteout import Form

__all__ = ["Change", "Kind", "between_trees", "changes", "of_upper", "shown"]

DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Kind(enum.IntEnum):
    """Docker's numbers."""

    MODIFIED = 0
    ADDED = 1
    DELETED = 2


class Change(NamedTuple):
    """`path` is below the root, without a leading slash."""

    path: str
    kind: Kind


def changes(
    root_fd: int, lower_fds: Sequence[int], form: Form, *, hidden: frozenset[str] = frozenset()
) -> list[Change]:
    """What the tree at `root_fd` changes on top of `lower_fds` (the nearest first), sorted by path.

    `hidden` are paths that the engine put there (mount points): they and what only they changed is left out.
    """
    if form is Form.PLAIN:
        found = between_trees(lower_fds[0] if lower_fds else None, root_fd)
    else:
        found = of_upper(root_fd, lower_fds)
    return sorted(_without(list(found), hidden) if hidden else found)


def _without(found: list[Change], hidden: frozenset[str]) -> Iterator[Change]:
    """Drop what was added at hidden paths, and the directories that count as modified only because of that."""
    kept = [change for change in found if not (change.path in hidden and change.kind is Kind.ADDED)]
    busy = {parent for change in kept for parent in _parents(change.path)}
    touched = {parent for path in hidden for parent in _parents(path)}
    for change in kept:
        if change.kind is Kind.DELETED or change.path in busy or change.path not in touched:
            yield change


def _parents(path: str) -> Iterator[str]:
    while path := path.rpartition("/")[0]:
        yield path


def of_upper(upper_fd: int, lower_fds: Sequence[int]) -> Iterator[Change]:
    """The changes in an overlay's upper directory; below an opaque one everything hides what was there before."""
    waiting: list[tuple[str, bool, bool]] = [("", True, False)]
    while waiting:
        directory, was_there, hides = waiting.pop()
        fd = _open(upper_fd, directory)
        try:
            hides = hides or is_opaque(fd)
            if was_there and directory and hides:
                yield from _covered(directory, upper_fd, lower_fds)
            for name, about in _children(fd):
                path = _join(directory, name)
                below = shown(lower_fds, path) if was_there else None
                if is_whiteout(about):
                    if below:
                        yield Change(path, Kind.DELETED)
                    continue
                yield Change(path, Kind.MODIFIED if below else Kind.ADDED)
                if stat.S_ISDIR(about.st_mode):
                    waiting.append((path, below is not None and stat.S_ISDIR(below.st_mode), hides))
        finally:
            os.close(fd)


def _covered(directory: str, upper_fd: int, lower_fds: Sequence[int]) -> Iterator[Change]:
    """What an opaque directory hides and does not show anew."""
    names: set[str] = set()
    for lower in lower_fds:
        names.update(_listing(lower, directory))
    for name in names:
        path = _join(directory, name)
        if shown(lower_fds, path) and _stat(upper_fd, path) is None:
            yield Change(path, Kind.DELETED)


def shown(lower_fds: Sequence[int], path: str) -> os.stat_result | None:
    """What the stacked lower layers show at `path`: the nearest one decides, unless it hides those below."""
    for lower in lower_fds:
        found = _stat(lower, path)
        if found is not None:
            return None if is_whiteout(found) else found
        if _covers(lower, path):
            return None
    return None


def _covers(lower: int, path: str) -> bool:
    """Whether this layer hides `path` in those below: a parent is opaque here, or deleted, or no directory."""
    for parent in _parents(path):
        found = _stat(lower, parent)
        if found is None:
            continue
        if not stat.S_ISDIR(found.st_mode):
            return True
        fd = _open(lower, parent)
        try:
            if is_opaque(fd):
                return True
        finally:
            os.close(fd)
    return False


def between_trees(old_fd: int | None, new_fd: int) -> Iterator[Change]:
    """The changes from one whole tree to another; a directory in which something changed counts as modified."""
    found = {change.path: change for change in _differences(old_fd, new_fd)}
    for path in list(found):
        for parent in _parents(path):
            found.setdefault(parent, Change(parent, Kind.MODIFIED))
    return iter(found.values())


def _differences(old_fd: int | None, new_fd: int) -> Iterator[Change]:
    waiting = [""]
    while waiting:
        directory = waiting.pop()
        before = _listing(old_fd, directory) if old_fd is not None else {}
        after = _listing(new_fd, directory)
        for name in before.keys() - after.keys():
            yield Change(_join(directory, name), Kind.DELETED)
        for name, about in after.items():
            path = _join(directory, name)
            was = before.get(name)
            if was is None:
                yield Change(path, Kind.ADDED)
            elif old_fd is not None and _differs(was, about, path, old_fd, new_fd):
                yield Change(path, Kind.MODIFIED)
            if stat.S_ISDIR(about.st_mode):
                waiting.append(path)


def _differs(was: os.stat_result, now: os.stat_result, path: str, old_fd: int, new_fd: int) -> bool:
    """Mode, owner, device and time, and size for what is no directory."""
    if (was.st_mode, was.st_uid, was.st_gid, was.st_rdev) != (now.st_mode, now.st_uid, now.st_gid, now.st_rdev):
        return True
    if was.st_mtime_ns != now.st_mtime_ns:
        return True
    if stat.S_ISDIR(now.st_mode):
        return False
    return was.st_size != now.st_size or (stat.S_ISLNK(now.st_mode) and _target(old_fd, path) != _target(new_fd, path))


def _target(root_fd: int, path: str) -> str:
    directory, _, name = path.rpartition("/")
    fd = _open(root_fd, directory)
    try:
        return os.readlink(name, dir_fd=fd)
    finally:
        os.close(fd)


def _open(root_fd: int, path: str) -> int:
    """A directory below the root, reached without following any link: the tree may be a running container's."""
    return rooted.open(root_fd, path or ".", DIRECTORY, follow=False)


def _stat(root_fd: int, path: str) -> os.stat_result | None:
    try:
        fd = rooted.open(root_fd, path, os.O_PATH | os.O_NOFOLLOW, follow=False)
    except OSError:
        return None
    try:
        return os.fstat(fd)
    finally:
        os.close(fd)


def _listing(root_fd: int, directory: str) -> dict[str, os.stat_result]:
    try:
        fd = _open(root_fd, directory)
    except OSError:  # not there, or no directory
        return {}
    try:
        return dict(_children(fd))
    finally:
        os.close(fd)


def _children(fd: int) -> Iterator[tuple[str, os.stat_result]]:
    """What is in the directory; what vanishes while we look was never there."""
    with os.scandir(fd) as found:
        for entry in found:
            try:
                yield entry.name, entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue


def _join(directory: str, name: str) -> str:
    return f"{directory}/{name}" if directory else name
