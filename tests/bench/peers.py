"""The contenders: each engine started privately, in its own mount and network namespace, its store on tmpfs.

`newest()` gives Debian unstable's peers: unpacked, and laid over /usr in a contender's own mount namespace, so that
every path, library and helper is theirs and the machine keeps its own.

On a hybrid cgroup host Debian's crun and podman refuse to start; in their private mount namespace the empty v2 tree is
unmounted, which the machine itself does not notice.
"""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Protocol

from tests.conformance.debian import unpacked

__all__ = ["Containerd", "Corten", "Dockerd", "Engine", "Namespace", "Podman", "available", "newest", "versions"]

PRELUDE = """
mount --make-rprivate / && mount --make-rshared / && ip link set lo up && echo 1 > /proc/sys/net/ipv4/ip_forward
if mountpoint -q /sys/fs/cgroup/unified; then umount /sys/fs/cgroup/unified; fi
mount -t tmpfs tmpfs /var/lib/containers 2>/dev/null; mount -t tmpfs tmpfs /run/containers 2>/dev/null
"""


def available(*programs: str) -> bool:
    return all(shutil.which(program) for program in programs)


def newest() -> Path:
    """The tree to give as `over`; RuntimeError where Debian unstable cannot be had."""
    packages = ("docker.io", "containerd", "runc", "crun", "bubblewrap", "podman", "conmon", "netavark", "buildah")
    return unpacked(*packages, dependencies=True)


class Namespace:
    """A mount and network namespace of our own, held by a sleeping process; `enter` is the prefix to run in it.

    The usr directory of `over`, if given, is laid over the host's.
    """

    def __init__(self, over: Path | None = None) -> None:
        covering = f"mount -t overlay overlay -o lowerdir={over}/usr:/usr /usr\n" if over else ""
        script = PRELUDE + covering + "echo ready; exec sleep infinity"
        self.holder = subprocess.Popen(["unshare", "-m", "-n", "bash", "-c", script], stdout=subprocess.PIPE)
        assert self.holder.stdout
        self.holder.stdout.readline()
        self.enter = ["nsenter", "-t", str(self.holder.pid), "-m", "-n", "--"]

    def close(self) -> None:
        self.holder.kill()
        self.holder.wait()


class Engine(Protocol):
    """What a row needs of an engine: `cli` is its docker-like command, `socket` its REST socket or None."""

    name: str
    cli: list[str]
    socket: Path | None

    def pids(self) -> list[int]: ...
    def load(self, archive: Path) -> None: ...
    def close(self) -> None: ...


def wait_for(path: Path, what: str) -> None:
    deadline = time.monotonic() + 30
    while not path.exists():
        if time.monotonic() > deadline:
            raise RuntimeError(f"{what} did not start")
        time.sleep(0.02)


def descendants(pid: int) -> list[int]:
    """`pid` and all processes below it."""
    found = [pid]
    for one in found:
        for task in Path(f"/proc/{one}/task").glob("*/children"):
            found += [int(child) for child in task.read_text().split()]
    return found


class Dockerd:
    name = "docker"

    def __init__(self, root: Path, cli: str = "docker", *more: str, over: Path | None = None) -> None:
        self.namespace = Namespace(over)
        self.root = root
        root.mkdir(parents=True)
        self.socket: Path | None = root / "docker.sock"
        options = {"data-root": "data", "exec-root": "exec", "pidfile": "pid"}
        flags = [f"--{option}={root / name}" for option, name in options.items()]
        log = (root / "log").open("wb")
        flags += [f"--host=unix://{self.socket}", "--storage-driver=overlay2", *more]
        command = [*self.namespace.enter, "dockerd", *flags]
        self.process = subprocess.Popen(command, stdout=log, stderr=log)
        wait_for(root / "docker.sock", "dockerd")
        self.cli = [cli, "-H", f"unix://{self.socket}"]

    def pids(self) -> list[int]:
        """dockerd, containerd and the shims (which are adopted by init, so they are found by their arguments)."""
        mine = descendants(self.process.pid)
        marker = str(self.root).encode()
        for entry in filter(str.isdigit, os.listdir("/proc")):
            try:
                if marker in Path(f"/proc/{entry}/cmdline").read_bytes() and int(entry) not in mine:
                    mine.append(int(entry))
            except OSError:
                continue
        return mine

    def load(self, archive: Path) -> None:
        subprocess.run([*self.cli, "load", "-qi", str(archive)], check=True, stdout=subprocess.DEVNULL)

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(30)
        self.namespace.close()


class Podman:
    name = "podman"
    socket: Path | None = None

    def __init__(self, root: Path, over: Path | None = None) -> None:
        self.namespace = Namespace(over)
        self.root = root
        root.mkdir(parents=True)
        # Its default limits are above what a root without CAP_SYS_RESOURCE may set.
        settings = root / "containers.conf"
        settings.write_text('[containers]\ndefault_ulimits = ["nofile=10000:10000", "nproc=10000:10000"]\n')
        base = [
            "env",
            f"CONTAINERS_CONF={settings}",
            "PODMAN_IGNORE_CGROUPSV1_WARNING=1",
            "podman",
            f"--root={root}/data",
            f"--runroot={root}/run",
        ]
        base.append(f"--tmpdir={root}/tmp")
        self.cli = [*self.namespace.enter, *base, "--cgroup-manager=cgroupfs", "--events-backend=none"]

    def pids(self) -> list[int]:
        return []

    def load(self, archive: Path) -> None:
        subprocess.run([*self.cli, "load", "-qi", str(archive)], check=True, stdout=subprocess.DEVNULL)

    def close(self) -> None:
        subprocess.run([*self.cli, "rm", "-fa", "-t0"], check=False, capture_output=True)
        subprocess.run([*self.namespace.enter, "umount", f"{self.root}/data/overlay"], check=False, capture_output=True)
        self.namespace.close()


class Containerd:
    name = "ctr"

    def __init__(self, root: Path, over: Path | None = None) -> None:
        self.namespace = Namespace(over)
        root.mkdir(parents=True)
        self.socket: Path | None = None
        address = root / "containerd.sock"
        config = root / "config.toml"
        config.write_text(
            f'version = 2\nroot = "{root}/data"\nstate = "{root}/state"\n'
            f'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n[grpc]\naddress = "{address}"\n'
        )
        log = (root / "log").open("wb")
        command = [*self.namespace.enter, "containerd", "--config", str(config)]
        self.process = subprocess.Popen(command, stdout=log, stderr=log)
        wait_for(address, "containerd")
        self.cli = [*(self.namespace.enter if over else ()), "ctr", "-a", str(address)]

    def pids(self) -> list[int]:
        return descendants(self.process.pid)

    def load(self, archive: Path) -> None:
        subprocess.run([*self.cli, "images", "import", str(archive)], check=True, stdout=subprocess.DEVNULL)

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(30)
        self.namespace.close()


class Corten:
    name = "corten"

    def __init__(self, root: Path) -> None:
        self.namespace = Namespace()
        root.mkdir(parents=True)
        self.socket: Path | None = root / "corten.sock"
        program = Path(sys.executable).with_name("corten")
        log = (root.parent / "corten.log").open("wb")
        command = [*self.namespace.enter, str(program), "--root", str(root), "serve"]
        self.process = subprocess.Popen(command, stdout=log, stderr=log)
        wait_for(root / "corten.sock", "corten")
        self.cli = [str(program), "--root", str(root)]
        self.root = root

    def pids(self) -> list[int]:
        """The engine and its monitors, which belong to no process but their container's."""
        mine = [self.process.pid]
        marker = str(self.root).encode()
        for entry in filter(str.isdigit, os.listdir("/proc")):
            try:
                command = Path(f"/proc/{entry}/cmdline").read_bytes()
            except OSError:
                continue
            if b"@monitor" in command and marker in command:
                mine.append(int(entry))
        return mine

    def load(self, archive: Path) -> None:
        subprocess.run([*self.cli, "load", "-qi", str(archive)], check=True, stdout=subprocess.DEVNULL)

    def close(self) -> None:
        subprocess.run([*self.cli, "system", "reset", "--force"], check=False, capture_output=True)
        self.process.terminate()
        self.process.wait(30)
        self.namespace.close()


def versions(enter: list[str]) -> dict[str, str]:
    """The version line of each peer that is there, asked behind the prefix `enter`."""
    asked = dict.fromkeys(("runc", "crun", "bwrap", "dockerd", "podman"), "--version")
    found = {}
    for program, flag in asked.items():
        if available(program):
            out = subprocess.run([*enter, program, flag], capture_output=True, text=True, check=False).stdout
            found[program] = out.splitlines()[0] if out else ""
    return found
