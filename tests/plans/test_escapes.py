"""Each known escape of the field, written as the plan that would allow it, breaks a rule of `plan.check`.

The good plan (tests/root/plans/bundle.py) breaks none, so every one of these is the rule's own doing.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from corten.plan import LaunchPlan, Step, check, ops
from corten.plan.flags import CLONE_NEWNS, MS_BIND, O_PATH, O_RDWR, O_WRONLY
from tests.root.plans import bundle

GOOD = bundle.docker_like(Path("/var/lib/corten/rootfs"), ("sh",))


def at(op: str, *, last: bool = False) -> int:
    rows = [number for number, step in enumerate(GOOD.steps) if step.op == op]
    return rows[-1] if last else rows[0]


def insert(before: str, *steps: Step) -> LaunchPlan:
    place = at(before)
    return LaunchPlan([*GOOD.steps[:place], *steps, *GOOD.steps[place:]], GOOD.inherit)


def without(op: str) -> LaunchPlan:
    return LaunchPlan([step for step in GOOD.steps if step.op != op], GOOD.inherit)


def change(op: str, edit: Callable[[Step], Step]) -> LaunchPlan:
    place = at(op)
    return LaunchPlan([*GOOD.steps[:place], edit(GOOD.steps[place]), *GOOD.steps[place + 1 :]], GOOD.inherit)


def broken(plan: LaunchPlan) -> set[int]:
    return {violation.rule for violation in check(plan)}


def test_the_good_plan_breaks_no_rule() -> None:
    assert check(GOOD) == []


ESCAPES: dict[str, tuple[LaunchPlan, int]] = {
    # The host's directories stay reachable through a descriptor that exec does not close.
    "CVE-2024-21626 leaked descriptor": (without("close-from"), 4),
    "CVE-2024-21626 descriptors below close-from": (change("close-from", lambda step: step.replace(args=(10,))), 3),
    "CVE-2024-21626 cwd set outside the root": (insert("pivot", ops.chdir("/proc/self/fd/7")), 1),
    # The target of a mount is swapped for a link between look-up and mount.
    "CVE-2021-30465 target by host path": (
        insert(
            "pivot",
            ops.open("/var/lib/corten/rootfs/data", O_PATH, slot="t", actor="child"),
            ops.new_mount("tmpfs", (), (), 0, slot="m", actor="child"),
            ops.attach("m", "t"),
        ),
        1,
    ),
    "CVE-2021-30465 target not below the root": (
        insert("pivot", ops.new_mount("tmpfs", (), (), 0, slot="m", actor="child"), ops.attach("m", "host")),
        2,
    ),
    # The image's /dev/null is a link; masking binds its target.
    "CVE-2025-31133 unproven null": (without("assert-dev"), 2),
    "CVE-2025-31133 another device proven": (change("assert-dev", lambda step: step.replace(args=("null", 1, 5))), 2),
    "CVE-2025-31133 a proof that outlives its handle": (
        insert("mask-in", ops.close("null", actor="child"), ops.open_in("rootfs", "/dev/null", O_PATH, 1, slot="null")),
        2,
    ),
    # /dev/pts/0 of the image is bound as the console.
    "CVE-2025-52565 console by name": (
        insert(
            "pivot",
            ops.open_in("pts", "0", O_RDWR, 1, slot="tty"),
            ops.open_tree("tty", "", 0, slot="console", actor="child"),
        ),
        2,
    ),
    # Something else is mounted where our write to /proc goes.
    "CVE-2025-52881 /proc by name": (
        insert(
            "pivot",
            ops.open_in("rootfs", "/proc", O_PATH, 1, slot="fake"),
            ops.write_proc("fake", "self/attr/exec", b"label"),
        ),
        2,
    ),
    "CVE-2022-0811 another sysctl inside the name": (
        insert("pivot", ops.write_proc("proc", "sys/kernel/shm_rmid_forced+kernel/core_pattern", b"|/evil")),
        2,
    ),
    "CVE-2022-0811 a second value": (
        insert("pivot", ops.write_proc("proc", "sys/kernel/shm_rmid_forced", b"1\nkernel.core_pattern=|/evil")),
        2,
    ),
    "CVE-2022-0811 a sysctl of the host": (
        insert("pivot", ops.write_proc("proc", "sys/kernel/core_pattern", b"|/evil")),
        2,
    ),
    "CVE-2026-41579 /dev followed through the image's link": (
        change("mountpoint-in", lambda step: step.replace(args=("rootfs", "/dev", "", 0))),
        2,
    ),
    "CVE-2026-47766 device made below the image's /dev": (
        insert("pivot", ops.mknod_in("rootfs", "/dev/sda", 0o60666, 8, 0, 0, 0)),
        2,
    ),
    "CVE-2019-16884 mask through a link": (
        change("mask-in", lambda step: step.replace(args=("rootfs", "/proc/keys", "null", 0))),
        2,
    ),
    "CVE-2019-19921 volume over /proc through a link": (
        insert("pivot", ops.mountpoint_in("rootfs", "/proc/sys", "", 0, slot="t")),
        2,
    ),
    "climbing path": (insert("pivot", ops.mountpoint_in("rootfs", "/data/../../etc", "", 0, slot="t")), 1),
    "host path after root": (insert("pivot", ops.open("/etc/shadow", O_WRONLY, slot="s", actor="child")), 1),
    "path below a foreign handle": (insert("pivot", ops.open_in("host", "etc", O_PATH, 0, slot="s")), 1),
    "bind source opened in the container": (
        insert(
            "pivot",
            ops.open_in("rootfs", "/data", O_PATH, 0, slot="d"),
            ops.open_tree("d", "", 1, slot="m", actor="child"),
        ),
        2,
    ),
    "proc of the host": (insert("clone", ops.new_mount("proc", (), (), 0, slot="p")), 6),
    "overlay in the host's mount table": (insert("clone", ops.mount("x", "/y", "overlay", 0, "")), 6),
    "tmpfs by the host": (
        insert("clone", ops.unshare(CLONE_NEWNS), ops.mount("x", "/y", "tmpfs", MS_BIND, "")),
        6,
    ),
    "mount used twice": (insert("pivot", ops.attach("shm", "shm-target")), 3),
    "slot of the other half": (insert("pivot", ops.report("null", "")), 3),
    "slot after close": (insert("pivot", ops.close("null", actor="child"), ops.assert_dev("null", 1, 3)), 3),
    "privileged row after the drop": (insert("chdir", ops.sethostname("late")), 4),
    "row behind exec": (LaunchPlan([*GOOD.steps, ops.setsid()]), 4),
    "root never entered": (without("pivot"), 1),
    "no program": (without("exec"), 4),
}


@pytest.mark.parametrize("name", ESCAPES)
def test_an_escape_breaks_its_rule(name: str) -> None:
    plan, rule = ESCAPES[name]
    assert rule in broken(plan)


def hook(kind: str) -> Step:
    return ops.hook(kind, "/bin/hook", ("hook",), (), 0)


def pause(name: str = "hooks") -> Step:
    return ops.checkpoint(name, (), actor="child")


@pytest.mark.parametrize(
    ("plan", "good"),
    [
        (insert("pivot", pause(), hook("prestart"), hook("createRuntime"), hook("createContainer")), True),
        (insert("close-from", ops.await_start(""), pause(), hook("startContainer")), True),
        (insert("pivot", pause(), hook("createContainer"), hook("prestart")), False),
        (insert("pivot", hook("prestart")), False),
        (insert("pivot", pause(), hook("startContainer")), False),
        (insert("close-from", pause(), hook("createContainer")), False),
        (insert("pivot", pause()), False),
        (insert("pivot", pause(), hook("midway")), False),
    ],
)
def test_hooks_come_in_order_at_checkpoints(plan: LaunchPlan, good: bool) -> None:
    assert (broken(plan) == set()) is good
    assert broken(plan) <= {5}


def bpf(*instructions: tuple[int, int, int, int]) -> bytes:
    from struct import pack

    return b"".join(pack("<HBBI", *instruction) for instruction in instructions)


ALLOW_ALL = bpf((0x06, 0, 0, 0x7FFF0000))
EXECVE = 59
DENY_EXECVE = bpf((0x20, 0, 0, 0), (0x15, 0, 1, EXECVE), (0x06, 0, 0, 0x00050001), (0x06, 0, 0, 0x7FFF0000))
# Denies execve only when the low half of its first argument is zero: some argument is denied, so the row may fail.
DENY_SOME = bpf(
    (0x20, 0, 0, 0), (0x15, 0, 3, EXECVE), (0x20, 0, 0, 16), (0x15, 0, 1, 0), (0x06, 0, 0, 0), (0x06, 0, 0, 0x7FFF0000)
)


@pytest.mark.parametrize(
    ("filter_", "rules"), [(ALLOW_ALL, set()), (DENY_EXECVE, {4}), (DENY_SOME, {4})], ids=["all", "execve", "some"]
)
def test_rows_behind_the_filter_must_pass_it(filter_: bytes, rules: set[int]) -> None:
    assert broken(insert("exec", ops.seccomp(filter_, 0))) == rules


def test_a_later_filter_takes_nothing_back() -> None:
    assert broken(insert("exec", ops.seccomp(DENY_EXECVE, 0), ops.seccomp(ALLOW_ALL, 0))) == {4}


def test_a_filter_without_privileges_needs_no_new_privs() -> None:
    plan = LaunchPlan([step for step in insert("exec", ops.seccomp(ALLOW_ALL, 0)).steps if step.op != "no-new-privs"])
    assert broken(plan) == {4}
