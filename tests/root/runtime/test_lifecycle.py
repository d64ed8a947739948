"""The life of a command-line container, with runc's words and exit codes."""

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.root.runtime.bundle import Bundle, Runtime, wait_for


def test_run_ends_with_the_exit_code_of_the_program(runtime: Runtime) -> None:
    assert runtime.result("/bin/sh", "-c", "exit 7").returncode == 7


def test_run_ends_with_128_and_the_signal(runtime: Runtime) -> None:
    assert runtime.result("/bin/sh", "-c", "kill -TERM $$; sleep 5").returncode in (0, 128 + signal.SIGTERM)
    runtime.bundle.linux["namespaces"] = [one for one in runtime.bundle.linux["namespaces"] if one["type"] != "pid"]
    assert runtime.result("/bin/sh", "-c", "kill -KILL $$").returncode == 128 + signal.SIGKILL


def test_create_start_state_kill_delete(runtime: Runtime) -> None:
    id = runtime.create("/bin/sleep", "1000")
    state = runtime.state()
    assert (state["id"], state["status"], state["bundle"]) == (id, "created", str(runtime.bundle.path))
    assert Path(f"/proc/{state['pid']}/comm").read_text() != "sleep\n"
    runtime("start", id)
    assert runtime.state()["status"] == "running"
    assert Path(f"/proc/{state['pid']}/comm").read_text() == "sleep\n"
    runtime("kill", id, "KILL")
    wait_for(lambda: runtime.state()["status"] == "stopped")
    runtime("delete", id)
    assert "container does not exist" in runtime("state", id, check=False).stderr


def test_the_words_that_callers_search_for(runtime: Runtime) -> None:
    id = runtime.start()
    bundle = str(runtime.bundle.path)
    for verb, words in {
        ("run", "-b", bundle, id): "container with given ID already exists",
        ("create", "-b", bundle, "no/slash"): "invalid container ID format",
        ("start", id): "cannot start an already running container",
        ("delete", id): "that is not stopped",
        ("resume", id): "container not paused",
        ("state", "nobody"): "container does not exist",
    }.items():
        done = runtime(*verb, check=False)
        assert (done.returncode, words in done.stderr) == (1, True), (verb, done.stderr)
    runtime("kill", id, "9")
    wait_for(lambda: runtime.state()["status"] == "stopped")
    assert "container not running" in runtime("kill", id, check=False).stderr
    assert runtime("delete", "--force", "nobody").returncode == 0


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("nowhere", 'exec: "nowhere": executable file not found in $PATH'),
        ("/bin/nowhere", "no such file or directory"),
        ("/etc/passwd", "permission denied"),
        ("/etc", "is a directory"),
    ],
)
def test_a_program_that_cannot_run_fails_create_and_leaves_nothing(runtime: Runtime, program: str, words: str) -> None:
    done = runtime.result(program)
    assert done.returncode == 1
    assert words in done.stderr.replace('\\"', '"')
    assert not (runtime.root / runtime.bundle.id).exists()


def test_the_log_file_says_it_in_json_too(runtime: Runtime) -> None:
    runtime("--log", str(runtime.log), "--log-format", "json", "state", "nobody", check=False)
    entry = json.loads(runtime.log.read_text())
    assert entry["level"] == "error"
    assert "container does not exist" in entry["msg"]


def test_exec_joins_everything_and_returns_its_code(runtime: Runtime) -> None:
    runtime.start()
    done = runtime.exec("/bin/sh", "-c", "hostname; cat /proc/1/comm; cat /proc/self/cgroup; exit 3", check=False)
    assert done.returncode == 3
    lines = done.stdout.splitlines()
    assert lines[:2] == ["corten", "sleep"]
    # With a cgroup namespace of its own the container sees its cgroups as the root.
    assert {line.rsplit(":", 1)[1] for line in lines[2:]} == {"/"}


def test_exec_flags_change_the_process(runtime: Runtime) -> None:
    runtime.start()
    flags = ("--cwd", "/tmp", "--env", "A=1", "-e", "B=2", "--user", "1000:7", "-g", "50", "--cap", "CAP_CHOWN")
    done = runtime.exec("/bin/sh", "-c", "pwd; echo $A$B; id -u; id -G; grep CapBnd /proc/self/status", flags=flags)
    pwd, env, uid, groups, bounding = done.stdout.splitlines()
    assert (pwd, env, uid, groups) == ("/tmp", "12", "1000", "7 50")
    assert int(bounding.split()[1], 16) & 1


def test_exec_reads_a_process_file_and_detaches(runtime: Runtime, scratch: Path) -> None:
    id = runtime.start()
    process = {"cwd": "/", "args": ["/bin/sleep", "1000"], "user": {"uid": 0, "gid": 0}, "env": ["PATH=/bin"]}
    (scratch / "process.json").write_text(json.dumps(process))
    pid_file = scratch / "pid"
    argv = [runtime.command, "--root", str(runtime.root), "exec", "-d", "-p", str(scratch / "process.json")]
    argv += ["--pid-file", str(pid_file), id]
    assert subprocess.run(argv, stdin=subprocess.DEVNULL, check=False, timeout=30).returncode == 0
    assert Path(f"/proc/{pid_file.read_text()}/comm").read_text() == "sleep\n"
    assert pid_file.read_text() in runtime("ps", "-f", "json", id).stdout


def test_exec_into_a_stopped_or_paused_container_is_refused(runtime: Runtime) -> None:
    id = runtime.start()
    runtime("pause", id)
    assert runtime.state()["status"] == "paused"
    refused = runtime.exec("/bin/true", check=False)
    assert (refused.returncode, "paused" in refused.stderr) == (255, True)
    runtime("resume", id)
    assert runtime.exec("/bin/true").returncode == 0
    runtime("kill", id, "KILL")
    wait_for(lambda: runtime.state()["status"] == "stopped")
    assert "stopped container" in runtime.exec("/bin/true", check=False).stderr


def test_a_frozen_container_does_not_move(runtime: Runtime) -> None:
    id = runtime.start("/bin/sh", "-c", "while :; do echo x >> /tmp/n; done")
    runtime("pause", id)
    size = (runtime.bundle.rootfs / "tmp/n").stat().st_size if (runtime.bundle.rootfs / "tmp/n").exists() else 0
    before = runtime("events", "--stats", id).stdout
    after = runtime("events", "--stats", id).stdout
    totals = [json.loads(text)["data"]["cpu"]["usage"]["total"] for text in (before, after)]
    assert totals[0] == totals[1]
    assert size >= 0
    runtime("delete", "-f", id)


def test_update_changes_limits_while_it_runs(runtime: Runtime) -> None:
    id = runtime.start()
    runtime("update", "--memory", "64m", "--pids-limit", "20", "--cpu-share", "512", id)
    assert (runtime.cgroup("pids") / "pids.max").read_text() == "20\n"
    assert (runtime.cgroup("memory") / "memory.limit_in_bytes").read_text() == f"{64 << 20}\n"
    assert (runtime.cgroup("cpu") / "cpu.shares").read_text() == "512\n"
    runtime("update", "-r", "-", id, input='{"memory": {"limit": 134217728, "swap": 134217728}}')
    assert (runtime.cgroup("memory") / "memory.memsw.limit_in_bytes").read_text() == f"{128 << 20}\n"
    assert json.loads(runtime("events", "--stats", id).stdout)["data"]["memory"]["usage"]["limit"] == 128 << 20


def test_an_update_below_the_usage_is_refused_when_asked_to_check(runtime: Runtime) -> None:
    id = runtime.start()
    limit = {"limit": 4096, "checkBeforeUpdate": True}
    refused = runtime("update", "-r", "-", id, input=json.dumps({"memory": limit}), check=False)
    assert (refused.returncode, "rejecting memory limit" in refused.stderr) == (1, True)
    assert runtime.state()["status"] == "running"


def test_list_and_ps_in_both_forms(runtime: Runtime) -> None:
    id = runtime.start()
    pid = runtime.state()["pid"]
    assert runtime("list", "-q").stdout.split() == [id]
    [entry] = json.loads(runtime("list", "-f", "json").stdout)
    assert (entry["id"], entry["pid"], entry["status"]) == (id, pid, "running")
    assert json.loads(runtime("ps", "-f", "json", id).stdout) == [pid]
    header, row = runtime("ps", id).stdout.splitlines()
    assert header.split()[1] == "PID"
    assert (row.split()[1], row.split()[-2:]) == (str(pid), ["/bin/sleep", "1000"])


def test_kill_all_reaches_every_process(runtime: Runtime) -> None:
    id = runtime.start("/bin/sh", "-c", "sleep 1000 & sleep 1000 & wait")
    wait_for(lambda: len(json.loads(runtime("ps", "-f", "json", id).stdout)) == 3)
    runtime("kill", "--all", id, "KILL")
    wait_for(lambda: runtime.state()["status"] == "stopped")
    assert json.loads(runtime("ps", "-f", "json", id).stdout) == []


def test_killing_a_container_without_a_pid_namespace_kills_all_of_it(runtime: Runtime) -> None:
    runtime.bundle.linux["namespaces"] = [one for one in runtime.bundle.linux["namespaces"] if one["type"] != "pid"]
    id = runtime.start("/bin/sh", "-c", "sleep 1000 & sleep 1000 & wait")
    wait_for(lambda: len(json.loads(runtime("ps", "-f", "json", id).stdout)) == 3)
    runtime("kill", id, "KILL")
    wait_for(lambda: json.loads(runtime("ps", "-f", "json", id).stdout) == [])


def test_run_forwards_signals_to_the_program(runtime: Runtime) -> None:
    script = "trap 'exit 42' USR1; echo ready; while :; do sleep 0.05; done"
    runtime.bundle.process["args"] = ["/bin/sh", "-c", script]
    runtime.bundle.write()
    argv = [runtime.command, "--root", str(runtime.root), "run", "-b", str(runtime.bundle.path), runtime.bundle.id]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGUSR1)
        assert process.wait(20) == 42


def test_pid_file_and_keep(runtime: Runtime, scratch: Path) -> None:
    runtime.run("/bin/true", flags=("--pid-file", str(scratch / "pid"), "--keep"))
    assert int((scratch / "pid").read_text()) > 1
    assert runtime.state()["status"] == "stopped"
    runtime("delete", runtime.bundle.id)


def test_preserved_descriptors_arrive_and_no_other(runtime: Runtime, scratch: Path) -> None:
    (scratch / "kept").write_text("kept\n")
    (scratch / "lost").write_text("lost\n")
    runtime.bundle.process["args"] = ["/bin/sh", "-c", "cat <&3; ls /proc/self/fd"]
    runtime.bundle.write()
    line = f"exec 3<{scratch}/kept 4<{scratch}/lost; exec {runtime.command} --root {runtime.root} run --preserve-fds 1"
    line += f" -b {runtime.bundle.path} {runtime.bundle.id}"
    shown = subprocess.run(["bash", "-c", line], stdout=subprocess.PIPE, text=True, check=True, timeout=30).stdout
    # 0, 1, 2, the kept one, and ls's own.
    assert shown.split() == ["kept", "0", "1", "2", "3", "4"]


def test_descriptors_asked_for_that_are_not_there_are_left_out(runtime: Runtime, scratch: Path) -> None:
    (scratch / "kept").write_text("kept\n")
    runtime.bundle.process["args"] = ["/bin/sh", "-c", "cat <&7; ls /proc/self/fd"]
    runtime.bundle.write()
    line = f"exec 7<{scratch}/kept; exec {runtime.command} --root {runtime.root} run --preserve-fds 50"
    line += f" -b {runtime.bundle.path} {runtime.bundle.id}"
    shown = subprocess.run(["bash", "-c", line], stdout=subprocess.PIPE, text=True, check=True, timeout=30).stdout
    assert shown.split() == ["kept", "0", "1", "2", "3", "7"]


def test_delete_takes_a_regular_expression(runtime: Runtime) -> None:
    runtime.start()
    runtime("delete", "--force", "--regex", f"{runtime.bundle.id[:-1]}.$")
    assert runtime("list", "-q").stdout == ""


def test_a_hook_without_environment_has_the_callers(runtime: Runtime, scratch: Path) -> None:
    script = f'echo "$PATH" > {scratch}/path'
    runtime.bundle.spec["hooks"] = {"createRuntime": [{"path": "/bin/sh", "args": ["sh", "-c", script]}]}
    runtime.run("/bin/true")
    assert (scratch / "path").read_text().strip() == os.environ["PATH"]


def test_sockets_of_activation_reach_the_program(runtime: Runtime, scratch: Path) -> None:
    (scratch / "kept").write_text("kept\n")
    runtime.bundle.process["args"] = ["/bin/sh", "-c", "cat <&3; echo $LISTEN_FDS $LISTEN_PID"]
    runtime.bundle.write()
    line = f"exec 3<{scratch}/kept; LISTEN_FDS=1 exec {runtime.command} --root {runtime.root} run"
    line += f" -b {runtime.bundle.path} {runtime.bundle.id}"
    shown = subprocess.run(["bash", "-c", line], stdout=subprocess.PIPE, text=True, check=True, timeout=30).stdout
    assert shown.split() == ["kept", "1", "1"]


def test_a_null_field_is_an_absent_one(runtime: Runtime, bundle: Bundle) -> None:
    bundle.spec["hooks"] = None
    bundle.linux["resources"]["memory"] = {"limit": None}
    bundle.process["rlimits"] = None
    assert runtime.sh("echo fine") == "fine\n"


def test_spec_writes_a_bundle_that_runs_and_does_not_overwrite(runtime: Runtime, scratch: Path) -> None:
    runtime("spec", "-b", str(scratch))
    assert json.loads((scratch / "config.json").read_text())["process"]["args"] == ["sh"]
    assert "exists" in runtime("spec", "-b", str(scratch), check=False).stderr


def test_features_names_what_the_tables_hold(runtime: Runtime) -> None:
    features = json.loads(runtime("features").stdout)
    assert "rro" in features["mountOptions"]
    assert "time" in features["linux"]["namespaces"]
    assert features["linux"]["mountExtensions"]["idmap"]["enabled"] is True
