"""The plan cache: a hit needs no Python and makes the same container; what is foreign, stale or damaged is not used.

Whether Python starts is seen by a second name of the program, in a directory without `corten-python` beside it: there a
hit works, and a miss ends with 125, because there is no interpreter to start.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from corten.runtime.plancache.reasons import REASONS
from tests.root.runtime.bundle import COMMAND, Bundle, Runtime, wait_for

pytestmark = pytest.mark.root
NO_PYTHON = 125


@pytest.fixture
def cache(runtime: Runtime, scratch: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache's directory; the runtime says --debug, so that it keeps a plan before it ends, and not aside."""
    (scratch / "corten-runtime").write_text(f'#!/bin/sh\nexec {COMMAND} --debug "$@"\n')
    (scratch / "corten-runtime").chmod(0o755)
    runtime.command = str(scratch / "corten-runtime")
    monkeypatch.setenv("CORTEN_PLAN_CACHE", str(scratch / "cache"))
    return scratch / "cache"


@pytest.fixture
def bare(runtime: Runtime, cache: Path) -> Iterator[Runtime]:  # noqa: ARG001 the cache is this test's own
    """The same state directory and bundle, with the program under a name that finds no Python."""
    if os.geteuid():
        pytest.skip("needs root")
    place = Path(sys.prefix) / f"no-python-{os.getpid()}"
    place.mkdir()
    os.link(COMMAND, place / "corten-runtime")
    made = Runtime.__new__(Runtime)
    made.__dict__ |= runtime.__dict__ | {"command": str(place / "corten-runtime")}
    yield made
    shutil.rmtree(place)


def fresh(bundle: Bundle, n: int) -> None:
    """New ids as every caller writes them."""
    bundle.id = f"{bundle.id[:24]}-{n}"
    bundle.spec["hostname"] = f"host{n}x{bundle.id[12:24]}"
    bundle.linux["cgroupsPath"] = f"/{bundle.id}"
    bundle.process["env"] = [f"HOSTNAME={bundle.spec['hostname']}", "PATH=/bin", "HOME=/"]


STATUS = "-e ctxt -e Vm -e Rss -e Pid -e NSpid -e NSpgid -e NSsid -e Ngid -e Tgid -e SigQ"
OBSERVE = f"cat /proc/self/mountinfo /proc/self/limits /proc/self/cgroup; grep -v {STATUS} /proc/self/status; "
OBSERVE += "hostname; env; ls -ln /dev; id; umask"


def seen(runtime: Runtime) -> list[str]:
    """What a container of this bundle is like from inside, without the numbers that the kernel gives out anew."""
    out = runtime.sh(OBSERVE).replace(runtime.bundle.id, "ID").replace(runtime.bundle.spec["hostname"], "HOST")
    lines = []
    for line in out.splitlines():
        fields = line.split()
        mount = len(fields) > 6 and fields[0].isdecimal() and fields[1].isdecimal() and " - " in line
        # Mount ids, devices and peer groups are handed out anew each time.
        kept = [word for word in fields[3:] if not word.startswith(("master:", "shared:"))] if mount else fields
        lines.append(" ".join(kept))
    return lines


def test_a_hit_and_a_miss_make_the_same_container(runtime: Runtime, bare: Runtime, cache: Path) -> None:
    bundle = runtime.bundle
    fresh(bundle, 0)
    missed = seen(runtime)
    assert list(cache.iterdir())
    for n in (1, 2):
        fresh(bundle, n)
        bare.bundle.id = bundle.id
        assert seen(bare) == missed


def test_the_state_of_a_hit_is_what_python_writes(runtime: Runtime, bare: Runtime) -> None:
    states: list[Any] = []
    for n, one in enumerate((runtime, bare)):
        fresh(runtime.bundle, n)
        id = one.create("/bin/sleep", "100")
        directory = runtime.root / id
        state = json.loads((directory / "state.json").read_text())
        told = json.loads(runtime("state", id).stdout)
        assert told == json.loads(bare("state", id).stdout)
        assert (directory / "status").resolve() == directory / "state.json"
        for varying in ("pid", "start", "created"):
            assert type(state.pop(varying)) in (int, str)
        record = (directory / "record").read_bytes()
        assert str(runtime.root).encode() not in record
        states.append(json.loads(json.dumps(state).replace(id, "ID")))
        runtime("delete", "--force", id)
    assert states[0] == states[1]


def test_the_small_verbs_need_no_python(runtime: Runtime, bare: Runtime) -> None:
    for n, first in enumerate((runtime, bare)):
        fresh(runtime.bundle, n)
        id = first.create("/bin/sleep", "100")
        assert json.loads(bare("state", id).stdout)["status"] == "created"
        bare("start", id)
        assert json.loads(bare("state", id).stdout)["status"] == "running"
        assert bare("exec", id, "/bin/sh", "-c", "cat /etc/passwd >/dev/null; exit 7", check=False).returncode == 7
        bare("kill", id, "KILL")
        wait_for(lambda id=id: json.loads(bare("state", id).stdout)["status"] == "stopped")
        bare("delete", id)
        assert not (runtime.root / id).exists()


def test_an_exec_by_document_hits_the_second_time(runtime: Runtime, bare: Runtime, scratch: Path) -> None:
    id = runtime.start()
    process = {**runtime.bundle.process, "args": ["/bin/echo", "one"]}
    file = scratch / "process.json"
    for n, (runner, word) in enumerate(((runtime, "one"), (bare, "two"), (bare, "three-words.here"))):
        process["args"] = ["/bin/echo", word]
        file.write_text(json.dumps(process))
        done = runner("exec", "--process", str(file), id)
        assert done.stdout == f"{word}\n", n
    process["args"] = ["/bin/echo", 'a "quoted" word']
    file.write_text(json.dumps(process))
    assert bare("exec", "--process", str(file), id, check=False).returncode == NO_PYTHON


def test_a_failing_row_says_the_same_by_either_way(runtime: Runtime, cache: Path) -> None:
    bundle = runtime.bundle
    told = []
    for n in range(2):
        fresh(bundle, n)
        bundle.process["args"] = ["/bin/true"]
        assert runtime.result().returncode == 0
        (bundle.rootfs / "bin/true").rename(bundle.rootfs / "bin/gone")
        fresh(bundle, n + 5)
        failed = runtime.result()
        told.append((failed.returncode, failed.stderr.split("msg=")[1]))
        (bundle.rootfs / "bin/gone").rename(bundle.rootfs / "bin/true")
        assert not list(runtime.root.iterdir())
        shutil.rmtree(cache)
        cache.mkdir(mode=0o500)  # neither read nor written from here on
        cache.chmod(0o777)
    assert told[0] == told[1]
    assert "/bin/true" in told[0][1]


def missed(bare: Runtime) -> bool:
    return bare.result().returncode == NO_PYTHON


@pytest.mark.parametrize(
    "value",
    ['we"b', "we\\b", "wé", "web\\u0041", "", "we b", "web\n", "w" * 1001],
    ids=["quote", "escape", "unicode", "escaped", "empty", "space", "newline", "long"],
)
def test_a_hostile_hostname_fills_no_hole(runtime: Runtime, bare: Runtime, value: str) -> None:
    fresh(runtime.bundle, 0)
    runtime.run("/bin/true")
    assert not missed(bare)
    runtime.bundle.spec["hostname"] = value
    assert missed(bare)


@pytest.mark.parametrize(
    "path", ["/a/../b", "/../b", "/./b", "//b", "/b/", "b", "/", "/b/.."], ids=lambda path: path.replace("/", "_")
)
def test_a_path_that_means_something_else_fills_no_hole(runtime: Runtime, bare: Runtime, path: str) -> None:
    fresh(runtime.bundle, 0)
    runtime.run("/bin/true")
    assert not missed(bare)
    runtime.bundle.linux["cgroupsPath"] = path
    assert missed(bare)


def test_a_source_below_proc_fills_no_hole(runtime: Runtime, bare: Runtime, scratch: Path) -> None:
    runtime.bundle.mount("/data", scratch, "bind")
    runtime.run("/bin/true")
    assert not missed(bare)
    runtime.bundle.spec["mounts"][-1]["source"] = "/proc/1/fd"
    assert missed(bare)


def test_every_byte_outside_the_holes_counts(runtime: Runtime, bare: Runtime) -> None:
    bundle = runtime.bundle
    runtime.run("/bin/true")
    bundle.write()
    config = bundle.path / "config.json"
    good = config.read_bytes()
    command = [bare.command, "--root", str(bare.root), "run", "-b", str(bundle.path), bundle.id]
    for place in range(0, len(good), 41):
        changed = bytearray(good)
        changed[place] ^= 1
        config.write_bytes(bytes(changed))
        code = subprocess.run(command, capture_output=True, check=False, timeout=20).returncode
        inside = any(good.find(word) <= place < good.find(word) + len(word) for word in (bundle.id.encode(), b"corten"))
        assert code == NO_PYTHON or inside, good[place - 20 : place + 20]


def flip(entry: Path) -> None:
    data = bytearray(entry.read_bytes())
    data[len(data) // 2] ^= 4
    entry.write_bytes(bytes(data))


def relink(entry: Path) -> None:
    entry.rename(entry.with_name("elsewhere"))
    entry.symlink_to("elsewhere")


def older_key(word: bytes) -> Callable[[Path], None]:
    """An entry of another boot, program or set of capabilities, whole but for that."""

    def change(entry: Path) -> None:
        from binascii import crc32

        data = bytearray(entry.read_bytes())
        at = data.index(word) + len(word) + 1
        data[at] = data[at] ^ 1
        data[12:16] = crc32(bytes(data[16:])).to_bytes(4, "little")
        entry.write_bytes(bytes(data))

    return change


FOREIGN: dict[str, Callable[[Path], object]] = {
    "damaged": flip,
    "cut": lambda entry: os.truncate(entry, entry.stat().st_size - 1),
    "empty": lambda entry: os.truncate(entry, 0),
    "of somebody else": lambda entry: os.chown(entry, 1234, 1234),
    "writable by a group": lambda entry: entry.chmod(0o620),
    "readable by all": lambda entry: entry.chmod(0o644),
    "behind a link": relink,
    "with two names": lambda entry: os.link(entry, entry.with_name("second")),
    "another boot": older_key(b"\nboot\n"),
    "another program": older_key(b"\nprogram "),
    "other capabilities": older_key(b"\nheld "),
    "another user namespace": older_key(b"/proc/self/ns/user "),
    "other cgroups": older_key(b"\ncgroup\n"),
    "another user": older_key(b"\nuser "),
    "other limits": older_key(b"\nlimits "),
    "directory of somebody else": lambda entry: os.chown(entry.parent, 1234, 1234),
    "directory open to a group": lambda entry: entry.parent.chmod(0o770),
    "directory behind a link": lambda entry: relink(entry.parent),
}


@pytest.mark.parametrize("what", FOREIGN)
def test_an_entry_that_is_not_surely_ours_is_not_used(runtime: Runtime, bare: Runtime, cache: Path, what: str) -> None:
    runtime.run("/bin/true")
    (entry,) = cache.iterdir()
    assert not missed(bare)
    FOREIGN[what](entry)
    assert missed(bare)
    assert runtime.result().returncode == 0, "without an entry it works as ever"


def test_a_changed_witness_or_an_option_is_a_miss(runtime: Runtime, bare: Runtime) -> None:
    runtime.bundle.process["oomScoreAdj"] = 500
    runtime.run("/bin/true")
    assert not missed(bare)
    assert bare.result(flags=("--no-new-keyring",)).returncode == NO_PYTHON
    limited = ["prlimit", "--nofile=999:9999", bare.command, "--root", str(bare.root)]
    command = [*limited, "run", "-b", str(runtime.bundle.path), runtime.bundle.id]
    assert subprocess.run(command, check=False, capture_output=True).returncode == NO_PYTHON
    script = 'echo 600 > /proc/self/oom_score_adj; exec "$@"'
    command = ["sh", "-c", script, "sh", *limited[2:], "run", "-b", str(runtime.bundle.path), runtime.bundle.id]
    assert subprocess.run(command, check=False, capture_output=True).returncode == NO_PYTHON


def test_no_place_for_entries_is_no_error(runtime: Runtime, monkeypatch: pytest.MonkeyPatch, scratch: Path) -> None:
    (scratch / "file").write_text("")
    for place in (scratch / "file", scratch / "nowhere/cache", Path("/proc")):
        monkeypatch.setenv("CORTEN_PLAN_CACHE", str(place))
        assert runtime.result("/bin/true").returncode == 0


def test_a_plan_is_kept_aside_even_of_a_container_that_is_gone_at_once(
    runtime: Runtime, bare: Runtime, cache: Path
) -> None:
    runtime.command = str(COMMAND)
    runtime.run("/bin/true")
    wait_for(lambda: cache.exists() and [one for one in cache.iterdir() if not one.name.startswith(".")])
    assert not missed(bare)


def test_many_that_keep_at_once_leave_whole_entries(runtime: Runtime, bare: Runtime, cache: Path) -> None:
    bundle = runtime.bundle
    bundle.process["args"] = ["/bin/true"]
    del bundle.linux["cgroupsPath"]  # each its own, by its id
    bundle.write()
    command = [runtime.command, "--root", str(runtime.root), "run", "-b", str(bundle.path)]
    running = [subprocess.Popen([*command, f"{bundle.id}-{n}"]) for n in range(6)]
    assert [one.wait(60) for one in running] == [0] * 6
    assert not [entry for entry in cache.iterdir() if entry.name.startswith(".")]
    assert not missed(bare)


def hooked(bundle: Bundle) -> None:
    bundle.spec["hooks"] = {"poststop": [{"path": "/bin/true"}]}


def warned(bundle: Bundle) -> None:
    bundle.process["capabilities"]["bounding"] = ["CAP_NONSENSE"]


UNKEPT: dict[str, Callable[[Bundle], None]] = {"hooks": hooked, "warnings": warned}


@pytest.mark.parametrize("reason", UNKEPT)
def test_what_depends_on_more_is_not_kept_and_says_why(runtime: Runtime, cache: Path, reason: str) -> None:
    bundle = runtime.bundle
    UNKEPT[reason](bundle)
    bundle.process["args"] = ["/bin/true"]
    bundle.write()
    done = runtime("--debug", "run", "-b", str(bundle.path), bundle.id)
    assert REASONS[reason] in done.stderr
    assert not cache.exists() or not list(cache.iterdir())
