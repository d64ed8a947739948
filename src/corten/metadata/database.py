"""The database file: open, migrate, one writer at a time, readers that never wait.

The engine is the only process that opens the file (it holds the root's lock), so "one writer" is a lock in this
process. Commits are durable (they survive a power cut) unless the caller says that losing the last moments is fine.
"""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from corten.metadata import outbox
from corten.metadata.schema import MIGRATIONS, Migration
from corten.model.errors import DataLoss, FailedPrecondition, Internal, ResourceExhausted, Unavailable
from corten.model.event import Event

__all__ = ["Database", "Subscriber", "Transaction"]

Subscriber = Callable[[Event], None]
PRAGMAS = ("journal_mode = WAL", "foreign_keys = ON", "busy_timeout = 5000", "temp_store = MEMORY")


class Transaction:
    """One change of the database, whole or not at all; it is given by `Database.write` and ends with the block."""

    def __init__(self, connection: sqlite3.Connection, clock: Callable[[], int]) -> None:
        self._connection = connection
        self._clock = clock
        self.events: list[Event] = []

    def execute(self, sql: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        """Run one statement. Values go in as parameters, never as text."""
        return self._connection.execute(sql, values)

    def executemany(self, sql: str, rows: Sequence[Sequence[Any]]) -> sqlite3.Cursor:
        return self._connection.executemany(sql, rows)

    def now(self) -> int:
        """The time in Unix nanoseconds, from the database's clock (tests pass their own)."""
        return self._clock()

    def emit(self, event: Event) -> None:
        """Put an event into the outbox: stored with this transaction, told to subscribers once it has committed."""
        self.events.append(outbox.append(self, event))


class Database:
    """Thread-safe. `clock` returns Unix nanoseconds."""

    def __init__(
        self,
        path: Path,
        *,
        migrations: Sequence[Migration] = MIGRATIONS,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self.path = path
        self._clock = clock
        self._writing = threading.Lock()
        self._writer_thread = 0
        self._durable = True
        self._idle_readers: list[sqlite3.Connection] = []
        self._subscribers: list[Subscriber] = []
        self._writer = self._connect()
        migrate(self._writer, path, migrations)

    @contextmanager
    def write(self, *, durable: bool = True) -> Iterator[Transaction]:
        """Change the database: commits when the block ends, rolls back when it raises.

        `durable=False` skips the fsync: a kill cannot undo the change, a power cut may. Blocks do not nest: pass
        the transaction on to whoever takes part.
        """
        if self._writer_thread == threading.get_ident():
            raise Internal("database: a write inside a write would deadlock", hint="pass the transaction on")
        with self._writing:
            self._writer_thread = threading.get_ident()
            try:
                with _told(self.path):
                    tx = self._transaction(durable=durable)
                with _told(self.path), _commit_or_rollback(self._writer):
                    yield tx
            finally:
                self._writer_thread = 0
            for event in tx.events:
                for subscriber in tuple(self._subscribers):
                    subscriber(event)

    def _transaction(self, *, durable: bool) -> Transaction:
        if durable != self._durable:
            self._writer.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            self._durable = durable
        self._writer.execute("BEGIN IMMEDIATE")
        return Transaction(self._writer, self._clock)

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """See one consistent state for as long as the block lasts."""
        connection = self._idle_readers.pop() if self._idle_readers else self._connect(readonly=True)
        try:
            connection.execute("BEGIN")
            yield connection
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            self._idle_readers.append(connection)

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """Call `subscriber` with each committed event, in order, on the writing thread; returns how to stop.

        A subscriber must be quick and must not write: it hands the event on (a queue, `call_soon_threadsafe`).
        """
        self._subscribers.append(subscriber)
        return lambda: self._subscribers.remove(subscriber)

    def events(self, since_ns: int = 0, until_ns: int | None = None) -> list[Event]:
        """The stored events of that span of time, the oldest first."""
        with self.read() as rows:
            return outbox.between(rows, since_ns, until_ns)

    def close(self) -> None:
        """Close every connection; a clean close folds the log back into the file."""
        with self._writing:
            while self._idle_readers:
                self._idle_readers.pop().close()
            self._writer.close()

    def _connect(self, *, readonly: bool = False) -> sqlite3.Connection:
        with _told(self.path):
            connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        connection.row_factory = sqlite3.Row
        try:
            for pragma in PRAGMAS:
                connection.execute(f"PRAGMA {pragma}")
            connection.execute(f"PRAGMA query_only = {'ON' if readonly else 'OFF'}")
        except sqlite3.OperationalError as error:
            connection.close()
            with _told(self.path):
                raise error
        except sqlite3.DatabaseError as error:
            connection.close()
            raise DataLoss(
                f"open database {self.path}: {error}", hint=f"restore a backup: {self.path}.before-*"
            ) from error
        return connection


def migrate(connection: sqlite3.Connection, path: Path, migrations: Sequence[Migration]) -> None:
    """Bring the file to the newest schema, keeping a copy of the old one; a file from a newer Corten is refused."""
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > len(migrations):
        raise FailedPrecondition(
            f"open database {path}: it has schema {version}, this corten knows {len(migrations)}",
            hint="use the corten that wrote it, or a newer one",
        )
    if 0 < version < len(migrations):
        _backup(connection, Path(f"{path}.before-{len(migrations)}"))
    for number, migration in enumerate(migrations[version:], version + 1):
        with _commit_or_rollback(connection):
            connection.execute("BEGIN IMMEDIATE")
            for statement in _statements(migration.sql):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {number}")


def _backup(connection: sqlite3.Connection, target: Path) -> None:
    # Written aside and renamed, so that a copy cut short never passes for a backup.
    partial = target.with_name(target.name + ".partial")
    copy = sqlite3.connect(partial)
    connection.backup(copy)
    copy.close()
    partial.replace(target)


def _statements(sql: str) -> Iterator[str]:
    # Not executescript(): it commits the open transaction first.
    statement = ""
    for line in sql.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """A database that cannot be written says why in our words: the transaction has not happened."""
    try:
        yield
    except sqlite3.OperationalError as error:
        reason = error.sqlite_errorcode & 0xFF
        if reason == sqlite3.SQLITE_FULL:
            hint = "free some space and try again; nothing was lost"
            raise ResourceExhausted(f"database {path}: no space left on device", hint=hint) from error
        if reason in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN):
            hint = "is its disk full or read-only, or are descriptors used up?"
            raise Unavailable(f"database {path}: {error}", hint=hint) from error
        raise


@contextmanager
def _commit_or_rollback(connection: sqlite3.Connection) -> Iterator[None]:
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
