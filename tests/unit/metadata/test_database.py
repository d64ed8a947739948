"""The database's promises: whole or not at all, one writer, events with their cause, nothing collected under a user."""

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from corten.metadata import Collected, Database, Node, collect, leases, references
from corten.metadata.schema import MIGRATIONS, Migration
from corten.model.errors import DataLoss, FailedPrecondition, Internal
from corten.model.event import Event


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    database = Database(tmp_path / "meta.db")
    yield database
    database.close()


class Shelf:
    """A collector over a set of names."""

    kind = "blob"

    def __init__(self, *names: str) -> None:
        self.names = set(names)
        self.purged = False

    def walk(self) -> list[str]:
        return sorted(self.names)

    def discard(self, id: str) -> int:
        self.names.remove(id)
        return 10

    def purge(self) -> None:
        self.purged = True


def put(database: Database, name: str) -> None:
    with database.write() as tx:
        tx.execute("INSERT INTO leases VALUES (?, '', 0, 0, 0)", (name,))


def names(database: Database) -> list[str]:
    with database.read() as rows:
        return [row[0] for row in rows.execute("SELECT id FROM leases ORDER BY id")]


def test_a_failed_block_changes_nothing_and_tells_nobody(db: Database) -> None:
    heard: list[Event] = []
    db.subscribe(heard.append)

    def fail() -> None:
        with db.write() as tx:
            tx.execute("INSERT INTO leases VALUES ('a', '', 0, 0, 0)")
            tx.emit(Event("image", "tag", "x"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert (names(db), heard, db.events()) == ([], [], [])
    put(db, "b")
    assert names(db) == ["b"]


def test_an_event_is_stored_and_told_after_its_cause(db: Database) -> None:
    seen: list[list[str]] = []
    stop = db.subscribe(lambda _: seen.append(names(db)))
    with db.write() as tx:
        tx.execute("INSERT INTO leases VALUES ('a', '', 0, 0, 0)")
        tx.emit(Event("image", "tag", "x", {"name": "y"}, time_ns=7))
    stop()
    put(db, "b")
    assert seen == [["a"]]
    assert db.events() == [Event("image", "tag", "x", {"name": "y"}, 7)]
    assert db.events(since_ns=8) == []


def test_old_events_are_dropped(db: Database) -> None:
    with db.write() as tx:
        for number in range(5000):
            tx.emit(Event("image", "tag", str(number)))
    kept = db.events()
    assert 4096 <= len(kept) < 4096 + 256 + 1
    assert kept[-1].actor == "4999"


def test_readers_see_one_state_while_others_write(db: Database) -> None:
    put(db, "a")
    with db.read() as rows:
        before = rows.execute("SELECT count(*) FROM leases").fetchone()[0]
        put(db, "b")
        assert rows.execute("SELECT count(*) FROM leases").fetchone()[0] == before == 1
        with pytest.raises(sqlite3.OperationalError):
            rows.execute("DELETE FROM leases")


def test_writers_wait_for_each_other(db: Database) -> None:
    def add(prefix: str) -> None:
        for number in range(50):
            put(db, f"{prefix}{number}")

    threads = [threading.Thread(target=add, args=(letter,)) for letter in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(names(db)) == 200


def test_a_write_inside_a_write_is_an_error_not_a_deadlock(db: Database) -> None:
    with pytest.raises(Internal, match="deadlock"), db.write(), db.write():
        pass


def test_what_was_committed_is_there_after_a_kill(db: Database) -> None:
    with db.write(durable=False) as tx:
        tx.execute("INSERT INTO leases VALUES ('a', '', 0, 0, 0)")
    copy = Database(db.path)  # a second opener, as after a crash: the first never closed
    assert names(copy) == ["a"]
    copy.close()


def test_an_old_file_is_copied_then_migrated(tmp_path: Path) -> None:
    path = tmp_path / "meta.db"
    first = Database(path)
    put(first, "kept")
    first.close()
    later = Database(path, migrations=(*MIGRATIONS, Migration("more", "CREATE TABLE more (a TEXT) STRICT;")))
    with later.read() as rows:
        assert rows.execute("SELECT count(*) FROM more").fetchone()[0] == 0
    assert names(later) == ["kept"]
    later.close()
    assert (tmp_path / f"meta.db.before-{len(MIGRATIONS) + 1}").exists()
    with pytest.raises(FailedPrecondition, match="this corten knows"):
        Database(path)


def test_a_failing_migration_leaves_the_old_schema(tmp_path: Path) -> None:
    path = tmp_path / "meta.db"
    Database(path).close()
    broken = Migration("broken", "CREATE TABLE half (a TEXT) STRICT;\nCREATE TABLE half (a TEXT) STRICT;")
    with pytest.raises(sqlite3.OperationalError):
        Database(path, migrations=(*MIGRATIONS, broken))
    again = Database(path)
    with again.read() as rows, pytest.raises(sqlite3.OperationalError):
        rows.execute("SELECT * FROM half")
    again.close()


def test_a_damaged_file_is_data_loss_with_a_hint(tmp_path: Path) -> None:
    (tmp_path / "meta.db").write_bytes(b"this is no database" * 100)
    with pytest.raises(DataLoss) as error:
        Database(tmp_path / "meta.db")
    assert "backup" in error.value.hint


def test_only_what_a_root_reaches_survives(db: Database) -> None:
    with db.write() as tx:
        references.add(tx, Node("image", "i"), [Node("manifest", "m")])
        references.add(tx, Node("manifest", "m"), [Node("blob", "kept")])
        references.add(tx, Node("manifest", "orphan"), [Node("blob", "lost")])
    shelf = Shelf("kept", "lost", "stray")
    assert collect(db, [shelf]) == Collected([Node("blob", "lost"), Node("blob", "stray")], 20)
    assert (shelf.names, shelf.purged) == ({"kept"}, True)


def test_a_cycle_without_a_root_is_collected(db: Database) -> None:
    with db.write() as tx:
        references.add(tx, Node("blob", "a"), [Node("blob", "b")])
        references.add(tx, Node("blob", "b"), [Node("blob", "a")])
    shelf = Shelf("a", "b")
    collect(db, [shelf])
    assert shelf.names == set()
    with db.read() as rows:
        assert references.to(rows, Node("blob", "a")) == []


def test_a_lease_keeps_until_it_ends(db: Database) -> None:
    shelf = Shelf("a", "b")
    with leases.hold(db, "pull x", [Node("blob", "a")]) as lease:
        lease.keep(Node("blob", "b"))
        collect(db, [shelf])
        assert shelf.names == {"a", "b"}
    collect(db, [shelf])
    assert shelf.names == set()


def test_a_lease_that_a_crash_left_behind_expires(tmp_path: Path) -> None:
    now = [1000]
    db = Database(tmp_path / "meta.db", clock=lambda: now[0])
    crashed = leases.hold(db, "crashed", [Node("blob", "a")], lifetime_ns=50)
    crashed.__enter__()
    shelf = Shelf("a")
    collect(db, [shelf])
    assert shelf.names == {"a"}
    now[0] = 1050
    collect(db, [shelf])
    assert shelf.names == set()
    crashed.__exit__(None, None, None)
    db.close()


def test_an_engine_that_starts_ends_what_cannot_be_resumed(db: Database) -> None:
    holding = [leases.hold(db, why, [Node("blob", why)], resumable=why == "pull") for why in ("pull", "load")]
    for one in holding:
        one.__enter__()
    with db.write() as tx:
        assert leases.expire(tx) == 0
        assert leases.expire(tx, interrupted=True) == 1
    shelf = Shelf("pull", "load")
    collect(db, [shelf])
    assert shelf.names == {"pull"}
    for one in holding:
        one.__exit__(None, None, None)
