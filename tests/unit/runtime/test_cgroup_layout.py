"""Where the hierarchies are, by the kernel's own words."""

from corten.kernel.cgroups import Layout
from tests.unit.runtime.hosts import HYBRID, V1, V2


def test_the_three_layouts_are_told_apart() -> None:
    assert [layout.mode for layout in (V1, HYBRID, V2, Layout((), None))] == ["v1", "hybrid", "v2", "none"]


def test_relative_paths_count_from_our_own_cgroup_and_absolute_ones_from_the_mount() -> None:
    memory = V1.of("memory")
    assert memory
    assert memory.directory("x") == "/sys/fs/cgroup/memory/user/x"
    assert memory.directory("/x") == "/sys/fs/cgroup/memory/x"


def test_on_v2_relative_paths_are_beside_our_own_cgroup_which_holds_processes() -> None:
    tree = Layout.parse("0::/a/shell\n", "30 20 0:30 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n").unified
    assert tree
    assert (tree.directory("x"), tree.directory("/x")) == ("/sys/fs/cgroup/a/x", "/sys/fs/cgroup/x")
    assert V2.unified
    assert V2.unified.directory("x") == "/sys/fs/cgroup/x"
    moved = Layout((), tree).based_at("/b").unified
    assert moved
    assert moved.directory("x") == "/sys/fs/cgroup/b/x"


def test_controllers_mounted_together_are_found_by_either_name() -> None:
    assert V1.of("cpu") is V1.of("cpuacct")
    assert V1.of("systemd") is None


def test_a_mount_that_shows_a_part_is_seen_from_there() -> None:
    """In a container without a cgroup namespace the mount's root is the container's own cgroup."""
    layout = Layout.parse(
        "1:pids:/docker/abc/inner\n",
        "30 20 0:30 /docker/abc /sys/fs/cgroup/pids\\040x rw - cgroup cgroup rw,pids\n",
    )
    pids = layout.of("pids")
    assert pids
    assert (pids.own, pids.mountpoint) == ("/inner", "/sys/fs/cgroup/pids x")
