"""Flags of `docker run`, seen from inside the container that they are for."""

import re

from tests.root.engines import IMAGE, Engine, eventually

LOOK = """
echo user=$(id -un) groups=$(id -G) name=$(hostname) word=$WORD place=$PWD init=$(cat /proc/1/comm)
grep -E '^(CapBnd|CapEff|NoNewPrivs):' /proc/self/status
touch /forbidden 2>&1; touch /scratch/allowed && echo scratch
grep ' /scratch ' /proc/mounts
echo memory $(cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null)
echo pids $(cat /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/pids.max 2>/dev/null)
cd /sys/fs/cgroup; echo cpu $(cat cpu/cpu.cfs_quota_us cpu/cpu.cfs_period_us cpu.max 2>/dev/null)
cat /etc/hosts /etc/resolv.conf
"""


def test_one_container_with_many_flags_has_them_all(engine: Engine) -> None:
    shown = engine.out(
        "run", "--rm", "-e", "WORD=from outside", "-m", "64m", "--cpus", "0.5", "--pids-limit", "50",
        "--user", "postgres", "--group-add", "77", "--read-only", "--tmpfs", "/scratch:size=1m,mode=1777", "--init",
        "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--hostname", "host1", "--workdir", "/tmp",
        "--dns", "10.1.2.3", "--dns-search", "example.test", "--add-host", "other:1.2.3.4", IMAGE, "sh", "-c", LOOK,
    )  # fmt: skip
    assert "user=postgres" in shown
    assert re.search(r"groups=\d+ .*\b77\b", shown)
    assert "name=host1 word=from outside place=/tmp" in shown
    assert "init=sh" not in shown
    assert re.search(r"CapEff:\t0{16}\nCapBnd:\t0{16}\nNoNewPrivs:\t1\n", shown)
    assert "/forbidden: Read-only file system" in shown
    assert "\nscratch\n" in shown
    assert re.search(r"tmpfs /scratch tmpfs \S*size=1024k", shown)
    assert f"memory {64 << 20}" in shown
    assert "pids 50" in shown
    assert "cpu 50000 100000" in shown
    assert re.search(r"^1\.2\.3\.4\s+other$", shown, re.MULTILINE)
    assert "nameserver 10.1.2.3" in shown
    assert "search example.test" in shown


def test_security_opt_seccomp_and_cap_add_open_what_is_closed(engine: Engine) -> None:
    unshare = ("unshare", "-m", "true")
    assert engine.docker("run", "--rm", IMAGE, *unshare, check=False).returncode != 0
    engine.docker("run", "--rm", "--cap-add", "SYS_ADMIN", IMAGE, *unshare)


def test_restart_brings_a_killed_process_back_and_stop_ends_it(engine: Engine) -> None:
    name = engine.running("--restart", "always")

    def told(what: str) -> str:
        return engine.out("inspect", "--format", what, name)

    engine.docker("exec", name, "kill", "-9", "-1", check=False)  # spares pid 1, which a container cannot kill
    first = told("{{.State.Pid}}")
    engine.docker("exec", name, "sh", "-c", "echo started >> /root/times")
    engine.docker("restart", "-t", "0", name)
    assert told("{{.State.Pid}}") != first
    assert engine.out("exec", name, "cat", "/root/times") == "started"
    engine.docker("stop", "-t", "0", name)
    eventually(lambda: told("{{.State.Status}}") == "exited")
