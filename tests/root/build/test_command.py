"""`corten build` and docker's own command at our engine."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.root.build.building import Site
from tests.root.engines import OTHER_HOST, docker_command

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
