"""Writes and reads containers and volumes in the database. Statements only; what they mean is decided elsewhere.

Every function that writes takes the transaction of its caller, so that a change, its references and its event stand
or fall together.
"""

import sqlite3
from collections.abc import Iterable

import msgspec

from corten.engine.record import Record, State
from corten.engine.volume import Volume
from corten.metadata import Transaction, references
from corten.metadata.references import Node

__all__ = [
    "add",
    "add_volume",
    "containers",
    "drop",
    "drop_volume",
    "node",
    "set_record",
    "set_state",
    "users_of_volume",
    "volumes",
]


def node(container_id: str) -> Node:
    """The container in the graph of references."""
    return Node("container", container_id)


def volume_node(name: str) -> Node:
    return Node("volume", name)


def add(tx: Transaction, record: Record, state: State, keeps: Iterable[Node]) -> None:
    """Store a new container with what it keeps."""
    tx.execute(
        "INSERT INTO containers (id, name, created_ns, record, state) VALUES (?, ?, ?, ?, ?)",
        (record.id, record.name, record.created, text(record), text(state)),
    )
    references.add(tx, node(record.id), keeps)


def set_state(tx: Transaction, container_id: str, state: State) -> None:
    tx.execute("UPDATE containers SET state = ? WHERE id = ?", (text(state), container_id))


def set_record(tx: Transaction, record: Record) -> None:
    tx.execute("UPDATE containers SET record = ?, name = ? WHERE id = ?", (text(record), record.name, record.id))


def drop(tx: Transaction, container_id: str) -> None:
    """Forget a container and what it kept."""
    tx.execute("DELETE FROM containers WHERE id = ?", (container_id,))
    references.drop_all(tx, node(container_id))


def containers(rows: sqlite3.Connection) -> list[tuple[Record, State]]:
    """All containers, the oldest first."""
    found = rows.execute("SELECT record, state FROM containers ORDER BY created_ns").fetchall()
    return [
        (msgspec.json.decode(record, type=Record), msgspec.json.decode(state, type=State)) for record, state in found
    ]


def add_volume(tx: Transaction, volume: Volume) -> None:
    tx.execute(
        "INSERT INTO volumes (name, created_ns, anonymous, labels, options) VALUES (?, ?, ?, ?, ?)",
        (volume.name, volume.created, volume.anonymous, text(volume.labels), text(volume.options)),
    )


def drop_volume(tx: Transaction, name: str) -> None:
    tx.execute("DELETE FROM volumes WHERE name = ?", (name,))


def volumes(rows: sqlite3.Connection) -> list[Volume]:
    """All volumes, by name."""
    found = rows.execute("SELECT name, created_ns, anonymous, labels, options FROM volumes ORDER BY name").fetchall()
    return [
        Volume(name, created, bool(anonymous), msgspec.json.decode(labels), msgspec.json.decode(options))
        for name, created, anonymous, labels, options in found
    ]


def users_of_volume(rows: sqlite3.Connection | Transaction, name: str) -> list[str]:
    """The ids of the containers that keep a volume."""
    return [source.id for source in references.to(rows, volume_node(name)) if source.kind == "container"]


def text(value: object) -> str:
    return msgspec.json.encode(value).decode()
