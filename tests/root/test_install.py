"""`pip install`, then a container: the wheel as a user gets it, in an environment of its own."""

import os
import shutil
import subprocess
import sys
import tempfile
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.timeout(300)]
CHECKOUT = Path(__file__).parents[2]


def run(*command: str | Path, **env: str) -> str:
    done = subprocess.run([str(word) for word in command], env=env or None, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def scratch() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="corten-install-", dir="/dev/shm"))
    yield made
    shutil.rmtree(made)


@pytest.fixture(scope="module")
def wheel(scratch: Path) -> Path:
    source = scratch / "source"  # the build writes below its source
    parts = ("src", "native", "pyproject.toml", "hatch_build.py", "README.md")
    source.mkdir()
    for part in parts:
        if (CHECKOUT / part).is_dir():
            shutil.copytree(CHECKOUT / part, source / part, ignore=shutil.ignore_patterns("build", "__pycache__"))
        else:
            shutil.copy(CHECKOUT / part, source / part)
    quiet = ("-q", "--no-deps", "--no-build-isolation", "-w", str(scratch))
    run(sys.executable, "-m", "pip", "wheel", *quiet, source)
    return next(scratch.glob("*.whl"))


def test_one_wheel_for_every_python_and_libc_holds_the_static_program(wheel: Path) -> None:
    assert "-py3-none-manylinux" in wheel.name
    assert "musllinux" in wheel.name
    with zipfile.ZipFile(wheel) as archive:
        scripts = {name.rsplit("/", 1)[1]: name for name in archive.namelist() if ".data/scripts/" in name}
        assert scripts.keys() == {"corten", "corten-runtime", "corten-python"}
        program = archive.read(scripts["corten"])
    assert program[:4] == b"\x7fELF"
    assert b"/ld-linux" not in program  # it names no dynamic loader


def test_an_installed_corten_runs_a_container_and_cleans_up(wheel: Path, scratch: Path) -> None:
    venv.create(scratch / "venv", with_pip=True)
    binaries = scratch / "venv/bin"
    run(binaries / "pip", "install", "-q", wheel)
    env = {"PATH": os.environ["PATH"], "HOME": str(scratch), "CORTEN_ROOT": str(scratch / "root")}
    corten: list[str | Path] = ["unshare", "-m", "-n", "--propagation", "private", binaries / "corten"]
    said = run(*corten, "run", "--rm", "--network=none", "--rootfs=/:O", "echo", "installed", **env)
    assert said == "installed\n"
    run(binaries / "corten", "system", "reset", "--force", **env)
    assert not (scratch / "root/data").exists()
