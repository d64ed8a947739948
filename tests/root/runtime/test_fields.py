"""Each field of the configuration has its effect, seen from inside the container or from the host."""

import json
import os
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.root.runtime.bundle import Bundle, Runtime, wait_for


def without(bundle: Bundle, *kinds: str) -> None:
    bundle.linux["namespaces"] = [one for one in bundle.linux["namespaces"] if one["type"] not in kinds]


# ---- namespaces ----------------------------------------------------------------------------------------------------


def test_each_new_namespace_is_new_and_each_absent_one_the_hosts(runtime: Runtime, bundle: Bundle) -> None:
    kinds = {"pid": "pid", "network": "net", "ipc": "ipc", "uts": "uts", "mount": "mnt", "cgroup": "cgroup"}
    script = "for n in pid net ipc uts mnt cgroup; do readlink /proc/self/ns/$n; done"
    inside = runtime.sh(script).split()
    hosts = [os.readlink(f"/proc/self/ns/{name}") for name in kinds.values()]
    assert not set(inside) & set(hosts)
    without(bundle, "network", "ipc", "uts", "cgroup")
    bundle.spec.pop("hostname")
    inside = runtime.sh(script).split()
    assert [a == b for a, b in zip(inside, hosts, strict=True)] == [False, True, True, True, False, True]


@pytest.mark.parametrize(("kind", "name"), [("network", "net"), ("ipc", "ipc"), ("uts", "uts"), ("pid", "pid")])
def test_a_namespace_is_joined_by_path(runtime: Runtime, bundle: Bundle, kind: str, name: str) -> None:
    flags = {"network": "-n", "ipc": "-i", "uts": "-u", "pid": "-pf"}
    with subprocess.Popen(["unshare", flags[kind], "sleep", "1000"]) as other:
        try:
            path = f"/proc/{other.pid}/ns/{'pid_for_children' if kind == 'pid' else name}"
            wait_for(lambda: os.readlink(path) != os.readlink(f"/proc/self/ns/{name}"))
            without(bundle, kind)
            bundle.linux["namespaces"].append({"type": kind, "path": path})
            assert runtime.sh(f"readlink /proc/self/ns/{name}").strip() == os.readlink(path)
        finally:
            for child in Path(f"/proc/{other.pid}/task/{other.pid}/children").read_text().split():
                os.kill(int(child), 9)
            other.kill()


def test_a_path_of_the_wrong_type_is_refused(runtime: Runtime, bundle: Bundle) -> None:
    without(bundle, "network")
    bundle.linux["namespaces"].append({"type": "network", "path": "/proc/self/ns/uts"})
    done = runtime.result("/bin/true")
    assert done.returncode == 1
    assert "/linux/namespaces/5/path" in done.stderr


def test_time_offsets_shift_the_clocks(runtime: Runtime, bundle: Bundle) -> None:
    bundle.linux["namespaces"].append({"type": "time"})
    bundle.linux["timeOffsets"] = {"boottime": {"secs": 1_000_000}, "monotonic": {"secs": 7, "nanosecs": 9}}
    uptime, *offsets = runtime.sh("cat /proc/uptime; cat /proc/self/timens_offsets").splitlines()
    assert float(uptime.split()[0]) > 1_000_000
    assert [line.split() for line in offsets] == [["monotonic", "7", "9"], ["boottime", "1000000", "0"]]


def test_a_user_namespace_maps_ids_both_ways(runtime: Runtime, bundle: Bundle) -> None:
    bundle.linux["namespaces"].append({"type": "user"})
    bundle.linux["uidMappings"] = [{"containerID": 0, "hostID": 100000, "size": 65536}]
    bundle.linux["gidMappings"] = [{"containerID": 0, "hostID": 200000, "size": 65536}]
    bundle.spec["root"]["readonly"] = False
    os.chown(bundle.rootfs / "data", 100000, 200000)
    script = "id -u; cat /proc/self/uid_map /proc/self/gid_map; stat -c %u:%g /data; touch /data/mine; ls -l /dev/null"
    uid, uids, gids, owner, null = runtime.sh(script).splitlines()
    assert (uid, uids.split(), gids.split()) == ("0", ["0", "100000", "65536"], ["0", "200000", "65536"])
    assert owner == "0:0"
    assert "1,   3" in null
    made = (bundle.rootfs / "data/mine").stat()
    assert (made.st_uid, made.st_gid) == (100000, 200000)


def test_exec_enters_a_user_namespace(runtime: Runtime, bundle: Bundle) -> None:
    bundle.linux["namespaces"].append({"type": "user"})
    bundle.linux["uidMappings"] = bundle.linux["gidMappings"] = [{"containerID": 0, "hostID": 100000, "size": 65536}]
    runtime.start()
    uid, ns = runtime.exec("/bin/sh", "-c", "id -u; readlink /proc/self/ns/user").stdout.split()
    assert (uid, ns) == ("0", os.readlink(f"/proc/{runtime.state()['pid']}/ns/user"))


# ---- names, sysctls, network ---------------------------------------------------------------------------------------


def test_host_and_domain_name(runtime: Runtime, bundle: Bundle) -> None:
    bundle.spec |= {"hostname": "web", "domainname": "example.org"}
    shown = runtime.sh("hostname; cat /proc/sys/kernel/domainname").split()
    assert shown == ["web", "example.org"]


def test_sysctls_of_own_namespaces_are_set_and_others_refused(runtime: Runtime, bundle: Bundle) -> None:
    bundle.linux["sysctl"] = {"net.ipv4.ip_forward": "1", "kernel.msgmax": "12345", "net/ipv4/ip_default_ttl": "77"}
    script = "cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/msgmax /proc/sys/net/ipv4/ip_default_ttl"
    assert runtime.sh(script).split() == ["1", "12345", "77"]
    for name in ("kernel.core_pattern", "vm.swappiness", "fs.file-max", "net/../kernel/core_pattern"):
        bundle.linux["sysctl"] = {name: "x"}
        done = runtime.result("/bin/true")
        assert (done.returncode, "sysctl" in done.stderr) == (1, True), name


def test_loopback_is_up(runtime: Runtime) -> None:
    assert "LOOPBACK,UP" in runtime.sh("ip link show lo")


# ---- file system ---------------------------------------------------------------------------------------------------


def test_a_read_only_root_and_a_writable_one(runtime: Runtime, bundle: Bundle) -> None:
    assert "Read-only" in runtime.result("/bin/touch", "/file").stderr
    bundle.spec["root"]["readonly"] = False
    runtime.run("/bin/touch", "/file")
    assert (bundle.rootfs / "file").exists()


def test_bind_mounts_of_directories_and_files_make_their_targets(
    runtime: Runtime, bundle: Bundle, scratch: Path
) -> None:
    bundle.spec["root"]["readonly"] = False
    (scratch / "dir").mkdir()
    (scratch / "dir/inside").write_text("directory")
    (scratch / "file").write_text("file")
    bundle.mount("/new/place", scratch / "dir", "rbind", "ro")
    bundle.mount("/other/one", scratch / "file", "bind")
    assert runtime.sh("cat /new/place/inside /other/one; touch /new/place/x 2>&1 || true").startswith("directoryfile")
    assert not (scratch / "dir/x").exists()


OPTIONS = ["nosuid", "nodev", "noexec", "ro", "noatime", "nodiratime", "strictatime", "relatime", "nosymfollow"]


@pytest.mark.parametrize("option", OPTIONS)
def test_each_mount_attribute_shows_in_mountinfo(runtime: Runtime, bundle: Bundle, scratch: Path, option: str) -> None:
    bundle.mount("/data", scratch, "bind", option)
    shown = runtime.sh("grep ' /data ' /proc/self/mountinfo").split()[5].split(",")
    assert option in shown or option == "strictatime"
    assert option != "strictatime" or not {"relatime", "noatime"} & set(shown)


def test_recursive_attributes_reach_the_mounts_below(runtime: Runtime, bundle: Bundle, scratch: Path) -> None:
    (scratch / "tree/below").mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", scratch / "tree/below"], check=True)
    try:
        bundle.mount("/data", scratch / "tree", "rbind", "ro")
        assert runtime.sh("touch /data/below/a && echo written") == "written\n"
        bundle.spec["mounts"][-1]["options"] = ["rbind", "rro"]
        assert "Read-only" in runtime.result("/bin/touch", "/data/below/b").stderr
    finally:
        subprocess.run(["umount", scratch / "tree/below"], check=True)


def test_propagation_is_what_was_asked_for(runtime: Runtime, bundle: Bundle, scratch: Path) -> None:
    (scratch / "shared").mkdir()
    subprocess.run(["mount", "--bind", scratch / "shared", scratch / "shared"], check=True)
    subprocess.run(["mount", "--make-shared", scratch / "shared"], check=True)
    try:
        for option, mark in {"rprivate": "", "rslave": "master:", "rshared": "shared:"}.items():
            bundle.spec["mounts"] = [one for one in bundle.spec["mounts"] if one["destination"] != "/data"]
            bundle.mount("/data", scratch / "shared", "rbind", option)
            optional = runtime.sh("grep ' /data ' /proc/self/mountinfo").split(" - ")[0].split()[6:]
            assert (optional == []) if not mark else any(one.startswith(mark) for one in optional), option
    finally:
        subprocess.run(["umount", scratch / "shared"], check=True)


def test_tmpfs_with_size_mode_and_copy_up(runtime: Runtime, bundle: Bundle) -> None:
    (bundle.rootfs / "data/from-image").write_text("image")
    bundle.mount("/data", "tmpfs", "size=64k", "mode=701", "tmpcopyup", "nosuid", kind="tmpfs")
    shown = runtime.sh("cat /data/from-image; stat -c ' %a' /data; df -k /data | tail -n 1 || true")
    assert shown.startswith("image")


def test_an_id_mapped_mount_shows_other_owners(runtime: Runtime, bundle: Bundle, scratch: Path) -> None:
    (scratch / "owned").mkdir()
    (scratch / "owned/file").touch()
    os.chown(scratch / "owned/file", 1000, 1000)
    bundle.mount("/data", scratch / "owned", "bind")
    mapping = [{"containerID": 1000, "hostID": 2000, "size": 1}]
    bundle.spec["mounts"][-1] |= {"uidMappings": mapping, "gidMappings": mapping}
    assert runtime.sh("stat -c %u:%g /data/file") == "2000:2000\n"


def test_masked_and_read_only_paths(runtime: Runtime, bundle: Bundle) -> None:
    (bundle.rootfs / "data/secret").write_text("secret")
    (bundle.rootfs / "data/dir").mkdir()
    (bundle.rootfs / "data/dir/inside").touch()
    bundle.spec["root"]["readonly"] = False
    bundle.linux["maskedPaths"] += ["/data/secret", "/data/dir", "/not/there"]
    bundle.linux["readonlyPaths"] += ["/etc", "/not/there/either"]
    done = runtime.result(
        "/bin/sh", "-c", "cat /data/secret; ls /data/dir; echo x > /proc/sys/kernel/hostname; touch /etc/x"
    )
    assert done.stdout == ""
    assert done.stderr.count("Read-only file system") == 2


def test_default_devices_and_links(runtime: Runtime) -> None:
    script = "for d in null zero full random urandom tty; do stat -c '%n %t %T %a' /dev/$d; done;"
    shown = runtime.sh(f"{script} readlink /dev/fd; readlink /dev/ptmx").splitlines()
    assert shown[:6] == [
        "/dev/null 1 3 666",
        "/dev/zero 1 5 666",
        "/dev/full 1 7 666",
        "/dev/random 1 8 666",
        "/dev/urandom 1 9 666",
        "/dev/tty 5 0 666",
    ]
    assert shown[6:] == ["/proc/self/fd", "pts/ptmx"]


def test_configured_devices_have_their_numbers_modes_and_owners(runtime: Runtime, bundle: Bundle) -> None:
    bundle.linux["devices"] = [
        {"path": "/dev/mine", "type": "c", "major": 1, "minor": 5, "fileMode": 0o640, "uid": 5, "gid": 6},
        {"path": "/dev/sub/block", "type": "b", "major": 7, "minor": 9},
        {"path": "/dev/pipe", "type": "p"},
    ]
    script = "stat -c '%F %t %T %a %u %g' /dev/mine; stat -c '%F %t %T' /dev/sub/block; stat -c %F /dev/pipe"
    assert runtime.sh(script).splitlines() == ["character special file 1 5 640 5 6", "block special file 7 9", "fifo"]


# ---- process -------------------------------------------------------------------------------------------------------


def test_a_working_directory_that_the_image_lacks_is_made(runtime: Runtime, bundle: Bundle) -> None:
    bundle.process["cwd"] = "/not/there/yet"
    assert runtime.sh("pwd; stat -c '%a %u' .").split() == ["/not/there/yet", "755", "0"]


def test_without_selinux_a_mount_label_is_only_told_of(runtime: Runtime, bundle: Bundle) -> None:
    bundle.linux["mountLabel"] = "system_u:object_r:x:s0"
    assert runtime.sh("echo fine") == "fine\n"


def test_the_annotation_of_crun_keeps_the_callers_groups(runtime: Runtime, bundle: Bundle) -> None:
    bundle.spec["annotations"] = {"run.oci.keep_original_groups": "1"}
    mine = sorted({os.getgid(), *os.getgroups()})
    assert sorted({0, *map(int, runtime.sh("grep ^Groups: /proc/self/status").split()[1:])}) == sorted({0, *mine})


def test_user_groups_umask_and_home(runtime: Runtime, bundle: Bundle) -> None:
    bundle.process["user"] = {"uid": 1000, "gid": 1001, "additionalGids": [5, 6], "umask": 0o77}
    assert runtime.sh("id -u; id -g; id -G; umask; echo $HOME").split() == [
        "1000",
        "1001",
        "1001",
        "5",
        "6",
        "0077",
        "/data",
    ]


def status(text: str, field: str) -> int:
    return int(text.split(f"{field}:")[1].split()[0], 16)


def test_capability_sets_are_exactly_those(runtime: Runtime, bundle: Bundle) -> None:
    bundle.process["capabilities"] = {
        "bounding": ["CAP_CHOWN", "CAP_KILL", "CAP_NET_RAW"],
        "permitted": ["CAP_CHOWN", "CAP_KILL"],
        "effective": ["CAP_CHOWN"],
        "inheritable": ["CAP_KILL"],
        "ambient": ["CAP_KILL"],
    }
    bundle.process["user"] = {"uid": 1000, "gid": 1000}
    shown = runtime.run("/bin/cat", "/proc/self/status")
    assert {name: status(shown, name) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {
        "CapInh": 1 << 5,
        "CapPrm": 1 << 5,
        "CapEff": 1 << 5,
        "CapBnd": 1 | 1 << 5 | 1 << 13,
        "CapAmb": 1 << 5,
    }


def test_a_capability_that_root_lacks_is_told_and_left_out(runtime: Runtime, bundle: Bundle) -> None:
    bounding = status(Path("/proc/self/status").read_text(), "CapBnd")
    if bounding >> 24 & 1:
        pytest.skip("this root has CAP_SYS_RESOURCE")
    sets = ("bounding", "permitted", "effective")
    bundle.process["capabilities"] = {kind: ["CAP_SYS_RESOURCE", "CAP_KILL"] for kind in sets}
    done = runtime.result("/bin/cat", "/proc/self/status")
    assert done.returncode == 0
    assert "CAP_SYS_RESOURCE" in done.stderr
    assert status(done.stdout, "CapBnd") == 1 << 5


def test_no_new_privileges_and_its_absence(runtime: Runtime, bundle: Bundle) -> None:
    assert "NoNewPrivs:\t1" in runtime.run("/bin/cat", "/proc/self/status")
    bundle.process["noNewPrivileges"] = False
    assert "NoNewPrivs:\t0" in runtime.run("/bin/cat", "/proc/self/status")


def test_resource_limits(runtime: Runtime, bundle: Bundle) -> None:
    bundle.process["rlimits"] = [
        {"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200},
        {"type": "RLIMIT_CORE", "soft": 0, "hard": 0},
    ]
    shown = runtime.run("/bin/cat", "/proc/self/limits")
    assert [line.split()[3:5] for line in shown.splitlines() if line.startswith("Max open files")] == [["100", "200"]]
    bundle.process["rlimits"] = [{"type": "RLIMIT_MAGIC", "soft": 1, "hard": 1}]
    assert "/process/rlimits/0/type" in runtime.result("/bin/true").stderr
    bundle.process["rlimits"] = [{"type": "RLIMIT_CORE", "soft": 1, "hard": 1}] * 2
    assert "/process/rlimits/1" in runtime.result("/bin/true").stderr


def test_oom_score_scheduler_priority_and_personality(runtime: Runtime, bundle: Bundle) -> None:
    bundle.process["oomScoreAdj"] = 321
    bundle.process["scheduler"] = {"policy": "SCHED_BATCH", "nice": 5}
    bundle.process["ioPriority"] = {"class": "IOPRIO_CLASS_BE", "priority": 6}
    bundle.linux["personality"] = {"domain": "LINUX32"}
    script = "cat /proc/self/oom_score_adj; cut -d' ' -f19,41 /proc/$$/stat; uname -m"
    score, nice_policy, machine = runtime.sh(script).splitlines()
    assert (score, nice_policy) == ("321", "5 3")
    assert machine == {"x86_64": "i686"}.get(os.uname().machine, machine)


def test_io_priority_is_the_kernels(runtime: Runtime, bundle: Bundle) -> None:
    bundle.process["ioPriority"] = {"class": "IOPRIO_CLASS_BE", "priority": 6}
    assert runtime.run("/bin/ionice").strip() == "best-effort: prio 6"
    bundle.process["ioPriority"] = {"class": "IOPRIO_CLASS_IDLE", "priority": 0}
    assert runtime.run("/bin/ionice").startswith("idle")


def test_the_roots_propagation_is_what_was_asked_for(runtime: Runtime, bundle: Bundle) -> None:
    for word, mark in {"": "", "private": "", "shared": "shared:", "unbindable": "unbindable"}.items():
        bundle.linux["rootfsPropagation"] = word
        line = runtime.sh("grep ' / / \\| / ro\\| / rw' /proc/self/mountinfo | head -n 1")
        optional = line.split(" - ")[0].split()[6:]
        assert (optional == []) if not mark else optional[0].startswith(mark), (word, line)


def test_a_memory_policy_is_set(runtime: Runtime, bundle: Bundle) -> None:
    bundle.linux["memoryPolicy"] = {"mode": "MPOL_BIND", "nodes": "0"}
    assert "bind:0" in runtime.sh("cat /proc/self/numa_maps | head -n 1")


def test_exec_runs_on_the_processors_it_is_given(runtime: Runtime, bundle: Bundle, scratch: Path) -> None:
    runtime.start()
    process: Any = {"cwd": "/", "args": ["/bin/cat", "/proc/self/status"], "env": ["PATH=/bin"]}
    last = max(os.sched_getaffinity(0))
    process["execCPUAffinity"] = {"initial": "0", "final": str(last)}
    (scratch / "process.json").write_text(json.dumps(process))
    shown = runtime("exec", "-p", str(scratch / "process.json"), bundle.id).stdout
    assert f"Cpus_allowed_list:\t{last}\n" in shown
    process["execCPUAffinity"] = {"initial": "0"}
    (scratch / "process.json").write_text(json.dumps(process))
    assert "Cpus_allowed_list:\t0\n" in runtime("exec", "-p", str(scratch / "process.json"), bundle.id).stdout


def test_annotations_are_in_the_state(runtime: Runtime, bundle: Bundle) -> None:
    bundle.spec["annotations"] = {"org.example": "kept"}
    runtime.start()
    assert runtime.state()["annotations"] == {"org.example": "kept"}


def test_cwd_and_arguments_arrive_as_they_are(runtime: Runtime, bundle: Bundle) -> None:
    bundle.process["cwd"] = "/data"
    bundle.process["env"] = ["PATH=/bin", "A=b c", "EMPTY="]
    assert runtime.run("/bin/sh", "-c", 'pwd; echo "$0|$1|$A|$EMPTY|"', "x y", "").splitlines() == [
        "/data",
        "x y||b c||",
    ]
    assert runtime.run("sh", "-c", "echo found by PATH") == "found by PATH\n"


def test_seccomp_refuses_what_the_profile_does(runtime: Runtime, bundle: Bundle) -> None:
    bundle.linux["seccomp"] = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28}],
    }
    assert "No space left" in runtime.result("/bin/mkdir", "/tmp/x").stderr
    bundle.process["noNewPrivileges"] = False
    done = runtime.result("/bin/sh", "-c", "mkdir /tmp/x; grep Seccomp: /proc/self/status")
    assert ("No space left" in done.stderr, done.stdout) == (True, "Seccomp:\t2\n")


def test_dockers_profile_runs_a_shell_with_every_capability_dropped(runtime: Runtime, bundle: Bundle) -> None:
    profile = Path(__file__).parents[2] / "unit/runtime/docker-seccomp.json"
    bundle.linux["seccomp"] = json.loads(profile.read_text())
    bundle.process["capabilities"] = {}
    bundle.process["user"] = {"uid": 1000, "gid": 1000}
    for no_new in (True, False):
        bundle.process["noNewPrivileges"] = no_new
        assert runtime.sh("echo fine; cat /proc/self/status | grep CapEff") == "fine\nCapEff:\t0000000000000000\n"


def test_a_seccomp_listener_receives_the_descriptor_and_the_state(
    runtime: Runtime, bundle: Bundle, scratch: Path
) -> None:
    bundle.linux["seccomp"] = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "listenerPath": str(scratch / "agent.sock"),
        "listenerMetadata": "for the agent",
        "syscalls": [{"names": ["chroot"], "action": "SCMP_ACT_NOTIFY"}],
    }
    with socket.socket(socket.AF_UNIX) as agent:
        agent.bind(str(scratch / "agent.sock"))
        agent.listen(1)
        assert runtime.sh("echo through") == "through\n"
        connection, _ = agent.accept()
        with connection:
            data, fds, _, _ = socket.recv_fds(connection, 65536, 4)
    state = json.loads(data)
    assert (state["fds"], state["metadata"], state["state"]["id"]) == (["seccompFd"], "for the agent", bundle.id)
    assert os.readlink(f"/proc/self/fd/{fds[0]}") == "anon_inode:seccomp notify"
    os.close(fds[0])


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"process": {"apparmorProfile": "docker-default"}}, "/process/apparmorProfile"),
        ({"process": {"selinuxLabel": "system_u:system_r:x:s0"}}, "/process/selinuxLabel"),
        ({"linux": {"sysctl": {"kernel.hostname": "x"}}}, "/linux/sysctl/kernel.hostname"),
        ({"linux": {"intelRdt": {"closID": "x"}}}, "/linux/intelRdt"),
        ({"linux": {"resources": {"unified": {"memory.high": "1"}}}}, "/linux/resources/unified"),
        ({"process": {"scheduler": {"policy": "SCHED_MAGIC"}}}, "/process/scheduler/policy"),
        ({"linux": {"rootfsPropagation": "sideways"}}, "/linux/rootfsPropagation"),
        ({"linux": {"netDevices": {"eth9": {}}}}, "/linux/netDevices/eth9"),
        ({"hooks": {"poststart": [{"path": "relative"}]}}, "/hooks/poststart/0/path"),
        ({"ociVersion": "2.0.0"}, "/ociVersion"),
    ],
)
def test_what_this_machine_cannot_enforce_is_refused_with_its_place(
    runtime: Runtime, bundle: Bundle, change: dict[str, Any], place: str
) -> None:
    for key, value in change.items():
        if isinstance(value, dict):
            bundle.spec.setdefault(key, {}).update(value)
        else:
            bundle.spec[key] = value
    done = runtime.result("/bin/true")
    assert (done.returncode, place in done.stderr) == (1, True), done.stderr


# ---- resources -----------------------------------------------------------------------------------------------------


def test_limits_reach_the_control_files(runtime: Runtime, bundle: Bundle) -> None:
    major, minor = (int(word) for word in next(Path("/sys/block").glob("*/dev")).read_text().split(":"))
    bundle.linux["resources"] |= {
        "memory": {"limit": 64 << 20, "swap": 96 << 20, "reservation": 32 << 20},
        "cpu": {"shares": 512, "quota": 50000, "period": 100000, "cpus": "0", "mems": "0"},
        "pids": {"limit": 33},
        "blockIO": {"throttleReadBpsDevice": [{"major": major, "minor": minor, "rate": 1 << 20}]},
    }
    runtime.start()
    for controller, file, value in (
        ("memory", "memory.limit_in_bytes", f"{64 << 20}"),
        ("memory", "memory.memsw.limit_in_bytes", f"{96 << 20}"),
        ("memory", "memory.soft_limit_in_bytes", f"{32 << 20}"),
        ("cpu", "cpu.shares", "512"),
        ("cpu", "cpu.cfs_quota_us", "50000"),
        ("cpuset", "cpuset.cpus", "0"),
        ("pids", "pids.max", "33"),
        ("blkio", "blkio.throttle.read_bps_device", f"{major}:{minor} {1 << 20}"),
    ):
        assert (runtime.cgroup(controller) / file).read_text().strip() == value, file


def test_a_memory_limit_kills_and_a_pids_limit_stops_a_fork_bomb(runtime: Runtime, bundle: Bundle) -> None:
    bundle.linux["resources"]["memory"] = {"limit": 16 << 20, "swap": 16 << 20}
    done = runtime.result("/bin/sh", "-c", "dd if=/dev/zero of=/dev/null bs=64M count=1")
    assert done.returncode != 0
    bundle.linux["resources"] = {"pids": {"limit": 5}}
    assert "can't fork" in runtime.result("/bin/sh", "-c", "for i in 1 2 3 4 5 6 7 8; do sleep 1 & done; wait").stderr


def test_device_rules_decide_about_opens(runtime: Runtime, bundle: Bundle) -> None:
    bundle.process["capabilities"] = {kind: ["CAP_MKNOD"] for kind in ("bounding", "permitted", "effective")}
    bundle.spec["root"]["readonly"] = False
    script = "rm -f /tmp/tun; mknod /tmp/tun c 10 200; (: < /tmp/tun) 2>/dev/null && echo open || echo denied"
    assert runtime.sh(script) == "denied\n"
    bundle.linux["resources"]["devices"].append({"allow": True, "type": "c", "major": 10, "minor": 200, "access": "r"})
    assert runtime.sh(script) == "open\n"


def test_the_cgroup_filesystem_shows_only_our_own(runtime: Runtime, bundle: Bundle) -> None:
    script = "ls /sys/fs/cgroup; cat /sys/fs/cgroup/pids/cgroup.procs; touch /sys/fs/cgroup/pids/x 2>&1"
    shown = runtime.result("/bin/sh", "-c", script).stdout
    assert "Read-only" in shown
    assert "1\n" in shown
    without(bundle, "cgroup")
    assert "Read-only" in runtime.result("/bin/sh", "-c", script).stdout


# ---- terminal, hooks -----------------------------------------------------------------------------------------------


def test_a_terminal_by_the_console_socket(runtime: Runtime, bundle: Bundle, scratch: Path) -> None:
    bundle.process.update({"terminal": True, "consoleSize": {"height": 33, "width": 99}})
    with socket.socket(socket.AF_UNIX) as console:
        console.bind(str(scratch / "console"))
        console.listen(1)
        id = runtime.create(
            "/bin/sh", "-c", "tty; stty size; ls -l /dev/console", flags=("--console-socket", str(scratch / "console"))
        )
        connection, _ = console.accept()
        with connection:
            _, [master], _, _ = socket.recv_fds(connection, 100, 1)
    runtime("start", id)
    shown = b""
    try:
        while data := os.read(master, 4096):
            shown += data
    except OSError:
        pass
    os.close(master)
    lines = shown.decode().split("\r\n")
    assert lines[:2] == ["/dev/pts/0", "33 99"]
    assert lines[2].startswith("crw")


HOOK = """#!/bin/sh
{ echo "$0 $1 $HOOKED $(readlink /proc/self/ns/mnt) $(cat)"; } >> %s
"""


def test_hooks_run_in_their_order_with_the_state_and_in_their_namespaces(
    runtime: Runtime, bundle: Bundle, scratch: Path
) -> None:
    log = scratch / "log"
    script = scratch / "hook"
    script.write_text(HOOK % log)
    script.chmod(0o755)
    inside = bundle.rootfs / "hook"
    inside.write_text(HOOK % "/tmp/log")
    inside.chmod(0o755)
    bundle.spec["root"]["readonly"] = False
    kinds = ["prestart", "createRuntime", "createContainer", "poststart", "poststop"]
    bundle.spec["hooks"] = {
        kind: [{"path": str(script), "args": ["hook", kind], "env": ["HOOKED=yes", "PATH=/bin:/usr/bin"]}]
        for kind in kinds
    }
    bundle.spec["hooks"]["startContainer"] = [{"path": "/hook", "args": ["hook", "start"], "env": ["PATH=/bin"]}]
    runtime.run("/bin/true")
    seen = [line.split(" ", 4) for line in log.read_text().splitlines()]
    assert [line[1] for line in seen] == kinds
    assert [json.loads(line[4])["status"] for line in seen] == [
        "creating",
        "creating",
        "creating",
        "running",
        "stopped",
    ]
    hosts = os.readlink("/proc/self/ns/mnt")
    assert [line[3] == hosts for line in seen] == [True, True, False, True, True]
    started = (bundle.rootfs / "tmp/log").read_text().split(" ", 4)
    assert (started[1], json.loads(started[4])["id"]) == ("start", bundle.id)


@pytest.mark.parametrize("kind", ["prestart", "createRuntime", "createContainer", "startContainer", "poststart"])
def test_a_failing_hook_undoes_the_container(runtime: Runtime, bundle: Bundle, kind: str) -> None:
    bundle.spec["hooks"] = {kind: [{"path": "/bin/false"}]}
    done = runtime.result("/bin/sleep", "1000")
    assert done.returncode == 1
    assert f"/hooks/{kind}/0" in done.stderr
    assert not (runtime.root / bundle.id).exists()


def test_a_slow_hook_is_killed(runtime: Runtime, bundle: Bundle) -> None:
    bundle.spec["hooks"] = {"createRuntime": [{"path": "/bin/sleep", "args": ["sleep", "100"], "timeout": 1}]}
    assert "longer than 1 s" in runtime.result("/bin/true").stderr


def test_a_failing_poststop_hook_is_only_told(runtime: Runtime, bundle: Bundle) -> None:
    bundle.spec["hooks"] = {"poststop": [{"path": "/bin/false"}]}
    done = runtime.result("/bin/true")
    assert (done.returncode, "poststop" in done.stderr) == (0, True)
