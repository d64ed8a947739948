"""Deletions, in the three forms they have.

A layer adds to the layers below it, so "not here any more" needs a mark (image-spec, layer.md, "Whiteouts"):

    in a tar                ``.wh.NAME``         NAME of a lower layer is gone
                            ``.wh..wh..opq``     everything that lower layers have in this directory is gone
    in overlayfs's upper    NAME, a character device 0/0
                            xattr ``trusted.overlay.opaque`` = ``y`` on the directory
    in a plain tree         it is simply not there

Whiteouts hide lower layers only, wherever they stand in the tar: an entry of the same layer with that name stays.
"""

import enum

__all__ = ["PREFIX", "Form"]

PREFIX = b".wh."


class Form(enum.Enum):
    """How a directory of changes says that something is gone."""

    OVERLAY = "overlay"
    OVERLAY_USER = "overlay-user"  # mounted with `userxattr`, in a user namespace
    PLAIN = "plain"
