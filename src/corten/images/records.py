"""Images and names in the database: the only SQL of this package.

A row and its references are written in one transaction: image → manifest, config and layer blobs, and the snapshot of
each chain ID. So as long as the row is there, garbage collection keeps all of it.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from corten.images.stores import Stores
from corten.metadata import Node, Transaction, references
from corten.model.descriptor import Descriptor
from corten.model.digest import Digest
from corten.model.document import Document
from corten.model.image import ImageConfig, chain_ids
from corten.model.manifest import Manifest
from corten.model.reference import Reference

__all__ = [
    "Row",
    "all_rows",
    "by_name",
    "by_prefix",
    "children",
    "delete",
    "layer_sizes",
    "name",
    "names_of",
    "names_of_repository",
    "put",
    "row",
    "set_layer_size",
    "unname",
]

Rows = sqlite3.Connection | Transaction
COLUMNS = "id, manifest, parent, size, created_ns, tagged_ns"


class Row(NamedTuple):
    """One row of `images`."""

    id: Digest
    manifest: Digest
    parent: Digest | None
    size: int
    created_ns: int
    tagged_ns: int


def _row(found: sqlite3.Row) -> Row:
    return Row(
        Digest(found["id"]),
        Digest(found["manifest"]),
        Digest(found["parent"]) if found["parent"] else None,
        found["size"],
        found["created_ns"],
        found["tagged_ns"],
    )


def put(
    tx: Transaction,
    stores: Stores,
    manifest: Document[Manifest],
    config: Document[ImageConfig],
    *,
    parent: Digest | None = None,
) -> Digest:
    """Record an image whose blobs are stored; the same image again only renews its references. Returns its id."""
    id = config.digest
    diff_ids = config.value.diff_ids
    size = sum(layer_sizes(tx, diff_ids).get(diff_id, 0) for diff_id in diff_ids)
    tx.execute(
        "INSERT INTO images (id, manifest, parent, size, created_ns) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (id) DO UPDATE SET manifest = excluded.manifest, size = excluded.size",
        (id, manifest.digest, parent, size, tx.now()),
    )
    node = Node("image", id)
    references.drop_all(tx, node)
    blobs = [manifest.digest, id, *(layer.digest for layer in manifest.value.layers)]
    chain = [Node("snapshot", stores.snapshots.node(chain_id)) for chain_id in chain_ids(diff_ids)]
    references.add(tx, node, [*(Node("blob", digest) for digest in blobs), *chain])
    return id


def delete(tx: Transaction, id: Digest) -> None:
    """Forget an image and all of its names."""
    tx.execute("DELETE FROM names WHERE image = ?", (id,))
    tx.execute("DELETE FROM images WHERE id = ?", (id,))
    tx.execute("UPDATE images SET parent = NULL WHERE parent = ?", (id,))
    references.drop_all(tx, Node("image", id))


def row(rows: Rows, id: str) -> Row | None:
    found = rows.execute(f"SELECT {COLUMNS} FROM images WHERE id = ?", (id,)).fetchone()
    return _row(found) if found else None


def all_rows(rows: Rows) -> list[Row]:
    return [_row(found) for found in rows.execute(f"SELECT {COLUMNS} FROM images")]


def by_prefix(rows: Rows, prefix: str) -> list[Digest]:
    """The images whose id begins so; `prefix` is hex digits only, so it holds no wildcard."""
    found = rows.execute("SELECT id FROM images WHERE id LIKE ? LIMIT 2", (f"sha256:{prefix}%",))
    return [Digest(id) for (id,) in found]


def by_name(rows: Rows, reference: Reference) -> Digest | None:
    found = rows.execute("SELECT image FROM names WHERE name = ?", (str(reference),)).fetchone()
    return Digest(found[0]) if found else None


def names_of(rows: Rows, id: str) -> list[Reference]:
    """All names of an image, tags and digests, sorted."""
    found = rows.execute("SELECT name FROM names WHERE image = ? ORDER BY name", (id,))
    return [Reference.parse(name) for (name,) in found]


def names_of_repository(rows: Rows, repository: str) -> list[tuple[Reference, Digest]]:
    """Every name in a repository, with the image that has it."""
    found = rows.execute("SELECT name, image FROM names WHERE repository = ? ORDER BY name", (repository,))
    return [(Reference.parse(name), Digest(id)) for name, id in found]


def name(tx: Transaction, reference: Reference, id: Digest) -> Digest | None:
    """Give `id` this name; returns the image that had it before, if another."""
    before = by_name(tx, reference)
    tx.execute(
        "INSERT INTO names VALUES (?, ?, ?, ?) ON CONFLICT (name) DO UPDATE"
        " SET image = excluded.image, updated_ns = excluded.updated_ns",
        (str(reference), reference.name, id, tx.now()),
    )
    tx.execute("UPDATE images SET tagged_ns = ? WHERE id = ?", (tx.now(), id))
    return before if before != id else None


def unname(tx: Transaction, names: Iterable[Reference]) -> None:
    tx.executemany("DELETE FROM names WHERE name = ?", [(str(name),) for name in names])


def children(rows: Rows, id: str) -> list[Digest]:
    """The images that were made from this one here."""
    return [Digest(child) for (child,) in rows.execute("SELECT id FROM images WHERE parent = ?", (id,))]


def layer_sizes(rows: Rows, diff_ids: Sequence[Digest]) -> dict[Digest, int]:
    """The unpacked size of each layer that has been unpacked."""
    marks = ", ".join("?" * len(diff_ids))
    found = rows.execute(f"SELECT diff_id, size FROM layers WHERE diff_id IN ({marks})", tuple(diff_ids))
    return {Digest(diff_id): size for diff_id, size in found}


def set_layer_size(tx: Transaction, diff_id: Digest, size: int) -> None:
    tx.execute("INSERT OR REPLACE INTO layers VALUES (?, ?)", (diff_id, size))


def compressed_form(rows: Rows, bare: Digest) -> Descriptor | None:
    """What this bare tar became as gzip when it was last pushed."""
    sql = "SELECT media_type, digest, size FROM compressed WHERE bare = ?"
    found = rows.execute(sql, (bare,)).fetchone()
    return Descriptor(found[0], Digest(found[1]), found[2]) if found else None


def set_compressed_form(tx: Transaction, bare: Digest, made: Descriptor) -> None:
    """Remember it, and keep it as long as the bare tar is kept."""
    values = (bare, made.digest, made.media_type, made.size)
    tx.execute("INSERT OR REPLACE INTO compressed VALUES (?, ?, ?, ?)", values)
    references.add(tx, Node("blob", bare), [Node("blob", made.digest)])
