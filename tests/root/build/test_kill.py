"""`kill -9` of the engine or the command in the middle of a build, and a full disk: nothing is left behind, the next
build goes on from the cache.

CORTEN_KILLS says how many builds are killed at random (6 by default).
"""

import contextlib
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.root import invariants
from tests.root.build.building import Site, context
from tests.root.engines import OTHER_HOST, Engine, eventually

pytestmark = [pytest.mark.root, pytest.mark.skipif(bool(OTHER_HOST), reason="kills its engine")]
SLEEP = b"sleep 1.00917"  # nobody else's: the machine is shared
TEXT = f"FROM tiny\nRUN echo done > /first\nRUN --mount=type=cache,target=/c {SLEEP.decode()}; echo slow > /second\n"
LEASES = """
import sqlite3, sys
rows = sqlite3.connect(f"file:{sys.argv[1]}/data/engine.db?mode=ro", uri=True)
print(*(why for (why,) in rows.execute("SELECT why FROM leases")), sep="\\n")
"""
KILLS = int(os.environ.get("CORTEN_KILLS", "6"))
# A bit of everything: two stages at once, caches, a merge, files that are written for a while.
MIXED = """FROM tiny AS one
WORKDIR /w
RUN --mount=type=cache,target=/c,id=mixed,sharing=locked echo {0} >> /c/f && cat /c/f > f
RUN dd if=/dev/zero of=big bs=64k count=40 && echo {0} > small
FROM tiny AS two
COPY --link --chown=3:4 f /linked
RUN --mount=type=bind,target=/ctx --mount=type=tmpfs,target=/t cp /ctx/f /t/x && cat /t/x > /out && echo {0} >> /out
FROM scratch
COPY --from=one /w /w
COPY --from=two /out /out
"""


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
    eventually(lambda: own.process and SLEEP in commands(), 10)
    own.kill()
    thread.join()
    own.start()
    eventually(lambda: SLEEP not in commands(), 5)
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


def left_behind(engine: Engine) -> list[str]:
    """What a build had under way: there must be none of it when none goes on."""
    assert engine.holder
    data = Path(f"/proc/{engine.holder.pid}/root{engine.root}/data")  # which may be a mount of the engine's own
    found = [f"lease {line}" for line in engine.inside(sys.executable, "-c", LEASES, str(engine.root)).stdout.split()]
    places = (data / "build/scratch", data / "content/ingest", data / "content/trash", engine.root / "run/build")
    found += [str(path) for place in places if place.exists() for path in place.iterdir()]
    found += [str(path) for path in data.glob("build/mounts/.new-*")]
    return found + [str(path) for path in data.glob("snapshots/*/record") if '"build ' in path.read_text()]


def settled(engine: Engine) -> None:
    eventually(lambda: not left_behind(engine), 15)
    invariants.hold(engine, 15)


def spawned(engine: Engine, place: Path) -> "subprocess.Popen[bytes]":
    code = "import sys; from corten.cli.command import main; sys.exit(main(sys.argv[1:]))"
    words = ["--host", engine.host, "build", "-q", str(place)]
    return subprocess.Popen([sys.executable, "-c", code, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@pytest.mark.timeout(60 + 10 * KILLS)
def test_builds_killed_at_random_leave_nothing_and_the_next_ones_succeed(own: Engine, tmp_path: Path) -> None:
    chance = random.Random(11)
    (tmp_path / "f").write_text("x" * 5000)
    reused = 0
    for number in range(KILLS):
        (tmp_path / "Dockerfile").write_text(MIXED.format(number))
        command = spawned(own, tmp_path)
        time.sleep(chance.uniform(0.05, 0.9))
        whose = chance.choice((own.process, command))
        assert whose
        whose.kill()
        whose.wait()
        if whose is own.process:
            command.communicate(timeout=30)
            own.start()
        else:
            command.communicate(timeout=30)
        settled(own)
        archive = context(MIXED.format(number), {"f": "x" * 5000})
        again = Site(own).build(archive)
        reused += again.cached
        files = Site(own).files(again.id)
        assert files["out"].endswith(f'{number}"\n') or "out" in files
        assert Site(own).build(archive).text.count("Running in") == 0
    settled(own)
    print(f"{KILLS} builds killed; the next ones found {reused} steps done")


def test_a_full_disk_fails_the_build_and_nothing_else(full: Engine) -> None:
    site = Site(full)
    text = "FROM tiny\nRUN echo small > /s\nRUN dd if=/dev/zero of=/big bs=1M count={0}\n"
    first = site.build(context(text.format(400)))
    assert "No space left" in first.text + first.error
    eventually(lambda: not left_behind(full), 15)
    # What RUN had room for, its layer has none.
    second = site.build(context(text.format(40)))
    assert "No space left" in second.text + second.error
    eventually(lambda: not left_behind(full), 15)
    again = site.build(context(text.format(2)))
    assert again.cached == 1
    assert "big" in site.files(again.id)
    context_too_large = site.build(context("FROM tiny\nCOPY f /f\n", {"f": "x" * (80 << 20)}))
    assert "No space left" in context_too_large.error
    eventually(lambda: not left_behind(full), 15)


@pytest.fixture
def full() -> Iterator[Engine]:
    """An engine whose data have a disk of 64 MB."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    engine = Engine.temporary()
    data = engine.root / "data"
    data.mkdir(parents=True)
    try:
        made = engine.inside("mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(data))
        assert made.returncode == 0, made.stderr
        engine.start()
        engine.load()
        yield engine
    finally:
        engine.stop()
        engine.inside("umount", str(data))
        engine.start()
        engine.end()


def commands() -> bytes:
    """The command lines of every process."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError), open(f"/proc/{name}/cmdline", "rb") as file:
                found.append(file.read().replace(b"\0", b" "))
    return b"\n".join(found)
