"""Git repositories as contexts and in ADD, over git's own daemon and plain HTTP; hostile ones do nothing here."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from corten.build.git import Git
from corten.model.cancel import Cancel
from corten.model.errors import FailedPrecondition
from tests.root.build.building import Site, context
from tests.root.engines import OTHER_HOST, eventually

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(bool(OTHER_HOST), reason="the servers stand in our engine's namespace"),
    pytest.mark.skipif(not shutil.which("git"), reason="needs git (Debian package git)"),
]
PORT, WEB = 8766, 8767
AUTHOR = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "anna"), ("EMAIL", "anna@example"), ("DATE", "1700000000 +0000"))
}


def git(place: Path, *words: str) -> str:
    environment = {**os.environ, **AUTHOR, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
    command = ["git", "-c", "protocol.file.allow=always", *words]
    done = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def commit(place: Path, files: dict[str, str]) -> str:
    for name, text in files.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text)
    git(place, "add", "-A")
    git(place, "commit", "-qm", "more")
    return git(place, "rev-parse", "HEAD")


@contextmanager
def serving(site: Site, port: int, *command: str) -> Iterator[None]:
    """A server in the engine's network namespace."""
    assert site.engine.process
    quiet = subprocess.DEVNULL
    entered = ["nsenter", "-t", str(site.engine.process.pid), "-n", "--", *command]
    server = subprocess.Popen(entered, stdout=quiet, stderr=quiet)
    probe = f"import socket; socket.create_connection(('127.0.0.1', {port}))"
    try:
        eventually(lambda: site.engine.inside(sys.executable, "-c", probe).returncode == 0)
        yield
    finally:
        server.terminate()
        server.wait()


@pytest.fixture
def work(tmp_path: Path) -> Path:
    place = tmp_path / "served" / "app.git"
    place.mkdir(parents=True)
    git(place, "init", "-q", "-b", "main", ".")
    commit(place, {"Dockerfile": "FROM tiny\nCOPY . /in\n", "first": "1"})
    git(place, "tag", "v1")
    commit(place, {"second": "2", "part/Dockerfile": "FROM tiny\nCOPY own /own\n", "part/own": "own"})
    return place


@pytest.fixture
def daemon(site: Site, work: Path) -> Iterator[str]:
    words = ["--reuseaddr", "--export-all", f"--base-path={work.parent}", "--listen=127.0.0.1", f"--port={PORT}"]
    with serving(site, PORT, "/usr/lib/git-core/git-daemon", *words, str(work.parent)):
        yield f"git://127.0.0.1:{PORT}/app.git"


def built(site: Site, address: str) -> dict[str, str]:
    return site.files(site.build(b"", remote=address).id)


def test_a_repository_is_a_context(site: Site, daemon: str) -> None:
    files = built(site, daemon)
    assert {"in/first", "in/second", "in/part/own"} <= files.keys()
    assert "in/.git" not in files


def test_a_reference_and_a_directory_choose_of_it(site: Site, daemon: str, work: Path) -> None:
    assert "in/second" not in built(site, f"{daemon}#v1")
    assert built(site, f"{daemon}#:part")["own"].endswith('"own"')
    older = git(work, "rev-parse", "v1")
    assert "in/second" not in built(site, f"{daemon}#{older}")
    assert "in/second" not in built(site, f"{daemon}#{older[:9]}")
    assert "no branch, tag or commit" in site.build(b"", remote=f"{daemon}#nosuch").error
    assert "no directory of the git" in site.build(b"", remote=f"{daemon}#main:nosuch").error


def test_the_same_commit_is_cached_and_another_is_not(site: Site, daemon: str, work: Path) -> None:
    site.build(b"", remote=daemon)
    assert site.build(b"", remote=daemon).cached == 1
    commit(work, {"third": "3"})
    assert site.build(b"", remote=daemon).cached == 0


def test_plain_http_serves_too(site: Site, work: Path) -> None:
    """The dumb protocol: no single commit can be asked for."""
    git(work, "update-server-info")
    bare = work.parent / "dumb.git"
    shutil.copytree(work / ".git", bare)
    words = ["-m", "http.server", str(WEB), "--bind", "127.0.0.1", "--directory", str(work.parent)]
    with serving(site, WEB, sys.executable, *words):
        address = f"http://127.0.0.1:{WEB}/dumb.git"
        assert "in/second" in built(site, address)
        assert "in/second" not in built(site, f"{address}#v1")
        assert "in/second" in built(site, f"{address}#main")


def test_add_takes_a_repository_and_keeps_git_when_asked(site: Site, daemon: str, work: Path) -> None:
    older = git(work, "rev-parse", "v1")
    text = f"FROM tiny\nADD {daemon}#v1 /a\nADD --keep-git-dir=true {daemon} /b/\nADD {daemon}#main:part /c\n"
    image = site.build(context(text))
    files = site.files(image.id)
    assert {"a/first", "b/second", "b/.git/HEAD", "c/own"} <= files.keys()
    assert "a/.git" not in files
    assert site.build(context(text)).cached == 3
    right = f"FROM tiny\nADD --checksum={older} {daemon}#v1 /a\n"
    assert "a/first" in site.files(site.build(context(right)).id)
    assert "--checksum says" in site.build(context(f"FROM tiny\nADD --checksum={older} {daemon} /a\n")).error


def test_submodules_come_along_but_not_from_this_machine(site: Site, daemon: str, work: Path) -> None:
    other = work.parent / "sub.git"
    other.mkdir()
    git(other, "init", "-q", "-b", "main", ".")
    commit(other, {"inner": "i"})
    git(work, "submodule", "add", "-q", str(other), "sub")
    git(work, "config", "-f", ".gitmodules", "submodule.sub.url", "../sub.git")
    commit(work, {})
    files = built(site, daemon)
    assert "in/sub/inner" in files
    assert "in/sub/.git" not in files
    git(work, "config", "-f", ".gitmodules", "submodule.sub.url", str(other))
    commit(work, {"x": "y"})
    assert "transport 'file' not allowed" in site.build(b"", remote=daemon).error


def test_nothing_that_a_repository_or_this_machine_brings_is_executed(site: Site, daemon: str, work: Path) -> None:
    """Filters, monitors and hooks need configuration; a repository brings none, and the engine's user's is not read."""
    mark = work.parent / "executed"
    (work / ".gitattributes").write_text("* filter=evil diff=evil\n")
    (work / ".gitconfig").write_text(f"[core]\n\tfsmonitor = touch {mark}\n")
    commit(work, {"hooks/post-checkout": f"#!/bin/sh\ntouch {mark}\n"})
    assert "in/first" in built(site, daemon)
    assert not mark.exists()


def test_a_link_of_a_repository_ends_in_it(site: Site, daemon: str, work: Path) -> None:
    (work / "out").symlink_to("/etc")
    commit(work, {"Dockerfile": "FROM tiny\nCOPY out/hostname /got\n"})
    assert "not in the build context" in site.build(b"", remote=daemon).error
    assert "no directory of the git" in site.build(b"", remote=f"{daemon}#:out").error


def test_without_the_program_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(FailedPrecondition, match="git is not installed"):
        Git("https://host/x.git", Path("/"), Cancel())
