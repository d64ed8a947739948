"""Whatever valid configuration is compiled, the plan breaks no rule, encodes, and reads back."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from corten.kernel.capabilities import Held
from corten.kernel.cgroups import Layout
from corten.kernel.probe import Host
from corten.plan import check, decode, encode
from corten.plan.flags import CAPABILITIES
from corten.runtime.compiler import Options, compile

UNLIMITED = (1 << 64) - 1
UNIFIED = "30 20 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw"
VERSION_1 = """\
31 20 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
32 20 0:28 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
33 20 0:29 / /sys/fs/cgroup/devices rw - cgroup cgroup rw,devices"""
LAYOUTS = [
    Layout.parse("0::/\n", UNIFIED),
    Layout.parse("4:memory:/\n3:cpu,cpuacct:/\n2:devices:/\n", VERSION_1),
    Layout.parse("4:memory:/\n0::/\n", f"{VERSION_1}\n36 20 0:40 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw"),
]

names = st.text("abcxyz._-", min_size=1, max_size=8).filter(lambda name: name not in (".", ".."))
destinations = st.lists(names, min_size=1, max_size=3).map(lambda parts: "/" + "/".join(parts))
plain_options = st.lists(st.sampled_from(["ro", "rw", "nosuid", "nodev", "noexec", "relatime", "noatime"]), max_size=3)
own_mounts = st.one_of(
    st.builds(lambda at, more: mount("tmpfs", at, [*more, "size=1m"]), destinations, plain_options),
    st.builds(lambda at, more: mount("tmpfs", at, [*more, "tmpcopyup"]), destinations, plain_options),
    st.builds(lambda at, more: mount("bind", at, [*more, "rbind"], "/srv/data"), destinations, plain_options),
)
system_mounts = st.lists(
    st.sampled_from(
        [
            ("proc", "/proc"),
            ("tmpfs", "/dev"),
            ("devpts", "/dev/pts"),
            ("mqueue", "/dev/mqueue"),
            ("sysfs", "/sys"),
            ("cgroup", "/sys/fs/cgroup"),
        ]
    ),
    unique=True,
).map(lambda chosen: [mount(kind, at, ["nosuid"], kind) for kind, at in chosen])
paths = st.sampled_from(["/proc/kcore", "/proc/keys", "/sys/firmware", "/dev/x", "/etc/secret", "/proc/acpi"])
hooks = st.dictionaries(
    st.sampled_from(["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"]),
    st.lists(st.just({"path": "/bin/hook", "timeout": 3}), min_size=1, max_size=2),
    max_size=3,
)
own_mount_namespace = st.sampled_from([True, True, True, False])
capabilities = st.lists(st.sampled_from(CAPABILITIES), unique=True, max_size=6)
NAMESPACES = ["pid", "network", "ipc", "uts", "cgroup", "user", "time"]
ALLOW = {"defaultAction": "SCMP_ACT_ALLOW"}


def mount(kind: str, at: str, options: list[str], source: str = "tmpfs") -> dict[str, Any]:
    return {"destination": at, "type": kind, "source": source, "options": options}


@st.composite
def configurations(draw: st.DrawFn) -> dict[str, Any]:
    kinds = draw(st.lists(st.sampled_from(NAMESPACES), unique=True))
    sets = draw(capabilities)
    ids = [{"containerID": 0, "hostID": 100000, "size": 65536}]
    system = draw(system_mounts)
    return {
        "ociVersion": "1.3.0",
        "root": {"path": "rootfs", "readonly": draw(st.booleans())},
        **({"hostname": "web"} if "uts" in kinds else {}),
        "process": {
            "terminal": draw(st.booleans()) and any(one["destination"] == "/dev/pts" for one in system),
            "user": {"uid": draw(st.integers(0, 60000)), "gid": draw(st.integers(0, 60000))},
            "args": draw(st.lists(names, min_size=1, max_size=3)),
            "env": ["PATH=/bin:/usr/bin"],
            "cwd": draw(destinations),
            "capabilities": dict.fromkeys(("bounding", "effective", "permitted"), sets),
            "noNewPrivileges": draw(st.booleans()),
            "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 10, "hard": 20}] if draw(st.booleans()) else [],
        },
        "mounts": [*system, *draw(st.lists(own_mounts, max_size=4))],
        "hooks": draw(hooks),
        "linux": {
            "namespaces": [{"type": kind} for kind in (*(("mount",) if draw(own_mount_namespace) else ()), *kinds)],
            **({"uidMappings": ids, "gidMappings": ids} if "user" in kinds else {}),
            "cgroupsPath": draw(st.sampled_from(["/corten/web", "web", ""])),
            "maskedPaths": draw(st.lists(paths, unique=True)),
            "readonlyPaths": draw(st.lists(paths, unique=True)),
            **({"seccomp": ALLOW} if draw(st.booleans()) else {}),
        },
    }


def machine(layout: Layout) -> Host:
    everything = (1 << 41) - 1
    return Host(
        machine="x86_64",
        release=(6, 18),
        euid=0,
        egid=0,
        held=Held(everything, everything, everything),
        layout=layout,
        limits=((UNLIMITED, UNLIMITED),) * 16,
        oom_score_adj=0,
        in_user_namespace=False,
        apparmor=False,
        apparmor_file="attr/exec",
        selinux=False,
        resctrl="",
        files={},
    )


@settings(max_examples=150, deadline=None)
@given(configurations(), st.sampled_from(LAYOUTS), st.booleans())
def test_every_compiled_plan_obeys_the_rules(config: Any, layout: Layout, systemd: bool) -> None:
    if systemd:
        config["linux"]["cgroupsPath"] = "a.slice:x:web"
    options = Options(console=config["process"]["terminal"], systemd=systemd)
    plan = compile(config, machine(layout), bundle="/bundle", id="web", options=options)
    assert [str(violation) for violation in check(plan)] == []
    raw = encode(plan)
    assert encode(decode(raw)) == raw
