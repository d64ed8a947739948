"""Content-addressed blobs: ingest, resume, commit, read. It does not know what a manifest is.

    ROOT/ingest/<hash of ref>     bytes on their way in; what a crash leaves here can be resumed
    ROOT/blobs/<algorithm>/<hex>  whole, verified, never changed again; there in one rename
    ROOT/trash/…                  on the way out

A blob is verified while it is written, so whoever opens one need not hash it again. Before bytes are written,
somebody writes a reference that keeps them (`metadata.leases`): the store itself keeps nothing alive.

>>> with store.ingest("layer 1", expected=digest, size=size) as writer:
...     for chunk in chunks:
...         writer.write(chunk)
...     writer.commit()
>>> with store.open(digest) as blob:
...     blob.read_at(0, 512)
"""

from corten.content.store import Blob, Info, Store
from corten.content.writer import Writer

__all__ = ["Blob", "Info", "Store", "Writer"]
