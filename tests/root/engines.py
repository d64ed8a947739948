"""An engine for tests: everything below one directory, in mount and network namespaces of its own.

`CORTEN_TEST_HOST=unix:///path` points the same tests at another engine, which is how they are proven on dockerd
before a red one may accuse us.
"""

import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from corten.client.address import Address
from corten.client.connection import EngineError
from corten.client.engine import Engine as Client
from corten.client.starting import answers
from corten.model import roots
from tests.images import stand_ins

__all__ = ["IMAGE", "OTHER_HOST", "Engine", "Terminal", "docker_command", "eventually", "unified_cgroups"]

# Brings the loopback of a new network namespace up, which is down there, and stays to hold the namespaces.
HOLDER = """\
import fcntl, signal, socket, struct
fcntl.ioctl(socket.socket(), 0x8914, struct.pack("16sh14x", b"lo", 1))
print("up", flush=True)
signal.pause()
"""
IMAGE = "tiny:latest"
OTHER_HOST = os.environ.get("CORTEN_TEST_HOST", "")


class Engine:
    """A running engine and its clients; `client` is the docker command that `docker`, `out` … run."""

    def __init__(self, directory: Path) -> None:
        self.root = directory / "root"
        self.archive = directory / "tiny.tar"
        self.home = directory / "home"
        self.home.mkdir(parents=True)
        self.host = OTHER_HOST or f"unix://{self.root}/corten.sock"
        self.process: subprocess.Popen[bytes] | None = None
        self.holder: subprocess.Popen[bytes] | None = None
        self.settings: dict[str, str] = {}
        self.client = docker_command() or "docker"
        self.archive.write_bytes(stand_ins(IMAGE))

    @property
    def path(self) -> str:
        return self.host.removeprefix("unix://")

    @property
    def log(self) -> str:
        return (self.root.parent / "engine.log").read_text()

    def start(self) -> None:
        """Start the engine in the namespaces of the one before, if there was one."""
        if OTHER_HOST:
            return
        with open(self.root.parent / "engine.log", "ab") as log:
            self.process = subprocess.Popen(
                [*self.enter(), sys.executable, "-m", "corten.daemon", "--root", str(self.root)],
                stdout=log,
                stderr=log,
                env={**os.environ, **self.settings},
                start_new_session=True,
            )
        eventually(lambda: answers(self.path) or self.process is None or self.process.poll() is not None, 20)
        assert self.process.poll() is None, f"the engine does not start:\n{self.log}"

    def enter(self) -> list[str]:
        """The beginning of a command that runs in the engine's mount and network namespaces."""
        if self.holder is None:
            command = ["unshare", "-m", "-n", "--propagation", "private", sys.executable, "-c", HOLDER]
            self.holder = subprocess.Popen(command, stdout=subprocess.PIPE)
            assert self.holder.stdout is not None
            self.holder.stdout.readline()
        return ["nsenter", "-t", str(self.holder.pid), "-m", "-n", "--"]

    @classmethod
    def temporary(cls) -> "Engine":
        """One on tmpfs, whose file creation is quick whatever the disk does; `end` removes it."""
        base = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        return cls(Path(tempfile.mkdtemp(prefix="corten-test-", dir=base)))

    def load(self) -> None:
        """Bring the stand-in image in."""
        Client(Address(self.host)).images.load(self.archive.read_bytes())

    def end(self) -> None:
        """Leave nothing: `corten system reset` from within the engine's namespaces, then our own directory."""
        self.remove_everything()
        if self.process is not None:
            script = f"from corten.daemon.reset import main; raise SystemExit(main(['--root', {str(self.root)!r}]))"
            done = self.inside(sys.executable, "-c", script)
            assert done.returncode == 0, done.stderr
            self.process.wait(20)
            assert not self.root.exists(), "reset left files behind"
        if self.holder is not None:
            self.holder.kill()
            self.holder.communicate()
        shutil.rmtree(self.root.parent)

    def remove_cgroups(self) -> None:
        """As a reboot does."""
        name = f"corten-{roots.below(str(self.root)).identity}"
        for parent in Path("/sys/fs/cgroup").glob(f"*/{name}"):
            for directory, _, _ in os.walk(parent, topdown=False):
                os.rmdir(directory)

    def inside(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Run a command in the engine's network namespace, where its published ports are."""
        return subprocess.run([*self.enter(), *words], capture_output=True, text=True, check=False)

    def kill(self) -> None:
        """As the kernel would: no chance to say good-bye."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        # A child that it was about to spawn may hold its listening socket a moment longer, and would seem to answer.
        eventually(lambda: not answers(self.path))

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(20)

    def remove_everything(self) -> None:
        client = Client(Address(self.host))
        for row in client.containers.list(all=True):
            try:
                client.containers.get(row["Id"]).remove(force=True, volumes=True)
            except EngineError as error:
                if error.status != 404:  # else `--rm` was quicker
                    raise
        client.close()

    def command(self, *words: str) -> list[str]:
        return [self.client, *words]

    @property
    def environment(self) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "HOME": str(self.home), "DOCKER_HOST": self.host, "TERM": "xterm"}

    def docker(
        self, *words: str, check: bool = True, stdin: str = "", timeout: float = 60, **variables: str
    ) -> "subprocess.CompletedProcess[str]":
        """Run the docker command; with `check` a failure fails the test and shows what docker said."""
        done = subprocess.run(
            self.command(*words),
            input=stdin,
            env=self.environment | variables,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        assert not check or done.returncode == 0, (
            f"docker {' '.join(words)}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        )
        return done

    def out(self, *words: str, stdin: str = "") -> str:
        return self.docker(*words, stdin=stdin).stdout.strip()

    def binary(self, *words: str, stdin: bytes = b"") -> bytes:
        """Output that is no text, such as a tar."""
        return subprocess.run(
            self.command(*words), input=stdin, env=self.environment, stdout=subprocess.PIPE, timeout=60, check=True
        ).stdout

    def popen(self, *words: str) -> "subprocess.Popen[str]":
        pipe = subprocess.PIPE
        return subprocess.Popen(
            self.command(*words), env=self.environment, stdin=pipe, stdout=pipe, stderr=pipe, text=True
        )

    def running(self, *flags: str, command: tuple[str, ...] = ("sleep", "1000")) -> str:
        """The id of a new container that runs in the background."""
        return self.out("run", "-d", *flags, IMAGE, *command)

    def terminal(self, *words: str, rows: int = 24, columns: int = 80) -> "Terminal":
        return Terminal(self.command(*words), self.environment, rows, columns)


class Terminal:
    """A command on a pseudo terminal, typed at and looked at like a person would."""

    def __init__(self, command: list[str], environment: dict[str, str], rows: int, columns: int) -> None:
        self.master, slave = pty.openpty()
        self.resize(rows, columns)
        self.process = subprocess.Popen(
            command, env=environment, stdin=slave, stdout=slave, stderr=slave, start_new_session=True
        )
        os.close(slave)
        self.seen = ""

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.master)

    def resize(self, rows: int, columns: int) -> None:
        import termios

        termios.tcsetwinsize(self.master, (rows, columns))
        if hasattr(self, "process"):
            self.process.send_signal(signal.SIGWINCH)

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def see(self, pattern: str, seconds: float = 15) -> "re.Match[str]":
        """Wait until `pattern` has appeared behind what was seen before."""
        deadline = time.monotonic() + seconds
        while not (match := re.search(pattern, self.seen)):
            assert time.monotonic() < deadline, f"{pattern!r} did not appear; the terminal shows {self.seen!r}"
            if select.select([self.master], [], [], 0.2)[0]:
                try:
                    self.seen += os.read(self.master, 65536).decode(errors="replace")
                except OSError:  # the last process has closed the terminal
                    deadline = 0
        self.seen = self.seen[match.end() :]
        return match

    def ended(self, seconds: float = 15) -> int:
        """The exit status, with everything that was still shown in `seen`."""
        deadline = time.monotonic() + seconds
        while self.process.poll() is None or select.select([self.master], [], [], 0)[0]:
            assert time.monotonic() < deadline, f"it goes on; the terminal shows {self.seen!r}"
            if select.select([self.master], [], [], 0.05)[0]:
                try:
                    self.seen += os.read(self.master, 65536).decode(errors="replace")
                except OSError:
                    break
        return self.process.wait(seconds)


def docker_command() -> str | None:
    """Docker's own command line, 28 or so; without it the tests that drive it skip."""
    return shutil.which("docker")


def unified_cgroups() -> bool:
    """Whether this machine has cgroup v2 alone."""
    return os.path.exists("/sys/fs/cgroup/cgroup.controllers")


def eventually(condition: Callable[[], object], seconds: float = 10) -> None:
    """Wait until `condition` holds; fail when it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
