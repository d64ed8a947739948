"""Each flag of `corten create` and `run` that shapes a container, seen from inside it (or beside it, while it runs).

Many flags share a container: a `Group` is one command line, and each of its rows one flag with what to look at. Rows of
tests/claims.toml point here by the flag's name. `update` and `exec` are below.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.root.engines import IMAGE, OTHER_HOST, Engine, eventually, unified_cgroups

UNIFIED = unified_cgroups()
OURS = str(Path(sys.executable).with_name("corten"))
FILES = Path("/dev/shm") / f"corten-flags-{os.getpid()}"
END = "== end"

if OTHER_HOST:
    pytest.skip("needs our engine: our own command line is tested", allow_module_level=True)


class Row(NamedTuple):
    """A flag with its words; `look` is run inside and must print `seen`, or is a path of `inspect` that has it."""

    words: tuple[str, ...]
    look: str
    seen: str
    outside: bool = False


def inside(look: str, seen: str, *words: str) -> Row:
    return Row(words, look, seen)


def shown(path: str, seen: str, *words: str) -> Row:
    return Row(words, path, seen, outside=True)


def limit(v1: str, v2: str, seen_v1: str, seen_v2: str, *words: str) -> Row:
    return inside(f"cat /sys/fs/cgroup/{v2 if UNIFIED else v1}", seen_v2 if UNIFIED else seen_v1, *words)


def throttle(flag: str, v1: str, v2: str, rate: int) -> Row:
    device = next((path for path in sorted(Path("/dev").iterdir()) if path.is_block_device()), Path("/dev/null"))
    numbers = f"{os.major(device.stat().st_rdev)}:{os.minor(device.stat().st_rdev)}"
    files = f"blkio/blkio.throttle.{v1}_device", "io.max"
    return limit(*files, f"{numbers} {rate}", f".*{v2}={rate}.*", flag, f"{device}:{rate}")


def capability(number: int, value: int, *words: str) -> Row:
    return inside(f"echo $((0x$(grep CapBnd /proc/self/status | cut -f2) >> {number} & 1))", str(value), *words)


def machines(kind: str, flag: str) -> Row:
    """The machine's own namespace, which the engine shares with us."""
    return inside(f"readlink /proc/self/ns/{kind}", re.escape(os.readlink(f"/proc/self/ns/{kind}")), flag, "host")


ORDINARY = {
    "add-host": inside("grep other /etc/hosts", r"1\.2\.3\.4\s+other", "--add-host", "other:1.2.3.4"),
    "annotation": shown("HostConfig.Annotations.a", "b", "--annotation", "a=b"),
    "cap-add": capability(23, 1, "--cap-add", "SYS_NICE"),
    "cap-drop": capability(13, 0, "--cap-drop", "NET_RAW"),
    "cidfile": inside("cat /files/cid | cut -c1-12", "$ID", "--cidfile", f"{FILES}/$NAME/cid"),
    "cpu-period": limit("cpu/cpu.cfs_period_us", "cpu.max", "50000", "25000 50000", "--cpu-period", "50000"),
    "cpu-quota": limit("cpu/cpu.cfs_quota_us", "cpu.max", "25000", "25000 50000", "--cpu-quota", "25000"),
    "cpu-shares": limit("cpu/cpu.shares", "cpu.weight", "512", r"\d+", "--cpu-shares", "512"),
    "cpuset-cpus": limit("cpuset/cpuset.cpus", "cpuset.cpus", "0", "0", "--cpuset-cpus", "0"),
    "cpuset-mems": limit("cpuset/cpuset.mems", "cpuset.mems", "0", "0", "--cpuset-mems", "0"),
    "device": inside("head -c 3 /dev/other | wc -c", "3", "--device", "/dev/zero:/dev/other"),
    "device-cgroup-rule": inside(  # a device nobody has: allowed is "no such device", not "not permitted"
        "mknod /tmp/x c 240 0 && head -c 1 /tmp/x",
        ".*No such device or address",
        "--device-cgroup-rule",
        "c 240:0 rwm",
    ),
    "device-read-bps": throttle("--device-read-bps", "read_bps", "rbps", 5 << 20),
    "device-read-iops": throttle("--device-read-iops", "read_iops", "riops", 100),
    "device-write-bps": throttle("--device-write-bps", "write_bps", "wbps", 5 << 20),
    "device-write-iops": throttle("--device-write-iops", "write_iops", "wiops", 100),
    "dns": inside("grep nameserver /etc/resolv.conf", "nameserver 10.9.8.7", "--dns", "10.9.8.7"),
    "dns-opt": inside("grep options /etc/resolv.conf", ".*timeout:3.*", "--dns-opt", "timeout:3"),
    "dns-option": inside("grep options /etc/resolv.conf", ".*ndots:2.*", "--dns-option", "ndots:2"),
    "dns-search": inside("grep search /etc/resolv.conf", "search example.org", "--dns-search", "example.org"),
    "domainname": inside("cat /proc/sys/kernel/domainname", "example.net", "--domainname", "example.net"),
    "env": inside("echo $WORD", "by flag", "--env", "WORD=by flag"),
    "env-file": inside("echo $FROM", "a file", "--env-file", f"{FILES}/env"),
    "group-add": inside("id -G", r"0 .*\b4242\b.*", "--group-add", "4242"),
    "hostname": inside("hostname", "h1", "--hostname", "h1"),
    "init": inside("tr '\\0' ' ' < /proc/1/cmdline; echo", "(?s).*init.*", "--init"),
    "label": shown("Config.Labels.tier", "web", "--label", "tier=web"),
    "label-file": shown("Config.Labels.from", "file", "--label-file", f"{FILES}/labels"),
    "link": inside("grep -o store /etc/hosts", "store", "--link", "target:store"),
    "mac-address": inside("cat /sys/class/net/eth0/address", "02:42:0a:0b:0c:0d", "--mac-address", "02:42:0a:0b:0c:0d"),
    "memory": limit("memory/memory.limit_in_bytes", "memory.max", "67108864", "67108864", "--memory", "64m"),
    "memory-reservation": limit(
        "memory/memory.soft_limit_in_bytes", "memory.low", "33554432", "33554432", "--memory-reservation", "32m"
    ),
    "memory-swap": limit(
        "memory/memory.memsw.limit_in_bytes", "memory.swap.max", "100663296", "33554432", "--memory-swap", "96m"
    ),
    "mount": inside("grep -c ' /m tmpfs ' /proc/mounts", "1", "--mount", "type=tmpfs,target=/m"),
    "name": shown("Name", "/$NAME", "--name", "$NAME"),
    "oom-score-adj": inside("cat /proc/self/oom_score_adj", "500", "--oom-score-adj", "500"),
    "pids-limit": limit("pids/pids.max", "pids.max", "66", "66", "--pids-limit", "66"),
    "publish": shown("NetworkSettings.Ports.80/tcp.0.HostIp", "127.0.0.1", "--publish", "127.0.0.1::80"),
    "security-opt": inside(
        "grep NoNewPrivs /proc/self/status", r"NoNewPrivs:\s*1", "--security-opt", "no-new-privileges"
    ),
    "shm-size": inside("grep ' /dev/shm ' /proc/mounts", ".*size=2048k.*", "--shm-size", "2m"),
    "sysctl": inside("cat /proc/sys/net/ipv4/ip_default_ttl", "33", "--sysctl", "net.ipv4.ip_default_ttl=33"),
    "tmpfs": inside("grep ' /scratch ' /proc/mounts", ".*tmpfs.*size=1024k.*", "--tmpfs", "/scratch:size=1m"),
    "ulimit": inside("ulimit -Sn; ulimit -Hn", "100\n200", "--ulimit", "nofile=100:200"),
    "volume": inside("ls /files/marker", "/files/marker", "--volume", f"{FILES}/$NAME:/files"),
    "volumes-from": inside("cat /lent/file", "lent", "--volumes-from", "target"),
    "workdir": inside("pwd", "/made/here", "--workdir", "/made/here"),
    **(
        {}
        if UNIFIED  # neither exists in cgroup v2
        else {
            "memory-swappiness": limit("memory/memory.swappiness", "", "10", "", "--memory-swappiness", "10"),
            "oom-kill-disable": limit(
                "memory/memory.oom_control", "", "(?s)oom_kill_disable 1.*", "", "--oom-kill-disable"
            ),
        }
    ),
}
OTHER = {
    "cgroup-parent": inside("cat /proc/1/cgroup", "(?s).*/corten-flags/.*", "--cgroup-parent", "/corten-flags"),
    "cpus": limit("cpu/cpu.cfs_quota_us", "cpu.max", "50000", "50000 100000", "--cpus", "0.5"),
    "expose": shown("NetworkSettings.Ports.81/tcp.0.HostPort", r"\d+", "--expose", "81"),
    "ip": inside("ip addr show eth0", r"(?s).*inet 10\.88\.5\.9/24.*", "--ip", "10.88.5.9"),
    "ip6": inside("ip addr show eth0", "(?s).*inet6 fd00:88::9/64.*", "--ip6", "fd00:88::9"),
    "link-local-ip": inside("ip addr show eth0", r"(?s).*inet 169\.254\.8\.8.*", "--link-local-ip", "169.254.8.8"),
    "network": shown("NetworkSettings.Networks.$NAME-net.Gateway", r"10\.88\.5\.1", "--network", "$NAME-net"),
    "network-alias": inside("nslookup alias-one 127.0.0.11", r"(?s).*10\.88\.5\.9.*", "--network-alias", "alias-one"),
    "net-alias": inside("nslookup alias-two 127.0.0.11", r"(?s).*10\.88\.5\.9.*", "--net-alias", "alias-two"),
    "publish-all": shown("NetworkSettings.Ports.81/tcp.0.HostPort", r"\d+", "--publish-all"),
    "read-only": inside("touch /x", ".*Read-only file system", "--read-only"),
    "user": inside("id -un", "postgres", "--user", "postgres"),
    "volume-driver": inside("grep -c ' /v ' /proc/mounts", "1", "--volume-driver", "local", "-v", "$NAME-vol:/v"),
}
SHARED = {
    "cgroupns": machines("cgroup", "--cgroupns"),
    "ipc": machines("ipc", "--ipc"),
    "pid": machines("pid", "--pid"),
    "privileged": inside("grep -c ' /sys sysfs rw' /proc/mounts", "1", "--privileged"),
    "userns": inside("cat /proc/self/uid_map", r"0\s+0\s+\d+", "--userns", "host"),
    "uts": machines("uts", "--uts"),
    "net": inside("ls /sys/class/net", "lo", "--net", "none"),
}
GROUPS = {"ordinary": ORDINARY, "other": OTHER, "shared": SHARED}
FLAGS = [(verb, group, flag) for verb in ("run", "create") for group, rows in GROUPS.items() for flag in rows]


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    engine = Engine.temporary()
    engine.client = OURS
    FILES.mkdir()
    (FILES / "env").write_text("FROM=a file\n")
    (FILES / "labels").write_text("from=file\n")
    try:
        engine.start()
        engine.load()
        target = engine.running("--name", "target", "-v", "/lent")
        engine.docker("exec", target, "sh", "-c", "echo lent > /lent/file")
        yield engine
    finally:
        engine.end()
        subprocess.run(["rm", "-rf", str(FILES)], check=True)
        for parent in Path("/sys/fs/cgroup").glob("*/corten-flags"):
            parent.rmdir()


class Outcome(NamedTuple):
    """What a container of many flags showed: each row's output inside, and the whole of `inspect`."""

    id: str
    sections: dict[str, str]
    inspected: Any


OUTCOMES: dict[tuple[str, str], Outcome] = {}


def outcome(engine: Engine, verb: str, group: str) -> Outcome:
    """Made once, by `run -d` or by `create` and `start`."""
    if (verb, group) not in OUTCOMES:
        OUTCOMES[verb, group] = observed(engine, verb, f"{verb}-{group}", GROUPS[group])
    return OUTCOMES[verb, group]


def observed(engine: Engine, verb: str, name: str, rows: dict[str, Row]) -> Outcome:
    (FILES / name).mkdir()
    (FILES / name / "marker").touch()
    if "ip" in rows:
        subnets = ("--subnet", "10.88.5.0/24", "--ipv6", "--subnet", "fd00:88::/64")
        engine.docker("network", "create", *subnets, f"{name}-net")
    words = [word.replace("$NAME", name) for row in rows.values() for word in row.words]
    looks = [f"echo '== {flag}'\n( {row.look} ) 2>&1" for flag, row in rows.items() if not row.outside]
    script = "\n".join((*looks, f"echo '{END}'", "exec sleep 1000"))
    command = (*words, IMAGE, "sh", "-c", script)
    id = engine.out(*(("run", "-d") if verb == "run" else ("create",)), *command)
    if verb == "create":
        engine.docker("start", id)
    eventually(lambda: re.search(f"^{END}$", engine.out("logs", id), re.MULTILINE), 20)
    pieces = re.split(r"^== (.*)\n?", engine.out("logs", id), flags=re.MULTILINE)[1:]
    inspected = json.loads(engine.out("inspect", id))[0]
    engine.docker("rm", "-f", id)
    if "ip" in rows:
        engine.docker("network", "rm", f"{name}-net")
    return Outcome(id, {flag: text.strip() for flag, text in zip(pieces[::2], pieces[1::2], strict=True)}, inspected)


def found(document: Any, path: str) -> str:
    for step in path.split("."):
        document = document[int(step) if isinstance(document, list) else step]
    return str(document)


@pytest.mark.parametrize(("verb", "group", "flag"), FLAGS, ids=[f"{verb}-{flag}" for verb, _, flag in FLAGS])
def test_a_flag_has_its_effect(engine: Engine, verb: str, group: str, flag: str) -> None:
    row, seen = GROUPS[group][flag], outcome(engine, verb, group)
    name = f"{verb}-{group}"
    text = found(seen.inspected, row.look.replace("$NAME", name)) if row.outside else seen.sections[flag]
    wanted = row.seen.replace("$NAME", name).replace("$ID", seen.id[:12])
    assert re.fullmatch(wanted, text), text


def test_streams_of_run_are_those_that_are_named(engine: Engine) -> None:
    done = engine.docker("run", "--rm", "-a", "stdout", IMAGE, "sh", "-c", "echo out; echo err >&2")
    assert (done.stdout, done.stderr) == ("out\n", "")
    assert engine.out("run", "--rm", "-i", IMAGE, "cat", stdin="typed") == "typed"
    assert engine.out("run", "--rm", "-t", IMAGE, "sh", "-c", "test -t 1 && echo terminal") == "terminal"
    assert engine.out("run", "--rm", "--entrypoint", "echo", IMAGE, "words") == "words"


def test_logs_go_where_the_driver_says_and_are_cut_as_its_options_say(engine: Engine) -> None:
    silent = engine.running("--log-driver", "none", command=("echo", "lost"))
    assert "does not support reading" in engine.docker("logs", silent, check=False).stderr
    noise = ("sh", "-c", "yes 0123456789abcde | head -n 20000")
    cut = engine.running("--log-opt", "max-size=100k", "--log-opt", "max-file=1", command=noise)
    engine.docker("wait", cut)
    assert 0 < len(engine.out("logs", cut)) < 110_000


def test_health_flags_rule_the_checks(engine: Engine) -> None:
    quick = ("--health-interval", "200ms", "--health-timeout", "2s", "--health-retries", "2")
    start = ("--health-start-period", "10s", "--health-start-interval", "100ms")
    ill = engine.running("--health-cmd", "echo no; exit 1", *quick)
    well = engine.running("--health-cmd", "true", "--health-interval", "60s", *start)

    def health(name: str) -> Any:
        return json.loads(engine.out("inspect", name))[0]["State"].get("Health")

    eventually(lambda: health(well)["Status"] == "healthy", 8)
    eventually(lambda: health(ill)["Status"] == "unhealthy")
    assert health(ill)["FailingStreak"] >= 2
    assert health(engine.running("--no-healthcheck")) is None


def test_stop_flags_rule_the_stop_and_restart_the_end(engine: Engine) -> None:
    trap = ("sh", "-c", "trap 'exit 5' USR2; trap '' TERM; echo up; while :; do sleep 0.05; done")
    asked, deaf = (
        engine.running("--stop-signal", "USR2", command=trap),
        engine.running("--stop-timeout", "1", command=trap),
    )
    for name, code in ((asked, "5"), (deaf, "137")):
        eventually(lambda name=name: "up" in engine.out("logs", name))  # type: ignore[misc]
        engine.docker("stop", name)
        assert engine.out("wait", name) == code
    again = engine.running("--restart", "on-failure:1", command=("sh", "-c", "exit 1"))
    eventually(lambda: engine.out("inspect", "--format", "{{.RestartCount}} {{.State.Status}}", again) == "1 exited")
    gone = engine.running("--rm", command=("true",))
    eventually(lambda: engine.docker("inspect", gone, check=False).returncode == 1)


UPDATES = {
    "cpu-period": ("50000", "cpu/cpu.cfs_period_us", "cpu.max", "50000", "25000 50000"),
    "cpu-quota": ("25000", "cpu/cpu.cfs_quota_us", "cpu.max", "25000", "25000 50000"),
    "cpu-shares": ("256", "cpu/cpu.shares", "cpu.weight", "256", r"\d+"),
    "cpuset-cpus": ("0", "cpuset/cpuset.cpus", "cpuset.cpus", "0", "0"),
    "cpuset-mems": ("0", "cpuset/cpuset.mems", "cpuset.mems", "0", "0"),
    "memory": ("48m", "memory/memory.limit_in_bytes", "memory.max", "50331648", "50331648"),
    "memory-reservation": ("16m", "memory/memory.soft_limit_in_bytes", "memory.low", "16777216", "16777216"),
    "memory-swap": ("96m", "memory/memory.memsw.limit_in_bytes", "memory.swap.max", "100663296", "50331648"),
    "pids-limit": ("44", "pids/pids.max", "pids.max", "44", "44"),
}


def test_update_changes_what_a_running_container_has(engine: Engine) -> None:
    name = engine.running("-m", "64m")
    engine.docker("update", *(word for flag, row in UPDATES.items() for word in (f"--{flag}", row[0])), name)
    for flag, (_, v1, v2, seen_v1, seen_v2) in UPDATES.items():
        seen = engine.out("exec", name, "cat", f"/sys/fs/cgroup/{v2 if UNIFIED else v1}")
        assert re.fullmatch(seen_v2 if UNIFIED else seen_v1, seen), flag
    other = engine.running()
    engine.docker("update", "--cpus", "0.5", "--restart", "on-failure:1", other)
    seen = engine.out("exec", other, "cat", f"/sys/fs/cgroup/{'cpu.max' if UNIFIED else 'cpu/cpu.cfs_quota_us'}")
    assert seen.split()[0] == "50000"
    engine.docker("exec", other, "touch", "/mark")
    engine.docker("kill", "--signal", "KILL", other)
    assert engine.out("inspect", "--format", "{{.HostConfig.RestartPolicy.Name}}", other) == "on-failure"


def test_exec_flags_have_their_effect(engine: Engine) -> None:
    name = engine.running()
    assert engine.out(
        "exec", "-e", "A=b", "-w", "/tmp", "-u", "postgres", name, "sh", "-c", "echo $A $PWD $(id -un)"
    ) == ("b /tmp postgres")
    assert engine.out("exec", "--env-file", str(FILES / "env"), name, "sh", "-c", "echo $FROM") == "a file"
    assert engine.out("exec", "-i", name, "cat", stdin="typed") == "typed"
    look = ("sh", "-c", "echo $((0x$(grep CapEff /proc/self/status | cut -f2) >> 21 & 1))")
    assert [engine.out("exec", name, *look), engine.out("exec", "--privileged", name, *look)] == ["0", "1"]
    engine.docker("exec", "-d", name, "touch", "/detached")
    eventually(lambda: engine.docker("exec", name, "ls", "/detached", check=False).returncode == 0)
