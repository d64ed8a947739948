"""`corten build` and docker's own command at our engine."""

import base64
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.root.build.building import Site
from tests.root.engines import OTHER_HOST, Terminal, docker_command

pytestmark = [pytest.mark.root, pytest.mark.skipif(bool(OTHER_HOST), reason="corten's own command")]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    context = tmp_path / "context"
    context.mkdir()
    (context / "Dockerfile").write_text("FROM scratch\nCOPY . /in\n")
    (context / "f").write_text("content")
    (context / "g.log").write_text("left out")
    (context / ".dockerignore").write_text("*.log\n.dockerignore\nDockerfile\n")
    return context


def corten(site: Site, *words: str, stdin: str = "") -> "subprocess.CompletedProcess[str]":
    code = "import sys; from corten.cli.command import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "--host", site.engine.host, *words]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)


def test_output_gives_the_files_and_leaves_no_image(site: Site, place: Path, tmp_path: Path) -> None:
    before = site.client.images.list()
    done = corten(site, "build", "-o", str(tmp_path / "out"), str(place))
    assert done.returncode == 0, done.stderr
    assert {path.name for path in (tmp_path / "out" / "in").iterdir()} == {"f"}
    assert site.client.images.list() == before


def test_output_is_a_tar_on_stdout(site: Site, place: Path) -> None:
    words = ["build", "--output", "type=tar,dest=-", str(place)]
    done = corten(site, *words)
    assert done.stdout[257:262] == "ustar"
    assert "Step 1/2" in done.stderr


def test_quiet_prints_the_image_alone_and_iidfile_holds_it(site: Site, place: Path, tmp_path: Path) -> None:
    done = corten(site, "build", "-q", "--iidfile", str(tmp_path / "iid"), str(place))
    assert done.stdout.strip() == (tmp_path / "iid").read_text()
    assert done.stdout.startswith("sha256:")


def test_a_dockerfile_on_stdin_needs_no_context(site: Site) -> None:
    done = corten(site, "build", "-q", "-", stdin="FROM tiny\nRUN true\n")
    assert done.stdout.startswith("sha256:"), done.stderr


def test_a_dockerfiles_own_ignore_file_wins(site: Site, place: Path, tmp_path: Path) -> None:
    (place / "Dockerfile.dockerignore").write_text("f\n*ignore\nDockerfile\n")
    assert corten(site, "build", "-o", str(tmp_path / "out"), str(place)).returncode == 0
    assert {path.name for path in (tmp_path / "out" / "in").iterdir()} == {"g.log"}


def test_a_secret_comes_from_a_file_or_a_variable(site: Site, tmp_path: Path) -> None:
    (tmp_path / "word").write_text("four")
    text = "FROM tiny\nRUN --mount=type=secret,id=w,required test $(cat /run/secrets/w) = four\n"
    done = corten(site, "build", "--secret", f"id=w,src={tmp_path}/word", "-", stdin=text)
    assert done.returncode == 0, done.stderr
    assert "there is no environment variable" in corten(site, "build", "--secret", "id=w", "-", stdin=text).stderr


def test_dockers_command_builds_here(site: Site, place: Path) -> None:
    if not docker_command():
        pytest.skip("needs the docker command (Debian package docker.io)")
    environment = {**site.engine.environment, "DOCKER_BUILDKIT": "0", "PATH": os.environ["PATH"]}
    command = [docker_command() or "", "build", "-t", "by-docker", "--build-arg", "A=b", str(place)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert "Successfully tagged by-docker:latest" in done.stdout, done.stderr


def test_buildkits_ways_in_name_the_remedy(site: Site) -> None:
    for path in ("/session", "/grpc"):
        answer = site.client._connection.request("POST", path)
        assert answer.status == 501
        assert b"DOCKER_BUILDKIT=0" in answer.read()


STEPS = "FROM tiny\nRUN echo said-{0}; sleep 0.3\nRUN echo again-{0} >&2; exit {1}\n"


def test_a_terminal_shows_a_board_of_the_steps(site: Site, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(STEPS.format("tty", 0))
    code = "import sys; from corten.cli.command import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "--host", site.engine.host, "build", "-t", "by-board", str(tmp_path)]
    with Terminal(command, {"PATH": os.environ["PATH"], "TERM": "xterm"}, 24, 80) as terminal:
        terminal.see(r"\[\+\] Building")
        terminal.see(r"=> => said-tty")
        terminal.see(r"Building \d+\.\ds \(3/3\) FINISHED")
        terminal.see(r"Successfully tagged by-board:latest")
        assert terminal.ended() == 0


def test_a_failed_step_on_a_terminal_shows_its_output_and_the_error(site: Site) -> None:
    done = corten(site, "build", "--progress=tty", "-", stdin=STEPS.format("failing", 3))
    assert done.returncode == 1
    assert "ERROR [3/3] RUN echo again-failing" in done.stdout
    assert "again-failing\n------" in done.stdout
    assert "returned a non-zero code: 3" in done.stderr


def test_raw_progress_is_a_json_object_a_line(site: Site) -> None:
    done = corten(site, "build", "--no-cache", "--progress=rawjson", "-", stdin=STEPS.format("raw", 0))
    told = [json.loads(line) for line in done.stderr.splitlines()]
    vertexes = {one["digest"]: one for message in told for one in message.get("vertexes", ())}
    assert next(one["name"] for one in vertexes.values()) == "[internal] FROM tiny"
    assert all(one["started"] <= one["completed"] for one in vertexes.values())
    logs = [log for message in told for log in message.get("logs", ())]
    assert [base64.b64decode(log["data"]) for log in logs] == [b"said-raw\n", b"again-raw\n"]
    assert [log["stream"] for log in logs] == [1, 2]
    again = corten(site, "build", "--progress=rawjson", "-", stdin=STEPS.format("raw", 0))
    assert sum('"cached": true' in line or '"cached":true' in line for line in again.stderr.splitlines()) >= 2


def test_plain_and_quiet_progress_and_no_other(site: Site) -> None:
    text = STEPS.format("plain", 0)
    assert "Step 1/3 : FROM tiny" in corten(site, "build", "--progress=plain", "-", stdin=text).stdout
    assert corten(site, "build", "--progress=quiet", "-", stdin=text).stdout.startswith("sha256:")
    refused = corten(site, "build", "--progress=fancy", "-", stdin=text)
    assert "invalid progress mode fancy" in refused.stderr
    assert refused.returncode != 0
