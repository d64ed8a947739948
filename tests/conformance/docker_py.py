"""docker-py's own integration tests (PyPI source of `docker` 6.1.3, the last that carries them).

They want: one image id per tag, a user `postgres`, a fresh HOME, a shared mount tree, and the engine's namespaces as
their own (they make bind mounts and talk to published ports).
"""

import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from tests.conformance.cache import run, suite
from tests.images import stand_ins

__all__ = ["IMAGES", "run_suite"]

VERSION = "6.1.3"
REQUIREMENTS = ["requests<2.32", "urllib3<2", "pytest<8", "pytest-timeout", "paramiko", "websocket-client", "packaging"]
BUSYBOXES = [f"busybox:{tag}" for tag in ("latest", "1.35", "buildroot-2014.02", "1.27.2", "musl", "glibc", "uclibc")]
ALPINES = [f"alpine:{tag}" for tag in ("latest", "3.10", "3", "3.18", "3.19")]
IMAGES = [*BUSYBOXES, *ALPINES, "hello-world:latest", "debian:bookworm-slim", "ubuntu:latest"]


def prepare(place: Path) -> None:
    source = ["--no-deps", "--no-binary", ":all:", f"docker=={VERSION}"]
    run(sys.executable, "-m", "pip", "download", "-q", "-d", place, *source)
    run("tar", "-xzf", place / f"docker-{VERSION}.tar.gz", "-C", place)
    run(sys.executable, "-m", "venv", place / "venv")
    run(place / "venv/bin/pip", "install", "-q", *REQUIREMENTS)


def run_suite(host: str, enter: list[str], only: str = "", seconds: int = 1200) -> dict[str, str]:
    """Run the suite against the engine at `host`, inside the namespaces `enter`; each test's name to its state."""
    place = suite(f"docker-py-{VERSION}-1", prepare)
    with tempfile.TemporaryDirectory(prefix="corten-docker-py-", dir="/dev/shm") as home:
        report = Path(home) / "report.xml"
        # Without it docker-py keeps its contexts in the working directory, where the next run would find them.
        (Path(home) / ".docker").mkdir()
        (Path(home) / ".docker/config.json").write_text("{}")
        archive = Path(home) / "images.tar"
        archive.write_bytes(stand_ins(*IMAGES))
        env = {"PATH": os.environ["PATH"], "HOME": home, "DOCKER_HOST": host, "TMPDIR": home, "LANG": "C.UTF-8"}
        subprocess.run(["docker", "load", "-qi", str(archive)], env=env, check=True, stdout=subprocess.DEVNULL)
        source = place / f"docker-{VERSION}"
        command = [place / "venv/bin/python", "-m", "pytest", source / "tests/integration", f"--rootdir={source}"]
        options = ["-q", "-p", "no:cacheprovider", "--timeout=60", "--timeout-method=thread", f"--junitxml={report}"]
        options += ["-k", only] if only else []
        inside = ["sh", "-c", 'cd "$0" && exec "$@"', source]
        subprocess.run(
            [*enter, *map(str, [*inside, *command, *options])],
            env=env | {"PYTHONPATH": str(source)},
            timeout=seconds,
            check=False,
        )
        return states(report)


def states(report: Path) -> dict[str, str]:
    """passed, failed, error or skipped by test name, from a JUnit report."""
    found = {}
    for case in ElementTree.parse(report).iter("testcase"):
        name = f"{case.get('classname', '').removeprefix('tests.integration.')}.{case.get('name')}"
        kinds = {child.tag for child in case}
        found[name] = next((word for word in ("error", "failure", "skipped") if word in kinds), "passed")
    return found
