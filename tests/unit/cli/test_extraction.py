"""What a container's archive may do on this machine: nothing outside of where it was asked to."""

import io
import os
import tarfile
from pathlib import Path

import pytest

from corten.cli.extraction import extract
from corten.cli.packing import Packing
from corten.cli.table import Fault


def archive(*members: tuple[str, bytes, str]) -> bytes:
    """A tar of (name, kind, content or link target)."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as made:
        for name, kind, content in members:
            info = tarfile.TarInfo(name)
            info.type, info.mode = kind, 0o755 if kind == tarfile.DIRTYPE else 0o644
            if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE):
                info.linkname = content
                made.addfile(info)
            else:
                info.size = len(content)
                made.addfile(info, io.BytesIO(content.encode()))
    return buffer.getvalue()


def unpack(place: Path, data: bytes, old: str = "top", new: str = "top") -> int:
    pieces = (data[at : at + 700] for at in range(0, len(data), 700))
    return extract(pieces, str(place), rename=(old, new))


def test_a_tree_is_unpacked_under_its_new_name(tmp_path: Path) -> None:
    data = archive(("top/", tarfile.DIRTYPE, ""), ("top/a", tarfile.REGTYPE, "A"), ("top/l", tarfile.SYMTYPE, "a"))
    unpack(tmp_path, data, new="other")
    assert (tmp_path / "other/l").read_text() == "A"
    assert not (tmp_path / "top").exists()


@pytest.mark.parametrize("name", ["../evil", "top/../../evil", "/evil", "top/sub/../../../evil"])
def test_a_name_that_leads_out_is_refused(tmp_path: Path, name: str) -> None:
    inside = tmp_path / "in"
    inside.mkdir()
    with pytest.raises(Fault, match="points out of the destination"):
        unpack(inside, archive((name, tarfile.REGTYPE, "x")))
    assert not (tmp_path / "evil").exists()


def test_a_link_is_never_followed_on_the_way(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    inside = tmp_path / "in"
    inside.mkdir()
    data = archive(("top", tarfile.SYMTYPE, str(outside)), ("top/evil", tarfile.REGTYPE, "x"))
    with pytest.raises((Fault, OSError)):
        unpack(inside, data)
    assert not list(outside.iterdir())


def test_a_link_in_place_of_a_file_is_replaced_and_not_written_through(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    inside = tmp_path / "in"
    inside.mkdir()
    (inside / "top").symlink_to(victim)
    unpack(inside, archive(("top", tarfile.REGTYPE, "theirs")))
    assert victim.read_text() == "mine"
    assert (inside / "top").read_text() == "theirs"


def test_a_hard_link_reaches_only_what_the_archive_brought(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s")
    inside = tmp_path / "in"
    inside.mkdir()
    for target in ("../secret", str(tmp_path / "secret")):
        with pytest.raises((Fault, OSError)):
            unpack(inside, archive(("top", tarfile.LNKTYPE, target)))
    assert not (inside / "top").exists()


def test_a_directory_is_not_replaced_by_a_file_nor_a_file_by_a_directory(tmp_path: Path) -> None:
    (tmp_path / "top").mkdir()
    with pytest.raises(Fault, match="cannot overwrite directory"):
        unpack(tmp_path, archive(("top", tarfile.REGTYPE, "x")))
    (tmp_path / "top").rmdir()
    (tmp_path / "top").write_text("x")
    with pytest.raises(Fault, match="cannot overwrite non-directory"):
        unpack(tmp_path, archive(("top/", tarfile.DIRTYPE, "")))


def test_a_directory_without_write_permission_gets_its_contents_all_the_same(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as made:
        info = tarfile.TarInfo("top")
        info.type, info.mode = tarfile.DIRTYPE, 0o555
        made.addfile(info)
        made.addfile(tarfile.TarInfo("top/a"))
    unpack(tmp_path, buffer.getvalue())
    assert (tmp_path / "top").stat().st_mode & 0o777 == 0o555
    assert (tmp_path / "top/a").exists()
    (tmp_path / "top").chmod(0o755)


def test_what_is_packed_is_unpacked_the_same(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "sub").mkdir(parents=True)
    (source / "big").write_bytes(os.urandom(700_000))
    (source / "sub/empty").touch(mode=0o600)
    (source / "sub/link").symlink_to("/nowhere")
    os.mkfifo(source / "fifo")
    os.link(source / "big", source / "same")
    packing = Packing(str(source), "copy")
    extract(packing.chunks(), str(tmp_path), rename=("copy", "copy"))
    copy = tmp_path / "copy"
    assert (copy / "big").read_bytes() == (source / "big").read_bytes()
    assert (copy / "same").samefile(copy / "big")
    assert (copy / "sub/empty").stat().st_mode & 0o777 == 0o600
    assert os.readlink(copy / "sub/link") == "/nowhere"
    assert (copy / "fifo").is_fifo()
