"""The outbox: events stored in the same transaction as what they tell about, so that neither exists alone.

It also answers ``docker events --since``, across restarts of the engine. The oldest events are dropped: dockerd
replays 256, we keep some thousands.
"""

import sqlite3
from typing import TYPE_CHECKING

import msgspec

from corten.model.document import encode
from corten.model.event import Event

if TYPE_CHECKING:
    from corten.metadata.database import Transaction

__all__ = ["KEPT", "append", "between"]

KEPT = 4096
TRIM_EVERY = 256  # trimming at every insert would double its cost


def append(tx: "Transaction", event: Event) -> Event:
    """Store the event, stamped with the time unless it brings its own; returns what was stored."""
    stamped = event if event.time_ns else msgspec.structs.replace(event, time_ns=tx.now())
    number = tx.execute(
        "INSERT INTO events (time_ns, type, action, actor, attributes, scope) VALUES (?, ?, ?, ?, ?, ?)",
        (
            stamped.time_ns,
            stamped.type,
            stamped.action,
            stamped.actor,
            encode(stamped.attributes).decode(),
            stamped.scope,
        ),
    ).lastrowid
    if number is not None and number % TRIM_EVERY == 0:
        tx.execute("DELETE FROM events WHERE number <= ?", (number - KEPT,))
    return stamped


def between(rows: sqlite3.Connection, since_ns: int, until_ns: int | None) -> list[Event]:
    """The events of that span of time, the oldest first."""
    found = rows.execute(
        "SELECT type, action, actor, attributes, time_ns, scope FROM events"
        " WHERE time_ns >= ? AND time_ns <= ? ORDER BY number",
        (since_ns, until_ns if until_ns is not None else (1 << 63) - 1),
    )
    return [Event(t, action, actor, msgspec.json.decode(a), ns, scope) for t, action, actor, a, ns, scope in found]
