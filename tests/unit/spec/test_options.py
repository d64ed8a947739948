"""Options fold into the spec that dockerd would have made."""

from typing import Any, cast

import pytest

from corten.model.container import Resources, Ulimit
from corten.model.errors import InvalidArgument
from corten.spec import Option, build, capabilities, devices, options, resources, seccomp, security, tmpfs
from corten.spec.resources import HostLimits
from corten.spec.seccomp_profile import PROFILE
from corten.spec.user import Identity

HOST = HostLimits(cpus=2, cpuset="0-1", mems="0")
MIB = 1 << 20


def made(*chosen: Option) -> dict[str, Any]:
    return cast(dict[str, Any], build(*chosen))


def test_the_default_is_dockers() -> None:
    spec = made()
    assert [m["destination"] for m in spec["mounts"]][:3] == ["/proc", "/dev", "/dev/pts"]
    assert "/proc/kcore" in spec["linux"]["maskedPaths"]
    assert {n["type"] for n in spec["linux"]["namespaces"]} == {"mount", "network", "uts", "pid", "ipc"}


def test_a_mount_at_the_same_place_replaces_the_default() -> None:
    spec = made(options.bind("/host/shm", "/dev/shm", ("rbind",)))
    assert [m["source"] for m in spec["mounts"] if m["destination"] == "/dev/shm"] == ["/host/shm"]


def test_a_later_variable_replaces_an_earlier_one_and_home_comes_from_the_user() -> None:
    who = Identity(5, 6, (6, 7), "/home/app")
    spec = made(options.environment(("A=1", "B=2")), options.environment(("A=3",)), options.identity(who))
    assert spec["process"]["env"] == ["A=3", "B=2", "HOME=/home/app"]
    assert spec["process"]["user"] == {"uid": 5, "gid": 6, "additionalGids": [6, 7]}


def test_the_inheritable_set_is_empty() -> None:
    sets = made(options.capabilities(capabilities.DEFAULT))["process"]["capabilities"]
    assert sets["inheritable"] == []
    assert len(sets["bounding"]) == 14


@pytest.mark.parametrize(
    ("add", "drop", "held"),
    [
        ((), ("ALL",), set()),
        (("net_admin",), ("all",), {"CAP_NET_ADMIN"}),
        (("ALL",), ("SYS_ADMIN",), set(capabilities.ALL) - {"CAP_SYS_ADMIN"}),
        (("CAP_SYS_PTRACE",), ("MKNOD",), set(capabilities.DEFAULT) - {"CAP_MKNOD"} | {"CAP_SYS_PTRACE"}),
    ],
)
def test_capabilities_are_added_and_dropped_as_docker_does(
    add: tuple[str, ...], drop: tuple[str, ...], held: set[str]
) -> None:
    assert set(capabilities.chosen(add, drop, privileged=False)) == held


def test_an_unknown_capability_is_refused() -> None:
    with pytest.raises(InvalidArgument, match='invalid capability: "CAP_NOPE"'):
        capabilities.chosen(("NOPE",), (), privileged=False)


def names(profile: dict[str, Any]) -> set[str]:
    return {n for rule in profile["syscalls"] if rule["action"] == "SCMP_ACT_ALLOW" for n in rule["names"]}


def test_the_default_profile_lets_a_container_mount_only_with_sys_admin() -> None:
    without = seccomp.default(frozenset(capabilities.DEFAULT), "x86_64", (6, 1))
    holding = seccomp.default(frozenset(capabilities.ALL), "x86_64", (6, 1))
    assert "mount" not in names(without)
    assert "mount" in names(holding)
    assert {"arch_prctl", "modify_ldt", "ptrace"} <= names(without)
    assert without["architectures"] == ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"]


def test_clone3_answers_enosys_so_that_the_c_library_falls_back() -> None:
    rules = seccomp.default(frozenset(), "x86_64", (6, 1))["syscalls"]
    assert [r["errnoRet"] for r in rules if "clone3" in r["names"]] == [38]


def test_the_profile_never_lets_keys_or_uring_through() -> None:
    everything = {name for rule in PROFILE for name in rule.names}
    assert everything.isdisjoint({"keyctl", "add_key", "request_key", "io_uring_setup", "userfaultfd", "kexec_load"})


def test_a_users_profile_may_have_dockers_conditions() -> None:
    text = """{"defaultAction": "SCMP_ACT_ERRNO",
    "archMap": [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": null}],
    "syscalls": [{"names": ["read"], "action": "SCMP_ACT_ALLOW"},
                 {"name": "mount", "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_ADMIN"]}},
                 {"names": ["write"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "99.0"}}]}"""
    assert names(seccomp.from_document(text, (), "x86_64", (6, 1))) == {"read"}
    assert "mount" in names(seccomp.from_document(text, ("CAP_SYS_ADMIN",), "x86_64", (6, 1)))


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"defaultAction": "x", "nope": 1}', '{"defaultAction": "x", "syscalls": [1]}']
)
def test_a_broken_profile_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument):
        seccomp.from_document(text, (), "x86_64", (6, 1))


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (Resources(memory=MIB), "Minimum memory limit allowed is 6MB"),
        (Resources(memory=8 * MIB, memory_swap=7 * MIB), "Minimum memoryswap limit should be larger"),
        (Resources(memory_swap=8 * MIB), "You should always set the Memory limit"),
        (Resources(memory=8 * MIB, memory_reservation=9 * MIB), "can not be less than memory reservation"),
        (Resources(nano_cpus=3 * 10**9), "from 0.01 to 2.00, as there are only 2 CPUs available"),
        (Resources(nano_cpus=1, cpu_quota=5000), "Nano CPUs and CPU Quota cannot both be set"),
        (Resources(cpuset_cpus="0-7"), "Requested CPUs are not available - requested 0-7, available: 0-1"),
        (Resources(cpuset_cpus="a"), "Invalid value a for cpuset cpus"),
        (Resources(blkio_weight=5), "Range of blkio weight is from 10 to 1000"),
        (Resources(memory_swappiness=101), "valid memory swappiness range is 0-100"),
    ],
)
def test_impossible_limits_are_refused_in_dockers_words(limits: Resources, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        resources.check(limits, HOST)


def test_nano_cpus_become_a_quota() -> None:
    assert resources.resources(Resources(nano_cpus=500_000_000))["cpu"] == {"quota": 50_000, "period": 100_000}


def test_everything_but_the_harmless_devices_is_denied_first() -> None:
    rules = resources.resources(Resources(device_cgroup_rules=("c 42:* rmw",)))["devices"]
    assert rules[0] == {"allow": False, "access": "rwm"}
    assert rules[-1] == {"allow": True, "type": "c", "access": "rmw", "major": 42}


@pytest.mark.parametrize("text", ["", "c 1:2", "z 1:2 r", "c 1:2 x", "c 1 rwm", "c 1:2 rwmr"])
def test_a_device_rule_is_refused_when_it_is_none(text: str) -> None:
    with pytest.raises(InvalidArgument):
        devices.rule(text)


def test_security_options() -> None:
    read = security.parse(("no-new-privileges", "seccomp=unconfined", "apparmor:x", "label=disable"))
    assert read == security.Security(True, "unconfined", "x", ("disable",))
    with pytest.raises(InvalidArgument):
        security.parse(("nope=1",))


def test_tmpfs_options_win_over_the_defaults_and_others_are_refused() -> None:
    assert tmpfs.options("exec,size=1m") == ["nosuid", "nodev", "exec", "size=1m"]
    with pytest.raises(InvalidArgument, match="invalid tmpfs option"):
        tmpfs.options("bind")


def test_ulimits_are_named_and_ordered() -> None:
    spec = made(options.rlimits((Ulimit("nofile", hard=-1, soft=10),)))
    assert spec["process"]["rlimits"] == [{"type": "RLIMIT_NOFILE", "soft": 10, "hard": (1 << 64) - 1}]
    with pytest.raises(InvalidArgument, match="invalid ulimit type: nope"):
        options.rlimits((Ulimit("nope"),))


def test_privileged_loosens_everything() -> None:
    spec = made(options.privileged())
    assert spec["linux"]["maskedPaths"] == []
    assert all("ro" not in m["options"] for m in spec["mounts"] if m["type"] in ("sysfs", "cgroup"))
