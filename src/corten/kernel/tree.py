"""Removing a directory tree that somebody else filled: no symlink is followed, no depth is too deep.

`shutil.rmtree` recurses, and a container can nest directories deeper than Python's stack; this one walks.
"""

import os

__all__ = ["remove"]

DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def remove(name: str | bytes | os.PathLike[str], *, dir_fd: int | None = None) -> int:
    """Remove whatever `name` is, with everything below it; returns the bytes that this frees.

    Nothing there is no error. A tree that somebody is still filling fails with ENOTEMPTY.
    """
    try:
        found = os.stat(name, dir_fd=dir_fd, follow_symlinks=False)
    except FileNotFoundError:
        return 0
    if (found.st_mode & 0o170000) != 0o040000:
        os.unlink(name, dir_fd=dir_fd)
        return found.st_blocks * 512 if found.st_nlink == 1 else 0
    freed = _empty(os.open(name, DIRECTORY, dir_fd=dir_fd))
    os.rmdir(name, dir_fd=dir_fd)
    return freed


def _empty(fd: int) -> int:
    """Empty the directory `fd`, and close it. Only one handle is open at a time: the way up is ``..``."""
    names: list[str] = []
    waiting: list[list[str]] = []
    try:
        freed, children = _unlink_files(fd)
        waiting.append(children)
        while True:
            if waiting[-1]:
                names.append(waiting[-1].pop())
                fd = _step(fd, names[-1])
                size, children = _unlink_files(fd)
                freed += size
                waiting.append(children)
            elif names:
                waiting.pop()
                fd = _step(fd, "..")
                os.rmdir(names.pop(), dir_fd=fd)
            else:
                return freed
    finally:
        os.close(fd)


def _step(fd: int, name: str) -> int:
    there = os.open(name, DIRECTORY, dir_fd=fd)
    os.close(fd)
    return there


def _unlink_files(fd: int) -> tuple[int, list[str]]:
    """Unlink all but directories; returns the bytes freed and the directories left."""
    freed = 0
    directories = []
    with os.scandir(fd) as found:
        for entry in found:
            if entry.is_dir(follow_symlinks=False):
                directories.append(entry.name)
                continue
            about = entry.stat(follow_symlinks=False)
            freed += about.st_blocks * 512 if about.st_nlink == 1 else 0
            os.unlink(entry.name, dir_fd=fd)
    return freed, directories
