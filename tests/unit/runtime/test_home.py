"""A user's home from the image's passwd file: links are walked inside the root, never out of it."""

import os
from pathlib import Path

from corten.runtime.compiler.home import home

PASSWD = "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000::/var/app:/bin/sh\n"


def image(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    (root / "usr/share").mkdir(parents=True)
    return root


def test_a_plain_file(tmp_path: Path) -> None:
    root = image(tmp_path)
    (root / "etc/passwd").write_text(PASSWD)
    assert [home(str(root), uid) for uid in (0, 1000, 7)] == ["/root", "/var/app", "/"]


def test_a_link_inside_is_walked(tmp_path: Path) -> None:
    root = image(tmp_path)
    (root / "usr/share/passwd").write_text(PASSWD)
    (root / "etc/passwd").symlink_to("../usr/share/passwd")
    assert home(str(root), 1000) == "/var/app"


def test_an_absolute_link_and_dots_stay_below_the_root(tmp_path: Path) -> None:
    root = image(tmp_path)
    (tmp_path / "passwd").write_text(PASSWD.replace("/var/app", "/outside"))
    (root / "passwd").write_text(PASSWD)
    for target in ("../../../../passwd", "/../passwd", "/passwd"):
        (root / "etc/passwd").unlink(missing_ok=True)
        (root / "etc/passwd").symlink_to(target)
        assert home(str(root), 1000) == "/var/app"


def test_a_loop_a_pipe_and_nothing_are_no_home(tmp_path: Path) -> None:
    root = image(tmp_path)
    assert home(str(root), 0) == "/"
    (root / "etc/passwd").symlink_to("passwd")
    assert home(str(root), 0) == "/"
    (root / "etc/passwd").unlink()
    os.mkfifo(root / "etc/passwd")
    assert home(str(root), 0) == "/"
