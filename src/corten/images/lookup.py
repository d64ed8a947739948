"""Finding the image that somebody means: by name, by digest, by id, by the beginning of an id.

The order is Docker's: a full id first; then names, completed; then the beginning of an id.
"""

from corten.images import records
from corten.images.image import Image
from corten.images.records import Rows
from corten.images.stores import Stores
from corten.model.digest import Digest
from corten.model.errors import InvalidArgument, NotFound
from corten.model.image import parse_config
from corten.model.manifest import parse_manifest
from corten.model.reference import Reference

__all__ = ["find", "is_id", "read", "resolve"]

HEX = frozenset("0123456789abcdef")


def find(stores: Stores, text: str) -> Image:
    """Raises NotFound ``No such image: X``, in the words that make docker's command line pull."""
    with stores.db.read() as rows:
        id = resolve(rows, text)
        return read(stores, rows, id)


def resolve(rows: Rows, text: str) -> Digest:
    """The id of the image that `text` names; raises NotFound, and InvalidArgument for what can be no name."""
    id = _by_id(rows, text) or _by_name(rows, text) or _by_beginning(rows, text)
    if id is None:
        raise NotFound(f"No such image: {_shown(text)}", hint="list them with: corten images; load one: corten load -i")
    return id


def is_id(id: Digest, text: str) -> bool:
    """Whether `text` was an id or the beginning of one, and no name: removing by id has its own rules."""
    return id.startswith(text) or id.encoded.startswith(text)


def _by_id(rows: Rows, text: str) -> Digest | None:
    full = text if text.startswith("sha256:") else f"sha256:{text}"
    found = records.row(rows, full)
    return found.id if found else None


def _by_name(rows: Rows, text: str) -> Digest | None:
    try:
        reference = Reference.parse(text)
    except InvalidArgument:
        if HEX.issuperset(text.removeprefix("sha256:")):
            return None
        raise
    found = records.by_name(rows, reference)
    if found is None and reference.digest and reference.tag:
        return records.by_name(rows, reference.with_digest(reference.digest))
    return found


def _by_beginning(rows: Rows, text: str) -> Digest | None:
    prefix = text.removeprefix("sha256:")
    if not prefix or not HEX.issuperset(prefix):
        return None
    found = records.by_prefix(rows, prefix)
    return found[0] if len(found) == 1 else None


def _shown(text: str) -> str:
    try:
        return Reference.parse(text).familiar
    except InvalidArgument:
        return text


def read(stores: Stores, rows: Rows, id: Digest) -> Image:
    """The image with this id as a value; raises NotFound, DataLoss when its documents are damaged."""
    row = records.row(rows, id)
    if row is None:
        raise NotFound(f"No such image: {id}")
    return Image(
        id=id,
        manifest=parse_manifest(stores.content.read(row.manifest)),
        document=parse_config(stores.content.read(id)),
        names=tuple(records.names_of(rows, id)),
        parent=row.parent,
        size=row.size,
        created_ns=row.created_ns,
        tagged_ns=row.tagged_ns,
    )
