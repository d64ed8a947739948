"""`corten system reset`: leave nothing of an engine.

Whatever state it is in: a running engine is asked to stop, its containers are killed and removed, networks and
firewall tables go, then the directories. What a broken database hides is found by where it lies: processes by the
engine's cgroups, mounts by their place.
"""

import ctypes
import logging
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from corten.daemon.compose import compose, parts
from corten.daemon.lock import EngineLock, holder
from corten.model import roots as model_roots
from corten.model.errors import CortenError, DeadlineExceeded
from corten.model.roots import Roots

__all__ = ["main", "reset"]

GRACE = 20.0
MNT_DETACH = 2
MONITORS_STATE = 4  # native/monitor.c: STATE_DIR
log = logging.getLogger("corten.daemon")


def main(argv: list[str]) -> int:
    """`corten system reset [--root DIR]`, after the command has asked; prints what was removed."""
    own = model_roots.of(os.environ, os.geteuid())
    if argv[:1] == ["--root"] and len(argv) == 2:
        own = model_roots.below(os.path.abspath(argv[1]))
    try:
        reset(own)
    except CortenError as error:
        sys.stderr.write(f"corten: {error.message}\n" + (f"{error.hint}\n" if error.hint else ""))
        return error.exit_code
    sys.stdout.write(f"removed the engine of {own.data}\n")
    return 0


def reset(roots: Roots) -> None:
    """Remove everything that `roots` and this engine's names hold. `DeadlineExceeded` when the engine does not stop."""
    stop_engine(roots)
    if not os.path.isdir(roots.data):
        return
    lock = EngineLock(roots.lock)
    try:
        undo(roots)
    except (CortenError, OSError) as error:
        log.warning("the records are broken, going by places and names: %s", error)
    kill_leftovers(roots)
    kill_monitors(roots)
    for mount in mounts_below(roots):
        ctypes.CDLL(None, use_errno=True).umount2(mount.encode(), MNT_DETACH)
    for path in (roots.run, roots.data):
        shutil.rmtree(path, ignore_errors=True)
    with suppress(FileNotFoundError):
        os.unlink(roots.socket)
    lock.release()
    with suppress(OSError):  # a root of our own that is empty now; one with the user's files stays
        os.rmdir(os.path.dirname(roots.socket))


def stop_engine(roots: Roots) -> None:
    """Ask the engine to end, and wait until it has let the lock go."""
    deadline = time.monotonic() + GRACE
    while (pid := holder(roots.lock)) is not None:
        if time.monotonic() > deadline:
            raise DeadlineExceeded(f"the engine (pid {pid}) does not stop", hint=f"kill -9 {pid}, then reset again")
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        time.sleep(0.05)


def undo(roots: Roots) -> None:
    """Take down by the records: every container with its volumes, then every network."""
    held = parts(roots)
    engine = compose(roots, held)
    for container in engine.containers.list(all=True):
        engine.containers.remove(container["Id"], force=True, volumes=True)
    held.networks.reset()
    engine.close()


def kill_leftovers(roots: Roots) -> None:
    """Kill whatever still runs in this engine's cgroups, and remove them, innermost first."""
    top, name = Path("/sys/fs/cgroup"), f"corten-{roots.identity}"
    # Not `**`: cgroups of others come and go, and a walk trips over one that has just gone.
    for parent in (*top.glob(name), *top.glob(f"*/{name}")):
        for directory, _, _ in os.walk(parent, topdown=False):
            for pid in Path(directory, "cgroup.procs").read_text().split():
                with suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
            _remove_cgroup(directory)


def kill_monitors(roots: Roots) -> None:
    """Kill monitors that outlive their container for the sake of a slow client: they are in no container's cgroup.

    One is known by its state directory, which it holds open, also where that has been removed.
    """
    for entry in filter(str.isdigit, os.listdir("/proc")):
        with suppress(OSError):
            words = Path(f"/proc/{entry}/cmdline").read_bytes().split(b"\0")
            held = os.readlink(f"/proc/{entry}/fd/{MONITORS_STATE}")
            if words[1:2] == [b"@monitor"] and held.startswith(f"{roots.run}/tasks/"):
                os.kill(int(entry), signal.SIGKILL)


def _remove_cgroup(directory: str) -> None:
    """A cgroup is busy until the last of its processes has been reaped."""
    for _ in range(100):
        try:
            os.rmdir(directory)
        except OSError:
            time.sleep(0.01)
        else:
            return


def mounts_below(roots: Roots) -> Iterator[str]:
    """Mount points within the engine's directories, the innermost first."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    points = [line.split()[4] for line in lines]
    return (point for point in reversed(points) if point.startswith((f"{roots.data}/", f"{roots.run}/")))
