"""The user of a container comes from the image's own files, and those never lead out of its root."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from corten.model.errors import InvalidArgument
from corten.spec.user import Identity, lookup

PASSWD = "root:x:0:0:root:/root:/bin/sh\nweb:x:33:34:Web:/var/www:/bin/sh\nbroken\nhuge:x:4294967296:0::/:\n"
GROUP = "root:x:0:\nweb:x:34:\nlog:x:50:web,other\n"


@pytest.fixture
def root(tmp_path: Path) -> Iterator[int]:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text(PASSWD)
    (tmp_path / "etc/group").write_text(GROUP)
    fd = os.open(tmp_path, os.O_PATH)
    yield fd
    os.close(fd)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("", Identity(0, 0, (0,), "/root")),
        ("web", Identity(33, 34, (34, 50), "/var/www")),
        ("33", Identity(33, 34, (34, 50), "/var/www")),
        ("web:log", Identity(33, 50, (50,), "/var/www")),
        ("1000", Identity(1000, 0, (0,), "/")),
        ("1000:1000", Identity(1000, 1000, (1000,), "/")),
    ],
)
def test_lookup(root: int, wanted: str, found: Identity) -> None:
    assert lookup(root, wanted) == found


def test_added_groups_come_by_name_or_number(root: int) -> None:
    assert lookup(root, "web", ("log", "99")).groups == (34, 50, 99)


@pytest.mark.parametrize("wanted", ["nobody", "web:nope", "huge", "-1", "+0"])
def test_an_unknown_name_is_refused(root: int, wanted: str) -> None:
    with pytest.raises(InvalidArgument, match="no matching entries in"):
        lookup(root, wanted)


def test_an_id_that_would_wrap_around_to_root_is_refused(root: int) -> None:
    with pytest.raises(InvalidArgument, match="must be in range"):
        lookup(root, "4294967296")


def test_a_link_to_the_host_is_resolved_inside_the_root(tmp_path: Path) -> None:
    (tmp_path / "host").write_text("evil:x:7:7::/:\n")
    image = tmp_path / "image"
    (image / "etc").mkdir(parents=True)
    (image / "etc/passwd").symlink_to(tmp_path / "host")
    fd = os.open(image, os.O_PATH)
    try:
        with pytest.raises(InvalidArgument, match="unable to find user evil"):
            lookup(fd, "evil")
    finally:
        os.close(fd)


def test_a_fifo_in_its_place_does_not_block(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    os.mkfifo(tmp_path / "etc/passwd")
    fd = os.open(tmp_path, os.O_PATH)
    try:
        assert lookup(fd, "0").uid == 0
    finally:
        os.close(fd)
