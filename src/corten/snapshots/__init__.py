"""Filesystem states with parents.

A *snapshot* is a state of a directory tree. A **committed** one never changes and has a name; an **active** one is
being written and has a key; a **view** is a read-only look at a committed one. Names and keys share one space.

    prepare("unpack 1", parent=None) ──fill──► commit("sha256:A", "unpack 1")
                                                   │ parent
    prepare("unpack 2", parent="sha256:A") ──fill──► commit("sha256:B", "unpack 2")
                                                   │ parent
    prepare("container 4f…", parent="sha256:B")        the container's own, writable layer; removed with it

So an image's layers become a chain of committed snapshots, named by chain ID and shared by every image that begins
with them, and each container stands on one of them. A snapshotter never mounts: it returns `Mount` values, and the
launcher makes them inside the container's own namespace. Two ways to fill an active snapshot: mount it and
write, or, as unpacking does, write into `changes(key).path` with deletions in the form that `changes(key).form` says.

- `protocol.Snapshotter` is the contract, with one test suite for all (tests/contracts/test_snapshotters.py).
- `overlay` keeps each layer's changes in a directory and lets overlayfs stack them.
- `native` copies the parent, sharing blocks where the filesystem can; it works everywhere.

Only one process works on a root. A crash leaves either a whole snapshot or none: a directory counts from the moment it
gets its name, and a committed one from the moment its record says so.
"""

from corten.snapshots.native import Native
from corten.snapshots.overlay import Overlay
from corten.snapshots.protocol import Changes, Info, Kind, Snapshotter, Usage

__all__ = ["Changes", "Info", "Kind", "Native", "Overlay", "Snapshotter", "Usage"]
