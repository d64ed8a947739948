"""Logs are read as the monitor writes them; archives go in and out without ever leaving their root."""

import gzip
import io
import os
import tarfile
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from corten.engine import archive, copyup, logfile, logs, packing
from corten.engine.requests import LogQuery
from corten.layers import unpacking
from corten.layers.unpacking import Rules
from corten.model.cancel import Cancel
from corten.model.errors import Cancelled, CortenError, InvalidArgument


def record(text: str, second: int = 0, stream: str = "stdout") -> str:
    return f'{{"log":"{text}\\n","stream":"{stream}","attrs":{{"k":"v"}},"time":"2026-01-01T00:00:{second:02}.5Z"}}\n'


@pytest.fixture
def log(tmp_path: Path) -> str:
    path = tmp_path / "x-json.log"
    with gzip.open(f"{path}.2.gz", "wt") as oldest:
        oldest.write(record("a", 0) + record("b", 1))
    Path(f"{path}.1").write_text(record("c", 2, "stderr"))
    path.write_text(record("d", 3) + record("e", 4) + '{"log":"cut')
    return str(path)


def read(path: str, query: LogQuery) -> bytes:
    names, offset = logfile.tail_entries(path, query.tail)
    lines = b""
    for name in names:
        with logfile.open_log(name) as file:
            if offset is not None:
                file.seek(offset)
                offset = None
            for batch in logs.chosen(file, query, Cancel()):
                lines += b"".join(line for _, line in batch)
    return lines


@pytest.mark.parametrize(
    ("tail", "lines"), [(None, b"abcde"), (0, b""), (1, b"e"), (2, b"de"), (3, b"cde"), (4, b"bcde"), (9, b"abcde")]
)
def test_the_last_lines_reach_back_into_rotated_files(log: str, tail: int | None, lines: bytes) -> None:
    assert read(log, LogQuery(tail=tail)).replace(b"\n", b"") == lines


def test_streams_and_times_choose_lines(log: str) -> None:
    start = logfile.moment("2026-01-01T00:00:00Z")
    assert read(log, LogQuery(stderr=False, since=start + 1_500_000_000)) == b"b\nd\ne\n"
    assert read(log, LogQuery(stdout=False)) == b"c\n"
    assert read(log, LogQuery(until=start + 1_500_000_000)) == b"a\nb\n"


def test_timestamps_have_nine_digits_and_details_come_behind_them(log: str) -> None:
    assert read(log, LogQuery(tail=1, timestamps=True, details=True)) == b"2026-01-01T00:00:04.500000000Z k=v e\n"


def test_a_cancelled_reader_stops(log: str) -> None:
    cancel = Cancel()
    cancel.set()
    with logfile.open_log(log) as file:
        assert list(logs.chosen(file, LogQuery(), cancel)) == []


@pytest.mark.parametrize(
    ("mode", "go"),
    [
        (0o40755, 1 << 31 | 0o755),
        (0o120777, 1 << 27 | 0o777),
        (0o104755, 1 << 23 | 0o755),
        (0o20600, 1 << 26 | 1 << 21 | 0o600),
    ],
)
def test_modes_are_gos(mode: int, go: int) -> None:
    assert archive.go_mode(mode) == go


def packed(directory: Path, name: str, shown: str) -> bytes:
    parent = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    return b"".join(packing.pack(parent, name, shown, Cancel()))


def test_a_tree_goes_out_and_comes_back(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "d").mkdir(parents=True)
    (source / "d/f").write_bytes(b"x" * 3000)
    os.link(source / "d/f", source / "d/hard")
    (source / "d/l").symlink_to("/etc/passwd")
    data = packed(source, "d", "name")
    with tarfile.open(fileobj=io.BytesIO(data)) as archived:
        members = {member.name: member for member in archived}
    assert sorted(members) == ["name", "name/f", "name/hard", "name/l"]
    assert members["name/hard"].islnk()
    target = tmp_path / "target"
    target.mkdir()
    unpacked(target, data)
    assert (target / "name/f").read_bytes() == b"x" * 3000
    assert os.readlink(target / "name/l") == "/etc/passwd"
    assert (target / "name/f").stat().st_ino == (target / "name/hard").stat().st_ino


def unpacked(target: Path, data: bytes, rules: Rules | None = None) -> None:
    fd = os.open(target, os.O_RDONLY | os.O_DIRECTORY)
    try:
        unpacking.unpack(io.BytesIO(data), fd, rules or Rules(), Cancel())
    finally:
        os.close(fd)


Members = tuple[tuple[str, bytes, str], ...]


def tar_of(*members: tuple[str, bytes, str]) -> bytes:
    """Members as (name, type, link or content)."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as out:
        for name, kind, text in members:
            info = tarfile.TarInfo(name)
            info.type = kind
            info.uid, info.gid = os.getuid(), os.getgid()
            if kind == tarfile.REGTYPE:
                info.size = len(text)
                out.addfile(info, io.BytesIO(text.encode()))
            else:
                info.linkname = text
                out.addfile(info)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "members",
    [
        (("../out", tarfile.REGTYPE, "x"),),
        (("/../out", tarfile.REGTYPE, "x"),),
        (("l", tarfile.SYMTYPE, ".."), ("l/out", tarfile.REGTYPE, "x")),
        (("l", tarfile.SYMTYPE, "../.."), ("l/out", tarfile.REGTYPE, "x")),
        (("h", tarfile.LNKTYPE, "../victim"),),
    ],
)
def test_an_archive_never_reaches_out_of_its_target(tmp_path: Path, members: Members) -> None:
    (tmp_path / "victim").write_text("safe")
    target = tmp_path / "a/b"
    target.mkdir(parents=True)
    with suppress(CortenError):
        unpacked(target, tar_of(*members))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "victim"]
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["b"]
    assert not (target / "h").exists()


def test_kinds_are_kept_when_that_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    data = tar_of(("d", tarfile.REGTYPE, "x"))
    with pytest.raises(InvalidArgument, match='cannot overwrite directory "d" with non-directory "d"'):
        unpacked(tmp_path, data, Rules(keep_kinds=True))
    unpacked(tmp_path, data)
    assert (tmp_path / "d").read_text() == "x"


def test_packing_stops_when_the_client_is_gone(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("x")
    cancel = Cancel()
    parent = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    pieces = packing.pack(parent, ".", "top", cancel)
    next(pieces)
    cancel.set()
    with pytest.raises(Cancelled):
        list(pieces)


def test_packing_survives_a_tree_that_changes_under_it(tmp_path: Path) -> None:
    """A directory that is swapped with a link to the host all the time never shows the host (CVE-2018-15664)."""
    root, secret = tmp_path / "root", tmp_path / "secret"
    for place in (root / "d", secret):
        place.mkdir(parents=True)
    (secret / "key").write_text("secret")
    (root / "d/key").write_text("public")
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            os.rename(root / "d", root / "away")
            os.symlink(secret, root / "d")
            os.unlink(root / "d")
            os.rename(root / "away", root / "d")

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        for _ in range(100):
            try:
                assert b"secret" not in packed(root, "d", "d").replace(os.fsencode(secret), b"")
            except OSError:
                continue
    finally:
        stop.set()
        thread.join()


@pytest.fixture
def image(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    root = tmp_path / "image"
    (root / "data/sub").mkdir(parents=True)
    (root / "data/f").write_text("from the image")
    (root / "data/sub/l").symlink_to("../f")
    fd = os.open(root, os.O_PATH)
    yield root, fd
    os.close(fd)


def test_an_empty_volume_is_filled_from_the_image(tmp_path: Path, image: tuple[Path, int]) -> None:
    root, fd = image
    os.chmod(root / "data", 0o750)
    volume = tmp_path / "volume"
    volume.mkdir()
    copyup.fill(fd, "/data", str(volume))
    assert (volume / "f").read_text() == "from the image"
    assert os.readlink(volume / "sub/l") == "../f"
    assert volume.stat().st_mode & 0o777 == 0o750


def test_a_volume_with_content_is_left_alone(tmp_path: Path, image: tuple[Path, int]) -> None:
    volume = tmp_path / "volume"
    volume.mkdir()
    (volume / "mine").write_text("x")
    copyup.fill(image[1], "/data", str(volume))
    assert [p.name for p in volume.iterdir()] == ["mine"]


@pytest.mark.parametrize("path", ["/../../secret", "/escape", "/nothing", "/data/f"])
def test_copy_up_stays_in_the_image(tmp_path: Path, image: tuple[Path, int], path: str) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/key").write_text("x")
    (image[0] / "escape").symlink_to("../secret")
    volume = tmp_path / "volume"
    volume.mkdir()
    copyup.fill(image[1], path, str(volume))
    assert list(volume.iterdir()) == []
