"""`kill -9` of the engine or its client in the middle of pulls: what came is not fetched again, and nothing is left.

CORTEN_KILLS=N kills N times each; docs/conformance.md has the numbers of a long run.
"""

import gzip
import json
import os
import random
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from corten.model import mediatype
from corten.model.digest import Digest
from tests.fake_registry import FakeRegistry, RegistryHandler
from tests.images import Layer, config
from tests.root.engines import OTHER_HOST, Engine
from tests.root.test_registry_use import in_network_of

pytestmark = pytest.mark.skipif(bool(OTHER_HOST), reason="the registry lives in the engine's own network namespace")
ROUNDS = int(os.environ.get("CORTEN_KILLS", "3"))
SIZE, COUNT = 5 << 20, 3
LAYERS = [Layer().file(f"big{number}", random.Random(number).randbytes(SIZE)).close() for number in range(COUNT)]
BLOBS = [config(LAYERS), *(gzip.compress(layer, 1, mtime=0) for layer in LAYERS)]
PROGRAM = str(Path(sys.executable).with_name("corten"))


class Counted:
    """A slow registry with the image, and how many bytes of its blobs were asked for."""

    def __init__(self) -> None:
        self.registry = FakeRegistry()
        self.registry.pace = 0.002
        self.registry.hook = self.count
        self.asked = 0
        for blob in BLOBS:
            self.registry.add_blob(blob)
        kinds = [mediatype.OCI_CONFIG] + [mediatype.OCI_LAYER_GZIP] * COUNT
        parts = [
            {"mediaType": kind, "digest": str(Digest.of(blob)), "size": len(blob)}
            for kind, blob in zip(kinds, BLOBS, strict=True)
        ]
        manifest = {
            "schemaVersion": 2, "mediaType": mediatype.OCI_MANIFEST, "config": parts[0], "layers": parts[1:]
        }  # fmt: skip
        self.registry.add_manifest("team/app", "1", mediatype.OCI_MANIFEST, json.dumps(manifest).encode())
        self.name = f"{self.registry.address}/team/app:1"

    def count(self, handler: RegistryHandler) -> bool:
        if handler.command == "GET" and (match := re.search(r"/blobs/(sha256:\w+)$", handler.path)):
            begin = re.match(r"bytes=(\d+)-", handler.headers.get("Range", ""))
            self.asked += len(self.registry.blobs[match[1]]) - (int(begin[1]) if begin else 0)
        return False


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    engine = Engine.temporary()
    engine.start()
    yield engine
    engine.end()


@pytest.fixture(scope="module")
def counted(engine: Engine) -> Iterator[Counted]:
    assert engine.holder
    made = in_network_of(engine.holder.pid, Counted)
    yield made
    made.registry.close()


def corten(engine: Engine, *words: str) -> "subprocess.CompletedProcess[str]":
    command = [PROGRAM, "--host", engine.host, *words]
    return subprocess.run(command, env=engine.environment, capture_output=True, text=True, timeout=60, check=False)


def content(engine: Engine) -> Path:
    return next(path.parent for path in engine.root.rglob("ingest"))


def kept(engine: Engine) -> int:
    """The bytes of our image that are in the store, whole blobs and begun ones, once nobody writes any more."""
    mine = {Digest.of(blob).encoded for blob in BLOBS}
    last, since = -1, time.monotonic()
    while time.monotonic() - since < 0.3:
        files = [path for path in content(engine).rglob("*") if path.is_file()]
        now = sum(path.stat().st_size for path in files if path.parent.name == "ingest" or path.name in mine)
        if now != last:
            last, since = now, time.monotonic()
        time.sleep(0.02)
    return last


def state(engine: Engine) -> tuple[list[str], str, str]:
    """What is in the store and what the engine says of it."""
    files = sorted(str(path) for path in content(engine).rglob("*") if path.is_file())
    return files, corten(engine, "images", "-aq").stdout, corten(engine, "system", "df").stdout


def pull_and_remove(engine: Engine, counted: Counted) -> tuple[list[str], str, str]:
    assert corten(engine, "pull", counted.name).returncode == 0
    assert corten(engine, "rmi", counted.name).returncode == 0
    return state(engine)


@pytest.mark.parametrize("victim", ["engine", "client"])
def test_after_a_kill_the_rest_is_fetched_and_nothing_else(engine: Engine, counted: Counted, victim: str) -> None:
    clean = pull_and_remove(engine, counted)
    chance = random.Random(victim)
    in_the_middle = 0
    for number in range(ROUNDS):
        counted.asked = 0
        client = subprocess.Popen(
            [PROGRAM, "--host", engine.host, "pull", counted.name],
            env=engine.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        # Not after so much of the whole pull's time: on a busy machine most of that is the client coming up.
        while not counted.asked and client.poll() is None:
            time.sleep(0.002)
        time.sleep(chance.uniform(0.02, 0.12))
        if victim == "engine":
            engine.kill()
            engine.start()
        client.kill()
        client.wait()
        there = kept(engine)
        in_the_middle += 0 < there < sum(map(len, BLOBS))
        counted.asked = 0
        done = corten(engine, "pull", counted.name)
        assert done.returncode == 0, (number, done.stderr)
        assert counted.asked == sum(map(len, BLOBS)) - there, number
        assert not list((content(engine) / "ingest").iterdir())
        assert corten(engine, "rmi", counted.name).returncode == 0
        assert state(engine) == clean, number
    assert in_the_middle
