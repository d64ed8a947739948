"""Every parameter of POST /build has its effect, seen in the image or by what RUN sees."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.root.build.building import Site, context
from tests.root.engines import OTHER_HOST, eventually, unified_cgroups

pytestmark = [pytest.mark.root, pytest.mark.skipif(bool(OTHER_HOST), reason="reads our cgroups")]
V2 = unified_cgroups()
PARENT = "corten-build-parent"


class Seen(NamedTuple):
    """Build with `query`; what `command` writes in a RUN must be `seen`."""

    query: dict[str, Any]
    command: str
    seen: str


def limit(v1: str, v2: str, seen: str, seen_v2: str, **query: Any) -> Seen:
    return Seen(query, f"cat /sys/fs/cgroup/{v2 if V2 else v1}", seen_v2 if V2 else seen)


EFFECTS = {
    "buildargs": Seen({"buildargs": json.dumps({"WORD": "given"})}, "echo $WORD", "given"),
    "networkmode": Seen({"networkmode": "none"}, "ls /sys/class/net", "lo"),
    "extrahosts": Seen({"extrahosts": "far:10.9.8.7"}, "grep far /etc/hosts | tr -d '\\t'", "10.9.8.7far"),
    "shmsize": Seen({"shmsize": str(8 << 20)}, "df -k /dev/shm | tail -1 | awk '{print $2}'", "8192"),
    "memory": limit(
        "memory/memory.limit_in_bytes", "memory.max", str(64 << 20), str(64 << 20), memory=str(64 << 20), memswap="-1"
    ),
    "memswap": limit(
        "memory/memory.limit_in_bytes", "memory.swap.max", str(64 << 20), "max", memory=str(64 << 20), memswap="-1"
    ),
    "cpushares": limit("cpu/cpu.shares", "cpu.weight", "512", "20", cpushares="512"),
    "cpuperiod": limit("cpu/cpu.cfs_period_us", "cpu.max", "50000", "25000 50000", cpuperiod="50000", cpuquota="25000"),
    "cpuquota": limit("cpu/cpu.cfs_quota_us", "cpu.max", "25000", "25000 50000", cpuperiod="50000", cpuquota="25000"),
    "cpusetcpus": limit("cpuset/cpuset.cpus", "cpuset.cpus", "0", "0", cpusetcpus="0"),
    "cpusetmems": limit("cpuset/cpuset.mems", "cpuset.mems", "0", "0", cpusetmems="0"),
    "cgroupparent": Seen({"cgroupparent": f"/{PARENT}"}, f"grep -o {PARENT} /proc/self/cgroup | head -1", PARENT),
    "ulimits": Seen({"ulimits": json.dumps([{"Name": "nofile", "Soft": 77, "Hard": 99}])}, "ulimit -n", "77"),
}


@pytest.fixture(autouse=True)
def no_parent_left() -> Iterator[None]:
    """A parent that the request names is the user's, and stays."""
    yield
    groups = Path("/sys/fs/cgroup")
    for path in (groups / PARENT, *(group / PARENT for group in groups.iterdir())):
        if path.is_dir():
            path.rmdir()


@pytest.mark.parametrize("name", EFFECTS)
def test_a_parameter_has_its_effect_on_run(site: Site, name: str) -> None:
    effect = EFFECTS[name]
    text = f"FROM tiny\nARG WORD\nRUN {effect.command} > /seen\n"
    built = site.build(context(text), nocache="1", **effect.query)
    shown = site.files(built.id)["seen"]
    assert json.loads(shown.partition('"')[1] + shown.partition('"')[2]).strip() == effect.seen


def test_names_and_labels_are_the_images(site: Site) -> None:
    built = site.build(context("FROM tiny\n"), t="named:one", labels='{"a": "b"}')
    found = site.client.images.get("named:one")
    assert (found["Id"], found["Config"]["Labels"]) == (built.id, {"a": "b"})


def test_the_dockerfile_and_the_target_are_chosen(site: Site) -> None:
    files = {"other": "FROM tiny AS one\nRUN echo 1 > /one\nFROM one\nRUN echo 2 > /two\n"}
    built = site.build(context("FROM nosuch\n", files), dockerfile="other", target="one")
    assert "two" not in site.files(built.id)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"squash": "1"}, "--squash is not supported"),
        ({"isolation": "hyperv"}, "unsupported isolation"),
        ({"securityopt": '["seccomp=unconfined"]'}, "security options for builds"),
        ({"outputs": '[{"Type":"local"}]'}, "gives images only"),
        ({"version": "2"}, "BuildKit"),
        ({"remote": "git://127.0.0.1:1/x.git"}, "cannot fetch git://127.0.0.1:1/x.git: git fetch"),
        ({"remote": "https://host/x.git#--upload-pack=touch"}, "invalid git reference"),
        ({"platform": "linux/mips"}, "base image tiny (linux/mips)"),
        ({"buildargs": "no json"}, "invalid value for parameter buildargs"),
        ({"pull": "1"}, "base image tiny"),
        ({"target": "nosuch"}, "target stage 'nosuch' could not be found"),
        ({"t": "UPPER"}, "invalid reference format"),
    ],
)
def test_what_cannot_be_done_says_so(site: Site, query: dict[str, str], words: str) -> None:
    assert words in site.build(context("FROM tiny\nRUN true\n"), None, **query).error


def test_cache_from_an_image_that_is_not_here_uses_no_cache(site: Site) -> None:
    archive = context("FROM tiny\nRUN echo cache-from > /x\n")
    site.build(archive, t="source:here")
    assert site.build(archive, cachefrom='["source:here"]').cached == 1
    assert site.build(archive, cachefrom='["not:here"]').cached == 0


def test_a_context_comes_from_an_address(site: Site, tmp_path: Path) -> None:
    (tmp_path / "context.tar").write_bytes(context("FROM tiny\nCOPY f /f\nRUN true\n", {"f": "1"}))
    (tmp_path / "Dockerfile").write_text("FROM tiny\nRUN echo remote > /r\n")
    (tmp_path / "extra").write_text("fetched")
    right = hashlib.sha256(b"fetched").hexdigest()
    with served(site, tmp_path) as address:
        assert "f" in site.files(site.build(b"", remote=f"{address}/context.tar").id)
        assert "r" in site.files(site.build(b"", remote=f"{address}/Dockerfile").id)
        text = f"FROM tiny\nADD --checksum=sha256:{{0}} {address}/extra /x/\n"
        assert site.files(site.build(context(text.format(right))).id)["x/extra"] == '- 0600 0:0 "fetched"'
        assert "its checksum is" in site.build(context(text.format("0" * 64))).error
        assert "404" in site.build(context(f"FROM tiny\nADD {address}/absent /x\n")).error


@contextmanager
def served(site: Site, directory: Path) -> Iterator[str]:
    """A web server on the loopback of the engine's own network namespace."""
    process = site.engine.process
    assert process is not None
    command = ["nsenter", "-t", str(process.pid), "-n", "--", sys.executable, "-m", "http.server", "8765"]
    bound = ["--bind", "127.0.0.1", "--directory", str(directory)]
    quiet = subprocess.DEVNULL
    server = subprocess.Popen([*command, *bound], stdout=quiet, stderr=quiet)
    try:
        probe = "import socket; socket.create_connection(('127.0.0.1', 8765))"
        eventually(lambda: site.engine.inside(sys.executable, "-c", probe).returncode == 0)
        yield "http://127.0.0.1:8765"
    finally:
        server.kill()
        server.wait()
