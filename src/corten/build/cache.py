"""The build cache: what a step gave, by what it meant.

A *key* is the digest of an operation and of what it stood on; a *record* is the result: the chain ID of the files and
the layers above the base image. A step has two keys: by definition (its inputs' keys, so that nothing need be read)
and by content (its inputs' chain IDs and the digest of the files that it selects), and is found by either.

A record keeps its snapshot and layers by references (node kind `build-cache`, a root), so that removing an image
leaves the cache whole, and pruning the cache leaves the images whole.
"""

from collections.abc import Callable, Iterable, Sequence

import msgspec

from corten.metadata import Database, Node, references
from corten.metadata.leases import Lease
from corten.model.descriptor import Descriptor
from corten.model.document import decode, encode

__all__ = ["Cache", "Entry", "Result"]

KIND = "build-cache"


class Result(msgspec.Struct, frozen=True):
    """A step's files: their chain ID ("" for none at all) and the layers that the build put on its base image.

    A layer is an uncompressed tar: its digest is its diff ID.
    """

    chain: str = ""
    layers: tuple[Descriptor, ...] = ()


class Entry(msgspec.Struct, frozen=True):
    """A record as people see it; `size` is what its last layer adds, in bytes."""

    key: str
    description: str
    size: int
    created_ns: int
    used_ns: int
    uses: int


class Cache:
    """Records in the database. `find` and `put` are safe for builds side by side: the same key means the same."""

    def __init__(self, database: Database, snapshot_node: Callable[[str], str]) -> None:
        self._database = database
        self._snapshot_node = snapshot_node

    def nodes(self, result: Result) -> list[Node]:
        """What must be kept for a result to be of use."""
        kept = [Node("blob", str(layer.digest)) for layer in result.layers]
        return [*kept, *([Node("snapshot", self._snapshot_node(result.chain))] if result.chain else [])]

    def find(self, keys: Iterable[str], lease: Lease) -> Result | None:
        """The result under one of these keys, kept by `lease` from now on. Whether it is whole is the caller's look."""
        for key in keys:
            with self._database.write(durable=False) as tx:
                row = tx.execute("SELECT result FROM build_cache WHERE key = ?", (key,)).fetchone()
                if row is None:
                    continue
                result = decode(row["result"].encode(), Result, "build cache record")
                references.add(tx, lease.node, self.nodes(result))
                tx.execute("UPDATE build_cache SET used_ns = ?, uses = uses + 1 WHERE key = ?", (tx.now(), key))
                return result
        return None

    def has(self, key: str) -> bool:
        """Whether there is a record; whether it is of use is another question."""
        with self._database.read() as rows:
            return rows.execute("SELECT 1 FROM build_cache WHERE key = ?", (key,)).fetchone() is not None

    def put(self, keys: Sequence[str], result: Result, description: str, size: int) -> None:
        """Record a result under its keys."""
        document = encode(result).decode()
        with self._database.write(durable=False) as tx:
            for key in keys:
                references.drop_all(tx, Node(KIND, key))
                references.add(tx, Node(KIND, key), self.nodes(result))
                row = (key, document, description, size, tx.now(), tx.now())
                tx.execute("INSERT OR REPLACE INTO build_cache VALUES (?, ?, ?, ?, ?, ?, 0)", row)

    def twins(self, key: str) -> list[str]:
        """The other keys of the result that `key` has."""
        query = "SELECT twin.key FROM build_cache AS one JOIN build_cache AS twin USING (result)"
        with self._database.read() as rows:
            found = rows.execute(f"{query} WHERE one.key = ? AND twin.key != ?", (key, key)).fetchall()
        return [row["key"] for row in found]

    def known(self, lines: Iterable[str]) -> frozenset[str]:
        """Those of the keys of lines (`lower.Line`) that were built before."""
        with self._database.read() as rows:
            query = "SELECT 1 FROM build_lines WHERE key = ?"
            return frozenset(line for line in lines if rows.execute(query, (line,)).fetchone())

    def remember(self, lines: Iterable[str]) -> None:
        """These lines have been built."""
        with self._database.write(durable=False) as tx:
            tx.executemany("INSERT OR IGNORE INTO build_lines VALUES (?)", [(line,) for line in lines])

    def entries(self) -> list[Entry]:
        """Every record, the one used longest ago first; a step's second key is not shown again."""
        with self._database.read() as rows:
            found = rows.execute("SELECT * FROM build_cache ORDER BY used_ns, key").fetchall()
        shown: dict[str, Entry] = {}
        for row in found:
            fields = (row["key"], row["description"], row["size"], row["created_ns"], row["used_ns"], row["uses"])
            shown[row["result"]] = Entry(*fields)
        return list(shown.values())

    def forget(self, entries: Iterable[Entry]) -> list[str]:
        """Drop records with all their keys; what only they kept is the next collection's. Returns their keys."""
        gone = []
        with self._database.write() as tx:
            for entry in entries:
                row = tx.execute("SELECT result FROM build_cache WHERE key = ?", (entry.key,)).fetchone()
                if row is None:
                    continue
                twins = tx.execute("SELECT key FROM build_cache WHERE result = ?", (row["result"],)).fetchall()
                for twin in twins:
                    references.drop_all(tx, Node(KIND, twin["key"]))
                    tx.execute("DELETE FROM build_cache WHERE key = ?", (twin["key"],))
                gone.append(entry.key)
            tx.execute("DELETE FROM build_lines")
        return gone
