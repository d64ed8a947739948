"""The registry's core: repositories of blobs, manifests and tags, on plain files below one directory.

The nouns are distribution-spec's. A *blob* is bytes under their digest; a *manifest* is a document that names blobs
and has a media type; a *tag* is a name that moves from manifest to manifest; a *repository* holds all three under a
name like ``team/app``. A blob's bytes are stored once and *linked* into each repository that may show them::

    ROOT/lock                                    held by the one process that writes
    ROOT/content/blobs/sha256/…                  every byte, once (`content.Store`)
    ROOT/repositories/team/app/_blobs/sha256-…       a link: this repository may show that blob
                              /_manifests/sha256-…   a manifest of this repository; the file holds its media type
                              /_tags/latest          a digest
                              /_referrers/SUBJECT/…  descriptor of a manifest whose subject is SUBJECT
                              /_uploads/ID           an upload that has begun; its bytes are in content/ingest

No component of a repository's name begins with ``_``, so names and our own files never meet. Every small file is
written beside, made durable and renamed, in such an order that whatever names something comes after it: a crash
leaves at most bytes that nothing names, and `Registry.collect` frees those.

>>> registry = Registry.open(Path("/srv/registry"))
>>> app = registry.repository("team/app")
>>> upload = app.begin_upload()
>>> upload.append(stream); upload.finish(digest)
>>> app.put_manifest("latest", media_type, raw)

This package knows nothing of HTTP: `api.registry` is its edge.
"""

from corten.registry.manifests import LIMIT, Accepted, StoredManifest
from corten.registry.passwords import Passwords
from corten.registry.registry import Registry
from corten.registry.repository import Repository
from corten.registry.upload import Upload

__all__ = ["LIMIT", "Accepted", "Passwords", "Registry", "Repository", "StoredManifest", "Upload"]
