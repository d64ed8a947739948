"""The runtime's command line as an ordinary user calls it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import corten
from tests.root.runtime.bundle import COMMAND, make_rootfs

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


def at_home(scratch: Path) -> Rootless:
    """A home directory with a root file system, all of it the user's, and a program that the user may execute."""
    home = scratch / "home"
    (home / "run").mkdir(parents=True)
    scratch.chmod(0o755)
    make_rootfs(home / "rootfs")
    for path in (home, *home.rglob("*")):
        os.chown(path, USER, USER, follow_symlinks=False)
    program = Path(shutil.copy2(COMMAND.with_name("corten"), scratch / "corten"))
    return Rootless(home, program)
