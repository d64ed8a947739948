"""A bundle with busybox in it and the command that runs it, for the runtime's root tests."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import pytest

from corten.runtime.template import config

APPLETS = (
    "sh true false ls cat mount id hostname ps env pwd sleep touch readlink stat umask wc grep mkdir mkfifo echo head "
    "nproc dmesg ip ifconfig mknod dd kill tty stty date chown ln test sed cut sort printf trap rm df uname ipcs ionice"
)
COMMAND = Path(sys.executable).parent / "corten-runtime"


def make_rootfs(at: Path) -> Path:
    busybox = shutil.which("busybox")
    if not busybox:
        pytest.skip("needs busybox-static")
    for directory in ("bin", "proc", "sys", "dev", "tmp", "etc", "root", "data"):
        (at / directory).mkdir(parents=True)
    shutil.copy2(busybox, at / "bin/busybox")
    for applet in APPLETS.split():
        (at / "bin" / applet).symlink_to("busybox")
    (at / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\nweb:x:1000:1000::/data:/bin/sh\n")
    return at


class Bundle:
    """A bundle's directory and its configuration, which a test changes before it runs it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rootfs = make_rootfs(path / "rootfs")
        self.spec: Any = json.loads(json.dumps(config()))
        self.id = f"corten-test-{uuid.uuid4().hex[:12]}"
        self.spec["process"]["terminal"] = False
        self.spec["linux"]["cgroupsPath"] = f"/{self.id}"

    @property
    def process(self) -> Any:
        return self.spec["process"]

    @property
    def linux(self) -> Any:
        return self.spec["linux"]

    def mount(self, destination: str, source: str | Path, *options: str, kind: str = "bind") -> None:
        entry = {"destination": destination, "type": kind, "source": str(source), "options": list(options)}
        self.spec["mounts"].append(entry)

    def write(self) -> None:
        (self.path / "config.json").write_text(json.dumps(self.spec))


class Runtime:
    """The command with a state directory of its own; `command` may be another runtime's, for comparison."""

    def __init__(self, scratch: Path, command: Path | str = COMMAND) -> None:
        self.command = str(command)
        self.root = scratch / "state"
        self.bundle = Bundle(scratch / "bundle")
        self.log = scratch / "log.json"

    def __call__(
        self, *args: str, input: str | None = None, check: bool = True, **popen: Any
    ) -> subprocess.CompletedProcess[str]:
        """Run a verb; with `check` a failure of it is one of the test's."""
        argv = [self.command, "--root", str(self.root), *args]
        done = subprocess.run(argv, capture_output=True, text=True, input=input, timeout=60, check=False, **popen)
        assert not check or done.returncode == 0, done.stderr
        return done

    def run(self, *args: str, check: bool = True, flags: tuple[str, ...] = (), **popen: Any) -> str:
        """Run the bundle with this program in the foreground; what it printed."""
        return self.result(*args, check=check, flags=flags, **popen).stdout

    def result(
        self, *args: str, check: bool = False, flags: tuple[str, ...] = (), **popen: Any
    ) -> subprocess.CompletedProcess[str]:
        if args:
            self.bundle.process["args"] = list(args)
        self.bundle.write()
        return self("run", "-b", str(self.bundle.path), *flags, self.bundle.id, check=check, **popen)

    def sh(self, script: str, **rest: Any) -> str:
        return self.run("/bin/sh", "-c", script, **rest)

    def create(self, *args: str, flags: tuple[str, ...] = (), **popen: Any) -> str:
        """Create the bundle's container, whose output nobody reads; its id."""
        self.bundle.process["args"] = list(args)
        self.bundle.write()
        argv = [self.command, "--root", str(self.root), "--log", str(self.log), "--log-format", "json"]
        argv += ["create", "-b", str(self.bundle.path), *flags, self.bundle.id]
        # Not through pipes: the container would keep them open, and us waiting for their end.
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, timeout=60, check=False, **popen)
        assert done.returncode == 0, self.log.read_text()
        return self.bundle.id

    def start(self, *args: str, flags: tuple[str, ...] = ()) -> str:
        id = self.create(*(args or ("/bin/sleep", "1000")), flags=flags)
        self("start", id)
        return id

    def state(self) -> Any:
        return json.loads(self("state", self.bundle.id).stdout)

    def exec(self, *args: str, flags: tuple[str, ...] = (), check: bool = True) -> subprocess.CompletedProcess[str]:
        return self("exec", *flags, self.bundle.id, *args, check=check)

    def cgroup(self, controller: str) -> Path:
        """The container's directory of a v1 controller or of the v2 tree, whichever has it."""
        for base in (Path("/sys/fs/cgroup") / controller, Path("/sys/fs/cgroup/unified"), Path("/sys/fs/cgroup")):
            if (base / self.bundle.id).is_dir():
                return base / self.bundle.id
        raise AssertionError(f"no cgroup of {self.bundle.id} for {controller}")

    def end(self) -> None:
        """Whatever the test left of its container."""
        if (self.root / self.bundle.id).exists():
            self("delete", "--force", self.bundle.id, check=False)


def wait_for(condition: Any, seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.01)


def reap(seconds: float = 2.0) -> None:
    """Take in the children that were left to us as subreaper; those of a killed container may still be dying."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                time.sleep(0.005)
        except ChildProcessError:
            return
