"""What a copy selects: patterns, links that end inside, and a digest of content alone."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from corten.build import selection
from corten.build.chmod import mode_of
from corten.model.errors import InvalidArgument, NotFound


@pytest.fixture
def root(tmp_path: Path) -> Iterator[int]:
    for name in ("a.txt", "b.txt", "dir/c.txt", "dir/deep/d.log", "odd[1]"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "up").symlink_to("../../../../dir")
    fd = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    yield fd
    os.close(fd)


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("a.txt", ["a.txt"]),
        ("/a.txt", ["a.txt"]),
        ("../../a.txt", ["a.txt"]),
        (".", [""]),
        ("*.txt", ["a.txt", "b.txt"]),
        ("[^a].txt", ["b.txt"]),
        ("[!a].txt", ["a.txt"]),
        ("d*/*/d.log", ["dir/deep/d.log"]),
        ("odd\\[1]", ["odd[1]"]),
        ("up/c.txt", ["up/c.txt"]),
    ],
)
def test_a_source_names_these_files(root: int, source: str, found: list[str]) -> None:
    assert [one.path for one in selection.select(root, (source,))] == found


@pytest.mark.parametrize("source", ["absent", "*.none", "a.txt/x", "up/../../etc/passwd"])
def test_a_source_that_names_nothing_is_an_error(root: int, source: str) -> None:
    with pytest.raises(NotFound):
        selection.select(root, (source,))


def test_parents_keep_what_follows_the_pivot(root: int) -> None:
    assert [one.kept for one in selection.select(root, ("dir/./deep/d.log",), parents=True)] == ["deep/d.log"]
    assert [one.kept for one in selection.select(root, ("**/*.log",), parents=True)] == ["dir/deep/d.log"]


def test_the_digest_is_of_names_modes_and_bytes_and_not_of_times(root: int, tmp_path: Path) -> None:
    def digest(*exclude: str) -> str:
        return selection.digest(root, selection.select(root, ("dir",)), exclude=exclude)

    first = digest()
    os.utime(tmp_path / "dir/c.txt", (1, 1))
    assert digest() == first
    (tmp_path / "dir/c.txt").chmod(0o755)
    assert digest() != first
    assert digest("c.txt") == digest("c.txt", "nothing")


@pytest.mark.parametrize(
    ("text", "before", "after"),
    [
        ("755", 0o100600, 0o755),
        ("4755", 0o100600, 0o4755),
        ("a+x", 0o100644, 0o755),
        ("u=rwX,go=rX", 0o100600, 0o644),
        ("u=rwX,go=rX", 0o040700, 0o755),
        ("go-rwx", 0o100777, 0o700),
        ("g=u", 0o100640, 0o660),
        ("u+s,o+t", 0o100755, 0o5755),
        ("=r", 0o100777, 0o444),
    ],
)
def test_a_mode_is_changed_as_chmod_changes_it(text: str, before: int, after: int) -> None:
    assert oct(mode_of(text, before)) == oct(after)


@pytest.mark.parametrize("text", ["", "9", "u", "x+r", "77777"])
def test_a_bad_mode_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument):
        mode_of(text, 0o644)
