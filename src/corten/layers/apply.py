"""Unpacking one layer below a directory handle: everything in the tar is hostile, nothing leaves the handle.

The rules are image-spec's (layer.md, "Applying Changesets"): a directory over a directory changes its attributes;
anything else replaces what is there; whiteouts hide lower layers only. The directory is private to us until the
snapshot is committed, so nobody races the walk; what must be held off is the archive itself (see `directories`).

The hot path is a new regular file: open, write, utime, close, and only where needed chown and chmod.
"""

import errno
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from corten.kernel import rooted, tree
from corten.layers import whiteouts
from corten.layers.changes import shown
from corten.layers.directories import Directories, Directory, clean
from corten.layers.source import LayerSource
from corten.layers.whiteouts import Form
from corten.model.digest import Digest
from corten.model.errors import CortenError, InvalidArgument, PermissionDenied, ResourceExhausted
from corten.wire import tar

__all__ = ["Applied", "apply"]

CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
DEFAULT_ACL = b"system.posix_acl_default"
ID_LIMIT = (1 << 32) - 2
MAJOR_LIMIT, MINOR_LIMIT = (1 << 12) - 1, (1 << 20) - 1
# Attributes that a filesystem may not be able to keep; Docker goes on without them, and so do we, but we say so.
OPTIONAL_XATTR_ERRORS = frozenset((errno.EOPNOTSUPP, errno.EPERM, errno.EACCES))
CAUSES = {errno.ENAMETOOLONG: "a name is too long", errno.ENOENT: "it does not exist"}


class Applied(msgspec.Struct, frozen=True):
    """`diff_id` names the uncompressed tar, `size` is the bytes of its files, `warnings` say what could not be kept."""

    diff_id: Digest
    size: int
    entries: int
    warnings: list[str]


def apply(
    source: LayerSource, root_fd: int, *, form: Form = Form.PLAIN, lower_fds: Sequence[int] = (), owners: bool = True
) -> Applied:
    """Unpack the layer below `root_fd`; on an error the directory is left half-filled, for the caller to remove.

    In overlay form `lower_fds` are the layers below, the nearest first: only what they show needs a whiteout.
    `owners=False` leaves every file to the caller's user, for those who may not chown. Raises InvalidArgument for a
    hostile or damaged archive, ResourceExhausted when the disk is full, PermissionDenied.
    """
    extraction = _Extraction(source, root_fd, form, owners=owners)
    try:
        extraction.run()
        extraction.settle_whiteouts(lower_fds)
        extraction.set_times()
        diff_id = source.finish()
    finally:
        extraction.close()
    return Applied(diff_id, extraction.size, extraction.count, extraction.warnings)


class _Extraction:
    """One run; its state is what later entries need to know of earlier ones."""

    def __init__(self, source: LayerSource, root_fd: int, form: Form, *, owners: bool) -> None:
        self._source = source
        self._root_fd = root_fd
        self._form = form
        self._owners = owners
        self._directories = Directories(root_fd, form, is_ours=self._is_ours)
        self._umask = _umask()
        self._me = (os.geteuid(), os.getegid()) if owners else None
        # A directory's time changes as it is filled, so times of directories are set last.
        self._times: dict[bytes, int] = {}
        self._lost_directories = False
        self._made: set[bytes] = set()
        self._gone: list[bytes] = []
        self._opaques: set[bytes] = set()
        self._makers: dict[bytes, Callable[[tar.Entry, bytes, Directory, bytes], None]] = {
            tar.REGULAR: self._file,
            tar.DIRECTORY: self._directory,
            tar.SYMLINK: self._symlink,
            tar.HARDLINK: self._hardlink,
            tar.CHARACTER: self._node,
            tar.BLOCK_DEVICE: self._node,
            tar.FIFO: self._node,
        }
        self.size = 0
        self.count = 0
        self.warnings: list[str] = []

    def run(self) -> None:
        for entry in tar.entries(self._source):
            try:
                self._one(entry)
            except OSError as error:
                raise _explain(error, entry) from error

    def settle_whiteouts(self, lower_fds: Sequence[int]) -> None:
        """Drop the marks that hide nothing: in a directory that is not merged overlayfs would show them as files."""
        for path in sorted(self._gone):
            hides = not self._below_opaque(path) and shown(lower_fds, os.fsdecode(path)) is not None
            parent, _, name = path.rpartition(b"/")
            self._directories.trim()
            if not hides and self._is_marked(path):
                os.unlink(name, dir_fd=self._directories.get(parent).fd)

    def _below_opaque(self, path: bytes) -> bool:
        while path := path.rpartition(b"/")[0]:
            if path in self._opaques:
                return True
        return b"" in self._opaques

    def _is_marked(self, path: bytes) -> bool:
        try:
            fd = rooted.open(self._root_fd, os.fsdecode(path), os.O_PATH | os.O_NOFOLLOW, follow=False)
        except OSError:
            return False  # what it stood in was replaced
        try:
            return whiteouts.is_whiteout(os.fstat(fd))
        finally:
            os.close(fd)

    def set_times(self) -> None:
        """The times of directories, now that nothing more goes into them."""
        for path, mtime_ns in reversed(self._times.items()):
            if not self._lost_directories or self._is_directory(path):
                self._directories.trim()
                parent, _, name = path.rpartition(b"/")
                fd = self._directories.get(parent).fd
                os.utime(name or b".", ns=(mtime_ns, mtime_ns), dir_fd=fd, follow_symlinks=False)

    def _is_directory(self, path: bytes) -> bool:
        try:
            os.close(rooted.open(self._root_fd, os.fsdecode(path), os.O_PATH | os.O_NOFOLLOW | os.O_DIRECTORY))
        except OSError:
            return False
        return True

    def close(self) -> None:
        self._directories.forget()

    def _one(self, entry: tar.Entry) -> None:
        self.count += 1
        path = clean(entry.name)
        parent, _, name = path.rpartition(b"/")
        self._directories.trim()
        if not name:
            self._root(entry)
            return
        if path.startswith(whiteouts.META_PREFIX) and path != whiteouts.OPAQUE_NAME:
            return  # aufs's own bookkeeping, in the root of old layers
        directory = self._directories.get(parent)
        if name.startswith(whiteouts.PREFIX):
            self._whiteout(path, parent, directory, name)
            return
        _check_numbers(entry)
        self._makers[entry.type](entry, path, directory, name)
        if self._form is Form.PLAIN:
            self._remember(path)

    def _root(self, entry: tar.Entry) -> None:
        if entry.type != tar.DIRECTORY:
            raise InvalidArgument("layer replaces its own root by something that is no directory")
        self._dress_directory(entry, Directory(self._root_fd, False), b".")
        self._times[b""] = entry.mtime_ns

    def _file(self, entry: tar.Entry, path: bytes, directory: Directory, name: bytes) -> None:
        mode = entry.mode
        try:
            fd = os.open(name, CREATE, mode & 0o777, dir_fd=directory.fd)
        except FileExistsError:
            directory = self._cleared(path, directory, name)
            fd = os.open(name, CREATE, mode & 0o777, dir_fd=directory.fd)
        try:
            if entry.size:
                self._source.copy_to(fd, entry.size)
                self.size += entry.size
            owned = self._owners and ((entry.uid, entry.gid) != self._me or directory.gives_group)
            if owned:
                os.fchown(fd, entry.uid, entry.gid)
            if entry.xattrs:
                self._set_xattrs(fd, entry)
            if mode & (self._umask | 0o7000):
                os.fchmod(fd, mode)
            os.utime(fd, ns=(entry.mtime_ns, entry.mtime_ns))
        finally:
            os.close(fd)

    def _directory(self, entry: tar.Entry, path: bytes, directory: Directory, name: bytes) -> None:
        try:
            os.mkdir(name, entry.mode & 0o777, dir_fd=directory.fd)
        except FileExistsError:
            directory = self._over_existing(path, directory, name)
        self._dress_directory(entry, directory, name)
        self._times[path] = entry.mtime_ns

    def _over_existing(self, path: bytes, directory: Directory, name: bytes) -> Directory:
        """A directory stays and takes new attributes; anything else makes place. A whiteout leaves an opaque mark."""
        found = os.stat(name, dir_fd=directory.fd, follow_symlinks=False)
        if (found.st_mode & 0o170000) == 0o040000:
            return directory
        hidden = self._form is not Form.PLAIN and whiteouts.is_whiteout(found)
        os.unlink(name, dir_fd=directory.fd)
        os.mkdir(name, 0o700, dir_fd=directory.fd)
        if hidden:
            whiteouts.mark_opaque(self._directories.get(path).fd, self._form)
        return directory

    def _dress_directory(self, entry: tar.Entry, directory: Directory, name: bytes) -> None:
        if self._owners:
            os.chown(name, entry.uid, entry.gid, dir_fd=directory.fd, follow_symlinks=False)
        if entry.xattrs:
            self._set_xattrs(_proc_path(directory, name), entry)
        os.chmod(name, entry.mode, dir_fd=directory.fd)  # just made or seen as a directory: no link to follow

    def _symlink(self, entry: tar.Entry, path: bytes, directory: Directory, name: bytes) -> None:
        try:
            os.symlink(entry.link, name, dir_fd=directory.fd)
        except FileExistsError:
            directory = self._cleared(path, directory, name)
            os.symlink(entry.link, name, dir_fd=directory.fd)
        self._dress(entry, directory, name)

    def _hardlink(self, entry: tar.Entry, path: bytes, directory: Directory, name: bytes) -> None:
        target = clean(entry.link)
        parent, _, target_name = target.rpartition(b"/")
        if target == path:
            raise InvalidArgument(f"hard link {_show(entry.name)} points at itself")

        def link(directory: Directory) -> None:
            source = self._directories.get(parent)
            os.link(target_name, name, src_dir_fd=source.fd, dst_dir_fd=directory.fd, follow_symlinks=False)

        try:
            link(directory)
        except FileExistsError:
            directory = self._cleared(path, directory, name)
            link(directory)
        except FileNotFoundError:
            raise InvalidArgument(
                f"hard link {_show(entry.name)}: its target {_show(entry.link)} is not there"
            ) from None
        self._dress_link(entry, directory, name)

    def _dress_link(self, entry: tar.Entry, directory: Directory, name: bytes) -> None:
        """Docker gives the file what the link's header says; an honest one repeats what is there already."""
        found = os.stat(name, dir_fd=directory.fd, follow_symlinks=False)
        if self._owners and (found.st_uid, found.st_gid) != (entry.uid, entry.gid):
            os.chown(name, entry.uid, entry.gid, dir_fd=directory.fd, follow_symlinks=False)
        if (found.st_mode & 0o170000) != 0o120000 and found.st_mode & 0o7777 != entry.mode:
            os.chmod(name, entry.mode, dir_fd=directory.fd)

    def _node(self, entry: tar.Entry, path: bytes, directory: Directory, name: bytes) -> None:
        kind = {tar.CHARACTER: 0o020000, tar.BLOCK_DEVICE: 0o060000, tar.FIFO: 0o010000}[entry.type]
        device = os.makedev(*entry.device)
        try:
            os.mknod(name, kind | (entry.mode & 0o777), device, dir_fd=directory.fd)
        except FileExistsError:
            directory = self._cleared(path, directory, name)
            os.mknod(name, kind | (entry.mode & 0o777), device, dir_fd=directory.fd)
        self._dress(entry, directory, name)
        os.chmod(name, entry.mode, dir_fd=directory.fd)

    def _dress(self, entry: tar.Entry, directory: Directory, name: bytes) -> None:
        if self._owners and ((entry.uid, entry.gid) != self._me or directory.gives_group):
            os.chown(name, entry.uid, entry.gid, dir_fd=directory.fd, follow_symlinks=False)
        if entry.xattrs:
            self._set_xattrs(_proc_path(directory, name), entry)
        os.utime(name, ns=(entry.mtime_ns, entry.mtime_ns), dir_fd=directory.fd, follow_symlinks=False)

    def _set_xattrs(self, target: int | bytes, entry: tar.Entry) -> None:
        for key, value in (entry.xattrs or {}).items():
            name = os.fsdecode(key)
            stored = whiteouts.escape(name) if self._form is not Form.PLAIN else name
            if key == DEFAULT_ACL:
                self._umask = 0o777  # files made below take their mode from the list now: set every mode by hand
            try:
                # A descriptor is the file itself; a path has to stop at a symbolic link.
                os.setxattr(target, stored, value, follow_symlinks=isinstance(target, int))
            except OSError as error:
                if error.errno not in OPTIONAL_XATTR_ERRORS:
                    raise
                self.warnings.append(f"{_show(entry.name)}: extended attribute {name} not kept: {error.strerror}")

    def _cleared(self, path: bytes, directory: Directory, name: bytes) -> Directory:
        """Make place: what an earlier entry, or a lower layer, put there goes. Returns the handle to go on with."""
        found = os.stat(name, dir_fd=directory.fd, follow_symlinks=False)
        tree.remove(name, dir_fd=directory.fd)
        if (found.st_mode & 0o170000) != 0o040000:
            return directory
        self._lost_directories = True
        self._directories.forget()
        return self._directories.get(path.rpartition(b"/")[0])

    def _whiteout(self, path: bytes, parent: bytes, directory: Directory, name: bytes) -> None:
        if name == whiteouts.OPAQUE_NAME:
            self._opaque(parent, directory)
            return
        hidden = name[len(whiteouts.PREFIX) :]
        if hidden in (b"", b".", b".."):
            raise InvalidArgument(f"layer holds the whiteout {_show(path)}, which names no file")
        if self._form is Form.PLAIN:
            self._remove_lower(parent + b"/" + hidden if parent else hidden, directory, hidden)
        else:
            self._mark_gone(directory, hidden)
            self._gone.append(parent + b"/" + hidden if parent else hidden)

    def _mark_gone(self, directory: Directory, hidden: bytes) -> None:
        try:
            os.mknod(hidden, 0o020000, 0, dir_fd=directory.fd)
        except FileExistsError:
            # An entry of this layer stands there and stays; a directory hides what lower layers have in theirs.
            found = os.stat(hidden, dir_fd=directory.fd, follow_symlinks=False)
            if (found.st_mode & 0o170000) == 0o040000:
                fd = os.open(hidden, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory.fd)
                whiteouts.mark_opaque(fd, self._form)
                os.close(fd)

    def _opaque(self, parent: bytes, directory: Directory) -> None:
        if self._form is not Form.PLAIN:
            whiteouts.mark_opaque(directory.fd, self._form)
            self._opaques.add(parent)
            return
        for name in os.listdir(directory.fd):
            child = os.fsencode(name)
            self._remove_lower(parent + b"/" + child if parent else child, directory, child)

    def _remove_lower(self, path: bytes, directory: Directory, name: bytes) -> None:
        """In a plain tree: remove what lower layers put there, and keep what this layer made."""
        if path not in self._made:
            tree.remove(name, dir_fd=directory.fd)
        elif (os.stat(name, dir_fd=directory.fd, follow_symlinks=False).st_mode & 0o170000) == 0o040000:
            self._opaque(path, self._directories.get(path))

    def _is_ours(self, path: bytes) -> bool:
        """Whether this layer made what stands at `path`; in overlay form nothing else is there."""
        return self._form is not Form.PLAIN or path in self._made

    def _remember(self, path: bytes) -> None:
        while path and path not in self._made:
            self._made.add(path)
            path = path.rpartition(b"/")[0]


def _proc_path(directory: Directory, name: bytes) -> bytes:
    # setxattr(2) takes no directory handle, and a symlink or device cannot be opened for it.
    return b"/proc/self/fd/%d/%s" % (directory.fd, name)


def _check_numbers(entry: tar.Entry) -> None:
    # The largest id means "leave it" to chown(2): such an entry would keep our own user.
    if entry.uid > ID_LIMIT or entry.gid > ID_LIMIT:
        raise InvalidArgument(f"unpack {_show(entry.name)}: its owner {entry.uid}:{entry.gid} is out of bounds")
    if entry.device[0] > MAJOR_LIMIT or entry.device[1] > MINOR_LIMIT:
        raise InvalidArgument(f"unpack {_show(entry.name)}: its device number {entry.device} is out of bounds")


def _umask() -> int:
    # Reading it the classic way would change it for every thread.
    status = Path("/proc/self/status").read_text()
    return int(status.partition("Umask:")[2].split(maxsplit=1)[0], 8)


def _explain(error: OSError, entry: tar.Entry) -> CortenError:
    action = f"unpack {_show(entry.name)}"
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EMFILE):
        return ResourceExhausted(f"{action}: {error.strerror}", hint="free space below the engine's root")
    if error.errno in (errno.EPERM, errno.EACCES):
        return PermissionDenied(f"{action}: {error.strerror}", hint="unpacking owners and devices needs root")
    return InvalidArgument(f"{action}: {CAUSES.get(error.errno or 0, error.strerror)}")


def _show(name: bytes) -> str:
    return repr(name[:200].decode(errors="replace"))
