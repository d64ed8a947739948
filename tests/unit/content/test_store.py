"""A blob is whole and true, or it is not there."""

import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corten.content import Store
from corten.model.digest import Digest
from corten.model.errors import AlreadyExists, DataLoss, InvalidArgument, NotFound, ResourceExhausted, Unavailable

DATA = b"some layer" * 1000
DIGEST = Digest.of(DATA)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "content")


def unfinished(store: Store) -> list[str]:
    return os.listdir(store.root / "ingest")


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_what_was_committed_can_be_read(store: Store, algorithm: str) -> None:
    digest = Digest.of(DATA, algorithm)
    with store.ingest("x", expected=digest, size=len(DATA)) as writer:
        writer.write(DATA[:100])
        assert digest not in store
        writer.write(memoryview(DATA)[100:])
        assert writer.commit() == digest
    with store.open(digest) as blob:
        assert blob.read_at(5, 10) == DATA[5:15]
        assert blob.size == len(DATA)
    assert store.read(digest) == DATA
    assert [info.digest for info in store.blobs()] == [digest]
    assert unfinished(store) == []


def test_an_interrupted_ingest_is_resumed(store: Store) -> None:
    with store.ingest("x", expected=DIGEST) as writer:
        writer.write(DATA[:4321])
    with Store(store.root).ingest("x", expected=DIGEST) as writer:  # another process, after a crash
        assert writer.offset == 4321
        writer.write(DATA[4321:])
        writer.commit()
    assert store.read(DIGEST) == DATA


def test_a_restarted_ingest_forgets_what_was_there(store: Store) -> None:
    with store.ingest("x") as writer:
        writer.write(b"rubbish")
    with store.ingest("x", expected=DIGEST) as writer:
        writer.restart()
        writer.write(DATA)
        writer.commit()
    assert store.read(DIGEST) == DATA


def test_wrong_bytes_never_appear(store: Store) -> None:
    with store.ingest("x", expected=DIGEST) as writer:
        writer.write(DATA + b"!")
        with pytest.raises(DataLoss, match="has the digest"):
            writer.commit()
    assert DIGEST not in store
    assert unfinished(store) == []


def test_a_size_that_lies_is_noticed_early_and_late(store: Store) -> None:
    with store.ingest("long", size=10) as writer, pytest.raises(DataLoss, match="announced 10"):
        writer.write(DATA)
    with store.ingest("short", size=len(DATA) + 1) as writer:
        writer.write(DATA)
        with pytest.raises(DataLoss, match="bytes came"):
            writer.commit()
    assert list(store.blobs()) == []


def test_one_ref_has_one_writer(store: Store) -> None:
    with store.ingest("x") as writer:
        with pytest.raises(Unavailable):
            store.ingest("x")
        writer.write(DATA)
        writer.commit()
    with pytest.raises(InvalidArgument, match="closed"), writer:
        pass
    with pytest.raises(AlreadyExists):
        store.ingest("y", expected=DIGEST)


def test_many_threads_may_store_the_same_document(store: Store) -> None:
    threads = [threading.Thread(target=lambda: store.put(DATA)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.read(DIGEST) == DATA
    assert unfinished(store) == []


def test_a_damaged_blob_is_data_loss(store: Store) -> None:
    store.put(DATA)
    store.path(DIGEST).chmod(0o600)
    store.path(DIGEST).write_bytes(DATA[:-1] + b"?")
    with pytest.raises(DataLoss):
        store.read(DIGEST)
    with pytest.raises(DataLoss):
        store.verify(DIGEST)


def test_a_document_is_bounded(store: Store) -> None:
    store.put(DATA)
    with pytest.raises(DataLoss, match="too long"):
        store.read(DIGEST, limit=100)


def test_a_missing_blob_is_not_found(store: Store) -> None:
    for look in (store.open, store.read, store.info, store.delete):
        with pytest.raises(NotFound):
            look(DIGEST)


def test_a_reader_keeps_what_is_collected(store: Store) -> None:
    store.put(DATA)
    with store.open(DIGEST) as blob:
        assert store.discard(DIGEST) == len(DATA)
        assert DIGEST not in store
        store.purge()
        assert blob.read_at(0, len(DATA)) == DATA
    assert os.listdir(store.root / "trash") == []


def test_a_start_drops_what_nobody_will_resume(store: Store) -> None:
    store.ingest("a pull").close()
    store.ingest("a load", resumable=False).close()
    with store.ingest("running", resumable=False) as writer:
        store.abandon()
        assert len(unfinished(store)) == 2
        store.abandon(older_than=-1)
        assert len(unfinished(store)) == 1
        writer.abort()
    assert unfinished(store) == []


def test_a_blob_name_is_never_a_path(store: Store) -> None:
    with pytest.raises(InvalidArgument):
        store.open(Digest("sha256:../../../etc/passwd"))


@given(st.lists(st.binary(max_size=50), max_size=6))
def test_the_digest_does_not_depend_on_how_bytes_came(
    tmp_path_factory: pytest.TempPathFactory, chunks: list[bytes]
) -> None:
    store = Store(tmp_path_factory.mktemp("content"), durable=False)
    with store.ingest("x") as writer:
        for chunk in chunks:
            writer.write(chunk)
        assert writer.commit() == Digest.of(b"".join(chunks))


def test_a_blob_that_cannot_fit_is_refused_before_it_fills_the_disk(tmp_path: Path) -> None:
    with Store(tmp_path).ingest("huge", expected=Digest.of(b"x"), size=1 << 60) as writer:
        with pytest.raises(ResourceExhausted, match="bytes more, and"):
            writer.require_space()
    with Store(tmp_path).ingest("small", size=10) as writer:
        writer.require_space()
