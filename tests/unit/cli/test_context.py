"""`corten context …`: what docker's own command prints and keeps; and the engine of the context in use is asked."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.cli.engine import Scripted

OURS = str(Path(sys.executable).with_name("corten"))
VARIABLES = ("DOCKER_HOST", "DOCKER_CONTEXT", "CORTEN_HOST", "CORTEN_ROOT")
Said = tuple[int, str, str]


def said(program: str, home: Path, *words: str, stdin: bytes = b"", **variables: str) -> Said:
    env = {key: value for key, value in os.environ.items() if key not in VARIABLES}
    env |= {"HOME": str(home), "DOCKER_CONFIG": str(home / ".docker"), **variables}
    home.mkdir(exist_ok=True)
    done = subprocess.run([program, *words], input=stdin, cwd=home, env=env, capture_output=True, check=False)
    texts = [
        re.sub(r" +", " ", text.decode("utf-8", "replace")).replace(str(home), "HOME")
        for text in (done.stdout, done.stderr)
    ]
    own = {"unix:///run/corten/corten.sock": "OWN", "unix:///var/run/docker.sock": "OWN"}
    for socket, word in own.items():
        texts = [text.replace(socket, word) for text in texts]
    return done.returncode, texts[0], texts[1].replace("hint: it must be what `context export` wrote\n", "")


def kept(home: Path) -> dict[str, object]:
    """Every file below the contexts' directory: its content and mode."""
    return {
        str(path.relative_to(home)): (json.loads(path.read_text()), path.stat().st_mode & 0o777)
        for path in home.rglob("meta.json")
    }


STORY = """\
context create aa --description first --docker host=unix:///tmp/a.sock
context create aa
context create bb --docker host=tcp://127.0.0.1:2375
context create ee --from aa
context create ff --docker from=bb --description F
context create default
context create a
context create gg --docker nonsense=1
context ls
context ls -q
context ls --format {{.Name}}|{{.Description}}|{{.DockerEndpoint}}|{{.Current}}
context ls --format json
context use bb
context show
context ls
context inspect
context inspect aa nosuch
context inspect --format {{.Name}} aa
context use nosuch
--context aa context show
--context aa --host unix:///x context show
context update aa --description changed
context update aa --docker host=unix:///tmp/b.sock
context update nosuch --description x
context export aa
context export aa
context import i1 aa.dockercontext
context import i1 aa.dockercontext
context import i2 absent
context inspect i1
context rm ee nosuch
context rm bb
context rm -f bb
context rm default
context show
context use default
""".splitlines()


def story(program: str, home: Path) -> list[object]:
    told: list[object] = [said(program, home, *line.split(" ")) for line in STORY]
    told += [said(program, home, "context", "show", DOCKER_CONTEXT="ff")]
    told += [said(program, home, "context", "show", DOCKER_HOST="unix:///z")]
    told += [said(program, home, "context", "use", "ff", DOCKER_HOST="unix:///z")]
    told += [said(program, home, "context", "import", "i3", "-", stdin=b"junk")]
    return [*told, kept(home)]


def test_contexts_are_those_of_docker_word_for_word(tmp_path: Path) -> None:
    ours = story(OURS, tmp_path / "ours")
    documents = [value for value in ours if isinstance(value, dict)][-1]
    names = sorted(meta["Name"] for meta, _ in documents.values())
    assert names == ["aa", "ff", "i1"]
    if not shutil.which("docker"):
        pytest.skip("docker's own command is not installed")
    assert ours == story("docker", tmp_path / "theirs")


def test_the_engine_of_the_context_in_use_is_asked(tmp_path: Path) -> None:
    engine = Scripted(tmp_path / "engine.sock", {"GET /containers/json": []})
    said(OURS, tmp_path, "context", "create", "mine", "--docker", f"host={engine.address}")
    for words in (("--context", "mine", "ps"), ("-c", "mine", "ps")):
        assert said(OURS, tmp_path, *words)[0] == 0
    assert said(OURS, tmp_path, "ps", DOCKER_CONTEXT="mine")[0] == 0
    said(OURS, tmp_path, "context", "use", "mine")
    assert said(OURS, tmp_path, "ps")[0] == 0
    status, _, words_of_it = said(OURS, tmp_path, "--context", "nosuch", "ps")
    assert status == 1
    assert words_of_it.startswith('Failed to initialize: unable to resolve docker endpoint: context "nosuch"')
    status, _, elsewhere = said(OURS, tmp_path, "ps", DOCKER_HOST="unix:///nowhere/at.all")
    assert status == 1
    assert "/nowhere/at.all" in elsewhere
    engine.close()


def test_keys_of_a_context_travel_and_stay_private(tmp_path: Path) -> None:
    pem = tmp_path / "a.pem"
    pem.write_text("-----BEGIN CERTIFICATE-----\n")
    keys = ",".join(f"{name}={pem}" for name in ("ca", "cert", "key"))
    words = ("context", "create", "far", "--docker", f"host=tcp://h:2376,{keys},skip-tls-verify=true")
    assert said(OURS, tmp_path, *words)[0] == 0
    said(OURS, tmp_path, "context", "export", "far", "far.tar")
    assert (tmp_path / "far.tar").stat().st_mode & 0o777 == 0o600
    assert said(OURS, tmp_path, "context", "import", "near", "far.tar")[0] == 0
    pems = list((tmp_path / ".docker").rglob("*.pem"))
    assert len(pems) == 6
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in pems)
    assert said(OURS, tmp_path, "--context", "near", "ps")[2].startswith("cannot reach tcp://h:2376")
