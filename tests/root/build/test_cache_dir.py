"""`--cache-dir`: another engine goes on from the directory; what is damaged or hostile in it is never used."""

import hashlib
import io
import json
import os
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.root.build.building import Built, Site, context
from tests.root.engines import OTHER_HOST, Engine

pytestmark = [pytest.mark.root, pytest.mark.skipif(bool(OTHER_HOST), reason="our own cache directory")]
TEXT = """FROM tiny AS make
WORKDIR /w
RUN --mount=type=cache,target=/c,id=shelf,mode=0750 test -e /c/kept || echo first > /c/kept; cat /c/kept > /w/out
FROM tiny
ENV A=1
COPY f /f
COPY --link f /linked
COPY --from=make /w/out /out
RUN rm -rf /etc/group && echo end > /end
"""
STEPS = 9
ARCHIVE = context(TEXT, {"f": "1"})


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    place = tmp_path / "shelf"
    place.mkdir()
    return place


@pytest.fixture
def fresh() -> Iterator[Site]:
    """An engine that has never built."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    engine = Engine.temporary()
    try:
        engine.start()
        engine.load()
        yield Site(engine)
    finally:
        engine.end()


def build(site: Site, shelf: Path, archive: bytes = ARCHIVE, **query: str) -> Built:
    return site.build(archive, None, cachedir=str(shelf), **query)


@pytest.fixture
def filled(site: Site, shelf: Path) -> dict[str, str]:
    """The directory after a build at another engine; the files that it gave."""
    return site.files(build(site, shelf).id)


def index(shelf: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((shelf / "index.json").read_text())
    return found


def test_a_fresh_engine_goes_on_from_the_directory(fresh: Site, shelf: Path, filled: dict[str, str]) -> None:
    again = build(fresh, shelf)
    assert again.cached == STEPS - 2, again.text  # all but the two FROM
    assert "Running in" not in again.text
    assert fresh.files(again.id) == filled
    changed = context(TEXT.replace("echo first", "echo second"), {"f": "1"})
    later = build(fresh, shelf, changed)
    assert fresh.files(later.id)["out"].endswith('"first\\n"'), "the cache mount came along"
    assert later.text.count("Running in") == 1


def test_it_holds_plain_files_that_belong_to_its_owner(site: Site, shelf: Path) -> None:
    os.chown(shelf, 1234, 1235)
    build(site, shelf)
    for path in filter(Path.is_file, shelf.rglob("*")):
        about = path.stat()
        assert (about.st_uid, about.st_gid, about.st_mode & 0o7777) == (1234, 1235, 0o644)
    for path in (shelf / "blobs/sha256").iterdir():
        assert hashlib.sha256(path.read_bytes()).hexdigest() == path.name
        assert tarfile.is_tarfile(path)


def test_what_is_not_used_any_more_goes_after_a_week(site: Site, shelf: Path) -> None:
    build(site, shelf)
    found = index(shelf)
    old = {**found, "records": [{**record, "used": record["used"] - 8 * 24 * 3600} for record in found["records"]]}
    (shelf / "index.json").write_text(json.dumps(old))
    build(site, shelf, context("FROM tiny\nRUN echo other > /o\n"))
    layers = {layer["digest"] for record in index(shelf)["records"] for layer in record["layers"]}
    mounts = {mount["digest"] for mount in index(shelf)["mounts"].values()}
    assert len(layers) == 1
    assert {f"sha256:{path.name}" for path in (shelf / "blobs/sha256").iterdir()} == layers | mounts


def test_two_builds_share_it(site: Site, fresh: Site, shelf: Path) -> None:
    other = context("FROM tiny\nRUN echo other > /o\n")
    build(site, shelf)
    build(site, shelf, other)
    assert build(fresh, shelf).cached == STEPS - 2
    assert build(fresh, shelf, other).cached == 1


def damage_blobs(shelf: Path) -> None:
    for path in (shelf / "blobs/sha256").iterdir():
        data = bytearray(path.read_bytes())
        data[600] ^= 1
        path.write_bytes(data)


def cut_blobs(shelf: Path) -> None:
    for path in (shelf / "blobs/sha256").iterdir():
        path.write_bytes(path.read_bytes()[:700])


def link_blobs(shelf: Path) -> None:
    for path in (shelf / "blobs/sha256").iterdir():
        shutil.copy(path, shelf / path.name)
        path.unlink()
        path.symlink_to(shelf / path.name)


def pipes(shelf: Path) -> None:
    for path in (shelf / "blobs/sha256").iterdir():
        path.unlink()
        os.mkfifo(path)


def hostile_tars(shelf: Path) -> None:
    """Right digests, over archives that climb out."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        for name in ("../../../../../../../tmp/corten-escaped", "/tmp/corten-escaped"):
            archive.addfile(tarfile.TarInfo(name))
        link = tarfile.TarInfo("up")
        link.type, link.linkname = tarfile.SYMTYPE, "/tmp"
        archive.addfile(link)
        archive.addfile(tarfile.TarInfo("up/corten-escaped"))
    content = data.getvalue()
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    (shelf / "blobs/sha256" / digest.removeprefix("sha256:")).write_bytes(content)
    found = index(shelf)
    for one in [*found["mounts"].values(), *(layer for record in found["records"] for layer in record["layers"])]:
        one |= {"digest": digest, "size": len(content)}
    (shelf / "index.json").write_text(json.dumps(found))


def no_json(shelf: Path) -> None:
    (shelf / "index.json").write_text("{")


def wrong_types(shelf: Path) -> None:
    (shelf / "index.json").write_text('{"records": [{"keys": 1, "layers": [{"digest": "x"}]}]}')


def another_version(shelf: Path) -> None:
    (shelf / "index.json").write_text('{"version": 2}')


def linked_index(shelf: Path) -> None:
    (shelf / "index.json").rename(shelf / "other")
    (shelf / "index.json").symlink_to(shelf / "other")


def linked_blobs(shelf: Path) -> None:
    (shelf / "blobs").rename(shelf / "elsewhere")
    (shelf / "blobs").symlink_to(shelf / "elsewhere")


DAMAGES = [
    *(damage_blobs, cut_blobs, link_blobs, pipes, hostile_tars, no_json, wrong_types, another_version),
    *(linked_index, linked_blobs),
]


@pytest.fixture(scope="module")
def second() -> Iterator[Site]:
    """One more engine; its own cache is emptied before each use."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    engine = Engine.temporary()
    try:
        engine.start()
        engine.load()
        yield Site(engine)
    finally:
        engine.end()


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda one: one.__name__)
def test_a_damaged_directory_is_passed_over(second: Site, shelf: Path, filled: dict[str, str], damage: Any) -> None:
    for image in second.client.images.list():
        if "tiny:latest" not in (image.get("RepoTags") or ()):
            second.client.images.remove(image["Id"], force=True)
    second.client.ask("POST", "/build/prune", {"all": "1"})
    damage(shelf)
    again = build(second, shelf)
    assert "[Warning]" in again.text
    assert again.text.count("Running in") == 2, again.text
    assert second.files(again.id) == filled
    assert not Path("/tmp/corten-escaped").exists()


def test_a_directory_that_cannot_be_written_warns_and_builds(site: Site, shelf: Path) -> None:
    (shelf / "blobs").write_text("in the way")
    built = build(site, shelf)
    assert "could not be written" in built.text
    assert built.id


def test_a_directory_that_is_not_there_is_an_error(site: Site, shelf: Path) -> None:
    assert "cannot open the cache directory" in build(site, shelf / "absent").error
    assert "not an absolute path" in build(site, Path("relative")).error
