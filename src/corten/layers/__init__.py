"""Tar to filesystem and back: apply a layer, find what changed, write it as a layer again.

- A *layer* is a tar of changes; its *diff ID* is the digest of that tar before compression.
- `apply` unpacks one below a directory handle. Where the directory is a native snapshot, a deletion deletes; where
  it is the upper directory of an overlay, a deletion leaves overlayfs's mark (`whiteouts.Form`).
- `changes` compares: an upper directory with the layers below it, or two whole trees.
- `diff` writes the changes as a tar, deletions as ``.wh.`` names; `pack` writes a whole tree.
- `compression` finds out what a stream is compressed with; `source` pours it into the extraction and hashes on the way.

>>> with store.open(layer.digest) as blob, closing(source.of_blob(blob.fd, blob.size)) as stream:
...     applied = apply(stream, root_fd, form=Form.OVERLAY)
"""

from corten.layers.apply import Applied, apply
from corten.layers.changes import Change, Kind, changes
from corten.layers.diff import diff, pack
from corten.model.whiteout import Form

__all__ = ["Applied", "Change", "Form", "Kind", "apply", "changes", "diff", "pack"]
