"""The unchanged docker command against our engine: what people type, what they see, what the shell gets back."""

import json
import re
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.root.engines import IMAGE, OTHER_HOST, Engine, docker_command, eventually

CTRL_C, CTRL_P, CTRL_Q = "\x03", "\x10", "\x11"

if docker_command() is None:
    pytest.skip("no docker command line on this machine", allow_module_level=True)


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    engine = Engine.temporary()
    engine.start()
    engine.load()
    yield engine
    engine.end()


@pytest.fixture(autouse=True)
def clean(engine: Engine) -> Iterator[None]:
    yield
    engine.remove_everything()


# Images


def test_load_says_what_it_loaded_and_images_lists_it(engine: Engine) -> None:
    assert "Loaded image: tiny:latest" in engine.out("load", "-i", str(engine.archive))
    assert engine.out("images", "--format", "{{.Repository}}:{{.Tag}}") == "tiny:latest"
    assert re.fullmatch(r"[0-9a-f]{12}", engine.out("images", "-q", "tiny"))


def test_an_image_is_saved_removed_and_loaded_again_as_the_same(engine: Engine, tmp_path: Path) -> None:
    engine.docker("tag", "tiny", "again:1")
    before = engine.out("image", "inspect", "again:1", "--format", "{{.Id}}")
    engine.docker("save", "-o", str(tmp_path / "again.tar"), "again:1")
    assert "Untagged: again:1" in engine.out("rmi", "again:1")
    engine.docker("load", "-i", str(tmp_path / "again.tar"))
    assert engine.out("image", "inspect", "again:1", "--format", "{{.Id}}") == before
    assert "stand-in" in engine.out("history", "--no-trunc", "again:1")
    engine.docker("rmi", "again:1")


def test_an_image_in_use_is_not_removed(engine: Engine) -> None:
    engine.docker("create", "--name", "user", IMAGE, "true")
    refused = engine.docker("rmi", "tiny", check=False)
    assert refused.returncode == 1
    assert "conflict: unable to" in refused.stderr.lower() or "conflict" in refused.stderr


# Exit codes


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["true"], 0),
        (["sh", "-c", "exit 7"], 7),
        (["/etc/passwd"], 126),
        (["no-such-program"], 127),
        (["/no/such/path"], 127),
    ],
)
def test_run_ends_with_the_containers_code(engine: Engine, words: list[str], code: int) -> None:
    assert engine.docker("run", "--rm", IMAGE, *words, check=False).returncode == code


def test_run_ends_with_128_and_the_signal_of_a_killed_process(engine: Engine) -> None:
    for name, code in (("KILL", 137), ("TERM", 143)):
        done = engine.docker("run", "--rm", "--init", IMAGE, "sh", "-c", f"kill -{name} $$", check=False)
        assert done.returncode == code


def test_what_the_engine_refuses_is_125(engine: Engine) -> None:
    for flags in (["--memory", "1"], ["-v", "relative/path:/x:bad"], ["--network", "no-such-network"]):
        done = engine.docker("run", "--rm", *flags, IMAGE, "true", check=False)
        assert done.returncode == 125, (flags, done.stderr)
        assert "Error response from daemon" in done.stderr


def test_an_image_nobody_has_is_told(engine: Engine) -> None:
    done = engine.docker("run", "--rm", "localhost:1/nowhere:1", "true", check=False)
    assert done.returncode == 125
    assert "Unable to find image 'localhost:1/nowhere:1' locally" in done.stderr


# Output and input


def test_stdout_and_stderr_stay_apart(engine: Engine) -> None:
    done = engine.docker("run", "--rm", IMAGE, "sh", "-c", "echo out; echo err >&2")
    assert (done.stdout, done.stderr) == ("out\n", "err\n")


def test_a_container_that_exits_at_once_loses_no_output(engine: Engine) -> None:
    for number in range(10):
        assert engine.out("run", "--rm", IMAGE, "echo", f"hello {number}") == f"hello {number}"


def test_a_megabyte_of_output_arrives_whole(engine: Engine) -> None:
    done = engine.docker(
        "run",
        "--rm",
        IMAGE,
        "sh",
        "-c",
        "i=0; while [ $i -lt 20000 ]; do echo 0123456789012345678901234567890123456789012345678; i=$((i+1)); done",
    )
    assert len(done.stdout) == 20_000 * 50


def test_half_closed_stdin_ends_the_input_and_not_the_output(engine: Engine) -> None:
    assert (
        engine.out("run", "--rm", "-i", IMAGE, "sh", "-c", "cat; sleep 0.3; echo done", stdin="some\ninput\n")
        == "some\ninput\ndone"
    )
    assert engine.out("run", "--rm", "-i", IMAGE, "wc", "-c", stdin="x" * 1_000_000) == "1000000"


def test_without_i_there_is_no_input(engine: Engine) -> None:
    assert engine.out("run", "--rm", IMAGE, "cat", stdin="unseen") == ""


# Terminals


def test_a_terminal_has_its_size_follows_a_resize_and_takes_keys(engine: Engine) -> None:
    with engine.terminal("run", "-it", "--rm", "--name", "tty", IMAGE, "sh", rows=30, columns=100) as terminal:
        terminal.see(r"[#$] ")
        terminal.type("stty size\n")
        terminal.see(r"30 100")
        terminal.resize(40, 120)
        eventually(lambda: "40 120" in engine.out("exec", "tty", "stty", "-F", "/proc/1/fd/0", "size"))
        terminal.type("sleep 1000\n")
        time.sleep(0.5)
        terminal.type(CTRL_C)
        terminal.type("echo still $((40+2))\n")
        terminal.see("still 42")
        terminal.type("exit 3\n")
        assert terminal.ended() == 3


def test_ctrl_p_ctrl_q_leaves_and_attach_comes_back(engine: Engine) -> None:
    with engine.terminal("run", "-it", "--name", "left", IMAGE, "sh") as terminal:
        terminal.see(r"[#$] ")
        terminal.type("x=kept; echo re''ady\n")
        terminal.see("ready")
        terminal.type(CTRL_P + CTRL_Q)
        assert terminal.ended() == 0
    assert engine.out("inspect", "--format", "{{.State.Running}}", "left") == "true"
    with engine.terminal("attach", "left") as terminal:
        time.sleep(0.3)
        terminal.type("echo is $x\n")
        terminal.see("is kept")
        terminal.type("exit 5\n")
        assert terminal.ended() == 5


def test_detach_keys_can_be_chosen(engine: Engine) -> None:
    with engine.terminal("run", "-it", "--name", "keys", "--detach-keys", "ctrl-a,d", IMAGE, "sh") as terminal:
        terminal.see(r"[#$] ")
        terminal.type("\x01d")
        assert terminal.ended() == 0
    assert engine.out("inspect", "--format", "{{.State.Running}}", "keys") == "true"


def test_ctrl_c_ends_a_foreground_container(engine: Engine) -> None:
    run = engine.popen(
        "run",
        "--rm",
        "--name",
        "fore",
        IMAGE,
        "sh",
        "-c",
        "trap 'echo caught; exit 9' INT; echo up; while :; do sleep 0.1; done",
    )
    assert run.stdout
    assert run.stdout.readline() == "up\n"
    run.send_signal(signal.SIGINT)
    out, _ = run.communicate(timeout=20)
    assert (out, run.returncode) == ("caught\n", 9)


# Logs and attach


def test_logs_are_kept_split_and_followed(engine: Engine) -> None:
    name = engine.running(command=("sh", "-c", "echo one; echo two >&2; sleep 1; echo three; sleep 1000"))
    eventually(lambda: "two" in engine.docker("logs", name).stderr)
    done = engine.docker("logs", name)
    assert (done.stdout, done.stderr) == ("one\n", "two\n")
    follow = engine.popen("logs", "-f", name)
    assert follow.stdout
    assert [follow.stdout.readline(), follow.stdout.readline()] == ["one\n", "three\n"]
    assert follow.poll() is None
    engine.docker("kill", name)
    assert follow.wait(10) == 0
    follow.communicate()


def test_logs_know_tail_timestamps_since_and_until(engine: Engine) -> None:
    name = engine.running(command=("sh", "-c", "for i in 1 2 3; do echo $i; sleep 1; done"))
    engine.docker("wait", name)
    assert engine.out("logs", "--tail", "2", name) == "2\n3"
    assert engine.out("logs", "--tail", "0", name) == ""
    stamped = engine.out("logs", "-t", name).splitlines()
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z \d", line) for line in stamped)
    second = stamped[1].split()[0]
    assert engine.out("logs", "--since", second, name) == "2\n3"
    assert engine.out("logs", "--until", second, name) in ("1", "1\n2")


def test_two_clients_see_the_same_output(engine: Engine) -> None:
    name = engine.out("run", "-d", "-i", IMAGE, "cat")
    first, second = engine.popen("attach", name), engine.popen("attach", name)
    time.sleep(0.7)
    assert first.stdin
    first.stdin.write("hello\n")
    first.stdin.flush()
    for client in (first, second):
        assert client.stdout
        assert client.stdout.readline() == "hello\n"
    engine.docker("kill", name)
    for client in (first, second):
        client.communicate(timeout=10)
        assert client.returncode == 137


def test_start_attaches_and_gives_the_code_back(engine: Engine) -> None:
    engine.docker("create", "--name", "later", "-i", IMAGE, "sh", "-c", "cat; exit 4")
    done = engine.docker("start", "-a", "-i", "later", stdin="input\n", check=False)
    assert (done.stdout, done.returncode) == ("input\n", 4)


# Exec


def test_exec_runs_beside_with_its_own_code_user_environment_and_directory(engine: Engine) -> None:
    name = engine.running()
    assert engine.out("exec", name, "echo", "beside") == "beside"
    assert engine.docker("exec", name, "sh", "-c", "exit 6", check=False).returncode == 6
    assert engine.out("exec", "-u", "postgres", name, "id", "-un") == "postgres"
    assert engine.out("exec", "-e", "A=b", "-w", "/tmp", name, "sh", "-c", "echo $A $PWD") == "b /tmp"
    assert engine.out("exec", "-i", name, "cat", stdin="typed") == "typed"
    done = engine.docker("exec", name, "sh", "-c", "echo out; echo err >&2")
    assert (done.stdout, done.stderr) == ("out\n", "err\n")


def test_exec_that_cannot_begin_is_126_or_127(engine: Engine) -> None:
    name = engine.running()
    missing = engine.docker("exec", name, "no-such-program", check=False)
    assert missing.returncode == (126 if OTHER_HOST else 127)  # Docker 20.10 said 126, 28 says 127
    assert "executable file not found" in missing.stdout
    assert engine.docker("exec", name, "/etc/passwd", check=False).returncode == 126
    stopped = engine.out("create", IMAGE, "true")
    refused = engine.docker("exec", stopped, "true", check=False)
    assert refused.returncode == 1
    assert "is not running" in refused.stderr


def test_exec_has_a_terminal_of_its_own(engine: Engine) -> None:
    name = engine.running()
    with engine.terminal("exec", "-it", name, "sh", rows=33, columns=99) as terminal:
        terminal.see(r"[#$] ")
        terminal.type("stty size; tty\n")
        terminal.see(r"33 99")
        terminal.see(r"/dev/pts/\d")
        terminal.type("exit 8\n")
        assert terminal.ended() == 8


def test_a_detached_exec_goes_on(engine: Engine) -> None:
    name = engine.running()
    engine.docker("exec", "-d", name, "sh", "-c", "echo was here > /tmp/mark")
    eventually(lambda: engine.docker("exec", name, "cat", "/tmp/mark", check=False).stdout == "was here\n")


# Copy


def test_cp_goes_both_ways_running_or_not(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/file").write_text("content")
    (tmp_path / "in/link").symlink_to("file")
    for name in (engine.running(), engine.out("create", IMAGE, "sleep", "1000")):
        engine.docker("cp", str(tmp_path / "in"), f"{name}:/srv")
        out = tmp_path / name
        engine.docker("cp", f"{name}:/srv/in", str(out))
        assert (out / "file").read_text() == "content"
        assert (out / "link").readlink() == Path("file")
        engine.docker("cp", f"{name}:/etc/passwd", str(tmp_path / "passwd"))
        assert "postgres" in (tmp_path / "passwd").read_text()
        missing = engine.docker("cp", f"{name}:/no/such", str(tmp_path), check=False)
        assert missing.returncode == 1
        assert "Could not find the file /no/such in container" in missing.stderr


def test_cp_streams_tars_and_export_has_the_whole_tree(engine: Engine, tmp_path: Path) -> None:
    name = engine.running()
    engine.docker("exec", name, "sh", "-c", "echo new > /root/new; rm /etc/hostname.none 2>/dev/null; mkdir -p /a/b")
    engine.docker("export", "-o", str(tmp_path / "all.tar"), name)
    with tarfile.open(tmp_path / "all.tar") as tar:
        names = {entry.name.rstrip("/") for entry in tar}
    assert {"root/new", "a/b", "bin/busybox", "etc/passwd"} <= names


def test_diff_tells_added_changed_and_deleted(engine: Engine) -> None:
    name = engine.running(
        command=("sh", "-c", "echo x > /root/added; echo y >> /etc/passwd; rm /etc/os-release; sleep 1000")
    )
    eventually(lambda: "A /root/added" in engine.out("diff", name))
    lines = engine.out("diff", name).splitlines()
    assert {"A /root/added", "C /etc/passwd", "D /etc/os-release", "C /etc", "C /root"} <= set(lines)


# Life


def test_a_container_lives_from_create_to_remove(engine: Engine) -> None:
    name = engine.out("create", "--name", "life", "-l", "tier=web", IMAGE, "sleep", "1000")

    def status() -> str:
        return engine.out("inspect", "--format", "{{.State.Status}}", "life")

    assert status() == "created"
    for verb, then in (("start", "running"), ("pause", "paused"), ("unpause", "running"), ("restart", "running")):
        assert engine.out(verb, *(["-t", "0"] if verb == "restart" else []), "life") == "life"
        assert status() == then
    assert engine.out("stop", "-t", "0", "life") == "life"
    assert status() == "exited"
    assert engine.out("inspect", "--format", "{{.State.ExitCode}}", "life") == "137"
    engine.docker("rename", "life", "after")
    assert engine.out("ps", "-a", "--no-trunc", "--format", "{{.ID}} {{.Names}}") == f"{name} after"
    assert engine.out("rm", "after") == "after"
    assert engine.docker("inspect", "after", check=False).returncode == 1


def test_stop_asks_first_and_kill_sends_what_it_is_told(engine: Engine) -> None:
    trap = ("sh", "-c", "trap 'exit 21' TERM; trap 'exit 22' USR1; echo up; while :; do sleep 0.1; done")
    for words, code in ((["stop"], "21"), (["kill", "-s", "USR1"], "22"), (["kill"], "137")):
        name = engine.running(command=trap)
        eventually(lambda name=name: "up" in engine.out("logs", name))  # type: ignore[misc]
        engine.docker(*words, name)
        assert engine.out("wait", name) == code


def test_wait_returns_when_it_exits(engine: Engine) -> None:
    name = engine.running(command=("sh", "-c", "sleep 0.7; exit 11"))
    assert engine.out("wait", name) == "11"
    assert engine.out("wait", name) == "11"


def test_names_conflict_in_dockers_words(engine: Engine) -> None:
    engine.docker("create", "--name", "taken", IMAGE, "true")
    again = engine.docker("create", "--name", "taken", IMAGE, "true", check=False)
    assert re.search(
        r'Conflict. The container name "/taken" is already in use by container "[0-9a-f]{64}"', again.stderr
    )
    missing = engine.docker("start", "nobody", check=False)
    assert "No such container: nobody" in missing.stderr
    running = engine.running()
    refused = engine.docker("rm", running, check=False)
    assert refused.returncode == 1
    assert "container is running" in refused.stderr.lower() or "running container" in refused.stderr


def test_ps_filters_formats_and_limits(engine: Engine) -> None:
    engine.docker("run", "-d", "--name", "web", "-l", "tier=web", IMAGE, "sleep", "1000")
    engine.docker("run", "--name", "done", "-l", "tier=db", IMAGE, "true")

    def names(*flags: str) -> list[str]:
        return engine.out("ps", "--format", "{{.Names}}", *flags).split()

    assert names() == ["web"]
    assert names("-a") == ["done", "web"]
    assert names("-a", "--filter", "status=exited") == ["done"]
    assert names("-a", "--filter", "label=tier=web") == ["web"]
    assert names("-a", "--filter", "name=do") == ["done"]
    assert names("-a", "--filter", "exited=0") == ["done"]
    assert names("-a", "--filter", "ancestor=tiny") == ["done", "web"]
    assert names("-n", "1") == ["done"]
    assert re.match(r"Up (Less than a second|\d+ seconds?|About a minute)", engine.out("ps", "--format", "{{.Status}}"))
    assert re.fullmatch(r"\d.*B \(virtual .*B\)", engine.out("ps", "-s", "--format", "{{.Size}}"))


def test_inspect_shows_what_was_asked_for(engine: Engine) -> None:
    engine.docker(
        "create", "--name", "asked", "-e", "A=b", "-m", "64m", "--cpus", "0.5", "--pids-limit", "50",
        "--user", "postgres",
        "--restart", "on-failure:3", "--hostname", "host1", "--read-only", "--cap-drop", "ALL",
        "-p", "127.0.0.1:8123:80",
        "--workdir", "/tmp", "--entrypoint", "echo", "--init", "--dns", "10.0.0.1", "--add-host", "a:1.2.3.4",
        "--tmpfs", "/scratch:size=1m", "--security-opt", "no-new-privileges", "--label", "k=v", IMAGE, "word",
    )  # fmt: skip
    (found,) = json.loads(engine.out("inspect", "asked"))
    config, host = found["Config"], found["HostConfig"]
    assert (config["User"], config["Hostname"], config["WorkingDir"]) == ("postgres", "host1", "/tmp")
    assert (config["Entrypoint"], config["Cmd"], config["Labels"]) == (["echo"], ["word"], {"k": "v"})
    assert "A=b" in config["Env"]
    assert (host["Memory"], host["NanoCpus"], host["PidsLimit"]) == (64 << 20, 500_000_000, 50)
    assert host["RestartPolicy"] == {"Name": "on-failure", "MaximumRetryCount": 3}
    assert host["PortBindings"] == {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8123"}]}
    assert (host["ReadonlyRootfs"], host["CapDrop"], host["Init"]) == (True, ["ALL"], True)
    assert (host["Dns"], host["ExtraHosts"], host["Tmpfs"]) == (["10.0.0.1"], ["a:1.2.3.4"], {"/scratch": "size=1m"})
    assert (found["Name"], found["Path"], found["Args"]) == ("/asked", "echo", ["word"])


def test_update_changes_limits_and_policy(engine: Engine) -> None:
    name = engine.running("-m", "64m")
    engine.docker("update", "--memory", "96m", "--memory-swap", "96m", "--restart", "always", name)
    (found,) = json.loads(engine.out("inspect", name))
    assert found["HostConfig"]["Memory"] == 96 << 20
    assert found["HostConfig"]["RestartPolicy"]["Name"] == "always"


def test_a_restart_policy_brings_it_back(engine: Engine) -> None:
    name = engine.running("--restart", "on-failure:2", command=("sh", "-c", "sleep 0.1; exit 1"))
    eventually(lambda: engine.out("inspect", "--format", "{{.RestartCount}} {{.State.Status}}", name) == "2 exited", 20)


# Looking in


def test_top_and_stats_see_the_processes(engine: Engine) -> None:
    name = engine.running("-m", "64m")
    assert "sleep 1000" in engine.out("top", name)
    assert engine.out("top", name, "-o", "pid,comm").split()[-1] == "sleep"
    line = engine.out("stats", "--no-stream", "--format", "{{.ID}} {{.MemUsage}} {{.PIDs}}", name)
    assert re.fullmatch(rf"{name[:12]} \d.*B / 64MiB 1", line)


def test_events_tell_the_story_in_order(engine: Engine) -> None:
    since = str(int(time.time()))
    engine.docker("run", "--rm", "--name", "story", IMAGE, "sh", "-c", "exit 3", check=False)
    told = engine.out(
        "events",
        "--since",
        since,
        "--until",
        str(int(time.time()) + 1),
        "--filter",
        "container=story",
        "--format",
        "{{.Action}}",
    )
    actions = told.split()
    assert [action for action in actions if action in ("create", "attach", "start", "die", "destroy")] == [
        "create",
        "attach",
        "start",
        "die",
        "destroy",
    ]


def test_events_arrive_as_they_happen(engine: Engine) -> None:
    watch = engine.popen("events", "--filter", "type=container", "--format", "{{.Action}} {{.Actor.Attributes.name}}")
    time.sleep(0.7)
    engine.docker("create", "--name", "seen", IMAGE, "true")
    assert watch.stdout
    assert watch.stdout.readline() == "create seen\n"
    watch.terminate()
    watch.communicate(timeout=10)


def test_info_and_version_describe_the_engine(engine: Engine) -> None:
    assert engine.out("info", "--format", "{{.OSType}}") == "linux"
    assert re.match(r"\d+\.\d+", engine.out("version", "--format", "{{.Server.APIVersion}}"))
    engine.running()
    assert engine.out("info", "--format", "{{.Containers}} {{.ContainersRunning}} {{.Images}}") == "1 1 1"
    assert "RECLAIMABLE" in engine.out("system", "df")


# Volumes and networks


def test_volumes_outlive_containers_and_are_filled_from_the_image(engine: Engine) -> None:
    engine.docker("run", "--rm", "-v", "data:/data", IMAGE, "sh", "-c", "echo kept > /data/file")
    assert engine.out("run", "--rm", "-v", "data:/data:ro", IMAGE, "cat", "/data/file") == "kept"
    assert engine.docker("run", "--rm", "-v", "data:/data:ro", IMAGE, "touch", "/data/x", check=False).returncode == 1
    assert "passwd" in engine.out("run", "--rm", "-v", "filled:/etc", IMAGE, "ls", "/etc")
    assert set(engine.out("volume", "ls", "-q").split()) == {"data", "filled"}
    engine.docker("create", "--name", "keeper", "-v", "data:/data", IMAGE, "true")
    assert "volume is in use" in engine.docker("volume", "rm", "data", check=False).stderr
    engine.docker("rm", "keeper")
    engine.docker("volume", "rm", "data", "filled")


def test_bind_mounts_and_tmpfs_are_what_they_say(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("from the host")
    assert engine.out("run", "--rm", "-v", f"{tmp_path}:/x", IMAGE, "cat", "/x/file") == "from the host"
    engine.docker("run", "--rm", "--mount", f"type=bind,source={tmp_path},target=/x", IMAGE, "touch", "/x/made")
    assert (tmp_path / "made").exists()
    refused = engine.docker(
        "run", "--rm", "--mount", f"type=bind,source={tmp_path}/none,target=/x", IMAGE, "true", check=False
    )
    assert refused.returncode == 125
    assert "bind source path does not exist" in refused.stderr
    assert "tmpfs" in engine.out("run", "--rm", "--tmpfs", "/scratch", IMAGE, "grep", " /scratch ", "/proc/mounts")


def test_containers_find_each_other_by_name_on_their_own_network(engine: Engine) -> None:
    engine.docker("network", "create", "own")
    try:
        engine.docker(
            "run", "-d", "--name", "peer", "--network", "own", "--network-alias", "other", IMAGE, "sleep", "1000"
        )
        for name in ("peer", "other"):
            assert "1 packets received" in engine.out(
                "run", "--rm", "--network", "own", IMAGE, "ping", "-c", "1", "-W", "3", name
            )
        engine.running("--name", "guest")
        engine.docker("network", "connect", "own", "guest")
        assert "1 packets received" in engine.out("exec", "guest", "ping", "-c", "1", "-W", "3", "peer")
        engine.docker("network", "disconnect", "own", "guest")
        assert engine.docker("exec", "guest", "ping", "-c", "1", "-W", "1", "peer", check=False).returncode == 1
        assert "own" in engine.out("network", "ls", "--format", "{{.Name}}").split()
        assert "has active endpoints" in engine.docker("network", "rm", "own", check=False).stderr
    finally:
        engine.remove_everything()
        engine.docker("network", "rm", "own")


def test_host_none_and_shared_networks(engine: Engine) -> None:
    assert engine.out("run", "--rm", "--network", "none", IMAGE, "ls", "/sys/class/net") == "lo"
    shared = engine.running("--name", "owner", "--hostname", "owner")
    address = engine.out("inspect", "--format", "{{.NetworkSettings.IPAddress}}", shared)
    assert address in engine.out("run", "--rm", "--network", "container:owner", IMAGE, "ip", "addr")


@pytest.mark.skipif(bool(OTHER_HOST), reason="the other engine's network namespace is not ours to enter")
def test_a_published_port_answers(engine: Engine) -> None:
    web = "mkdir /www; echo hello > /www/index.html; httpd -f -p 80 -h /www"
    engine.docker("run", "-d", "--name", "web", "-p", "8123:80", IMAGE, "sh", "-c", web)
    assert engine.out("port", "web").splitlines()[0] == "80/tcp -> 0.0.0.0:8123"
    eventually(lambda: engine.inside("busybox", "wget", "-q", "-O", "-", "http://127.0.0.1:8123/").stdout == "hello\n")
    taken = engine.docker("run", "--rm", "-p", "8123:80", IMAGE, "true", check=False)
    assert taken.returncode == 125
    assert "port is already allocated" in taken.stderr


def test_prune_removes_what_is_unused(engine: Engine) -> None:
    engine.docker("run", "--name", "dead", IMAGE, "true")
    running = engine.running()
    assert "Total reclaimed space" in engine.out("system", "prune", "-f")
    assert engine.out("ps", "-aq", "--no-trunc") == running


# Registries

REGISTRY = """
import threading
from tests.fake_registry import FakeRegistry
print(FakeRegistry({"me": "secret"}).address, flush=True)
threading.Event().wait()
"""


@pytest.fixture
def registry(engine: Engine) -> Iterator[str]:
    """The address of a registry with one user, on the loopback of the engine's own network namespace."""
    assert engine.process is not None
    words = ["nsenter", "-t", str(engine.process.pid), "-n", "--", sys.executable, "-c", REGISTRY]
    root = Path(__file__).parent.parent.parent
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=root) as process:
        assert process.stdout
        yield process.stdout.readline().strip()
        process.kill()


@pytest.mark.skipif(bool(OTHER_HOST), reason="the registry must be in the engine's network namespace")
def test_an_image_travels_through_a_registry_with_a_login(engine: Engine, registry: str) -> None:
    name = f"{registry}/some/where:1"
    engine.docker("tag", IMAGE, name)
    before = engine.out("image", "inspect", name, "--format", "{{.Id}}")
    refused = engine.docker("push", name, check=False)
    assert refused.returncode == 1
    wrong = engine.docker("login", "-u", "me", "-p", "wrong", registry, check=False)
    assert wrong.returncode == 1
    assert "Login Succeeded" in engine.out("login", "-u", "me", "--password-stdin", registry, stdin="secret")
    assert re.search(r"1: digest: sha256:[0-9a-f]{64} size: \d+", engine.out("push", name))
    engine.docker("rmi", name)
    pulled = engine.out("pull", name)
    assert f"Status: Downloaded newer image for {name}" in pulled
    assert engine.out("image", "inspect", name, "--format", "{{.Id}}") == before
    assert f"Status: Image is up to date for {name}" in engine.out("pull", "--platform", "linux/amd64", name)
    engine.docker("rmi", name)
    assert engine.out("run", "--rm", name, "echo", "pulled and run") == "pulled and run"
    missing = engine.docker("pull", f"{registry}/some/where:2", check=False)
    assert missing.returncode == 1
    assert "not found" in missing.stderr
    engine.docker("logout", registry)
    engine.docker("rmi", name)


def test_a_tree_is_imported_with_changes(engine: Engine, tmp_path: Path) -> None:
    container = engine.out("create", IMAGE, "true")
    engine.docker("export", "-o", str(tmp_path / "tree.tar"), container)
    engine.docker("import", "-m", "from a tree", "-c", "CMD echo imported", str(tmp_path / "tree.tar"), "tree:1")
    assert engine.out("run", "--rm", "tree:1") == "imported"
    assert "from a tree" in engine.out("history", "--format", "{{.Comment}}", "tree:1")
    engine.docker("rmi", "tree:1")


# The engine dies


@pytest.mark.skipif(bool(OTHER_HOST), reason="kills the engine")
def test_containers_logs_and_an_attached_client_survive_the_engines_death(engine: Engine) -> None:
    beat = ("sh", "-c", "i=0; while :; do echo $i; i=$((i+1)); sleep 0.1; done")
    names = [engine.running(command=beat) for _ in range(3)]
    exits = engine.running(command=("sh", "-c", "sleep 2; exit 13"))
    attached = engine.popen("attach", "--sig-proxy=false", names[0])
    assert attached.stdout
    before = int(attached.stdout.readline())
    engine.kill()
    time.sleep(2.5)
    assert attached.poll() is None
    after = int(attached.stdout.readline())
    assert after >= before
    engine.start()
    assert set(engine.out("ps", "-q", "--no-trunc").split()) == set(names)
    assert engine.out("wait", exits) == "13"
    for name in names:
        lines = [int(line) for line in engine.out("logs", name).split()]
        assert lines == list(range(len(lines)))
        assert len(lines) > 20
    attached.kill()
    attached.communicate()


def test_fifty_at_once(engine: Engine) -> None:
    runs = [engine.popen("run", "--rm", IMAGE, "echo", str(number)) for number in range(20)]
    assert [run.communicate(timeout=100)[0].strip() for run in runs] == [str(number) for number in range(20)]
    assert engine.out("ps", "-aq") == ""
