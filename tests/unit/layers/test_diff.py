"""What changed is told as Docker tells it, and written as a layer it makes the same change again."""

import io
import os
import tarfile
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from corten import layers
from corten.layers import Change, Form, Kind, source
from corten.model.errors import InvalidArgument
from corten.snapshots import Native, Overlay, Snapshotter
from tests.images import Layer
from tests.merged import Listing, listing, merged

pytestmark = pytest.mark.root

BASE = Layer().directory("d").file("d/x", b"x").file("d/y", b"y").directory("d/sub").file("d/sub/z", b"z")
BASE_LAYER = BASE.file("a", b"1").symlink("l", "d").directory("etc").close()
MAKERS: dict[str, Callable[[Path], Snapshotter]] = {"overlay": Overlay, "native": Native}


class Rig:
    """A snapshotter with a base layer and a container on it, and what to do with them."""

    def __init__(self, kind: str, root: Path) -> None:
        self.root = root
        self.store = MAKERS[kind](root / "snapshots")
        self.apply("base", None, BASE_LAYER)
        self.store.prepare("container", "base")

    def apply(self, name: str, parent: str | None, data: bytes) -> None:
        self.store.prepare("new", parent)
        self.fill("new", data)
        self.store.commit(name, "new")

    def work(self, data: bytes) -> None:
        """Leave in the container's own directory what a process in it would leave there."""
        self.fill("container", data)

    def fill(self, key: str, data: bytes) -> None:
        with ExitStack() as stack:
            root_fd, lower_fds, form = self.opened(stack, key)
            stream = stack.enter_context(closing(source.of_stream(io.BytesIO(data))))
            layers.apply(stream, root_fd, form=form, lower_fds=lower_fds)

    def opened(self, stack: ExitStack, key: str = "container") -> tuple[int, list[int], Form]:
        changes = self.store.changes(key)
        paths = [changes.path, *changes.lowers]
        fds = [os.open(path, os.O_RDONLY) for path in paths]
        for fd in fds:
            stack.callback(os.close, fd)
        return fds[0], fds[1:], changes.form

    def changes(self, *hidden: str) -> list[Change]:
        with ExitStack() as stack:
            return layers.changes(*self.opened(stack), hidden=frozenset(hidden))

    def diff(self, *hidden: str) -> bytes:
        with ExitStack() as stack:
            return b"".join(layers.diff(*self.opened(stack), hidden=frozenset(hidden)))

    def shown(self, key: str) -> Listing:
        changes = self.store.changes(key)
        if changes.form is Form.PLAIN:
            return listing(changes.path)
        (self.root / "at").mkdir(exist_ok=True)
        return merged([changes.path, *changes.lowers], self.root / "at")


@pytest.fixture(params=sorted(MAKERS))
def rig(request: pytest.FixtureRequest, scratch: Path) -> Rig:
    return Rig(request.param, scratch)


M, A, D = Kind.MODIFIED, Kind.ADDED, Kind.DELETED


def test_an_untouched_container_has_no_changes(rig: Rig) -> None:
    assert rig.changes() == []
    assert rig.diff() == bytes(1024)


def test_changes_have_dockers_kinds_and_order(rig: Rig) -> None:
    rig.work(
        Layer().directory("d").file("d/x", b"changed").file("d/new", b"").file(".wh.a", b"").file(".wh.l", b"").close()
    )
    assert rig.changes() == [("a", D), ("d", M), ("d/new", A), ("d/x", M), ("l", D)]


def test_a_directory_made_anew_tells_what_it_lost(rig: Rig) -> None:
    rig.work(
        Layer().file(".wh.d", b"").directory("d").file("d/x", b"again").directory("d/own").file("d/own/f", b"").close()
    )
    found = rig.changes()
    assert ("d/y", D) in found
    assert ("d/sub", D) in found
    assert ("d/own/f", A) in found
    assert ("d/x", M) in found


def test_what_was_below_a_directory_made_anew_stays_gone(rig: Rig) -> None:
    rig.work(Layer().file(".wh.d", b"").directory("d/sub").close())
    rig.apply("committed", "base", rig.diff())
    assert rig.shown("committed") == rig.shown("container")
    assert ("d/sub/z", D) in rig.changes()


def test_mount_points_of_the_engine_are_not_changes(rig: Rig) -> None:
    rig.work(Layer().directory("etc").file("etc/hosts", b"").directory("proc").close())
    assert rig.changes("etc/hosts", "proc") == []
    rig.work(Layer().file("etc/mine", b"").close())
    assert rig.changes("etc/hosts", "proc") == [("etc", M), ("etc/mine", A)]


def test_a_layer_written_from_changes_makes_them_again(rig: Rig) -> None:
    work = Layer().file(".wh.d", b"").directory("d").file("d/x", b"again", 0o4711).hardlink("d/h", "d/x")
    rig.work(work.symlink("l2", "nowhere").file(".wh.a", b"").file("big", os.urandom(2_000_000)).close())
    layer = rig.diff()
    rig.apply("committed", "base", layer)
    assert rig.shown("committed") == rig.shown("container")
    with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
        names = tar.getnames()
    assert names == sorted(names, key=lambda name: name.replace(".wh.", ""))


def test_attributes_go_into_the_layer_but_the_hosts_own_do_not(rig: Rig) -> None:
    path = rig.store.changes("container").path
    (path / "f").write_text("x")
    os.setxattr(path / "f", "user.mine", b"1")
    (path / "opaque").mkdir()
    os.setxattr(path / "opaque", "trusted.overlay.opaque", b"y")
    with tarfile.open(fileobj=io.BytesIO(rig.diff())) as tar:
        found = {member.name: member.pax_headers for member in tar}
    assert found["f"] == {"SCHILY.xattr.user.mine": "1"}
    if rig.store.name == "overlay":
        assert found["opaque"] == {}


def test_a_whole_tree_is_packed_and_unpacks_the_same(rig: Rig, scratch: Path) -> None:
    tree = rig.store.changes("base").path
    fd = os.open(tree, os.O_RDONLY)
    data = b"".join(layers.pack(fd))
    os.close(fd)
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        assert tar.getnames()[:2] == ["a", "d"]
        tar.extractall(scratch / "copy", filter="fully_trusted")
    assert listing(scratch / "copy") == listing(tree)


def test_a_file_that_shrinks_while_it_is_read_keeps_its_place(scratch: Path) -> None:
    (scratch / "f").write_bytes(b"x" * 3_000_000)
    (scratch / "g").write_bytes(b"after")
    fd = os.open(scratch, os.O_RDONLY)
    pieces = layers.pack(fd)
    first = next(pieces)
    os.truncate(scratch / "f", 100)
    data = first + b"".join(pieces)
    os.close(fd)
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        assert [(member.name, member.size) for member in tar] == [("f", 3_000_000), ("g", 5)]


def test_a_socket_is_left_out(scratch: Path) -> None:
    os.mknod(scratch / "socket", 0o140644)
    fd = os.open(scratch, os.O_RDONLY)
    assert b"".join(layers.pack(fd)) == bytes(1024)
    os.close(fd)


paths = st.sampled_from(["a", "d", "d/x", "d/y", "d/sub", "d/sub/z", "n", "n/m", "etc/f"])


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(sorted(MAKERS)), st.lists(st.tuples(st.sampled_from("fdw"), paths), max_size=6))
def test_any_work_survives_commit(
    tmp_path_factory: pytest.TempPathFactory, kind: str, work: list[tuple[str, str]]
) -> None:
    rig = Rig(kind, tmp_path_factory.mktemp("rig"))
    layer = Layer()
    said: set[str] = set()
    for what, path in work:
        if path in said or any(o.startswith(f"{path}/") or path.startswith(f"{o}/") for o in said if what != "d"):
            continue
        said.add(path)
        directory, _, name = path.rpartition("/")
        if what == "w":
            layer.file(f"{directory}/.wh.{name}".lstrip("/"), b"")
        elif what == "d":
            layer.directory(path)
        else:
            layer.file(path, b"new " + path.encode())
    try:
        rig.work(layer.close())
    except InvalidArgument:
        return  # a file, and then something below it
    rig.apply("committed", "base", rig.diff())
    assert rig.shown("committed") == rig.shown("container")
