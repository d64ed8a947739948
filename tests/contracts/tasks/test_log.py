"""The json-file log: byte for byte what Docker's driver writes."""

import json
import os
import random
import re
import subprocess
import time
from pathlib import Path

import pytest

from corten.tasks.config import LogFile
from corten.tasks.task import Task
from tests.contracts.tasks.container import Workshop, ended

PIECE = 16384


def escaped(text: bytes) -> str:
    """Go's escaping, as Docker's driver does it: an independent reading to compare with."""
    out = []
    at = 0
    while at < len(text):
        for length in (1, 2, 3, 4):
            try:
                character = text[at : at + length].decode()
            except UnicodeDecodeError:
                continue
            break
        else:
            character, length = "", 1
        at += length
        if character == "":
            out.append("\\ufffd")
        elif character in '"\\':
            out.append("\\" + character)
        elif character in "\n\r":
            out.append({"\n": "\\n", "\r": "\\r"}[character])
        elif character < " " or character in "<>&\u2028\u2029":
            out.append(f"\\u{ord(character):04x}")
        else:
            out.append(character)
    return "".join(out)


def records(output: bytes) -> list[str]:
    """The "log" fields that this output must become: lines, cut after 16 KiB."""
    found = []
    for line in output.split(b"\n"):
        pieces = [line[at : at + PIECE] for at in range(0, len(line), PIECE)] or [b""]
        if len(line) and len(line) % PIECE == 0:
            pieces.append(b"")
        found += [escaped(piece) for piece in pieces[:-1]] + [escaped(pieces[-1]) + "\\n"]
    last = found.pop()[:-2]  # what follows the last newline
    return [*found, last] if last else found


def cases() -> dict[str, bytes]:
    mixed = random.Random(7)
    alphabet = [b"a", b"\n", b'"', b"\\", b"<", b">", b"&", b"\t", b"\r", b"\0", b"\x7f", b"\x80", b"\xc3", b"\xc3\xa9"]
    alphabet += ["\u2028".encode(), "\u2029".encode(), "😀".encode(), b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc0\xaf"]
    return {
        "lines": b"one\ntwo\n\nthree",
        "16 KiB": b"x" * PIECE + b"\n" + b"y" * (PIECE - 1) + b"\n" + b"z" * (PIECE + 1),
        "long": b"w" * 100_000 + b"\nafter\n",
        "a character on the seam": b"a" * (PIECE - 1) + "é".encode() + b"\n",
        "everything": b"".join(mixed.choices(alphabet, k=60_000)),
        "bytes": mixed.randbytes(200_000),
    }


@pytest.mark.parametrize("name", cases())
def test_records_are_dockers(either: Workshop, name: str) -> None:
    output = cases()[name]
    (either.rootfs / "output").write_bytes(output)
    task = either.run("/bin/cat", "/output")
    assert ended(task).code == 0
    lines = Path(either.log_path(task)).read_bytes().decode().split("\n")[:-1]
    pattern = re.compile(
        r'\{"log":"(.*)","stream":"stdout","time":"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{0,8}[1-9])?Z)"\}'
    )
    found = [pattern.fullmatch(line) for line in lines]
    texts, times = zip(*((match[1], match[2]) for match in found if match), strict=True)
    assert len(texts) == len(found)
    assert [*texts] == records(output)
    assert [*times] == sorted(times, key=lambda time: time.rstrip("Z").ljust(29, "0"))
    assert all(isinstance(json.loads(line)["log"], str) for line in lines)


def test_the_pieces_of_a_long_line_have_one_time(workshop: Workshop) -> None:
    task = workshop.shell("busybox dd if=/dev/zero bs=40000 count=1 2>/dev/null; sleep 0.05; echo; echo next")
    ended(task)
    first, second, third, fourth = (record["time"] for record in workshop.log(task))
    assert first == second == third < fourth


def test_rotation_keeps_so_many_files_of_so_many_bytes(either: Workshop) -> None:
    log = LogFile(either.log_path("r"), max_size=20_000, max_file=3)
    task = either.run("/bin/busybox", "seq", "1", "5000", log=log)
    ended(task)
    names = sorted(entry for entry in os.listdir(either.scratch) if entry.startswith("r.log"))
    assert names == ["r.log", "r.log.1", "r.log.2"]
    assert all(20_000 <= os.path.getsize(f"{either.scratch}/{name}") < 20_200 for name in names[1:])
    numbers = [
        int(json.loads(line)["log"])
        for name in reversed(names)
        for line in Path(f"{either.scratch}/{name}").read_text().splitlines()
    ]
    assert numbers == [*range(numbers[0], 5001)]


def test_one_file_is_truncated(workshop: Workshop) -> None:
    log = LogFile(workshop.log_path("r"), max_size=10_000, max_file=1)
    ended(workshop.run("/bin/busybox", "seq", "1", "3000", log=log))
    assert [entry for entry in os.listdir(workshop.scratch) if entry.startswith("r.log")] == ["r.log"]
    assert os.path.getsize(f"{workshop.scratch}/r.log") < 10_200


def log_ends_with(workshop: Workshop, task: Task, text: str) -> bool:
    """Between two renames of a rotation there is, for a moment, no file of that name."""
    try:
        return workshop.logged(task).endswith(text)
    except FileNotFoundError:
        return False


def test_a_late_client_gets_what_rotation_has_left(either: Workshop) -> None:
    log = LogFile(either.log_path("c1"), max_size=20_000, max_file=3)
    task = either.shell("busybox seq 1 5000; read x", log=log, open_stdin=True)
    while not log_ends_with(either, task, "5000\n"):
        time.sleep(0.01)
    client = either.attach(task, logs=True, multiplex=False)
    task.close_stdin()
    numbers = [int(line) for line in client.all().split()]
    assert numbers == [*range(numbers[0], 5001)]
    assert len(numbers) > 500


def test_attributes_stand_in_every_record(workshop: Workshop) -> None:
    log = LogFile(workshop.log_path("c1"), attrs={"tag": 'web "1"', "env": "x"})
    task = workshop.shell("echo a; echo b; read x", log=log, open_stdin=True)
    while not log_ends_with(workshop, task, "b\n"):
        time.sleep(0.01)
    client = workshop.attach(task, logs=True, multiplex=False)
    task.close_stdin()
    assert client.all() == b"a\nb\n"
    line = Path(log.path).read_text().splitlines()[0]
    assert line.startswith('{"log":"a\\n","stream":"stdout","attrs":{"tag":"web \\"1\\"","env":"x"},"time":"')


def test_people_may_truncate_or_move_the_log(workshop: Workshop) -> None:
    task = workshop.shell("while read x; do echo $x; done", open_stdin=True)
    client = workshop.attach(task, stdin=True, multiplex=False)

    def say(word: str) -> None:
        client.send(f"{word}\n".encode())
        while word.encode() not in client.seen():
            pass

    say("one")
    os.truncate(workshop.log_path(task), 0)
    say("two")
    os.rename(workshop.log_path(task), workshop.log_path("moved"))
    task.reopen_log()
    say("three")
    task.close_stdin()
    ended(task)
    assert workshop.logged(task) == "three\n"
    assert '"two\\n"' in Path(workshop.log_path("moved")).read_text()


def test_a_full_disk_loses_lines_and_tears_none(either: Workshop) -> None:
    mount = either.scratch / "full"
    mount.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", mount], check=True)
    try:
        task = either.shell("busybox seq 1 20000; exit 3", log=LogFile(f"{mount}/c.log"))
        assert ended(task).code == 3
        lines = (mount / "c.log").read_text()
        assert lines.endswith("\n")
        assert len([json.loads(line) for line in lines.splitlines()]) > 100
        task.delete()
    finally:
        subprocess.run(["umount", mount], check=True)


def test_where_no_new_file_can_be_made_rotation_throws_no_old_one_away(either: Workshop) -> None:
    """Each record used to push the old files on by one, and the oldest out."""
    mount = either.scratch / "few"
    mount.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,nr_inodes=4", "tmpfs", mount], check=True)
    try:
        task = either.shell("busybox seq 1 2000", log=LogFile(f"{mount}/c.log", max_size=8192, max_file=4))
        ended(task)
        files = sorted(mount.iterdir(), reverse=True)
        lines = [json.loads(line)["log"] for file in files for line in file.read_text().splitlines()]
        assert lines == [f"{number}\n" for number in range(1, 2001)]
        task.delete()
    finally:
        subprocess.run(["umount", mount], check=True)


def test_a_long_log_is_replayed_without_reading_it_many_times(workshop: Workshop) -> None:
    """A record is some hundred bytes; the longest, for which the monitor has room, a megabyte."""
    task = workshop.shell("busybox seq 1 60000; echo end; exec sleep 100")
    deadline = time.monotonic() + 20
    while not Path(workshop.log_path(task)).read_text().endswith('"}\n') or not log_ends_with(workshop, task, "end\n"):
        assert time.monotonic() < deadline
    read = Path(f"/proc/{task.record.monitor}/io")
    before = int(read.read_text().split()[1])
    client = workshop.attach(task, stdout=True, stderr=True, logs=True, stream=False)
    data = client.all()
    assert len(data) > 60000
    size = Path(workshop.log_path(task)).stat().st_size
    assert int(read.read_text().split()[1]) - before < size * 60
