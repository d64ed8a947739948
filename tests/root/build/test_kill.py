"""`kill -9` of the engine in the middle of a build: nothing is left behind, the next build goes on from the cache."""

import contextlib
import os
import threading
from collections.abc import Iterator

import pytest

from tests.root.build.building import Site, context
from tests.root.engines import OTHER_HOST, Engine, eventually

pytestmark = [pytest.mark.root, pytest.mark.skipif(bool(OTHER_HOST), reason="kills its engine")]
TEXT = "FROM tiny\nRUN echo done > /first\nRUN --mount=type=cache,target=/c sleep 1; echo slow > /second\n"


@pytest.fixture
def own() -> Iterator[Engine]:
    if os.geteuid() != 0:
        pytest.skip("needs root")
    engine = Engine.temporary()
    try:
        engine.start()
        engine.load()
        yield engine
    finally:
        engine.end()


def test_a_killed_build_leaves_nothing_and_the_next_one_goes_on(own: Engine) -> None:
    site = Site(own)

    def build() -> None:
        with contextlib.suppress(Exception):
            site.build(context(TEXT))

    thread = threading.Thread(target=build)
    thread.start()
    eventually(lambda: own.process and b"sleep 1" in commands(), 10)
    own.kill()
    thread.join()
    own.start()
    eventually(lambda: b"sleep 1" not in commands(), 5)
    again = Site(own).build(context(TEXT))
    assert again.cached == 1
    assert {"first", "second"} <= Site(own).files(again.id).keys()
    assert not list(own.root.rglob("build/scratch/*"))


def test_a_client_that_goes_away_ends_its_build(own: Engine) -> None:
    site = Site(own)
    connection = site.client._connection
    archive = context("FROM tiny\nRUN sleep 1000.5\n")
    connection.send("POST", "/build", query={}, body=archive, headers={"Content-Type": "application/x-tar"})
    eventually(lambda: b"sleep 1000.5" in commands(), 10)
    connection.close()
    eventually(lambda: b"sleep 1000.5" not in commands(), 10)


def commands() -> bytes:
    """The command lines of every process."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError), open(f"/proc/{name}/cmdline", "rb") as file:
                found.append(file.read().replace(b"\0", b" "))
    return b"\n".join(found)
