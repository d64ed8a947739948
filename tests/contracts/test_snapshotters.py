"""What every snapshotter promises, run over each of them."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from corten.model.errors import AlreadyExists, FailedPrecondition, NotFound
from corten.snapshots import Kind, Native, Overlay, Snapshotter

pytestmark = pytest.mark.root

FACTORIES: dict[str, Callable[..., Snapshotter]] = {"overlay": Overlay, "native": Native}


@pytest.fixture(params=sorted(FACTORIES))
def make(request: pytest.FixtureRequest, scratch: Path) -> Callable[..., Snapshotter]:
    """Opens the same root each time, as an engine that restarts does."""
    return lambda **options: FACTORIES[request.param](scratch / "snapshots", **options)


def fill(store: Snapshotter, name: str, parent: str | None, **files: str) -> None:
    store.prepare(f"fill {name}", parent)
    path = store.changes(f"fill {name}").path
    for file, content in files.items():
        (path / file).write_text(content)
    store.commit(name, f"fill {name}")


def keys(store: Snapshotter) -> list[str]:
    return [info.key for info in store.walk()]


def test_a_chain_is_built_bottom_up_and_listed_top_down(make: Callable[..., Snapshotter]) -> None:
    store = make()
    fill(store, "a", None, one="1")
    fill(store, "b", "a", two="2")
    store.prepare("container", "b")
    assert keys(store) == ["container", "b", "a"]
    assert store.stat("b").parent == "a"
    assert [store.stat(key).kind for key in keys(store)] == [Kind.ACTIVE, Kind.COMMITTED, Kind.COMMITTED]


def test_an_active_snapshot_is_written_without_touching_its_parent(make: Callable[..., Snapshotter]) -> None:
    store = make()
    fill(store, "a", None, one="1")
    before = (store.changes("a").path / "one").stat().st_mtime_ns
    mounts = store.prepare("c", "a")
    (store.changes("c").path / "one").unlink(missing_ok=True)
    (store.changes("c").path / "one").write_text("changed")
    assert (store.changes("a").path / "one").read_text() == "1"
    assert (store.changes("a").path / "one").stat().st_mtime_ns == before
    assert store.mounts("c") == mounts


def test_mounts_are_values_and_nothing_is_mounted(make: Callable[..., Snapshotter]) -> None:
    before = Path("/proc/self/mountinfo").read_text()
    store = make()
    fill(store, "a", None)
    assert all("rw" in mount.options or mount.type == "overlay" for mount in store.prepare("c", "a"))
    assert all("ro" in mount.options for mount in store.view("v", "a"))
    assert Path("/proc/self/mountinfo").read_text() == before


def test_keys_and_names_share_one_space(make: Callable[..., Snapshotter]) -> None:
    store = make()
    fill(store, "a", None)
    for again in (store.prepare, store.view):
        with pytest.raises(AlreadyExists):
            again("a")
    store.prepare("b")
    with pytest.raises(AlreadyExists):
        store.commit("a", "b")
    store.remove("b")
    assert keys(store) == ["a"]


def test_a_parent_must_be_committed_and_a_commit_active(make: Callable[..., Snapshotter]) -> None:
    store = make()
    store.prepare("active")
    with pytest.raises(FailedPrecondition):
        store.prepare("child", "active")
    with pytest.raises(NotFound):
        store.prepare("child", "nowhere")
    store.commit("done", "active")
    with pytest.raises(FailedPrecondition):
        store.commit("again", "done")
    with pytest.raises(FailedPrecondition):
        store.mounts("done")
    for missing in (store.stat, store.mounts, store.usage, store.remove, store.changes):
        with pytest.raises(NotFound):
            missing("nowhere")


def test_what_others_stand_on_cannot_be_removed(make: Callable[..., Snapshotter]) -> None:
    store = make()
    fill(store, "a", None, one="1")
    store.prepare("c", "a")
    with pytest.raises(FailedPrecondition, match="stand on it"):
        store.remove("a")
    store.remove("c")
    assert store.remove("a") > 0
    assert keys(store) == []
    assert os.listdir(store.root) == []


def test_usage_counts_what_a_snapshot_adds(make: Callable[..., Snapshotter]) -> None:
    store = make()
    fill(store, "a", None, one="x" * 5000)
    store.prepare("c", "a")
    assert store.usage("a").size == 5000
    assert store.usage("c").size == 0
    (store.changes("c").path / "new").write_text("y" * 70)
    os.link(store.changes("c").path / "new", store.changes("c").path / "same")
    assert (store.usage("c").size, store.usage("c").inodes) == (70, 2)


def test_the_root_directory_keeps_owner_and_mode(make: Callable[..., Snapshotter]) -> None:
    store = make()
    store.prepare("fill a")
    path = store.changes("fill a").path
    os.chown(path, 12, 34)
    path.chmod(0o1770)
    store.commit("a", "fill a")
    store.prepare("c", "a")
    found = store.changes("c").path.stat()
    assert (found.st_uid, found.st_gid, found.st_mode & 0o7777) == (12, 34, 0o1770)


def test_everything_is_there_after_a_restart(make: Callable[..., Snapshotter]) -> None:
    store = make()
    fill(store, "a", None, one="1")
    fill(store, "b", "a")
    store.prepare("c", "b")
    before = (keys(store), store.mounts("c"))
    again = make()
    assert (keys(again), again.mounts("c")) == before
    again.prepare("d", "b")
    assert again.changes("d").path != again.changes("c").path


def test_what_a_crash_left_half_made_goes_at_the_next_start(make: Callable[..., Snapshotter]) -> None:
    store = make()
    fill(store, "a", None)
    for name in ("new-77", "gone-78"):
        shutil.copytree(store.root / "1", store.root / name)
    (store.root / "79").mkdir()
    assert keys(make()) == ["a"]
    assert os.listdir(store.root) == ["1"]


def test_a_power_cut_is_noticed_until_the_content_was_synced(make: Callable[..., Snapshotter]) -> None:
    store = make(boot="first")
    fill(store, "safe", None, one="1")
    store.sync()
    fill(store, "lost", "safe", two="2")
    store.prepare("container", "safe")
    assert keys(make(boot="first")) == keys(store)
    assert sorted(keys(make(boot="second"))) == ["container", "safe"]


def test_a_copy_keeps_links_devices_and_attributes(make: Callable[..., Snapshotter]) -> None:
    store = make()
    store.prepare("fill a")
    path = store.changes("fill a").path
    (path / "dir").mkdir(mode=0o2750)
    (path / "dir" / "file").write_text("x")
    os.setxattr(path / "dir" / "file", "trusted.test", b"value")
    os.chown(path / "dir" / "file", 5, 6)
    os.utime(path / "dir" / "file", ns=(1, 2_000_000_003))
    os.link(path / "dir" / "file", path / "hard")
    os.symlink("../nowhere", path / "soft")
    os.mknod(path / "null", 0o020666, os.makedev(1, 3))
    store.commit("a", "fill a")
    store.prepare("c", "a")
    changes = store.changes("c")
    seen = changes.path if changes.form.value == "plain" else changes.lowers[0]
    found = (seen / "dir" / "file").stat()
    assert (found.st_uid, found.st_gid, found.st_mtime_ns, found.st_nlink) == (5, 6, 2_000_000_003, 2)
    assert os.getxattr(seen / "dir" / "file", "trusted.test") == b"value"
    assert os.readlink(seen / "soft") == "../nowhere"
    assert (seen / "null").stat().st_rdev == os.makedev(1, 3)


def test_a_tree_of_any_depth_is_removed(make: Callable[..., Snapshotter]) -> None:
    store = make()
    store.prepare("c")
    fd = os.open(store.changes("c").path, os.O_RDONLY)
    for _ in range(5000):
        os.mkdir("d", dir_fd=fd)
        below = os.open("d", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(fd)
    store.remove("c")
    assert os.listdir(store.root) == []
