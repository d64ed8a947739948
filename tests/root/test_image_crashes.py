"""An engine that is killed, loses power or has a full disk while it loads an image: nothing half-done, nothing left."""

import io
import os
import random
import resource
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from corten.images import Images
from corten.model.errors import ResourceExhausted
from corten.snapshots import Overlay
from tests.image_rig import Rig
from tests.images import Layer, config, docker_archive, stand_ins, system_layer
from tests.merged import listing

HERE = Path(__file__).parent.parent.parent
TOP = Layer().file("top", os.urandom(300_000)).close()
LOAD = """
import sys
from pathlib import Path
from tests.image_rig import Rig
rig = Rig(Path(sys.argv[1]))
print("ready", flush=True)
rig.load(Path(sys.argv[2]).read_bytes())
rig.close()
"""


def archive() -> bytes:
    layers = [system_layer(), TOP]
    return docker_archive([(config(layers), layers, ["app:1"])])


def stopped(rig: Rig) -> tuple[list[str], list[str], int]:
    rig.images.restore()
    found = rig.everything()
    rig.close()
    return found


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], list[str], int]:
    """What is there after a load that nothing disturbed."""
    rig = Rig(tmp_path_factory.mktemp("whole") / "engine")
    rig.load(archive())
    return stopped(rig)


def test_a_kill_leaves_all_or_nothing_and_the_next_attempt_succeeds(
    scratch: Path, whole: tuple[list[str], list[str], int]
) -> None:
    (scratch / "app.tar").write_bytes(archive())
    chance = random.Random(7)
    for _ in range(12):
        command = [sys.executable, "-c", LOAD, str(scratch / "engine"), str(scratch / "app.tar")]
        with subprocess.Popen(command, cwd=HERE, stdout=subprocess.PIPE) as child:
            assert child.stdout
            child.stdout.readline()
            time.sleep(chance.random() * 0.12)
            child.send_signal(signal.SIGKILL)
        found = stopped(Rig(scratch / "engine"))
        assert found in (whole, ([], [], 0))
        assert os.listdir(scratch / "engine/content/ingest") == []
    rig = Rig(scratch / "engine")
    rig.load(archive())
    assert stopped(rig) == whole


def test_what_a_power_cut_took_is_unpacked_again(scratch: Path) -> None:
    rig = Rig(scratch / "engine")
    rig.load(archive())
    rig.close()
    before = rig.snapshots.changes(rig.images.get("app:1").chain[-1]).path
    expected = listing(before)
    for name in os.listdir(rig.snapshots.root):  # as if another boot had written them and not synced
        record = rig.snapshots.root / name / "record"
        record.write_text(record.read_text().replace('"boot":""', '"boot":"another"'))
    again = Rig(scratch / "engine")
    assert again.snapshots.lost == 2
    assert again.everything()[1] == []
    again.images.restore()
    top = again.images.unpack(again.images.get("app:1"))
    assert top
    assert listing(again.snapshots.changes(top).path) == expected
    again.close()


def test_a_full_disk_is_told_and_leaves_nothing(scratch: Path) -> None:
    rig = Rig(scratch / "engine")
    limit = 1_000_000
    old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        with pytest.raises(ResourceExhausted, match="File too large"):
            rig.load(archive())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, old)
    assert stopped(rig) == ([], [], 0)


def test_many_at_once_unpack_each_layer_once(scratch: Path) -> None:
    rig = Rig(scratch / "engine")
    made: list[str] = []

    class Counting(Overlay):
        def commit(self, name: str, key: str) -> None:
            made.append(name)
            super().commit(name, key)

    rig.snapshots = Counting(scratch / "counting")
    rig.images = Images(rig.db, rig.content, rig.snapshots)
    failures: list[BaseException] = []

    def load(name: str) -> None:
        try:
            layers = [system_layer(), TOP]
            rig.load(docker_archive([(config(layers, note=name), layers, [name])]))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=load, args=(f"app:{number}",)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(made) == len(set(made)) == 2
    assert len(rig.images.summaries({})) == 6
    rig.close()


def test_collecting_while_loading_takes_nothing_that_is_needed(scratch: Path) -> None:
    rig = Rig(scratch / "engine")
    done = threading.Event()

    def collect() -> None:
        while not done.is_set():
            rig.images.collect()

    collector = threading.Thread(target=collect)
    collector.start()
    try:
        for number in range(5):
            rig.load(stand_ins(f"app:{number}"))
            image = rig.images.get(f"app:{number}")
            rig.content.verify(image.manifest.value.layers[0].digest)
            assert rig.images.unpack(image)
    finally:
        done.set()
        collector.join()
    b"".join(rig.images.save(["app"]))
    rig.close()


def test_a_pipe_is_read_once_and_to_its_end(scratch: Path) -> None:
    rig = Rig(scratch / "engine")
    reading, writing = os.pipe()
    feeder = threading.Thread(target=lambda: os.fdopen(writing, "wb").write(archive()))
    feeder.start()
    with os.fdopen(reading, "rb", buffering=0) as stream:
        list(rig.images.load(io.BufferedReader(stream)))
    feeder.join()
    assert rig.images.get("app:1").tags == ["app:1"]
    rig.close()
