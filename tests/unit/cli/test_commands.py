"""Commands against an engine that says what it is told to: what they ask, what they print, how they end."""

import base64
import io
import json
import subprocess
import sys
import tarfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from corten.cli.image import names
from corten.model.reference import Reference
from tests.unit.cli.engine import Refusal, Scripted

OURS = str(Path(sys.executable).with_name("corten"))
Run = Callable[..., subprocess.CompletedProcess[str]]

PULLED = (
    {"status": "Pulling from library/x", "id": "latest"},
    {"status": "Downloading", "id": "a1", "progressDetail": {"current": 1, "total": 2}},
    {"status": "Pull complete", "id": "a1", "progressDetail": {}},
    {"status": "Status: Downloaded newer image for x:latest"},
)


@pytest.fixture
def answers() -> dict[str, Any]:
    return {}


@pytest.fixture
def engine(answers: dict[str, Any], tmp_path: Path) -> Iterator[Scripted]:
    made = Scripted(tmp_path / "engine.sock", answers)
    yield made
    made.close()


@pytest.fixture
def run(engine: Scripted, tmp_path: Path) -> Run:
    def call(*words: str, given: str = "") -> subprocess.CompletedProcess[str]:
        env = {"CORTEN_HOST": engine.address, "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
        return subprocess.run(
            [OURS, *words], env=env, input=given, capture_output=True, text=True, timeout=20, check=False
        )

    return call


def test_a_missing_image_is_pulled_and_the_progress_goes_to_stderr(run: Run, answers: dict[str, Any]) -> None:
    answers["POST /images/create"] = PULLED
    done = run("create", "x")
    assert done.stderr.splitlines()[:3] == [
        "Unable to find image 'x:latest' locally",
        "latest: Pulling from library/x",
        "a1: Pull complete",
    ]
    quiet = run("create", "-q", "x")
    assert "Pull" not in quiet.stderr


def test_a_pull_prints_the_full_name_last(run: Run, answers: dict[str, Any], engine: Scripted) -> None:
    answers["POST /images/create"] = PULLED
    done = run("pull", "--disable-content-trust", "x")
    assert done.stdout.splitlines()[0] == "Using default tag: latest"
    assert done.stdout.splitlines()[-1] == "docker.io/library/x:latest"
    assert run("pull", "-q", "x").stdout == "docker.io/library/x:latest\n"
    assert engine.asked("POST /images/create").query == {"fromImage": "x", "tag": "latest"}


def test_an_error_within_a_stream_ends_the_command(run: Run, answers: dict[str, Any]) -> None:
    answers["POST /images/create"] = (
        {"status": "Pulling"},
        {"errorDetail": {"message": "no space left"}, "error": "no space left"},
    )
    done = run("pull", "x")
    assert (done.returncode, done.stderr) == (1, "no space left\n")


def test_a_search_is_a_table_and_takes_a_format(run: Run, answers: dict[str, Any]) -> None:
    answers["GET /images/search"] = [
        {"name": "a/b", "description": "what\nit is " + "x" * 60, "star_count": 5, "is_official": True}
    ]
    shown = run("search", "--filter", "is-official=true", "b").stdout.splitlines()
    assert shown[0].split() == ["NAME", "DESCRIPTION", "STARS", "OFFICIAL"]
    assert shown[1].endswith("5         [OK]")
    assert "…" in shown[1]
    assert run("search", "--format", "{{.Name}}:{{.StarCount}}", "b").stdout == "a/b:5\n"


def test_a_login_is_kept_and_lent_and_forgotten(
    run: Run, answers: dict[str, Any], engine: Scripted, tmp_path: Path
) -> None:
    answers["POST /auth"] = {"Status": "Login Succeeded"}
    answers["POST /images/create"] = PULLED
    done = run("login", "-u", "me", "--password-stdin", "reg.io", given="se:cret\n")
    assert done.stdout == "Login Succeeded\n"
    kept = tmp_path / ".docker/config.json"
    assert kept.stat().st_mode & 0o777 == 0o600
    assert json.loads(kept.read_text())["auths"]["reg.io"] == {"auth": base64.b64encode(b"me:se:cret").decode()}
    run("pull", "reg.io/x")
    lent = json.loads(base64.urlsafe_b64decode(engine.asked("POST /images/create").headers["x-registry-auth"]))
    assert (lent["username"], lent["password"]) == ("me", "se:cret")
    run("pull", "other.io/x")
    assert base64.urlsafe_b64decode(engine.asked("POST /images/create").headers["x-registry-auth"]) == b"{}"
    assert run("logout", "reg.io").stdout == "Removing login credentials for reg.io\n"
    assert json.loads(kept.read_text())["auths"] == {}
    assert "insecure" in run("login", "-u", "me", "-p", "x", "reg.io").stderr


def test_a_credential_helper_is_asked(run: Run, answers: dict[str, Any], tmp_path: Path) -> None:
    answers["POST /images/create"] = PULLED
    (tmp_path / ".docker").mkdir()
    (tmp_path / ".docker/config.json").write_text('{"credHelpers": {"reg.io": "nosuch"}}')
    done = run("pull", "reg.io/x")
    assert done.returncode == 1
    assert "cannot run docker-credential-nosuch" in done.stderr


def test_the_users_proxies_reach_the_container(
    run: Run, answers: dict[str, Any], engine: Scripted, tmp_path: Path
) -> None:
    answers["POST /containers/create"] = {"Id": "i" * 64, "Warnings": ["careful"]}
    (tmp_path / ".docker").mkdir()
    (tmp_path / ".docker/config.json").write_text('{"proxies": {"default": {"httpProxy": "http://p:1"}}}')
    done = run("create", "-e", "http_proxy=own", "x")
    assert done.stdout == "i" * 64 + "\n"
    assert done.stderr == "WARNING: careful\n"
    body = json.loads(engine.asked("POST /containers/create").body)
    assert body["Env"] == ["HTTP_PROXY=http://p:1", "http_proxy=own"]


def test_a_root_filesystem_takes_the_place_of_an_image(
    run: Run, answers: dict[str, Any], engine: Scripted, tmp_path: Path
) -> None:
    answers["POST /containers/create"] = {"Id": "c1"}
    answers["POST /containers/c1/start"] = b""
    assert run("run", "-d", "--rootfs", f"{tmp_path}:O", "ls", "-l").stdout == "c1\n"
    body = json.loads(engine.asked("POST /containers/create").body)
    assert body["HostConfig"]["Annotations"] == {"corten.rootfs": f"{tmp_path}:O"}
    assert (body["Image"], body["Cmd"]) == ("", ["ls", "-l"])
    (tmp_path / "a:b").mkdir()
    run("run", "-d", "--rootfs", f"{tmp_path}/a:b:O", "ls")
    body = json.loads(engine.asked("POST /containers/create").body)
    assert body["HostConfig"]["Annotations"] == {"corten.rootfs": f"{tmp_path}/a:b:O"}
    assert "is no directory" in run("run", "--rootfs", "/nosuch", "ls").stderr
    assert "the only option is :O" in run("run", "--rootfs", "/:x", "ls").stderr


def test_the_story_of_a_run_is_told_by_client_and_engine(run: Run, answers: dict[str, Any], engine: Scripted) -> None:
    answers["POST /containers/create"] = {"Id": "c1"}
    answers["POST /containers/c1/start"] = b""
    other = {"op": "mount", "text": "mount sysfs", "why": "ps needs it", "origin": "/mounts/1"}
    row = {"op": "mount", "text": "mount proc", "why": "ps needs it", "origin": "/mounts/0"}
    step = {"phase": "launch", "what": "46 rows", "why": "the plan", "duration_ns": 2_100_000, "rows": [row, other]}
    answers["GET /corten/containers/c1/explain"] = {"steps": [step]}
    told = run("run", "--explain", "-d", "x").stderr
    assert "POST /containers/create" in told
    rows = "              - the plan\n              # ps needs it\n           1  mount proc   (/mounts/0)\n"
    assert f"   2.10 ms  46 rows\n{rows}           2  mount sysfs" in told
    assert engine.asked("POST /containers/create").headers["x-corten-explain"] == "1"
    assert "POST /containers" not in run("run", "--explain=launch", "-d", "x").stderr
    assert "(no phase foo; this story has request, launch)" in run("run", "--explain=foo", "-d", "x").stderr


def test_commit_freezes_unless_told_not_to(run: Run, answers: dict[str, Any], engine: Scripted) -> None:
    answers["POST /commit"] = {"Id": "sha256:1"}
    run("commit", "x")
    assert "pause" not in engine.asked("POST /commit").query
    run("commit", "--no-pause", "x")
    assert engine.asked("POST /commit").query["pause"] == "0"


def test_removing_one_platform_of_an_image(run: Run, answers: dict[str, Any], engine: Scripted) -> None:
    answers["DELETE /images/x"] = [{"Untagged": "x:latest"}]
    assert run("rmi", "--platform", "linux/arm64", "x").stdout == "Untagged: x:latest\n"
    assert engine.asked("DELETE /images/x").query["platforms"] == '{"architecture":"arm64","os":"linux"}'


def test_a_build_sends_its_context_without_what_is_ignored(
    run: Run, answers: dict[str, Any], engine: Scripted, tmp_path: Path
) -> None:
    answers["POST /build"] = (
        {"stream": "Step 1/1 : FROM scratch\n"},
        {"aux": {"ID": "sha256:abc"}},
        {"stream": "Successfully built abc\n"},
    )
    context = tmp_path / "context"
    (context / "sub").mkdir(parents=True)
    for name in ("Dockerfile", "a.log", "keep.log", "sub/b", "sub/c.log"):
        (context / name).write_text(name)
    (context / ".dockerignore").write_text("# not these\n*.log\n!keep.log\nsub/*.log\n")
    identity = tmp_path / "iid"
    done = run("build", "--iidfile", str(identity), "--compress", str(context))
    assert done.stdout == "Step 1/1 : FROM scratch\nSuccessfully built abc\n"
    assert identity.read_text() == "sha256:abc"
    with tarfile.open(fileobj=io.BytesIO(zlib.decompress(engine.asked("POST /build").body, wbits=31))) as sent:
        assert sorted(sent.getnames()) == [".dockerignore", "Dockerfile", "keep.log", "sub", "sub/b"]
    assert run("build", "-q", "--disable-content-trust", str(context)).stdout == "sha256:abc\n"
    assert "experimental" in run("build", "--squash", str(context)).stderr


def test_a_dockerfile_on_stdin_is_a_context_of_its_own(run: Run, answers: dict[str, Any], engine: Scripted) -> None:
    answers["POST /build"] = ({"stream": "ok\n"},)
    run("build", "-", given="FROM scratch\n")
    with tarfile.open(fileobj=io.BytesIO(engine.asked("POST /build").body)) as sent:
        content = sent.extractfile("Dockerfile")
        assert content is not None
        assert content.read() == b"FROM scratch\n"


def test_events_are_lines_or_what_a_template_makes_of_them(run: Run, answers: dict[str, Any]) -> None:
    event = {
        "Type": "container",
        "Action": "die",
        "Actor": {"ID": "abc", "Attributes": {"b": "2", "a": "1"}},
        "time": 1,
        "timeNano": 1_500_000_000,
    }
    answers["GET /events"] = (event, event)
    assert run("events").stdout.splitlines()[0].endswith(".500000000Z container die abc (a=1, b=2)")
    assert run("events", "--format", "{{.Type}} {{.Actor.Attributes.a}}").stdout == "container 1\ncontainer 1\n"
    assert json.loads(run("events", "--format", "json").stdout.splitlines()[0]) == event


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["images", "--tree"], "images --tree is not built"),
        (["volume", "ls", "--cluster"], "no node of a swarm"),
        (["start", "--checkpoint", "c", "x"], "start --checkpoint is not built"),
        (["start", "--checkpoint-dir", "d", "x"], "start --checkpoint is not built"),
        (["run", "--use-api-socket", "x"], "--use-api-socket is not built"),
        (["create", "--use-api-socket", "x"], "--use-api-socket is not built"),
        (["run", "--cpu-count", "1", "x"], "only supported on a Docker daemon running on windows"),
        (["create", "--io-maxiops", "1", "x"], "only supported on a Docker daemon running on windows"),
    ],
)
def test_what_is_not_built_says_so(run: Run, words: list[str], message: str) -> None:
    done = run(*words)
    assert done.returncode == 1
    assert message in done.stderr


def test_what_docker_takes_and_warns_about(run: Run, answers: dict[str, Any]) -> None:
    answers["POST /containers/create"] = {"Id": "c1"}
    done = run("create", "--kernel-memory", "1g", "x")
    assert (done.returncode, done.stdout) == (0, "c1\n")
    assert done.stderr == "Flag --kernel-memory has been deprecated, and no longer supported by the kernel\n"


def test_stopping_many_takes_no_longer_than_the_slowest(run: Run, answers: dict[str, Any]) -> None:
    answers.update({f"POST /containers/c{number}/stop": b"" for number in range(60)})
    done = run("stop", *(f"c{number}" for number in range(60)))
    assert done.stdout.split() == [f"c{number}" for number in range(60)]


def test_an_engines_error_and_its_hint_are_shown(run: Run, answers: dict[str, Any]) -> None:
    done = run("ps")
    assert (done.returncode, done.stderr) == (1, "Error response from daemon: page not found\n")
    answers["GET /containers/json"] = Refusal("no", hint="try yes")
    assert run("ps").stderr == "Error response from daemon: no\nhint: try yes\n"


def test_nobody_listening_is_told_with_a_remedy(tmp_path: Path) -> None:
    done = subprocess.run([OURS, "-H", f"unix://{tmp_path}/none", "ps"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(f"Cannot connect to the engine at unix://{tmp_path}/none: No such file or directory.")
    assert "hint: start one with: corten serve" in done.stderr


def test_a_socket_with_a_long_path_is_reached(answers: dict[str, Any], tmp_path: Path) -> None:
    place = tmp_path / ("d" * 100)
    place.mkdir()
    answers["GET /containers/json"] = []
    (tmp_path / "s").symlink_to(place)
    engine = Scripted(tmp_path / "s" / "x", answers)
    done = subprocess.run([OURS, "-H", f"unix://{place}/x", "ps", "-q"], capture_output=True, text=True, check=False)
    engine.close()
    assert (done.returncode, done.stderr) == (0, "")


def test_an_engine_named_by_its_address_is_not_reset(run: Run) -> None:
    done = run("system", "reset", "--force")
    assert done.returncode == 1
    assert "cannot reset the engine" in done.stderr


def test_a_runtime_that_is_not_there_and_groups_and_topics(run: Run) -> None:
    assert run("network").stdout.startswith("Usage:  corten network COMMAND")
    assert run("help", "ps").stdout == run("ps", "--help").stdout
    assert run("help", "nosuch").stderr == "unknown help topic: nosuch\n"
    assert run("ps", "-h").stderr == "Flag shorthand -h has been deprecated, use --help\n"
    assert run("--version").stdout.startswith("Corten version ")


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["ru"], "run"),
        (["container", "l"], "ls"),
        (["run", "--net"], "--network"),
        (["rm", ""], "web"),
        (["exec", "w"], "web"),
        (["rmi", "b"], "busybox:latest"),
        (["network", "rm", ""], "bridge"),
        (["volume", "rm", "v"], "vol"),
    ],
)
def test_completion_knows_commands_flags_and_names(
    run: Run, answers: dict[str, Any], words: list[str], wanted: str
) -> None:
    answers["GET /containers/json"] = [{"Names": ["/web"], "State": "running"}]
    answers["GET /images/json"] = [{"RepoTags": ["busybox:latest"]}]
    answers["GET /networks"] = [{"Name": "bridge"}]
    answers["GET /volumes"] = {"Volumes": [{"Name": "vol"}]}
    offered = [line.split("\t")[0] for line in run("__complete", "--", *words).stdout.splitlines()]
    assert wanted in offered


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_its_script(run: Run, shell: str) -> None:
    assert "corten __complete" in run("completion", shell).stdout
    assert run("completion", "nosuch").returncode == 1


def test_what_was_to_be_encrypted_is_never_sent_in_the_clear() -> None:
    env = {"DOCKER_TLS_VERIFY": "1", "DOCKER_HOST": "tcp://127.0.0.1:1"}
    done = subprocess.run([OURS, "ps"], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "TLS is not built" in done.stderr


@pytest.mark.parametrize(
    ("env", "words", "place"),
    [
        ({"CORTEN_HOST": "unix:///b", "CORTEN_ROOT": "/c", "DOCKER_HOST": "unix:///d"}, ["-H", "unix:///a"], "/a"),
        ({"CORTEN_HOST": "unix:///b", "CORTEN_ROOT": "/c", "DOCKER_HOST": "unix:///d"}, [], "/b"),
        ({"CORTEN_HOST": "", "DOCKER_HOST": "unix:///d"}, [], "/d"),
    ],
)
def test_the_engine_is_named_by_the_first_that_says_so(env: dict[str, str], words: list[str], place: str) -> None:
    done = subprocess.run([OURS, *words, "ps"], env=env, capture_output=True, text=True, check=False)
    assert f"Cannot connect to the engine at unix://{place}:" in done.stderr


@pytest.mark.parametrize(
    "name",
    [
        "app",
        "app:1",
        "team/app:v1.2-rc_1",
        "a__b",
        "a--b",
        "a..b",
        "A",
        "a:",
        ":a",
        "a/",
        "/a",
        "a b",
        "a" * 64,
        "é",
        "1:A",
    ],
)
def test_a_quick_look_at_a_name_never_passes_a_wrong_one(name: str) -> None:
    if names._is_plain(name):
        Reference.parse(name)
    assert names._is_plain("team/app:v1.2-rc_1")
    assert not names._is_plain("a/")
