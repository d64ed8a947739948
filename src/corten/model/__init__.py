"""The nouns of OCI and of Corten, immutable: no I/O, no clock, no random.

Every other package speaks in these words, so a newcomer should read them first:

- `digest.Digest`: the name of some bytes, ``sha256:`` and 64 hex digits. A Digest that exists is well formed.
- `reference.Reference`: what people type, ``nginx`` or ``ghcr.io/me/app:1.2``, with Docker's completion rules.
- `platform.Platform`: ``linux/arm64/v8``; says which of an image's variants a machine can run.
- `descriptor.Descriptor`: media type + digest + size: an edge from a document to other bytes.
- `manifest.Manifest` and `manifest.Index`: an image is a config and layers; an index is a choice of images.
- `image.ImageConfig`: what a container starts with (environment, command, user) and the diff IDs of its layers.
- `document.Document`: bytes that have a digest, beside their parsed view. What has a digest is never written again.
- `mount.Mount`: one mount to be made by somebody else. `event.Event`: something that happened.
- `whiteout`: the forms in which a layer says that something is gone.
- `errors`: one closed set of kinds, and one table from them to every edge.

>>> from corten.model.reference import Reference
>>> str(Reference.parse("nginx"))
'docker.io/library/nginx:latest'

This file imports none of them: `errors` is needed where a start with msgspec would cost too much.
"""

__all__ = [
    "container",
    "descriptor",
    "digest",
    "document",
    "errors",
    "event",
    "image",
    "manifest",
    "mediatype",
    "mount",
    "platform",
    "reference",
    "runtime_spec",
    "whiteout",
]
