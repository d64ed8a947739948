"""Deletions in a directory of changes: telling and setting overlayfs's marks (`model.whiteout` has the vocabulary)."""

import os

from corten.model.whiteout import META_PREFIX, OPAQUE_NAME, PREFIX, Form

__all__ = [
    "ESCAPED",
    "META_PREFIX",
    "OPAQUE_NAME",
    "OPAQUE_XATTRS",
    "PREFIX",
    "Form",
    "escape",
    "is_opaque",
    "is_whiteout",
    "mark_opaque",
    "unescape",
]

OPAQUE_XATTRS = {"trusted.overlay.opaque": b"y", "user.overlay.opaque": b"y"}
# overlayfs reads xattrs of these names as orders (redirect, metacopy). From a layer they are only data, and are kept
# the way overlayfs itself nests (Documentation/filesystems/overlayfs.rst, "Nesting overlayfs mounts").
ESCAPED = ("trusted.overlay.", "user.overlay.")


def mark_opaque(fd: int, form: Form) -> None:
    """Hide what lower layers have in the directory `fd`; in a plain tree there is nothing to mark."""
    if form is not Form.PLAIN:
        os.setxattr(fd, form.opaque_xattr, b"y")


def is_whiteout(found: os.stat_result) -> bool:
    """Whether overlayfs reads this file of an upper directory as a deletion."""
    return (found.st_mode & 0o170000) == 0o020000 and found.st_rdev == 0


def is_opaque(fd: int) -> bool:
    """Whether overlayfs hides what lower layers have in this directory."""
    for name, value in OPAQUE_XATTRS.items():
        try:
            if os.getxattr(fd, name) == value:
                return True
        except OSError:
            continue
    return False


def escape(name: str) -> str:
    """An xattr of a layer, as it is stored where overlayfs would obey it."""
    prefix = next((prefix for prefix in ESCAPED if name.startswith(prefix)), None)
    return f"{prefix}overlay.{name[len(prefix) :]}" if prefix else name


def unescape(name: str) -> str | None:
    """The reverse of `escape`; None for overlayfs's own marks, which belong to no layer."""
    prefix = next((prefix for prefix in ESCAPED if name.startswith(prefix)), None)
    if prefix is None:
        return name
    rest = name[len(prefix) :]
    return prefix + rest.removeprefix("overlay.") if rest.startswith("overlay.") else None
