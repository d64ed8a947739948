"""Images: what is kept, under which names, and how it comes in, goes out and becomes a filesystem.

An image is three things in three stores: documents and layers in `content`, a row and its names in `metadata`, and,
once it has been unpacked, a chain of `snapshots`. Its id is the digest of its config.

    load ─► blobs under a lease ─► unpack: a snapshot for each chain ID ─► one transaction: row, names, references
    save ◄─ the same blobs, byte for byte: what was loaded comes out with the same digests
    tag, remove     move names; an image without names, children and users goes, and its blobs with it
    commit, import  a new layer, a new config: a new image

- `Images` is all of that for the engine. Whoever uses images (containers) tells it so when it asks (`Users`).
- `Image` is one image as a value; `listing` has the summaries and filters of ``docker images``.
- `bootstrap` makes images from a distribution's packages.

>>> for event in images.load(stream):
...     print(event)
>>> images.unpack(images.get("busybox"))
'sha256:…'
"""

from corten.images.amend import amend
from corten.images.commit import Authored
from corten.images.image import Image
from corten.images.images import Images
from corten.images.listing import Step, Summary
from corten.images.load import Loaded, Unpacked
from corten.images.remove import Deleted, Untagged, User

__all__ = [
    "Authored",
    "Deleted",
    "Image",
    "Images",
    "Loaded",
    "Step",
    "Summary",
    "Unpacked",
    "Untagged",
    "User",
    "amend",
]
