"""Files between host and container: `docker cp`, `docker export`, `docker diff`."""

import io
import re
import tarfile
from pathlib import Path

from tests.root.engines import IMAGE, Engine, eventually


def test_cp_goes_both_ways_running_or_not(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/file").write_text("content")
    (tmp_path / "in/link").symlink_to("file")
    for name in (engine.running(), engine.out("create", IMAGE, "sleep", "1000")):
        engine.docker("cp", str(tmp_path / "in"), f"{name}:/srv")
        out = tmp_path / name
        engine.docker("cp", f"{name}:/srv/in", str(out))
        assert (out / "file").read_text() == "content"
        assert (out / "link").readlink() == Path("file")
        engine.docker("cp", f"{name}:/etc/passwd", str(tmp_path / "passwd"))
        assert "postgres" in (tmp_path / "passwd").read_text()
        missing = engine.docker("cp", f"{name}:/no/such", str(tmp_path), check=False)
        assert missing.returncode == 1
        assert re.search("Could not find the file /no/such in container|No such container:path", missing.stderr)


def test_cp_streams_tars_and_export_has_the_whole_tree(engine: Engine, tmp_path: Path) -> None:
    name = engine.running()
    engine.docker("exec", name, "sh", "-c", "echo new > /root/new; rm /etc/hostname.none 2>/dev/null; mkdir -p /a/b")
    engine.docker("export", "-o", str(tmp_path / "all.tar"), name)
    with tarfile.open(tmp_path / "all.tar") as tar:
        names = {entry.name.rstrip("/") for entry in tar}
    assert {"root/new", "a/b", "bin/busybox", "etc/passwd"} <= names


def test_diff_tells_added_changed_and_deleted(engine: Engine) -> None:
    name = engine.running(
        command=("sh", "-c", "echo x > /root/added; echo y >> /etc/passwd; rm /etc/os-release; sleep 1000")
    )
    eventually(lambda: "A /root/added" in engine.out("diff", name))
    lines = engine.out("diff", name).splitlines()
    assert {"A /root/added", "C /etc/passwd", "D /etc/os-release", "C /etc", "C /root"} <= set(lines)


def test_cp_carries_tars_through_its_own_standard_streams(engine: Engine, tmp_path: Path) -> None:
    name = engine.running()
    with tarfile.open(tmp_path / "in.tar", "w") as tar:
        entry = tarfile.TarInfo("from/tar")
        entry.size, entry.mode, entry.uid = 5, 0o640, 12
        tar.addfile(entry, io.BytesIO(b"bytes"))
    engine.binary("cp", "-a", "-", f"{name}:/srv", stdin=(tmp_path / "in.tar").read_bytes())
    assert engine.out("exec", name, "stat", "-c", "%a %u", "/srv/from/tar") == "640 12"
    with tarfile.open(fileobj=io.BytesIO(engine.binary("cp", f"{name}:/srv/from", "-"))) as tar:
        assert {entry.name.rstrip("/") for entry in tar} == {"from", "from/tar"}
