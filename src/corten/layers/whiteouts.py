"""Deletions in a directory of changes: telling the marks that untar.c sets (`model.whiteout` has the vocabulary)."""

import os

__all__ = ["ESCAPED", "OPAQUE_XATTRS", "is_opaque", "is_whiteout", "unescape"]

OPAQUE_XATTRS = {"trusted.overlay.opaque": b"y", "user.overlay.opaque": b"y"}
# overlayfs reads xattrs of these names as orders (redirect, metacopy). From a layer they are only data, and are kept
# the way overlayfs itself nests (Documentation/filesystems/overlayfs.rst, "Nesting overlayfs mounts").
ESCAPED = ("trusted.overlay.", "user.overlay.")


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


def unescape(name: str) -> str | None:
    """The xattr that a stored one was in the layer; None for overlayfs's own marks, which belong to no layer."""
    prefix = next((prefix for prefix in ESCAPED if name.startswith(prefix)), None)
    if prefix is None:
        return name
    rest = name[len(prefix) :]
    return prefix + rest.removeprefix("overlay.") if rest.startswith("overlay.") else None
