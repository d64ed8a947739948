"""COPY and ADD: files of one tree into another, by handles on both sides.

The target is whatever an image holds: links in it are followed only inside it, and what is written is made anew
(O_EXCL), so that a planted link is replaced and never written through (CVE-2024-9675 is about `..`: paths are made
normal below the root, and the kernel resolves them with the root as `/`).
"""

import os
import posixpath
import stat
from contextlib import suppress
from typing import NamedTuple

from corten.build import selection
from corten.build.chmod import mode_of
from corten.build.dockerfile.ignore import Ignore
from corten.build.graph import Copy
from corten.build.selection import Chosen, File
from corten.kernel import rooted, tree
from corten.layers import source as archives
from corten.layers import unpacking
from corten.model.cancel import Cancel
from corten.model.errors import CortenError, InvalidArgument
from corten.spec import user

__all__ = ["copy", "is_archive", "make_directory", "owner_of"]

CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
CHUNK = 1 << 30
BLOCK = 512


class Owner(NamedTuple):
    uid: int
    gid: int


ROOT = Owner(0, 0)


class Rules(NamedTuple):
    """What is changed on the way: the owner (None keeps the source's), the mode ("" keeps it), what is left out."""

    owner: Owner | None
    chmod: str
    exclude: Ignore | None


def copy(op: Copy, source: int, target: int, chosen: list[Chosen], *, keep_owner: bool, cancel: Cancel) -> None:
    """Copy what was chosen of `source` below `target`. `keep_owner`: as another stage has them, else root's."""
    owner = owner_of(target, op.chown) if op.chown else None if keep_owner else ROOT
    rules = Rules(owner, op.chmod, Ignore("\n".join(op.exclude)) if op.exclude else None)
    for one in chosen:
        cancel.check()
        top = selection.opened(source, one)
        try:
            Copying(target, rules, cancel).one(op, one, top)
        finally:
            os.close(top)


def owner_of(target: int, text: str) -> Owner:
    """`--chown`: names by the target's own passwd and group; a lone number is the group too, as BuildKit has it."""
    name, colon, _ = text.partition(":")
    if not colon and name.isdigit():
        return Owner(int(name), int(name))
    try:
        found = user.lookup(target, text)
    except CortenError as error:
        raise InvalidArgument(
            f"--chown={text}: {error.message}", hint="use numbers, or a name that the image's /etc/passwd has"
        ) from error
    return Owner(found.uid, found.gid)


def make_directory(target: int, path: str, owner: Owner = ROOT) -> int:
    """A handle of the directory `path`; what is missing of it is made, 0755 and `owner`'s."""
    try:
        return rooted.open(target, path or ".", os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        pass
    except NotADirectoryError:
        raise InvalidArgument(f"cannot copy to {path!r}: it, or something above it, is no directory") from None
    parent, name = posixpath.split(path.rstrip("/"))
    above = make_directory(target, parent, owner)
    try:
        with suppress(FileExistsError):
            os.mkdir(name, 0o755, dir_fd=above)
            os.chown(name, *owner, dir_fd=above, follow_symlinks=False)
            os.chmod(name, 0o755, dir_fd=above)
    finally:
        os.close(above)
    try:
        return rooted.open(target, path, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        raise InvalidArgument(f"cannot copy to {path!r}: a link there leads nowhere") from None


class Copying:
    """One source on its way to one target."""

    def __init__(self, target: int, rules: Rules, cancel: Cancel) -> None:
        self.target = target
        self.rules = rules
        self.cancel = cancel
        self.links: dict[tuple[int, int], str] = {}
        self.made = rules.owner or ROOT

    def one(self, op: Copy, chosen: Chosen, top: int) -> None:
        place = posixpath.normpath("/" + op.target)
        if op.parents:
            place = posixpath.join(place, posixpath.dirname(chosen.kept))
        is_directory = stat.S_ISDIR(os.fstat(top).st_mode)
        if op.unpack and not is_directory and is_archive(top):
            self.unpack(top, place)
        elif is_directory:
            self.directory(top, posixpath.join(place, chosen.name) if op.parents else place)
        elif op.parents or op.target.endswith("/") or self.is_directory(place):
            self.file(File("", os.fstat(top), top, ""), posixpath.join(place, chosen.name))
        else:
            self.file(File("", os.fstat(top), top, ""), self.real(place))

    def real(self, place: str) -> str:
        """Where a named target really is: links in the image count, also the last one, and end inside the image."""
        try:
            fd = rooted.open(self.target, place, os.O_PATH)
        except FileNotFoundError:
            return place
        try:
            root, found = (os.readlink(f"/proc/self/fd/{one}") for one in (self.target, fd))
        finally:
            os.close(fd)
        return "/" + found.removeprefix(root.rstrip("/")).lstrip("/")

    def is_directory(self, path: str) -> bool:
        try:
            os.close(rooted.open(self.target, path, os.O_PATH | os.O_DIRECTORY))
        except OSError:
            return False
        return True

    def unpack(self, top: int, place: str) -> None:
        directory = make_directory(self.target, place, self.made)
        try:
            with open(f"/proc/self/fd/{top}", "rb") as stream:
                owner = tuple(self.rules.owner) if self.rules.owner and self.rules.owner != (0, 0) else None
                unpacking.unpack(stream, directory, unpacking.Rules(owner=owner), self.cancel)  # type: ignore[arg-type]
        finally:
            os.close(directory)

    def directory(self, top: int, place: str) -> None:
        """The contents of a directory, merged into the one at `place`."""
        times: list[tuple[str, int]] = []
        for file in selection.walk(top, self.rules.exclude):
            self.cancel.check()
            path = posixpath.join(place, file.path) if file.path else place
            if not stat.S_ISDIR(file.about.st_mode):
                self.file(file, path)
            elif self.put_directory(file, path):
                times.append((path, file.about.st_mtime_ns))
        for path, mtime in reversed(times):
            fd = rooted.open(self.target, path, os.O_RDONLY | os.O_DIRECTORY)
            os.utime(fd, ns=(mtime, mtime))
            os.close(fd)

    def put_directory(self, file: File, path: str) -> bool:
        """Whether it was made, or is one below the top, and so takes the source's attributes."""
        existed = self.is_directory(path)
        fd = make_directory(self.target, path, self.made)
        try:
            if existed and not file.path:
                return False
            os.fchown(fd, *(self.rules.owner or (file.about.st_uid, file.about.st_gid)))
            os.fchmod(fd, self.mode(file.about))
        finally:
            os.close(fd)
        return True

    def mode(self, about: os.stat_result) -> int:
        return mode_of(self.rules.chmod, about.st_mode) if self.rules.chmod else stat.S_IMODE(about.st_mode)

    def file(self, file: File, path: str) -> None:
        """Anything but a directory, in place of whatever stands there (unless that is a directory)."""
        parent, name = posixpath.split(path)
        directory = make_directory(self.target, parent, self.made)
        try:
            self.make_room(directory, name, path)
            if not self.linked(file, directory, name, path):
                self.put(file, directory, name)
        finally:
            os.close(directory)

    def make_room(self, directory: int, name: str, path: str) -> None:
        try:
            found = os.stat(name, dir_fd=directory, follow_symlinks=False)
        except FileNotFoundError:
            return
        if stat.S_ISDIR(found.st_mode):
            raise InvalidArgument(f"cannot copy a file over the directory {path!r}", hint="end the target with a /")
        tree.remove(name, dir_fd=directory)

    def linked(self, file: File, directory: int, name: str, path: str) -> bool:
        """Make a hard link where the source has one to a file that was copied already."""
        if file.about.st_nlink < 2:
            return False
        first = self.links.setdefault((file.about.st_dev, file.about.st_ino), path)
        if first == path:
            return False
        parent, other = rooted.open_parent(self.target, first)
        try:
            os.link(other, name, src_dir_fd=parent, dst_dir_fd=directory, follow_symlinks=False)
        finally:
            os.close(parent)
        return True

    def put(self, file: File, directory: int, name: str) -> None:
        about = file.about
        owner = self.rules.owner or Owner(about.st_uid, about.st_gid)
        if stat.S_ISREG(about.st_mode):
            put_bytes(file, directory, name, owner, self.mode(about))
            return
        if stat.S_ISLNK(about.st_mode):
            os.symlink(os.readlink(file.name, dir_fd=file.parent), name, dir_fd=directory)
        elif stat.S_ISSOCK(about.st_mode):
            return  # a socket is nothing without its process
        else:
            os.mknod(name, about.st_mode, about.st_rdev, dir_fd=directory)
            os.chmod(name, self.mode(about), dir_fd=directory)
        os.chown(name, *owner, dir_fd=directory, follow_symlinks=False)
        os.utime(name, ns=(about.st_mtime_ns, about.st_mtime_ns), dir_fd=directory, follow_symlinks=False)


def put_bytes(file: File, directory: int, name: str, owner: Owner, mode: int) -> None:
    reading = selection.open_file(file)
    try:
        writing = os.open(name, CREATE, 0o600, dir_fd=directory)
        try:
            transfer(reading, writing)
            os.fchown(writing, *owner)
            copy_attributes(reading, writing)
            os.fchmod(writing, mode)
            os.utime(writing, ns=(file.about.st_mtime_ns, file.about.st_mtime_ns))
        finally:
            os.close(writing)
    finally:
        os.close(reading)


def transfer(reading: int, writing: int) -> None:
    """All bytes, within the kernel (and shared between the files where the file system can)."""
    try:
        while os.copy_file_range(reading, writing, CHUNK):
            pass
    except OSError:
        os.lseek(reading, 0, os.SEEK_SET)
        os.lseek(writing, 0, os.SEEK_SET)
        while os.sendfile(writing, reading, None, CHUNK):
            pass


def copy_attributes(reading: int, writing: int) -> None:
    """A file's capabilities and user attributes; what the file system does not keep is left out, as Docker does."""
    for name in os.listxattr(reading):
        if name == "security.capability" or (name.startswith("user.") and not name.startswith("user.overlay.")):
            with suppress(OSError):
                os.setxattr(writing, name, os.getxattr(reading, name))


def is_archive(top: int) -> bool:
    """Whether a regular file is a tar, plain or compressed (gzip, bzip2, xz, zstd): by its bytes, never by its name."""
    about = os.fstat(top)
    if not stat.S_ISREG(about.st_mode) or about.st_size == 0:
        return False
    with open(f"/proc/self/fd/{top}", "rb") as stream:
        archive = archives.of_stream(stream, hashed=False)
        try:
            return is_header(bytes(archive.take(BLOCK)))
        except CortenError:
            return False
        finally:
            archive.close()


def is_header(block: bytes) -> bool:
    """Whether a block's checksum is that of a tar header (POSIX ustar: the sum with the field itself as blanks)."""
    if len(block) < BLOCK or not any(block):
        return False
    try:
        stored = int(block[148:156].strip(b"\0 ") or b"x", 8)
    except ValueError:
        return False
    return stored == sum(block[:148]) + 8 * 32 + sum(block[156:])
