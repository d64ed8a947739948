"""A container from create to remove, and what `ps` and `inspect` say of it meanwhile."""

import json
import re

from tests.root.engines import IMAGE, Engine, eventually


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
