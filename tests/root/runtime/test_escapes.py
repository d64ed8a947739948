"""Known escapes of other runtimes, tried on ours. The name of each test says which hole it is about.

Where it is practical, the same attack is also run against a plan from which the defence was taken, to show that the
test would notice.
"""

import hashlib
import json
import os
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest

from corten.kernel.probe import Host
from corten.plan import LaunchPlan, Step, check, ops
from corten.plan.flags import O_PATH
from corten.runtime import Options, compile, compile_exec
from tests.root.runtime.bundle import COMMAND, Bundle, Runtime


def plan_of(bundle: Bundle, **options: Any) -> LaunchPlan:
    return compile(bundle.spec, Host(), bundle=str(bundle.path), id=bundle.id, options=Options(**options))


def changed(plan: LaunchPlan, replace: Any) -> LaunchPlan:
    """The plan with each row replaced by what `replace` makes of it; None leaves the row out."""
    rows = (replace(step) for step in plan.steps)
    return LaunchPlan([row for row in rows if row is not None], plan.inherit)


def test_every_plan_obeys_the_rules(bundle: Bundle) -> None:
    assert check(plan_of(bundle)) == []


def test_cve_2019_5736_the_program_on_the_host_cannot_be_overwritten(runtime: Runtime, bundle: Bundle) -> None:
    before = hashlib.sha256(COMMAND.read_bytes()).digest()
    program = COMMAND.with_name("corten")
    program_before = hashlib.sha256(program.read_bytes()).digest()
    bundle.spec["root"]["readonly"] = False
    attack = "#!/proc/self/exe\n"
    (bundle.rootfs / "bin/attack").write_text(attack)
    (bundle.rootfs / "bin/attack").chmod(0o755)
    runtime.result("/bin/attack")
    runtime.start()
    script = "for i in 1 2 3 4 5 6 7 8 9; do for p in /proc/[0-9]*; do : > $p/exe; done; done 2>/dev/null"
    runtime.exec("/bin/sh", "-c", script, check=False)
    runtime.exec("/proc/self/exe", check=False)
    assert hashlib.sha256(COMMAND.read_bytes()).digest() == before
    assert hashlib.sha256(program.read_bytes()).digest() == program_before


def test_cve_2024_21626_no_descriptor_leaks_and_no_cwd_leads_out(runtime: Runtime, bundle: Bundle) -> None:
    assert runtime.run("/bin/ls", "/proc/self/fd").split() == ["0", "1", "2", "3"]  # 3 is ls's own
    for number in range(3, 16):
        bundle.process["cwd"] = f"/proc/self/fd/{number}"
        done = runtime.result("/bin/pwd")
        assert done.returncode != 0, done.stdout
    bundle.process["cwd"] = "/"
    runtime.start()
    assert runtime.exec("/bin/ls", "/proc/self/fd").stdout.split() == ["0", "1", "2", "3"]
    for number in range(3, 16):
        assert runtime.exec("/bin/pwd", flags=("--cwd", f"/proc/self/fd/{number}"), check=False).returncode != 0


def test_cve_2024_21626_is_noticed_when_descriptors_stay_open(bundle: Bundle) -> None:
    broken = changed(plan_of(bundle), lambda step: None if step.op == "close-from" else step)
    assert check(broken)


def test_cve_2021_30465_a_mount_target_that_is_a_link_stays_inside(
    runtime: Runtime, bundle: Bundle, scratch: Path
) -> None:
    (scratch / "outside").mkdir()
    (scratch / "volume").mkdir()
    (scratch / "volume/inside").touch()
    bundle.spec["root"]["readonly"] = False
    (bundle.rootfs / "link").symlink_to("/../../../../../../.." + str(scratch / "outside"))
    bundle.mount("/link", scratch / "volume", "bind")
    runtime.result("/bin/true")
    assert list((scratch / "outside").iterdir()) == []


def test_cve_2021_30465_a_racing_rename_never_reaches_the_host(runtime: Runtime, bundle: Bundle, scratch: Path) -> None:
    """The target's parent is swapped with a link to the host all the time, in a volume two containers share."""
    volume, outside = scratch / "volume", scratch / "outside"
    for directory in (volume / "a", outside):
        directory.mkdir(parents=True)
    (volume / "b").symlink_to(outside)
    bundle.mount("/data", volume, "rbind")
    bundle.mount("/data/a/target", scratch / "bundle/rootfs/etc", "bind")
    swap = f"while :; do mv -T {volume}/a {volume}/c; mv -T {volume}/b {volume}/a; mv -T {volume}/a {volume}/b; "
    swap += f"mv -T {volume}/c {volume}/a; done 2>/dev/null"
    with subprocess.Popen(["bash", "-c", swap]) as racer:
        try:
            for _ in range(15):
                runtime.result("/bin/true")
                assert list(outside.iterdir()) == []
        finally:
            racer.kill()


@pytest.mark.parametrize("tree", ["proc", "sys", "dev"])
def test_cve_2019_16884_a_link_in_place_of_a_kernel_tree_is_refused(
    runtime: Runtime, bundle: Bundle, scratch: Path, tree: str
) -> None:
    """Also 2019-19921, 2023-27561, and the /dev link of 2026-41579 and 2026-47766."""
    (scratch / "host").mkdir()
    (bundle.rootfs / tree).rmdir()
    (bundle.rootfs / tree).symlink_to("/tmp")
    done = runtime.result("/bin/true")
    assert done.returncode == 1
    assert "too many levels of symbolic links" in done.stderr
    assert list((bundle.rootfs / "tmp").iterdir()) == []


def test_cve_2025_31133_a_false_null_device_does_not_unmask(runtime: Runtime, bundle: Bundle, scratch: Path) -> None:
    """The image's /dev/null is a link to a file of the kernel; masks use the host's verified device, not that one."""
    bundle.mount("/dev", scratch, "rbind")
    (scratch / "null").symlink_to("/proc/sys/kernel/core_pattern")
    for name in ("pts", "shm", "mqueue"):
        (scratch / name).mkdir()
    script = "stat -c '%t:%T' /proc/interrupts; wc -c < /proc/interrupts"
    assert runtime.sh(script).split() == ["1:3", "0"]


def test_cve_2025_31133_is_noticed_when_the_device_is_not_verified(bundle: Bundle) -> None:
    broken = changed(plan_of(bundle), lambda step: None if step.op == "assert-dev" else step)
    assert check(broken)


def test_cve_2025_52565_the_console_is_bound_by_its_handle(bundle: Bundle) -> None:
    bundle.process["terminal"] = True
    plan = plan_of(bundle, console=True)
    assert check(plan) == []
    [source] = [step for step in plan.steps if step.slot == "console-mount"]
    assert source.op == "open-tree"
    assert source.args[:2] == ("peer", "")


def test_cve_2025_52881_labels_and_sysctls_go_through_a_procfs_of_our_own(
    runtime: Runtime, bundle: Bundle, scratch: Path
) -> None:
    """A false /proc is mounted over the container's: nothing is written to it, and the sysctl is set all the same."""
    false = scratch / "false"
    (false / "sys/net/ipv4").mkdir(parents=True)
    (false / "sys/net/ipv4/ip_forward").write_text("untouched")
    bundle.linux["sysctl"] = {"net.ipv4.ip_forward": "1"}
    bundle.linux["maskedPaths"] = bundle.linux["readonlyPaths"] = []
    bundle.mount("/proc", false, "bind")
    runtime.result("/bin/true")
    assert (false / "sys/net/ipv4/ip_forward").read_text() == "untouched"

    def by_name(step: Step) -> Step:
        return ops.open_in("root", "/proc", O_PATH, 1, slot="proc") if step.slot == "proc" else step

    assert check(changed(plan_of(bundle), by_name))


@pytest.mark.parametrize(
    "sysctl",
    [
        {"kernel.shm_rmid_forced": "1+kernel.core_pattern=|/bin/evil"},
        {"kernel.shm_rmid_forced=1\nkernel.core_pattern": "|/bin/evil"},
        {"net.ipv4.conf.all/../../../kernel.core_pattern": "|/bin/evil"},
    ],
)
def test_cve_2022_0811_a_sysctl_cannot_smuggle_another(
    runtime: Runtime, bundle: Bundle, sysctl: dict[str, str]
) -> None:
    pattern = Path("/proc/sys/kernel/core_pattern").read_text()
    bundle.linux["sysctl"] = sysctl
    assert runtime.result("/bin/true").returncode == 1
    assert Path("/proc/sys/kernel/core_pattern").read_text() == pattern


def test_cve_2022_29162_the_inheritable_set_is_empty_unless_asked_for(runtime: Runtime, bundle: Bundle) -> None:
    assert "CapInh:\t0000000000000000" in runtime.run("/bin/cat", "/proc/self/status")
    runtime.start()
    flags = ("--cap", "CAP_CHOWN")
    assert "CapInh:\t0000000000000000" in runtime.exec("/bin/cat", "/proc/self/status", flags=flags).stdout
    assert bundle.process["args"]


def test_cve_2016_9962_who_joins_cannot_be_traced_from_inside(bundle: Bundle) -> None:
    plan = compile_exec(bundle.spec, Host(), id="x", pid=1, start=1)
    rows = [step.op for step in plan.steps]
    assert rows.index("dumpable") < rows.index("setns")


def test_cve_2022_0492_a_container_cannot_mount_a_cgroup_hierarchy(runtime: Runtime, bundle: Bundle) -> None:
    bundle.spec["root"]["readonly"] = False
    done = runtime.result("/bin/sh", "-c", "mkdir -p /tmp/c && mount -t cgroup -o memory cgroup /tmp/c")
    assert (done.returncode != 0, "permission denied" in done.stderr.lower()) == (True, True)


def test_cve_2023_25809_the_cgroup_tree_is_read_only(runtime: Runtime) -> None:
    script = "for f in /sys/fs/cgroup/*/cgroup.procs; do echo 1 > $f && echo $f; done; true"
    assert runtime.result("/bin/sh", "-c", script).stdout == ""


def test_cve_2021_41091_the_state_directory_is_for_its_owner_only(runtime: Runtime, bundle: Bundle) -> None:
    runtime.start()
    assert stat.S_IMODE((runtime.root / bundle.id).stat().st_mode) == 0o700


def test_cve_2024_40635_a_user_id_beyond_32_bits_is_refused(runtime: Runtime, bundle: Bundle) -> None:
    for uid in (1 << 32, -1, (1 << 32) + 1):
        bundle.process["user"] = {"uid": uid, "gid": 0}
        assert "/process/user/uid" in runtime.result("/bin/id").stderr


def test_cve_2020_15257_no_abstract_socket_is_ours(runtime: Runtime, bundle: Bundle) -> None:
    bundle.linux["namespaces"] = [one for one in bundle.linux["namespaces"] if one["type"] != "network"]
    names = [line.split()[-1] for line in runtime.run("/bin/cat", "/proc/net/unix").splitlines()]
    assert not [name for name in names if name.startswith("@") and ("corten" in name or str(runtime.root) in name)]


def test_cve_2018_10892_acpi_and_scsi_are_masked(runtime: Runtime) -> None:
    script = "for p in /proc/acpi /proc/scsi; do test -e $p && ls -A $p; done; true"
    assert runtime.sh(script) == ""


def test_a_failing_launch_leaves_nothing_whatever_row_fails(bundle: Bundle, runtime: Runtime) -> None:
    """Each row that a half executes fails once, as if its system call had."""
    from corten.runtime.container import Request, create
    from corten.runtime.state import Store

    bundle.process["args"] = ["/bin/true"]
    bundle.write()
    config = json.dumps(bundle.spec).encode()
    rows = [n for n, step in enumerate(plan_of(bundle, listener=True).steps) if step.actor != "controller"]
    os.environ["CORTEN_PROGRAM"] = str(COMMAND.with_name("corten"))
    try:
        before = set(os.listdir("/proc/self/fd"))
        for row in rows:
            if plan_of(bundle).steps[row].op in ("await-start", "close-from", "exec"):
                continue  # after `created`: the container exists
            with pytest.raises(Exception):  # noqa: B017 the kind depends on the row
                create(
                    Store(str(runtime.root)),
                    bundle.id,
                    Request(config=config),
                    Host(),
                    bundle=str(bundle.path),
                    fault=(row, 5),
                )
            assert not (runtime.root / bundle.id).exists(), row
        assert set(os.listdir("/proc/self/fd")) == before
    finally:
        del os.environ["CORTEN_PROGRAM"]
