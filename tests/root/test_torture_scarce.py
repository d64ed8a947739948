"""An engine where something is missing: started by ten commands at once, over what a dead one left, on a disk that is
full or read-only, without processes or descriptors to spare. It says what is missing, and works again when it is there.
"""

import gc
import os
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from corten.client.address import Address
from corten.client.connection import EngineError
from corten.client.engine import Engine as Client
from corten.model import roots
from tests.root.engines import IMAGE, OTHER_HOST, Engine, eventually
from tests.root.invariants import hold, processes
from tests.root.plans.bundle import make_rootfs

pytestmark = pytest.mark.skipif(bool(OTHER_HOST), reason="starves the engine it tests")

OURS = str(Path(sys.executable).with_name("corten"))
DISK = "48m"


@pytest.fixture
def fresh(leaves_nothing: None) -> Iterator[Engine]:  # noqa: ARG001
    """Namespaces and directories, and no engine yet."""
    engine = Engine.temporary()
    engine.enter()
    yield engine
    stop(engine)
    engine.process = None
    script = f"from corten.daemon.reset import main; raise SystemExit(main(['--root', {str(engine.root)!r}]))"
    done = engine.inside(sys.executable, "-c", script)
    assert done.returncode == 0, done.stderr
    assert [found for found in processes(engine) if found.pid != holder(engine)] == []
    assert engine.holder is not None
    engine.holder.kill()
    engine.holder.communicate()
    subprocess.run(["rm", "-rf", str(engine.root.parent)], check=True)
    gc.collect()


@pytest.fixture
def engine(leaves_nothing: None) -> Iterator[Engine]:  # noqa: ARG001
    engine = Engine.temporary()
    engine.start()
    engine.load()
    yield engine
    engine.end()
    gc.collect()


def holder(engine: Engine) -> int:
    assert engine.holder is not None
    return engine.holder.pid


def command(engine: Engine, *words: str) -> "subprocess.Popen[str]":
    """Our own command, which starts the engine of its root when there is none."""
    line = [*engine.enter(), OURS, "--root", str(engine.root), *words]
    return subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def done(engine: Engine, *words: str) -> tuple[int, str, str]:
    running = command(engine, *words)
    out, err = running.communicate(timeout=60)
    return running.returncode, out, err


def engines(engine: Engine) -> list[int]:
    """The engines of this root that run."""
    found = [process for process in processes(engine) if "serve" in process.words or "corten.daemon" in process.words]
    return [process.pid for process in found if "corten" in " ".join(process.words)]


def stop(engine: Engine) -> None:
    for pid in engines(engine):
        os.kill(pid, 9)
    eventually(lambda: not engines(engine))


def test_ten_runs_at_once_on_a_fresh_root_start_one_engine_and_all_succeed(fresh: Engine) -> None:
    tree = make_rootfs(fresh.root.parent / "tree")
    commands = [
        command(fresh, "run", "--rm", "--rootfs", f"{tree}:O", "sh", "-c", f"echo hello {n}") for n in range(10)
    ]
    answers = [running.communicate(timeout=60) for running in commands]
    assert [(out, err) for out, err in answers] == [(f"hello {n}\n", "") for n in range(10)]
    assert [running.returncode for running in commands] == [0] * 10
    assert len(engines(fresh)) == 1
    assert (fresh.root / "data/engine.log").read_text().count(" ready: ") == 1
    hold(fresh)


def test_what_a_dead_engine_left_does_not_keep_the_next_one_from_starting(fresh: Engine) -> None:
    """A socket that nobody listens at; a lock whose pid is another process now, as after a reboot, or none."""
    own = roots.below(str(fresh.root))
    for left in (str(holder(fresh)), "1", "999999999", "", "no number"):
        Path(own.data).mkdir(parents=True, exist_ok=True)
        Path(own.lock).write_text(f"{left}\n")
        Path(own.socket).unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX) as stale:
            stale.bind(own.socket)
        status, out, err = done(fresh, "ps", "-q")
        assert (status, out, err) == (0, "", "")
        assert len(engines(fresh)) == 1
        stop(fresh)
    assert os.path.exists(f"/proc/{holder(fresh)}"), "somebody else was taken for the engine"


def test_a_read_only_root_is_named_in_the_answer(fresh: Engine) -> None:
    fresh.root.mkdir()
    assert fresh.inside("mount", "-t", "tmpfs", "-o", "ro", "none", str(fresh.root)).returncode == 0
    status, _, err = done(fresh, "run", IMAGE)
    assert status in (1, 125)
    assert "Traceback" not in err
    assert "read-only file system" in err.lower()
    assert str(fresh.root) in err
    eventually(lambda: fresh.inside("umount", str(fresh.root)).returncode == 0)  # a monitor may still be ending


def full(engine: Engine) -> None:
    engine.inside("sh", "-c", f"cat /dev/zero > {engine.root}/filler")


def emptied(engine: Engine) -> None:
    assert engine.inside("rm", f"{engine.root}/filler").returncode == 0


@pytest.fixture
def small(fresh: Engine) -> Iterator[Engine]:
    """An engine on a small disk of its own, with the image."""
    fresh.root.mkdir()
    options = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "none", str(fresh.root)]
    assert fresh.inside(*options).returncode == 0
    assert done(fresh, "load", "-i", str(fresh.archive))[0] == 0
    yield fresh
    for name in done(fresh, "ps", "-aq")[1].split():
        done(fresh, "rm", "-f", name)
    stop(fresh)
    fresh.remove_cgroups()  # a reset could not, for what it knows an engine by goes with the disk
    eventually(lambda: fresh.inside("umount", str(fresh.root)).returncode == 0)  # a monitor may still be ending


def refused(answer: tuple[int, str, str]) -> bool:
    """Whether a command failed for want of space, and said so like a grown-up."""
    status, _, err = answer
    assert "Traceback" not in err
    assert "bug in Corten" not in err
    assert "no space left" in err.lower(), answer
    return status != 0


def test_on_a_full_disk_everything_is_refused_and_nothing_lost(small: Engine) -> None:
    assert done(small, "create", "--name", "early", IMAGE, "echo", "early")[0] == 0
    ticking = ["sh", "-c", "i=0; while :; do i=$((i+1)); echo tick $i; sleep 0.1; done"]
    assert done(small, "run", "-d", "--name", "ticking", IMAGE, *ticking)[0] == 0
    leaving = command(small, "run", "--rm", "--name", "leaving", IMAGE, "sh", "-c", "sleep 3; echo bye; exit 7")
    staying = command(small, "run", "--name", "staying", IMAGE, "sh", "-c", "sleep 3; echo bye; exit 8")
    eventually(lambda: len(done(small, "ps", "-q")[1].split()) == 3)
    full(small)
    assert refused(done(small, "create", IMAGE, "true"))
    assert refused(done(small, "start", "early"))
    assert refused(done(small, "load", "-i", str(small.archive)))
    assert refused(done(small, "volume", "create", "vol"))
    assert refused(done(small, "network", "create", "net"))
    assert "ticking" in done(small, "ps")[1]
    assert "tick 1\n" in done(small, "logs", "ticking")[1]
    time.sleep(3)
    emptied(small)
    assert leaving.communicate(timeout=30)[0] == "bye\n"
    assert staying.communicate(timeout=30)[0] == "bye\n"
    assert (leaving.returncode, staying.returncode) == (7, 8)
    assert done(small, "start", "-a", "early")[:2] == (0, "early\n")
    before = done(small, "logs", "ticking")[1].count("tick")
    eventually(lambda: done(small, "logs", "ticking")[1].count("tick") > before)
    lines = done(small, "logs", "ticking")[1].splitlines()
    assert all(line.startswith("tick ") for line in lines), "a torn line"
    states = done(small, "ps", "-a", "--format", "{{.Names}} {{.State}}")[1].split("\n")
    assert sorted(filter(None, states)) == ["early exited", "staying exited", "ticking running"]
    assert done(small, "run", "--rm", IMAGE, "echo", "again")[:2] == (0, "again\n")


@contextmanager
def few_descriptors(engine: Engine, spare: int) -> Iterator[None]:
    assert engine.process is not None
    limits = resource.prlimit(engine.process.pid, resource.RLIMIT_NOFILE)
    taken = max(map(int, os.listdir(f"/proc/{engine.process.pid}/fd"))) + 1
    resource.prlimit(engine.process.pid, resource.RLIMIT_NOFILE, (taken + spare, limits[1]))
    try:
        yield
    finally:
        resource.prlimit(engine.process.pid, resource.RLIMIT_NOFILE, limits)


def descriptors(engine: Engine) -> list[str]:
    """What the engine's descriptors are."""
    assert engine.process is not None
    found = []
    for number in os.listdir(f"/proc/{engine.process.pid}/fd"):
        with suppress(FileNotFoundError):
            found.append(f"{number}: " + os.readlink(f"/proc/{engine.process.pid}/fd/{number}"))
    return found


def why_not(asked: Client, config: dict[str, object]) -> str:
    """What a run is refused with; empty when it is not."""
    try:
        made = asked.containers.create(config)
        made.start()
        made.kill()
    except EngineError as error:
        return f"{error.message} ({error.hint})"
    return ""


def test_without_descriptors_to_spare_a_start_says_so_and_leaves_nothing(engine: Engine) -> None:
    asked = Client(Address(engine.host))
    config: dict[str, object] = {"Image": IMAGE, "Cmd": ["sleep", "1000"]}
    assert why_not(asked, config) == ""
    before = descriptors(engine)
    heard = set()
    for spare in range(20):
        with few_descriptors(engine, spare):
            heard.add(why_not(asked, config))
    refusals = [text for text in heard if text]
    assert refusals
    assert all("too many open files" in text.lower() for text in refusals), refusals
    assert why_not(asked, config) == ""
    hold(engine)
    left = [what for what in descriptors(engine) if what not in before and "engine.db" not in what]
    assert left == []  # a database connection for one more thread may stay


@contextmanager
def few_processes(engine: Engine, spare: int) -> Iterator[None]:
    """The engine and all it starts in a cgroup that has room for a few more processes or threads."""
    top = Path("/sys/fs/cgroup/pids" if os.path.isdir("/sys/fs/cgroup/pids") else "/sys/fs/cgroup")
    group = top / f"corten-scarce-{os.getpid()}"
    assert engine.process is not None
    home = Path(f"/proc/{engine.process.pid}/cgroup").read_text()
    back = next(line.split(":", 2)[2] for line in home.splitlines() if line.split(":")[1] in ("pids", ""))
    group.mkdir()
    try:
        (group / "cgroup.procs").write_text(str(engine.process.pid))
        now = int((group / "pids.current").read_text())
        (group / "pids.max").write_text(str(now + spare))
        yield
    finally:
        (group / "pids.max").write_text("max")
        for pid in (group / "cgroup.procs").read_text().split():
            Path(f"{top}{back}/cgroup.procs").write_text(pid)
        eventually(lambda: removed(group))


def removed(group: Path) -> bool:
    try:
        group.rmdir()
    except OSError:
        return False
    return True


def test_without_processes_to_spare_a_start_says_so_and_leaves_nothing(engine: Engine) -> None:
    asked = Client(Address(engine.host))
    config: dict[str, object] = {"Image": IMAGE, "Cmd": ["sleep", "1000"]}
    assert why_not(asked, config) == ""
    refusals = []
    for spare in range(4):
        with few_processes(engine, spare):
            refusals.append(why_not(asked, config))
    assert all("temporarily unavailable" in text.lower() or not text for text in refusals), refusals
    assert any(refusals)
    assert why_not(asked, config) == ""
    hold(engine)


def test_a_client_that_never_reads_is_no_reason_for_a_reset_to_leave_its_monitor(engine: Engine) -> None:
    asked = Client(Address(engine.host))
    made = asked.containers.create({"Image": IMAGE, "Cmd": ["sh", "-c", "yes | head -c 4000000"]})
    stream = made.attach()
    made.start()
    eventually(lambda: made.inspect()["State"]["Status"] == "exited")
    monitors = [process for process in processes(engine) if "@monitor" in process.words]
    assert len(monitors) == 1
    script = f"from corten.daemon.reset import main; raise SystemExit(main(['--root', {str(engine.root)!r}]))"
    assert engine.inside(sys.executable, "-c", script).returncode == 0
    eventually(lambda: not [process for process in processes(engine) if "@monitor" in process.words])
    stream.close()
    asked.close()
    assert engine.process is not None
    engine.process.wait(20)
    engine.start()
