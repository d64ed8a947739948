"""A hand-made bundle and the plan of what Docker would ask for it, to test the interpreter with."""

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from corten.model.errors import CortenError
from corten.plan import LaunchPlan, Step, ops
from corten.plan.control import CHECKPOINT
from corten.plan.flags import (
    CLONE_NEWCGROUP,
    CLONE_NEWIPC,
    CLONE_NEWNET,
    CLONE_NEWNS,
    CLONE_NEWPID,
    CLONE_NEWUTS,
    MOUNT_ATTR_NODEV,
    MOUNT_ATTR_NOEXEC,
    MOUNT_ATTR_NOSUID,
    MOUNT_ATTR_RDONLY,
    MOUNT_ATTR_STRICTATIME,
    MS_SLAVE,
    O_NOFOLLOW,
    O_PATH,
    S_IFCHR,
)
from tests.root.plans.controller import Launch

NAMESPACES = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS
SAFE = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC
DOCKER_CAPS = 0xA80425FB
APPLETS = (
    *("sh", "true", "false", "ls", "cat", "mount", "id", "hostname", "ps", "env", "pwd", "sleep", "touch", "readlink"),
    *("stat", "umask", "wc", "grep", "mkdir", "tty", "stty"),
)
MASKED = (
    "/proc/acpi",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/scsi",
    "/sys/firmware",
)
READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
DEVICES = (("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0))


def make_rootfs(at: Path) -> Path:
    """A root directory with busybox as each command."""
    busybox = shutil.which("busybox")
    if not busybox:
        pytest.skip("needs busybox-static")
    for directory in ("bin", "proc", "sys", "dev", "tmp", "etc"):
        (at / directory).mkdir(parents=True)
    shutil.copy2(busybox, at / "bin/busybox")
    for applet in APPLETS:
        (at / "bin" / applet).symlink_to("busybox")
    return at


def mount(kind: str, options: tuple[str, ...], attributes: int, at: str, *, below: str = "rootfs") -> list[Step]:
    """A filesystem of the kernel made by the child and attached in the container."""
    slot = at.strip("/").replace("/", "-")
    return [
        ops.new_mount(kind, ("source", kind, *options), (), attributes, slot=slot, actor="child"),
        ops.mountpoint_in(below, at, "", 1, slot=f"{slot}-target"),
        ops.attach(slot, f"{slot}-target"),
    ]


def begin(rootfs: Path, namespaces: int = NAMESPACES) -> list[Step]:
    return [
        ops.open_tree("", str(rootfs), 1, slot="rootfs", origin="/root/path"),
        ops.clone(namespaces, "", slot="pidfd", origin="/linux/namespaces"),
        ops.report("pidfd", ""),
        ops.unshare(CLONE_NEWCGROUP, actor="child"),
        ops.open("/", O_PATH, slot="host", actor="child"),
        ops.mount_setattr("host", 0, 0, MS_SLAVE, "", 1, actor="child"),
        ops.open(str(rootfs), O_PATH, slot="place", actor="child"),
        ops.attach("rootfs", "place"),
        ops.root("rootfs"),
    ]


def filesystems() -> list[Step]:
    return [
        *mount("proc", (), SAFE, "/proc"),
        *mount("tmpfs", ("mode", "755", "size", "64k"), MOUNT_ATTR_NOSUID | MOUNT_ATTR_STRICTATIME, "/dev"),
        *mount("devpts", ("mode", "620", "ptmxmode", "666"), MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, "pts", below="dev"),
        *mount("tmpfs", ("mode", "1777", "size", "64k"), SAFE, "shm", below="dev"),
        *mount("mqueue", (), SAFE, "mqueue", below="dev"),
        *mount("sysfs", (), SAFE | MOUNT_ATTR_RDONLY, "/sys"),
    ]


def devices() -> list[Step]:
    return [
        *(ops.mknod_in("dev", name, S_IFCHR | 0o666, major, minor, 0, 0) for name, major, minor in DEVICES),
        ops.symlink_in("dev", "/proc/self/fd", "fd"),
        ops.symlink_in("dev", "pts/ptmx", "ptmx"),
        ops.open_in("dev", "null", O_PATH | O_NOFOLLOW, 1, slot="null"),
        ops.assert_dev("null", 1, 3, actor="child"),
    ]


def hiding() -> list[Step]:
    return [
        *(ops.mask_in("rootfs", path, "null", 1, origin="/linux/maskedPaths") for path in MASKED),
        *(ops.readonly_in("rootfs", path, 1, origin="/linux/readonlyPaths") for path in READ_ONLY),
    ]


def identity(uid: int = 0, gid: int = 0, groups: tuple[int, ...] = (0,)) -> list[Step]:
    return [
        ops.bounding(DOCKER_CAPS),
        ops.keep_caps(1),
        ops.groups(groups),
        ops.user(uid, gid),
        ops.keep_caps(0),
        ops.capset(DOCKER_CAPS, DOCKER_CAPS, 0),
        ops.no_new_privs(),
    ]


def finish(argv: tuple[str, ...], env: tuple[str, ...] = ("PATH=/bin",), cwd: str = "/") -> list[Step]:
    return [
        ops.chdir(cwd, origin="/process/cwd"),
        ops.find_program(argv[0], ("/usr/bin", "/bin"), origin="/process/args/0"),
        ops.checkpoint("created", (), actor="child"),
        ops.close_from(3),
        ops.exec(argv, env, origin="/process/args"),
    ]


def docker_like(rootfs: Path, argv: tuple[str, ...]) -> LaunchPlan:
    """What Docker asks for: five namespaces and the cgroup one, its mounts, devices, masks, capabilities."""
    steps = [
        *begin(rootfs),
        ops.sethostname("web", origin="/hostname"),
        ops.lo_up(),
        *filesystems(),
        *devices(),
        *hiding(),
    ]
    return LaunchPlan([*steps, ops.pivot("rootfs"), ops.umask(0o22), *identity(), *finish(argv)])


def run(plan: LaunchPlan, fds: Mapping[str, int] | None = None, **options: object) -> int:
    """Run a plan to its end, saying GO at every checkpoint: the exit code, negative for a signal."""
    others = children()
    launch = Launch(plan, fds, **options)  # type: ignore[arg-type]
    try:
        for message, extra in launch.events():
            for fd in extra if message.kind == CHECKPOINT else []:
                os.close(fd)
            if message.kind == CHECKPOINT:
                launch.go()
        return wait(launch)
    except CortenError:
        reap(others)
        raise
    finally:
        launch.close()


def wait(launch: Launch) -> int:
    """Reap the container's process, which is ours because this process is a subreaper (conftest.py)."""
    result = os.waitid(os.P_PIDFD, launch.pidfd, os.WEXITED)
    assert result
    return result.si_status if result.si_code == os.CLD_EXITED else -result.si_status


def children() -> set[int]:
    """The pids of this process's children, those that died included."""
    listed = [task.read_text() for task in Path("/proc/self/task").glob("*/children")]
    return {int(pid) for one in listed for pid in one.split()}


def reap(others: set[int]) -> None:
    """Reap the children but for `others`: those of a launch that failed, whose pids nobody may have been told."""
    while left := children() - others:
        for pid in left:
            os.waitpid(pid, 0)


def output(plan: LaunchPlan, **options: object) -> str:
    """What the container's program wrote; it must succeed."""
    with tempfile.TemporaryFile() as file:
        streams = {"stdout": file.fileno(), "stderr": file.fileno()}
        code = run(plan, streams, **options)
        file.seek(0)
        text = file.read().decode()
    assert code == 0, f"exit code {code}: {text}"
    return text
