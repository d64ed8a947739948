"""The same runtime as an ordinary user, with the one id that needs no help to be mapped."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import corten
from tests.root.runtime.bundle import COMMAND, make_rootfs, wait_for

USER = 12345
CODE = "import sys; sys.path.insert(0, {!r}); from corten.runtime.command import main; sys.exit(main(sys.argv[1:]))"


def interpreter() -> str:
    """A Python that an ordinary user may execute: this one may lie below root's home."""
    for candidate in (sys.executable, shutil.which("python3", path="/usr/bin:/usr/local/bin")):
        check = "import sys; sys.exit(sys.version_info < (3, 11))"
        try:
            if candidate and subprocess.run([candidate, "-IS", "-c", check], user=USER, check=False).returncode == 0:
                return candidate
        except PermissionError:
            continue
    pytest.skip("needs a Python that an ordinary user may execute")


class Rootless:
    def __init__(self, home: Path, program: Path) -> None:
        self.home = home
        source = str(Path(corten.__path__[0]).parent)
        self.argv = [interpreter(), "-IS", "-c", CODE.format(source)]
        self.env = {"XDG_RUNTIME_DIR": str(home / "run"), "CORTEN_PROGRAM": str(program), "PATH": os.environ["PATH"]}

    def __call__(self, *args: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        argv = [*self.argv, *args]
        done = subprocess.run(
            argv, user=USER, group=USER, extra_groups=[], cwd=self.home, env=self.env, capture_output=True, text=True,
            timeout=60, check=False,
        )  # fmt: skip
        assert not check or done.returncode == 0, done.stderr
        return done

    def configure(self, *args: str, **linux: Any) -> None:
        path = self.home / "config.json"
        path.unlink(missing_ok=True)
        self("spec", "--rootless")
        spec = json.loads(path.read_text())
        spec["process"] |= {"terminal": False, "args": list(args)}
        spec["linux"] |= linux
        path.write_text(json.dumps(spec))


@pytest.fixture
def rootless(scratch: Path, leaves_nothing: None) -> Rootless:  # noqa: ARG001
    home = scratch / "home"
    (home / "run").mkdir(parents=True)
    scratch.chmod(0o755)
    make_rootfs(home / "rootfs")
    for path in (home, *home.rglob("*")):
        os.chown(path, USER, USER, follow_symlinks=False)
    program = Path(shutil.copy2(COMMAND.with_name("corten"), scratch / "corten"))
    return Rootless(home, program)


def test_an_ordinary_user_runs_a_container_as_its_root(rootless: Rootless) -> None:
    rootless.configure(
        "/bin/sh", "-c", "id -u; cat /proc/self/uid_map; stat -c %t:%T /dev/null; touch /tmp/x; hostname"
    )
    uid, mapping, null, host = rootless("run", "mine").stdout.splitlines()
    assert (uid, mapping.split(), null, host) == ("0", ["0", str(USER), "1"], "1:3", "corten")


def test_an_ordinary_user_execs_kills_and_deletes(rootless: Rootless) -> None:
    rootless.configure("/bin/sleep", "1000")
    argv = [*rootless.argv, "create", "mine"]
    subprocess.run(
        argv, user=USER, group=USER, extra_groups=[], cwd=rootless.home, env=rootless.env, stdin=subprocess.DEVNULL,
        check=True, timeout=60,
    )  # fmt: skip
    rootless("start", "mine")
    assert rootless("exec", "mine", "/bin/id", "-u").stdout == "0\n"
    rootless("kill", "mine", "KILL")
    wait_for(lambda: json.loads(rootless("state", "mine").stdout)["status"] == "stopped")
    rootless("delete", "mine")
    assert rootless("list", "-q").stdout == ""


def test_limits_that_nobody_can_enforce_are_told(rootless: Rootless) -> None:
    rootless.configure("/bin/true", resources={"memory": {"limit": 1 << 20}})
    assert "limits are not enforced" in rootless("run", "mine").stderr


def test_without_a_user_namespace_it_is_refused_with_the_remedy(rootless: Rootless) -> None:
    rootless.configure("/bin/true", namespaces=[{"type": "mount"}], uidMappings=[], gidMappings=[])
    refused = rootless("run", "mine", check=False)
    assert (refused.returncode, "/linux/namespaces" in refused.stderr) == (1, True)
