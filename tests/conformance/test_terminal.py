"""Terminals, signals and half-closed streams: what a person does at a keyboard, with docker's command and with ours.

Each test runs with both commands against dockerd and against our engine, so that a red one accuses the right one.
"""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bench.peers import Corten, Dockerd, available
from tests.conformance.engine import started

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(not available("docker", "ip"), reason="needs docker's command"),
]

OURS = str(Path(sys.executable).with_name("corten"))
PATIENCE = 20.0


@pytest.fixture(scope="module", params=[Dockerd, Corten], ids=["dockerd", "corten"])
def engine(request: pytest.FixtureRequest) -> Iterator[Dockerd | Corten]:
    if request.param is Dockerd and not available("dockerd", "containerd", "runc"):
        pytest.skip("needs docker.io")
    with started(request.param) as peer:
        yield peer


@pytest.fixture(params=["docker", "corten"])
def command(request: pytest.FixtureRequest, engine: Dockerd | Corten) -> list[str]:
    return ["docker" if request.param == "docker" else OURS, "-H", f"unix://{engine.socket}"]


@pytest.fixture
def name(engine: Dockerd | Corten) -> Iterator[str]:
    made = f"t{uuid.uuid4().hex[:12]}"
    yield made
    subprocess.run([*engine.cli, "rm", "-f", made], capture_output=True, check=False)


class Keyboard:
    """A command on a terminal of its own."""

    def __init__(self, words: list[str], rows: int = 24, columns: int = 80) -> None:
        self.master, slave = pty.openpty()
        self.resize(rows, columns)
        self.process = subprocess.Popen(words, stdin=slave, stdout=slave, stderr=slave, start_new_session=True)
        os.close(slave)
        self.seen = b""

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, keys: bytes) -> None:
        os.write(self.master, keys)

    def expect(self, wanted: bytes) -> bytes:
        """Read until `wanted` shows; all that was seen since the last call."""
        deadline = time.monotonic() + PATIENCE
        while wanted not in self.seen:
            left = deadline - time.monotonic()
            assert left > 0, f"no {wanted!r} in {self.seen!r}"
            if select.select([self.master], [], [], left)[0]:
                try:
                    self.seen += os.read(self.master, 4096)
                except OSError:
                    raise AssertionError(f"it ended with {self.process.wait()}, seen {self.seen!r}") from None
        seen, self.seen = self.seen.split(wanted, 1)[0] + wanted, self.seen.split(wanted, 1)[1]
        return seen

    def end(self) -> int:
        """The exit status, everything read before."""
        while True:
            ready = select.select([self.master], [], [], PATIENCE)[0]
            assert ready, "it neither speaks nor ends"
            try:
                data = os.read(self.master, 4096)
            except OSError:
                break
            if not data:
                break
            self.seen += data
        os.close(self.master)
        return self.process.wait(PATIENCE)


def status_of(engine: Dockerd | Corten, name: str) -> str:
    form = "{{.State.Status}} {{.State.ExitCode}}"
    return subprocess.run(
        [*engine.cli, "inspect", "-f", form, name], capture_output=True, text=True, check=True
    ).stdout.strip()


def test_a_shell_on_a_terminal_echoes_and_gives_its_status(command: list[str]) -> None:
    keyboard = Keyboard([*command, "run", "-it", "--rm", "busybox", "sh"])
    keyboard.expect(b"# ")
    keyboard.type(b"echo a$((1+1))b; tty\r")
    keyboard.expect(b"a2b\r\n/dev/pts/0\r\n")
    keyboard.type(b"exit 42\r")
    assert keyboard.end() == 42


def test_the_window_is_ours_and_follows_when_it_changes(command: list[str]) -> None:
    keyboard = Keyboard([*command, "run", "-it", "--rm", "busybox", "sh"], rows=31, columns=97)
    keyboard.expect(b"# ")
    time.sleep(0.3)
    keyboard.type(b"stty size\r")
    keyboard.expect(b"31 97\r\n")
    keyboard.resize(40, 120)
    keyboard.process.send_signal(signal.SIGWINCH)
    time.sleep(0.3)
    keyboard.type(b"stty size\r")
    keyboard.expect(b"40 120\r\n")
    keyboard.type(b"exit\r")
    assert keyboard.end() == 0


def test_ctrl_c_goes_to_the_container_and_not_to_us(command: list[str]) -> None:
    keyboard = Keyboard([*command, "run", "-it", "--rm", "busybox", "sh"])
    keyboard.expect(b"# ")
    keyboard.type(b"sleep 100\r")
    time.sleep(0.3)
    keyboard.type(b"\x03")
    keyboard.expect(b"# ")
    keyboard.type(b"echo still; exit 3\r")
    keyboard.expect(b"still\r\n")
    assert keyboard.end() == 3


def test_ctrl_p_ctrl_q_leaves_the_container_running(command: list[str], engine: Dockerd | Corten, name: str) -> None:
    keyboard = Keyboard([*command, "run", "-it", "--name", name, "busybox", "sh"])
    keyboard.expect(b"# ")
    keyboard.type(b"\x10")
    keyboard.type(b"\x11")
    assert keyboard.end() == 0
    assert status_of(engine, name) == "running 0"
    again = Keyboard([*command, "attach", name])
    again.type(b"\r")
    again.expect(b"# ")
    again.type(b"\x10\x11")
    assert again.end() == 1
    assert b"read escape sequence" in again.seen


def test_other_detach_keys_may_be_chosen(command: list[str], engine: Dockerd | Corten, name: str) -> None:
    keyboard = Keyboard([*command, "run", "-it", "--name", name, "--detach-keys", "ctrl-a,x", "busybox", "sh"])
    keyboard.expect(b"# ")
    keyboard.type(b"\x01x")
    assert keyboard.end() == 0
    assert status_of(engine, name) == "running 0"


def test_exec_on_a_terminal(command: list[str], engine: Dockerd | Corten, name: str) -> None:
    subprocess.run(
        [*engine.cli, "run", "-d", "--name", name, "busybox", "sleep", "1000"], check=True, capture_output=True
    )
    keyboard = Keyboard([*command, "exec", "-it", name, "sh"], rows=33, columns=99)
    keyboard.expect(b"# ")
    time.sleep(0.3)
    keyboard.type(b"stty size; exit 5\r")
    keyboard.expect(b"33 99\r\n")
    assert keyboard.end() == 5


def test_the_terminal_is_given_back(command: list[str]) -> None:
    keyboard = Keyboard(
        [
            "sh",
            "-c",
            '"$@"; stty -a | grep -o -- "-\\?icanon\\|-\\?opost\\|-\\?echo\\b"',
            "sh",
            *command,
            "run",
            "-it",
            "--rm",
            "busybox",
            "true",
        ]
    )
    keyboard.end()
    assert b"-icanon" not in keyboard.seen
    assert b"-opost" not in keyboard.seen
    assert b"icanon" in keyboard.seen


@pytest.mark.parametrize(
    ("number", "sent"), [(signal.SIGINT, "INT"), (signal.SIGTERM, "TERM"), (signal.SIGUSR1, "USR1")]
)
def test_signals_are_passed_on(command: list[str], number: int, sent: str) -> None:
    script = f"trap 'echo got {sent}; exit 9' {sent}; echo ready; while :; do sleep 0.05; done"
    process = subprocess.Popen([*command, "run", "--rm", "busybox", "sh", "-c", script], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(number)
    assert process.stdout.read() == f"got {sent}\n".encode()
    assert process.wait(PATIENCE) == 9


def test_without_sig_proxy_a_signal_ends_only_us(engine: Dockerd | Corten, name: str) -> None:
    """Docker's 28 takes three; its older ones and ours one."""
    words = [
        OURS,
        "-H",
        f"unix://{engine.socket}",
        "run",
        "--sig-proxy=false",
        "--name",
        name,
        "busybox",
        "sh",
        "-c",
        "echo ready; sleep 1000",
    ]
    process = subprocess.Popen(words, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE) != 0
    assert status_of(engine, name) == "running 0"


def test_the_third_ctrl_c_ends_us_whatever_the_container_does(command: list[str], name: str) -> None:
    words = [
        *command,
        "run",
        "--name",
        name,
        "busybox",
        "sh",
        "-c",
        "trap '' INT; echo ready; while :; do sleep 1; done",
    ]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    for _ in range(3):
        process.send_signal(signal.SIGINT)
        time.sleep(0.2)
    assert process.wait(PATIENCE) == 1
    assert process.stderr is not None
    assert process.stderr.read().strip() == b"got 3 SIGTERM/SIGINTs, forcefully exiting"


def test_the_end_of_stdin_is_told_while_output_goes_on(command: list[str]) -> None:
    words = [*command, "run", "--rm", "-i", "busybox", "sh", "-c", "cat; sleep 0.3; echo after"]
    done = subprocess.run(words, input=b"data\n", capture_output=True, timeout=PATIENCE, check=False)
    assert done.stdout == b"data\nafter\n"


def test_much_data_goes_both_ways(command: list[str]) -> None:
    data = os.urandom(4 << 20)
    words = [*command, "run", "--rm", "-i", "busybox", "cat"]
    done = subprocess.run(words, input=data, capture_output=True, timeout=60, check=False)
    assert done.stdout == data


def test_a_container_that_does_not_read_does_not_hang_us(command: list[str]) -> None:
    words = [*command, "run", "--rm", "-i", "busybox", "true"]
    done = subprocess.run(words, input=bytes(1 << 20), capture_output=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0


def test_a_reader_that_goes_away_ends_us(command: list[str], name: str) -> None:
    words = [*command, "run", "--name", name, "busybox", "sh", "-c", "while :; do echo yes; done"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    process.stdout.read(100)
    process.stdout.close()
    assert process.wait(PATIENCE) != 0


def test_logs_follow_until_the_container_ends(command: list[str], engine: Dockerd | Corten, name: str) -> None:
    words = ["run", "-d", "--name", name, "busybox", "sh", "-c", "for i in 1 2 3; do echo $i; sleep 0.2; done"]
    subprocess.run([*engine.cli, *words], check=True, capture_output=True)
    done = subprocess.run([*command, "logs", "-f", name], capture_output=True, timeout=PATIENCE, check=False)
    assert done.stdout == b"1\n2\n3\n"


def test_the_id_file_is_written_once(command: list[str], tmp_path: Path) -> None:
    path = tmp_path / "cid"
    words = [*command, "run", "--rm", "--cidfile", str(path), "busybox", "true"]
    assert subprocess.run(words, check=False).returncode == 0
    assert len(path.read_text()) == 64
    again = subprocess.run(words, capture_output=True, check=False)
    assert again.returncode == 125
    assert b"container ID file found" in again.stderr


def test_files_go_in_and_out(command: list[str], engine: Dockerd | Corten, name: str, tmp_path: Path) -> None:
    subprocess.run([*engine.cli, "create", "--name", name, "busybox", "true"], check=True, capture_output=True)
    tree = tmp_path / "tree"
    (tree / "sub").mkdir(parents=True)
    (tree / "a").write_text("A")
    (tree / "a").chmod(0o750)
    (tree / "sub" / "link").symlink_to("../a")
    os.link(tree / "a", tree / "hard")
    for source, target in (
        (tree, f"{name}:/new"),
        (tree, f"{name}:/tmp"),
        (f"{tree}/.", f"{name}:/opt"),
        (tree / "a", f"{name}:/renamed"),
    ):
        subprocess.run([*command, "cp", str(source), target], check=True, capture_output=True)
    out = tmp_path / "out"
    out.mkdir()
    for source, target in (
        ("/new", "new"),
        ("/tmp/tree", "."),
        ("/opt/.", "opt"),
        ("/renamed", "file"),
        ("/new/sub", "new/again"),
    ):
        subprocess.run([*command, "cp", f"{name}:{source}", str(out / target)], check=True, capture_output=True)
    for place in ("new", "tree", "opt"):
        assert (out / place / "a").read_text() == "A"
        assert (out / place / "a").stat().st_mode & 0o7777 == 0o750
        assert os.readlink(out / place / "sub/link") == "../a"
    assert (out / "new/hard").samefile(out / "new/a")
    assert (out / "file").read_text() == "A"
    assert (out / "new/again/link").is_symlink()
    assert not (out / "opt/tree").exists()


def test_attach_passes_signals_on_unless_told_not_to(command: list[str], engine: Dockerd | Corten, name: str) -> None:
    script = "trap 'echo got INT; exit 9' INT; while :; do echo tick; sleep 0.05; done"
    subprocess.run(
        [*engine.cli, "run", "-d", "--name", name, "busybox", "sh", "-c", script], check=True, capture_output=True
    )
    process = subprocess.Popen([*command, "attach", "--no-stdin", name], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"tick\n"
    process.send_signal(signal.SIGINT)
    assert process.stdout.read().endswith(b"got INT\n")
    assert process.wait(PATIENCE) == 9


def test_attach_without_sig_proxy_ends_alone(engine: Dockerd | Corten, name: str) -> None:
    script = "while :; do echo tick; sleep 0.05; done"
    subprocess.run(
        [*engine.cli, "run", "-d", "--name", name, "busybox", "sh", "-c", script], check=True, capture_output=True
    )
    words = [OURS, "-H", f"unix://{engine.socket}", "attach", "--no-stdin", "--sig-proxy=false", name]
    process = subprocess.Popen(words, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"tick\n"
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE) != 0
    assert status_of(engine, name) == "running 0"


def test_a_copy_says_how_much_on_a_terminal_unless_told_not_to(
    command: list[str], engine: Dockerd | Corten, name: str
) -> None:
    subprocess.run([*engine.cli, "create", "--name", name, "busybox", "true"], check=True, capture_output=True)
    told = Keyboard([*command, "cp", "/etc/hostname", f"{name}:/tmp/h"])
    assert told.end() == 0
    assert b"Successfully copied 2.05kB to " in told.seen
    quiet = Keyboard([*command, "cp", "-q", "/etc/hostname", f"{name}:/tmp/h"])
    assert quiet.end() == 0
    assert quiet.seen.strip() == b""
