"""The monitor under messages that no engine would send: its decoder alone, and a whole one with descriptors in hand."""

import os
import random
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from corten.tasks import protocol
from corten.tasks.connection import Connection
from corten.tasks.spawn import connect, listen, reap, spawn_monitor
from tests.contracts.tasks.conftest import builds, no_reports, sanitized
from tests.fuzz.test_plan_decoder import NATIVE, SANITIZERS, SECONDS

HERE = Path(__file__).parent
__all__ = ["builds", "no_reports", "sanitized"]  # fixtures
REQUESTS = [message for message in protocol.MESSAGES if message.number < 64]


def seeds() -> list[bytes]:
    flags = sum(protocol.FLAGS.values())
    found = [protocol.encode(message.name, number, b"tail") for number, message in enumerate(REQUESTS)]
    found += [protocol.encode("ATTACH", 9, b"\x10\x11", target=0, flags=flags), b"", b"\1\0", bytes(4000)]
    return [*found, protocol.encode("CREATE", 1, b"x.log", flags=protocol.FLAGS["LOG"], log_max_size=100)]


def test_no_record_makes_the_decoder_read_beyond_it(scratch: Path) -> None:
    compiler = os.environ.get("CC") or shutil.which("cc")
    if not compiler:
        pytest.skip("needs a C compiler with sanitizers")
    target = scratch / "monitor_messages"
    sources = [HERE / "monitor_messages.c", *sorted(NATIVE.glob("monitor*.c"))]
    subprocess.run([compiler, *SANITIZERS, "-DSTANDALONE", "-o", target, *sources], check=True)
    for number, record in enumerate(seeds()):
        (scratch / f"{number}.record").write_bytes(record)
    run = [str(target), SECONDS, *map(str, sorted(scratch.glob("*.record")))]
    result = subprocess.run(run, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    runs, accepted = (int(word) for word in result.stdout.split()[:3:2])
    assert runs > 10000
    assert 0 < accepted < runs


def mangled(record: bytes, chance: random.Random) -> bytes:
    data = bytearray(record)
    for _ in range(chance.randrange(4)):
        if data:
            data[chance.randrange(len(data))] = chance.choice((0, 1, 2, 0x7F, 0x80, 0xFF, chance.randrange(256)))
    return bytes(data[: chance.randrange(len(data) + 1)] if chance.random() < 0.2 else data)


def descriptors(chance: random.Random) -> list[int]:
    """Of every kind that a message may carry, and others."""
    pair = socket.socketpair()
    made = [fd for each in pair for fd in (each.detach(),)]
    made += [os.open("/dev/null", os.O_RDWR), os.memfd_create("x"), os.open("/", os.O_PATH), *os.pipe()]
    chance.shuffle(made)
    return made


class Lied:
    """A monitor in `directory`, one after the other: a CREATE that it cannot but believe ends it with its launch."""

    def __init__(self, program: str, directory: Path) -> None:
        self.program = program
        self.directory = directory
        self.count = 0
        self.begin()

    def begin(self) -> None:
        self.count += 1
        path = self.directory / str(self.count)
        path.mkdir()
        self.state_dir = os.open(path, os.O_RDONLY)
        with listen(self.state_dir) as listener:
            self.monitor = spawn_monitor(self.program, "fuzzed", listener.fileno(), self.state_dir)
            self.keeper = Connection(connect(self.state_dir))
            self.connect()

    def connect(self) -> None:
        self.liar = connect(self.state_dir)
        self.liar.settimeout(5)

    def end(self) -> None:
        self.liar.close()
        self.keeper.close()
        os.close(self.state_dir)
        assert reap(self.monitor, 10)

    def lie(self, record: bytes, fds: list[int]) -> None:
        try:
            socket.send_fds(self.liar, [record], fds)
            if self.liar.recv(8192):
                return
        except OSError:
            pass
        self.liar.close()
        try:
            self.connect()
        except ConnectionRefusedError:
            self.end()
            self.begin()


def test_a_monitor_that_is_lied_to_answers_or_ends_and_does_nothing_else(
    scratch: Path,
    sanitized: str,
    no_reports: None,  # noqa: ARG001
) -> None:
    chance, lied = random.Random(11), Lied(sanitized, scratch)
    for _ in range(1500):
        fds = descriptors(chance)
        if record := mangled(chance.choice(seeds()), chance):
            lied.lie(record, fds[: chance.randrange(len(fds) + 1)])
        for fd in fds:
            os.close(fd)
    lied.end()
    lied.begin()
    assert lied.keeper.hello().fields["version"] == protocol.VERSION
    lied.end()
