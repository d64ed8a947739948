"""Each operation on its own: a container is run with it, and its effect is observed from inside or outside."""

import fcntl
import os
import resource
import socket
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from corten.model.errors import CortenError, FailedPrecondition
from corten.plan import LaunchPlan, Step, ops
from corten.plan import flags as fl
from corten.plan.control import CHECKPOINT
from tests.root.plans import bundle
from tests.root.plans.controller import Launch

MAP = "0 100000 65536"
SIOCGSKNS = 0x894C


def container(
    rootfs: Path,
    script: str,
    *,
    host: Sequence[Step] = (),
    parent: Sequence[Step] = (),
    early: Sequence[Step] = (),
    inside: Sequence[Step] = (),
    late: Sequence[Step] = (),
    namespaces: int = bundle.NAMESPACES,
    cgroup: str = "",
    enter: Step | None = None,
    inherit: Sequence[tuple[int, str]] = (),
    cwd: str = "/",
) -> LaunchPlan:
    """The bundle's container with rows added: before clone, by the parent, around its mounts, at the end."""
    begin = bundle.begin(rootfs, namespaces)
    clone = begin[1].replace(args=(namespaces, cgroup))
    steps = [*host, begin[0], clone, begin[2], *parent, *early, *begin[3:], *bundle.filesystems(), *bundle.devices()]
    steps += [*inside, enter or ops.pivot("rootfs"), ops.umask(0o22), *late]
    return LaunchPlan([*steps, *bundle.finish(("sh", "-c", script), cwd=cwd)], inherit)


@contextmanager
def paused(plan: LaunchPlan) -> Iterator[Launch]:
    """A container at its last checkpoint, ended afterwards."""
    others = bundle.children()
    launch = Launch(plan)
    try:
        for message, fds in launch.events():
            for fd in fds if message.kind == CHECKPOINT else []:
                os.close(fd)
            if message.text == "created":
                break
            if message.kind == CHECKPOINT:
                launch.go()
        yield launch
    finally:
        launch.close()
        bundle.reap(others)


def refused(plan: LaunchPlan) -> CortenError:
    with pytest.raises(CortenError) as caught:
        bundle.run(plan)
    return caught.value


# ---- handles and namespaces ----------------------------------------------------------------------------------------


def test_a_namespace_is_joined_by_path(rootfs: Path) -> None:
    with paused(container(rootfs, "true", inside=[ops.sethostname("other")])) as other:
        path = f"/proc/{other.pid}/ns/uts"
        join = {
            "host": [ops.open_ns(path, fl.CLONE_NEWUTS, slot="uts")],
            "early": [ops.setns("uts", fl.CLONE_NEWUTS, actor="child")],
        }
        plan = container(rootfs, "hostname", namespaces=bundle.NAMESPACES & ~fl.CLONE_NEWUTS, **join)  # type: ignore[arg-type]
        assert bundle.output(plan) == "other\n"


def test_a_namespace_of_the_wrong_type_is_refused(rootfs: Path) -> None:
    wrong = [ops.open_ns("/proc/self/ns/uts", fl.CLONE_NEWNET, slot="net", origin="/linux/namespaces/0/path")]
    error = refused(container(rootfs, "true", host=wrong))
    assert "another type" in error.message
    assert error.place == "/linux/namespaces/0/path"


def start_time(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])


def test_an_exec_joins_every_namespace_by_pidfd(rootfs: Path) -> None:
    with paused(container(rootfs, "true", inside=[ops.sethostname("target")])) as target:
        kinds = fl.CLONE_NEWNS | fl.CLONE_NEWUTS | fl.CLONE_NEWIPC | fl.CLONE_NEWNET | fl.CLONE_NEWCGROUP
        steps = [
            ops.open_pidfd(target.pid, start_time(target.pid), slot="target"),
            ops.setns("target", fl.CLONE_NEWPID),
            ops.clone(0, "", slot="pidfd"),
            ops.report("pidfd", ""),
            ops.dumpable(0, actor="child"),
            ops.setns("target", kinds, actor="child"),
            *bundle.identity(),
            *bundle.finish(("sh", "-c", "hostname; ls /bin | wc -l; ls /sys/class/net")),
        ]
        assert bundle.output(LaunchPlan(steps)).split() == ["target", str(len(bundle.APPLETS) + 1), "lo"]


def test_a_reused_process_id_is_refused(rootfs: Path) -> None:
    stale = ops.open_pidfd(os.getpid(), start_time(os.getpid()) + 1, slot="target")
    assert "no such process" in refused(container(rootfs, "true", host=[stale])).message


def test_a_checkpoint_carries_the_network_namespace_and_sockets_in_it(rootfs: Path) -> None:
    steps = [
        ops.ns_handle("net", slot="net", actor="child"),
        ops.netlink_socket(fl.NETLINK_ROUTE, slot="netlink", actor="child"),
        ops.inet_socket(socket.SOCK_DGRAM, slot="udp"),
        ops.checkpoint("network", ("net", "netlink", "udp"), actor="child"),
    ]
    launch = Launch(container(rootfs, "true", early=steps))
    for message, fds in launch.events():
        if message.text == "network":
            homes = [fcntl.ioctl(fd, SIOCGSKNS) for fd in fds[1:]]
            assert {os.fstat(fd).st_ino for fd in (*homes, fds[0])} == {os.stat(f"/proc/{launch.pid}/ns/net").st_ino}
            assert os.fstat(fds[0]).st_ino != os.stat("/proc/self/ns/net").st_ino
            for fd in (*fds, *homes):
                os.close(fd)
        if message.kind == CHECKPOINT:
            launch.go()
    assert bundle.wait(launch) == 0
    launch.close()


def test_the_parent_half_opens_the_childs_namespace(rootfs: Path) -> None:
    steps = [ops.ns_handle("uts", slot="ns"), ops.checkpoint("ns", ("ns",))]
    launch = Launch(container(rootfs, "true", parent=steps))
    for message, fds in launch.events():
        if message.text == "ns":
            assert os.fstat(fds[0]).st_ino == os.stat(f"/proc/{launch.pid}/ns/uts").st_ino
            os.close(fds[0])
        if message.kind == CHECKPOINT:
            launch.go()
    bundle.wait(launch)
    launch.close()


def test_a_closed_slot_is_gone(rootfs: Path) -> None:
    steps = [ops.close("host", actor="child"), ops.chroot("host")]
    assert "bad file descriptor" in refused(container(rootfs, "true", inside=steps)).message


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        (ops.assert_dev("null", 1, 3, actor="child"), ops.assert_dev("null", 1, 5, actor="child")),
        (ops.assert_dev("null", 1, 3, actor="child"), ops.assert_dev("rootfs", 1, 3, actor="child")),
        (
            ops.assert_fs("proc", fl.PROC_SUPER_MAGIC, actor="child"),
            ops.assert_fs("sys", fl.PROC_SUPER_MAGIC, actor="child"),
        ),
        (ops.assert_type("rootfs", fl.S_IFDIR, actor="child"), ops.assert_type("null", fl.S_IFDIR, actor="child")),
        (ops.assert_type("null", fl.S_IFCHR, actor="child"), ops.assert_type("rootfs", fl.S_IFREG, actor="child")),
    ],
    ids=["device", "no device", "filesystem", "directory", "file"],
)
def test_an_assertion_holds_or_ends_the_launch(rootfs: Path, good: Step, bad: Step) -> None:
    assert bundle.run(container(rootfs, "true", inside=[good])) == 0
    assert refused(container(rootfs, "true", inside=[bad.replace(origin="/x")])).place == "/x"


def test_the_clock_of_a_time_namespace_is_offset(rootfs: Path) -> None:
    steps = [
        ops.unshare(fl.CLONE_NEWTIME, actor="child"),
        ops.write_proc("proc", "self/timens_offsets", b"boottime 100000000 0\n"),
        ops.enter_time("proc"),
    ]
    assert float(bundle.output(container(rootfs, "cat /proc/uptime", inside=steps)).split()[0]) > 100000000


def test_a_user_namespace_is_mapped_by_the_parent_half(rootfs: Path) -> None:
    rootfs.parent.chmod(0o755)
    parent = [ops.write_child("uid_map", MAP.encode()), ops.write_child("gid_map", MAP.encode())]
    early = [ops.groups(()), ops.user(0, 0)]
    plan = container(rootfs, "cat /proc/self/uid_map; id -u", parent=parent, early=early, namespaces=NS_USER)
    steps = [step for step in plan.steps if step.op != "mknod-in" and step.op not in ("open-in", "assert-dev")]
    assert bundle.output(LaunchPlan(steps)).split() == ["0", "100000", "65536", "0"]


NS_USER = bundle.NAMESPACES | fl.CLONE_NEWUSER


def test_names_of_the_uts_namespace(rootfs: Path) -> None:
    steps = [ops.sethostname("web"), ops.setdomainname("example")]
    script = "hostname; cat /proc/sys/kernel/domainname"
    assert bundle.output(container(rootfs, script, inside=steps)).split() == ["web", "example"]


def test_loopback_is_up_only_when_the_plan_says_so(rootfs: Path) -> None:
    script = "cat /sys/class/net/lo/flags"
    assert int(bundle.output(container(rootfs, script)), 16) & 1 == 0
    assert int(bundle.output(container(rootfs, script, inside=[ops.lo_up()])), 16) & 1 == 1


# ---- cgroups -------------------------------------------------------------------------------------------------------


@pytest.fixture
def cgroups() -> Iterator[Callable[[str], Path]]:
    """A function that names a fresh cgroup of a hierarchy; those made are removed after the test."""
    made: list[Path] = []

    def fresh(hierarchy: str) -> Path:
        mounted = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
        wanted = [
            Path(row[1])
            for row in mounted
            if (row[2] == "cgroup" and hierarchy in row[3].split(",")) or row[2] == hierarchy
        ]
        if not wanted:
            pytest.skip(f"needs the cgroup hierarchy {hierarchy}")
        made.append(wanted[0] / f"corten-test-{os.getpid()}-{len(made)}")
        return made[-1]

    yield fresh
    for path in made:
        if path.exists():
            path.rmdir()


def test_a_cgroup_is_made_limited_owned_and_joined(rootfs: Path, cgroups: Callable[[str], Path]) -> None:
    path = cgroups("pids")
    host = [
        ops.mkdir(str(path), 0o755),
        ops.open(str(path), fl.O_PATH, slot="cgroup"),
        ops.write_at("cgroup", "pids.max", b"33"),
        ops.chown_at("cgroup", "cgroup.procs", 1234, 1234),
        ops.chown_at("cgroup", "", 1235, 1235),
    ]
    join = [ops.attach_cgroup("cgroup", "cgroup.procs", actor="parent")]
    with paused(container(rootfs, "true", host=host, parent=join)) as launch:
        assert (path / "pids.max").read_text() == "33\n"
        assert (path / "cgroup.procs").read_text().split() == [str(launch.pid)]
        assert (os.stat(path / "cgroup.procs").st_uid, os.stat(path).st_gid) == (1234, 1235)
        assert Path(f"/proc/{launch.pid}/cgroup").read_text().find(f"pids:/{path.name}\n") > 0


def test_a_cgroup_is_made_with_its_parents_and_nothing_outside(
    rootfs: Path, cgroups: Callable[[str], Path], tmp_path: Path
) -> None:
    path = cgroups("cpuset")
    inside = f"/{path.name}/a/b"
    made = ops.make_cgroup(str(path.parent), inside, ("cpuset.cpus", "cpuset.mems"), "", slot="cgroup")
    again = ops.open_cgroup(str(path.parent), inside, 0, slot="again")
    join = [ops.attach_cgroup("again", "tasks", actor="parent")]
    try:
        with paused(container(rootfs, "true", host=[made, again], parent=join)) as launch:
            assert (path / "a/b/cpuset.cpus").read_text() == (path.parent / "cpuset.cpus").read_text() != "\n"
            assert (path / "a/b/tasks").read_text().split() == [str(launch.pid)]
    finally:
        for below in ("a/b", "a"):
            (path / below).rmdir()
    for climbing in (f"/{path.name}/../x", "/.."):
        refused(container(rootfs, "true", host=[made.replace(args=(str(path.parent), climbing, (), ""))]))
    (tmp_path / "link").symlink_to(path.parent)
    for row in (made.replace(args=(str(tmp_path), "/link", (), "")), again.replace(args=(str(tmp_path), "/link", 0))):
        refused(container(rootfs, "true", host=[row.replace(slot="cgroup")]))


PASSWD = "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000::/var/app:/bin/sh\n"


@pytest.mark.parametrize(
    ("name", "content", "uid", "home"),
    [
        ("etc/passwd", PASSWD, 0, "/root"),
        ("etc/passwd", PASSWD, 1000, "/var/app"),
        ("etc/passwd", PASSWD.rstrip("\n"), 1000, "/var/app"),
        ("etc/passwd", PASSWD, 7, "/"),
        ("etc/passwd", "x:y\n" + "a" * 9000 + "\n" + PASSWD, 1000, "/var/app"),
        ("etc/passwd", f"root:x:0:0:root:/{'r' * 600}:/bin/sh\n", 0, "/"),
        ("usr/passwd", PASSWD, 0, "/root"),
        ("usr/nothing", PASSWD, 0, "/"),
    ],
    ids=["root", "user", "no newline", "nobody", "long line", "long home", "link out is in", "dangling"],
)
def test_the_home_is_of_the_containers_own_passwd_file(
    rootfs: Path, name: str, content: str, uid: int, home: str
) -> None:
    for place in ("etc", "usr"):
        (rootfs / place).mkdir(exist_ok=True)
    (rootfs / name).write_text(content)
    if name != "etc/passwd":
        (rootfs / "etc/passwd").symlink_to("/../../../usr/passwd")
    plan = container(rootfs, "echo $HOME", late=[ops.find_home(uid)])
    exec_ = plan.steps[-1]
    steps = [*plan.steps[:-1], exec_.replace(args=(exec_.args[0], ("PATH=/bin", "HOME=/")))]
    assert bundle.output(LaunchPlan(steps, plan.inherit)) == f"{home}\n"


@pytest.mark.parametrize("kind", ["pipe", "loop"])
def test_a_passwd_file_that_is_none_gives_no_home(rootfs: Path, kind: str) -> None:
    (rootfs / "etc").mkdir(exist_ok=True)
    if kind == "pipe":
        os.mkfifo(rootfs / "etc/passwd")
    else:
        (rootfs / "etc/passwd").symlink_to("passwd")
    plan = container(rootfs, "echo $HOME", late=[ops.find_home(0)])
    exec_ = plan.steps[-1]
    steps = [*plan.steps[:-1], exec_.replace(args=(exec_.args[0], ("PATH=/bin", "HOME=/")))]
    assert bundle.output(LaunchPlan(steps, plan.inherit)) == "/\n"


def test_a_refused_limit_names_the_file_unless_the_plan_accepts_it(
    rootfs: Path, cgroups: Callable[[str], Path]
) -> None:
    path = cgroups("pids")
    path.mkdir()
    open_it = ops.open(str(path), fl.O_PATH, slot="cgroup")
    bad = ops.write_at("cgroup", "pids.max", b"many", origin="/linux/resources/pids/limit")
    error = refused(container(rootfs, "true", host=[open_it, bad]))
    assert (error.place, "pids.max" in error.message) == ("/linux/resources/pids/limit", True)
    accepted = bad.replace(accept=(22,))
    assert bundle.run(container(rootfs, "true", host=[open_it, accepted])) == 0


def test_a_device_filter_decides_and_the_child_is_born_in_its_cgroup(
    rootfs: Path, cgroups: Callable[[str], Path]
) -> None:
    path = cgroups("cgroup2")

    deny_all = struct.pack("<BBhi", 0xB7, 0, 0, 0) + struct.pack("<BBhi", 0x95, 0, 0, 0)  # r0 = 0; exit

    def born(path: Path) -> list[Step]:
        return [ops.mkdir(str(path), 0o755), ops.open(str(path), fl.O_DIRECTORY, slot="cgroup")]

    host = [*born(path), ops.attach_devices("cgroup", deny_all)]
    plan = container(rootfs, "true", host=host, cgroup="cgroup")
    assert "mknod" in refused(plan).message
    path = cgroups("cgroup2")
    plan = container(rootfs, "true", host=born(path), cgroup="cgroup")
    with paused(plan) as launch:
        assert f"0::/{path.name}" in Path(f"/proc/{launch.pid}/cgroup").read_text()


# ---- mounts --------------------------------------------------------------------------------------------------------


def test_an_overlay_is_put_together_out_of_sight(rootfs: Path, scratch: Path) -> None:
    for name in ("upper", "work", "lower", "merged"):
        (scratch / name).mkdir()
    (scratch / "lower/below").write_text("from the lower\n")
    before = Path("/proc/self/mountinfo").read_text()
    old = [
        ops.unshare(fl.CLONE_NEWNS),
        ops.mount("", "/", "", fl.MS_REC | fl.MS_SLAVE, ""),
        ops.open(str(scratch), fl.O_PATH, slot="base"),
        ops.chdir_to("base"),
        ops.mount("overlay", f"{scratch}/merged", "overlay", 0, "lowerdir=lower,upperdir=upper,workdir=work"),
        ops.open_tree("", f"{scratch}/merged", 0, slot="over"),
    ]
    options = ("lowerdir", "lower", "upperdir", "upper", "workdir", "work")
    new = [*old[2:4], ops.new_mount("overlay", options, (), 0, slot="over")]
    for number, host in enumerate((old, new)):
        inside = [ops.mountpoint_in("rootfs", "/data", "over", 0, slot="t"), ops.attach("over", "t")]
        script = f"cat /data/below; touch /data/new{number}"
        assert bundle.output(container(rootfs, script, host=host, inside=inside)) == "from the lower\n"
        assert (scratch / f"upper/new{number}").exists()
    assert Path("/proc/self/mountinfo").read_text() == before


def test_a_bind_source_may_be_a_file_and_read_only(rootfs: Path, scratch: Path) -> None:
    (scratch / "file").write_text("bound\n")
    host = [
        ops.open_tree("", f"{scratch}/file", 0, slot="file"),
        ops.mount_setattr("file", fl.MOUNT_ATTR_RDONLY, 0, 0, "", 0),
    ]
    inside = [ops.mountpoint_in("rootfs", "/a/b/c", "file", 0, slot="t"), ops.attach("file", "t")]
    script = "cat /a/b/c; echo x 2>/dev/null >/a/b/c || echo refused"
    assert bundle.output(container(rootfs, script, host=host, inside=inside)) == "bound\nrefused\n"
    assert (scratch / "file").read_text() == "bound\n"


def test_an_id_mapped_mount_shows_other_owners(rootfs: Path, scratch: Path) -> None:
    (scratch / "data").mkdir()
    host = [
        ops.open_tree("", f"{scratch}/data", 0, slot="data"),
        ops.make_userns(MAP, MAP, slot="map"),
        ops.mount_setattr("data", 0, 0, 0, "map", 0),
    ]
    inside = [ops.mountpoint_in("rootfs", "/data", "data", 0, slot="t"), ops.attach("data", "t")]
    try:
        seen = bundle.output(container(rootfs, "stat -c %u:%g /data", host=host, inside=inside))
    except FailedPrecondition as error:
        pytest.skip(f"needs id-mapped mounts on tmpfs: {error}")
    assert seen == "100000:100000\n"


@pytest.mark.parametrize("link", ["/etc", "../../../../../../etc", "/proc/self/root/etc"])
def test_links_of_the_image_never_lead_out(rootfs: Path, link: str) -> None:
    (rootfs / "data").symlink_to(link)
    inside = [
        ops.new_mount("tmpfs", (), (), 0, slot="m", actor="child"),
        ops.mountpoint_in("rootfs", "/data/below", "", 0, slot="t"),
        ops.attach("m", "t"),
        ops.create_in("rootfs", "/data/made", 0o600),
        ops.mkdir_in("rootfs", "/data/directory", 0o711),
        ops.symlink_in("rootfs", "target", "/data/link"),
    ]
    if "proc" in link:
        assert "symbolic links" in refused(container(rootfs, "true", inside=inside)).message
        return
    seen = bundle.output(container(rootfs, "cd /etc; stat -c '%n %a' made directory; readlink link", inside=inside))
    assert seen == "made 600\ndirectory 711\ntarget\n"
    assert not Path("/etc/made").exists()
    assert (rootfs / "etc/below").is_dir()


def test_strict_paths_follow_no_link(rootfs: Path) -> None:
    (rootfs / "sub").symlink_to("/etc")
    for step in (
        ops.mountpoint_in("rootfs", "/sub/x", "", 1, slot="t"),
        ops.mask_in("rootfs", "/sub/x", "null", 1),
        ops.readonly_in("rootfs", "/sub", 1),
        ops.open_in("rootfs", "/sub", fl.O_PATH, 1, slot="t"),
    ):
        assert "symbolic links" in refused(container(rootfs, "true", inside=[step])).message


def test_an_existing_device_is_kept_and_another_file_refused(rootfs: Path) -> None:
    again = ops.mknod_in("dev", "null", fl.S_IFCHR | 0o666, 1, 3, 0, 0)
    assert bundle.run(container(rootfs, "true", inside=[again])) == 0
    other = ops.mknod_in("dev", "null", fl.S_IFCHR | 0o666, 1, 5, 0, 0)
    assert "file exists" in refused(container(rootfs, "true", inside=[other])).message


def test_a_device_has_its_mode_and_owner(rootfs: Path) -> None:
    step = ops.mknod_in("dev", "deep/er/disk", fl.S_IFCHR | 0o641, 1, 3, 12, 34)
    seen = bundle.output(container(rootfs, "stat -c %a:%u:%g /dev/deep/er/disk", inside=[step]))
    assert seen == "641:12:34\n"


def test_tmpcopyup_keeps_what_the_image_holds(rootfs: Path) -> None:
    (rootfs / "data/sub").mkdir(parents=True)
    (rootfs / "data/sub/file").write_text("kept\n")
    (rootfs / "data/link").symlink_to("/nowhere")
    os.chmod(rootfs / "data/sub", 0o2750)
    os.chown(rootfs / "data/sub/file", 7, 8)
    inside = [
        ops.open_in("rootfs", "/data", fl.O_PATH, 0, slot="image"),
        ops.new_mount("tmpfs", (), (), 0, slot="m", actor="child"),
        ops.copy_up("image", "m"),
        ops.mountpoint_in("rootfs", "/data", "", 0, slot="t"),
        ops.attach("m", "t"),
    ]
    script = "cat /data/sub/file; stat -c %a:%u:%g /data/sub /data/sub/file; readlink /data/link; touch /data/new"
    assert bundle.output(container(rootfs, script, inside=inside)).split() == [
        *("kept", "2750:0:0", "644:7:8", "/nowhere"),
    ]
    assert not (rootfs / "data/new").exists()


@pytest.mark.parametrize(
    "enter", [ops.move_root("rootfs"), ops.chroot("rootfs"), ops.pivot("rootfs")], ids=lambda s: s.op
)
def test_the_root_can_be_entered_in_three_ways(rootfs: Path, enter: Step) -> None:
    seen = bundle.output(container(rootfs, "ls /; pwd", enter=enter)).split()
    assert seen == ["bin", "dev", "etc", "proc", "sys", "tmp", "/"]


def test_a_sysctl_is_written_through_our_own_proc(rootfs: Path) -> None:
    step = ops.write_proc("proc", "sys/net/ipv4/ip_unprivileged_port_start", b"80")
    script = "cat /proc/sys/net/ipv4/ip_unprivileged_port_start"
    assert bundle.output(container(rootfs, script, inside=[step])) == "80\n"
    (rootfs / "etc/file").write_text("unchanged")
    fake = ops.write_proc("rootfs", "etc/file", b"written")
    assert "medium type" in refused(container(rootfs, "true", inside=[fake])).message
    assert (rootfs / "etc/file").read_text() == "unchanged"


def test_a_proc_file_under_another_mount_is_not_written(rootfs: Path) -> None:
    covered = [
        ops.readonly_in("rootfs", "/proc/sys", 1),
        ops.write_proc("proc", "sys/net/ipv4/ip_unprivileged_port_start", b"80"),
    ]
    assert "cross-device" in refused(container(rootfs, "true", inside=covered)).message


# ---- terminal and descriptors --------------------------------------------------------------------------------------


def test_a_terminal_is_made_inside_and_its_master_sent_out(rootfs: Path) -> None:
    inside = [
        ops.open_in("pts", "ptmx", fl.O_RDWR | fl.O_NOCTTY, 1, slot="master"),
        ops.pty_peer("master", slot="tty"),
        ops.window_size("tty", 25, 81),
        ops.send_fd("console", "master", "/dev/ptmx", actor="child"),
        ops.create_in("dev", "console", 0o600, slot="place"),
        ops.open_tree("tty", "", 0, slot="bound", actor="child"),
        ops.attach("bound", "place"),
        ops.setsid(),
        ops.set_ctty("tty"),
        *(ops.dup("tty", number) for number in range(3)),
    ]
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    script = "tty; stty size; stty size </dev/console; exec <&-; stty size </dev/tty"
    launch = Launch(container(rootfs, script, inside=inside, inherit=[(5, "console")]), {"console": theirs.fileno()})
    for message, _ in launch.events():
        if message.kind == CHECKPOINT:
            launch.go()
    name, fds, _, _ = socket.recv_fds(ours, 64, 1)
    assert bundle.wait(launch) == 0
    assert name == b"/dev/ptmx"
    assert os.read(fds[0], 4096).split() == [b"/dev/pts/0", *(b"25", b"81") * 3]
    for end in (ours, theirs):
        end.close()
    os.close(fds[0])
    launch.close()


def test_a_preserved_descriptor_stands_at_its_number_and_nothing_else(rootfs: Path) -> None:
    read, write = os.pipe()
    os.write(write, b"through\n")
    os.close(write)
    plan = container(rootfs, "cat <&3; ls /proc/self/fd", late=[ops.dup("given", 3)], inherit=[(7, "given")])
    steps = [ops.close_from(4) if step.op == "close-from" else step for step in plan.steps]
    with open("/dev/shm/corten-test-out", "w+") as out:
        os.unlink("/dev/shm/corten-test-out")
        code = bundle.run(LaunchPlan(steps, plan.inherit), {"given": read, "stdout": out.fileno()})
        out.seek(0)
        assert (code, out.read().split()) == (0, ["through", "0", "1", "2", "3", "4"])
    os.close(read)


def test_a_stream_is_given_to_the_containers_user(rootfs: Path, scratch: Path) -> None:
    with open(scratch / "log", "w") as log:
        plan = container(rootfs, "true", late=[ops.chown("stdout", 1000, 1001)], inherit=[(1, "stdout")])
        assert bundle.run(plan, {"stdout": log.fileno()}) == 0
    assert (os.stat(scratch / "log").st_uid, os.stat(scratch / "log").st_gid) == (1000, 1001)


def test_the_pid_is_written_where_it_is_asked_for(rootfs: Path, scratch: Path) -> None:
    with open(scratch / "pid", "w") as file:
        plan = container(rootfs, "true", inherit=[(5, "pidfile")])
        steps = [ops.report("pidfd", "pidfile") if step.op == "report" else step for step in plan.steps]
        launch = Launch(LaunchPlan(steps, plan.inherit), {"pidfile": file.fileno()})
        for message, _ in launch.events():
            if message.kind == CHECKPOINT:
                launch.go()
    assert (scratch / "pid").read_text() == str(launch.pid)
    bundle.wait(launch)
    launch.close()


# ---- the process ---------------------------------------------------------------------------------------------------


def test_limits_are_set_by_either_half(rootfs: Path) -> None:
    plan = container(
        rootfs,
        "grep -E 'open files|core file' /proc/self/limits",
        parent=[ops.rlimit(resource.RLIMIT_NOFILE, 100, 200)],
        late=[ops.rlimit(resource.RLIMIT_CORE, 0, 4096, actor="child")],
    )
    assert [line.split()[-3:-1] for line in bundle.output(plan).splitlines()] == [["0", "4096"], ["100", "200"]]


def test_the_scheduler_the_processors_and_io_are_chosen(rootfs: Path) -> None:
    cpu = min(os.sched_getaffinity(0))
    mask = (1 << cpu).to_bytes(8 * (cpu // 64 + 1), "little")
    late = [
        ops.scheduler(os.SCHED_BATCH, 0, 5, 0, 0, 0, 0, actor="child"),
        ops.affinity(mask, actor="child"),
        ops.ioprio(3 << 13, actor="child"),
    ]
    with paused(container(rootfs, "true", late=late)) as launch:
        assert os.sched_getscheduler(launch.pid) == os.SCHED_BATCH
        assert os.getpriority(os.PRIO_PROCESS, launch.pid) == 5
        assert os.sched_getaffinity(launch.pid) == {cpu}
    (rootfs / "bin/ionice").symlink_to("busybox")
    assert bundle.output(container(rootfs, "ionice", late=late)).startswith("idle")


def test_the_memory_policy_is_set(rootfs: Path) -> None:
    late = [ops.mempolicy(3, (1).to_bytes(8, "little"))]  # MPOL_INTERLEAVE over node 0
    with paused(container(rootfs, "true", late=late)) as launch:
        assert "interleave:0" in Path(f"/proc/{launch.pid}/numa_maps").read_text()


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="needs x86_64")
def test_the_personality_shows_in_uname(rootfs: Path) -> None:
    (rootfs / "bin/uname").symlink_to("busybox")
    assert bundle.output(container(rootfs, "uname -m", late=[ops.personality(8)])) == "i686\n"


def test_the_session_keyring_is_the_containers_own(rootfs: Path) -> None:
    seen = bundle.output(container(rootfs, "cat /proc/keys", late=[ops.keyring("corten-keys")]))
    assert "_ses.corten-keys" in seen


def test_the_umask_is_the_plans(rootfs: Path) -> None:
    assert bundle.output(container(rootfs, "umask", late=[ops.umask(0o137)])) == "0137\n"


def test_ambient_capabilities_reach_an_ordinary_user(rootfs: Path) -> None:
    net_raw = 1 << 13
    late = [
        ops.bounding(net_raw | bundle.DOCKER_CAPS),
        ops.keep_caps(1),
        ops.groups((3, 4)),
        ops.user(1000, 1001),
        ops.keep_caps(0),
        ops.capset(net_raw, net_raw, net_raw),
        ops.ambient(net_raw),
    ]
    script = "id -u; id -g; grep -E 'Groups|Cap(Eff|Amb)' /proc/self/status"
    words = bundle.output(container(rootfs, script, late=late)).split()
    assert words == ["1000", "1001", "Groups:", "3", "4", "CapEff:", f"{net_raw:016x}", "CapAmb:", f"{net_raw:016x}"]


@pytest.mark.parametrize(("value", "owner"), [(0, 0), (1, 1000)])
def test_dumpable_decides_who_may_look_into_the_process(rootfs: Path, value: int, owner: int) -> None:
    late = [ops.user(1000, 1000), ops.dumpable(value, actor="child")]
    with paused(container(rootfs, "true", late=late)) as launch:
        assert os.stat(f"/proc/{launch.pid}/status").st_uid == owner


def bpf(*instructions: tuple[int, int, int, int]) -> bytes:
    return b"".join(struct.pack("<HBBI", *instruction) for instruction in instructions)


def deny(number: int, action: int) -> bytes:
    """A filter that meets one call with an action and allows every other."""
    return bpf((0x20, 0, 0, 0), (0x15, 0, 1, number), (0x06, 0, 0, action), (0x06, 0, 0, 0x7FFF0000))


MKDIR = {"x86_64": 83, "aarch64": 34}[os.uname().machine]


def before_exec(plan: LaunchPlan, *steps: Step) -> LaunchPlan:
    return LaunchPlan([*plan.steps[:-1], *steps, plan.steps[-1]], plan.inherit)


def test_the_filter_is_loaded_and_inherited(rootfs: Path) -> None:
    plan = container(rootfs, "mkdir /tmp/x 2>/dev/null || echo denied", late=[ops.no_new_privs()])
    assert bundle.output(before_exec(plan, ops.seccomp(deny(MKDIR, 0x00050001), 0))) == "denied\n"


def test_a_notify_filter_hands_its_listener_over(rootfs: Path) -> None:
    load = ops.seccomp(deny(MKDIR, 0x7FC00000), fl.SECCOMP_FILTER_FLAG_NEW_LISTENER, slot="listener")
    plan = before_exec(container(rootfs, "true"), load, ops.checkpoint("seccomp", ("listener",), actor="child"))
    launch = Launch(plan)
    names = []
    for message, fds in launch.events():
        if message.text == "seccomp":
            names.append(os.readlink(f"/proc/self/fd/{fds[0]}"))
            os.close(fds[0])
        if message.kind == CHECKPOINT:
            launch.go()
    assert (names, bundle.wait(launch)) == (["anon_inode:seccomp notify"], 0)
    launch.close()


def test_the_working_directory_must_lie_inside_the_root(rootfs: Path) -> None:
    (rootfs / "work").mkdir()
    assert bundle.output(container(rootfs, "pwd", cwd="/work")) == "/work\n"
    assert refused(container(rootfs, "true", cwd="/nowhere")).place == "/process/cwd"
    leak = container(rootfs, "true", cwd="/proc/self/fd/20", late=[ops.dup("host", 20)])
    assert "too many levels of symbolic links" in refused(leak).message
