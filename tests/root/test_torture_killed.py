"""The engine is killed with -9 while containers run: nobody but the engine notices, and the next one knows it all."""

import gc
import os
import signal
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from corten.client.address import Address
from corten.client.connection import EngineError
from corten.client.engine import Container
from corten.client.engine import Engine as Client
from corten.wire.stdcopy import Decoder
from tests.root.engines import IMAGE, OTHER_HOST, Engine, eventually

pytestmark = pytest.mark.skipif(bool(OTHER_HOST), reason="kills the engine it tests")

TICKS = ["sh", "-c", "i=0; while :; do i=$((i+1)); echo tick $i; sleep 0.2; done"]
BOOT_ID = "/proc/sys/kernel/random/boot_id"


@pytest.fixture
def engine(leaves_nothing: None) -> Iterator[Engine]:  # noqa: ARG001
    engine = Engine.temporary()
    engine.start()
    engine.load()
    yield engine
    engine.end()
    gc.collect()  # the SDK's nouns refer to each other; with them go their connections


def client(engine: Engine) -> Client:
    return Client(Address(engine.host))


def run(engine: Engine, command: list[str], **config: Any) -> Container:
    return client(engine).containers.run({"Image": IMAGE, "Cmd": command, **config})


def again(engine: Engine, container: Container) -> Container:
    """The same container, asked of the engine that runs now."""
    return client(engine).containers.get(container.id)


def state(engine: Engine, container: Container) -> dict[str, Any]:
    found: dict[str, Any] = again(engine, container).inspect()["State"]
    return found


def log_file(engine: Engine, container: Container) -> Path:
    return engine.root / "data/containers" / container.id / f"{container.id}-json.log"


def gone(engine: Engine, container: Container) -> bool:
    try:
        again(engine, container)
    except EngineError as error:
        return error.status == 404
    return False


def test_twenty_containers_an_attach_and_an_exec_outlive_their_engine(engine: Engine) -> None:
    web = {"HostConfig": {"PortBindings": {"80/tcp": [{"HostPort": "8080"}]}}, "ExposedPorts": {"80/tcp": {}}}
    served = run(engine, ["sh", "-c", "echo hello > /tmp/index.html; exec httpd -f -h /tmp"], **web)
    ticking = [run(engine, TICKS) for _ in range(17)]
    dying = run(engine, ["sh", "-c", "trap 'exit 7' TERM; while :; do sleep 0.05; done"])
    removed = run(engine, ["sleep", "1000"], HostConfig={"AutoRemove": True})
    attached = ticking[0].attach()
    exec = ticking[1].exec({"Cmd": [*TICKS[:2], "while :; do echo beat; sleep 0.1; done"], "AttachStdout": True})
    running = client(engine).hijack(f"/exec/{exec.id}/start", body={})
    pids = {container.id: container.inspect()["State"]["Pid"] for container in [served, *ticking, dying, removed]}
    time.sleep(0.5)  # the trap of `dying` is set
    engine.kill()

    sizes = {container.id: log_file(engine, container).stat().st_size for container in ticking}
    died = time.time()
    os.kill(pids[dying.id], signal.SIGTERM)
    os.kill(pids[removed.id], signal.SIGKILL)
    assert engine.inside("wget", "-qO-", "http://127.0.0.1:8080/").stdout == "hello\n"
    attached.sock.settimeout(5)
    running.sock.settimeout(5)
    frames, beats = Decoder(), Decoder()
    deadline = time.monotonic() + 1.5
    seen = heard = b""
    while time.monotonic() < deadline:
        seen += b"".join(payload for _, payload in frames.feed(attached.sock.recv(4096)))
        heard += b"".join(payload for _, payload in beats.feed(running.sock.recv(4096)))
    assert seen.count(b"tick") > 4
    assert heard.count(b"beat") > 4
    for container in ticking:
        assert log_file(engine, container).stat().st_size > sizes[container.id], "its log stands still"

    engine.start()
    assert attached.sock.recv(4096), "the attached client was cut off by the engine's return"
    for container in [served, *ticking]:
        found = state(engine, container)
        assert (found["Status"], found["Pid"]) == ("running", pids[container.id])
    assert engine.inside("wget", "-qO-", "http://127.0.0.1:8080/").stdout == "hello\n"
    ended = state(engine, dying)
    assert (ended["Status"], ended["ExitCode"]) == ("exited", 7)
    assert abs(datetime.fromisoformat(ended["FinishedAt"]).timestamp() - died) < 1, "not the time of its exit"
    assert again(engine, dying).wait() == 7
    eventually(lambda: gone(engine, removed))
    assert len(client(engine).containers.list()) == 18
    assert again(engine, ticking[2]).logs(tail="1")[0].startswith(b"tick ")
    for stream in (attached, running):
        stream.close()
    again(engine, ticking[0]).kill()
    assert again(engine, ticking[0]).wait() == 137


def test_a_restart_policy_acts_on_an_exit_that_nobody_saw(engine: Engine) -> None:
    again_and_again = run(engine, TICKS, HostConfig={"RestartPolicy": {"Name": "always"}})
    once = run(engine, TICKS, HostConfig={"RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 1}})
    pids = [container.inspect()["State"]["Pid"] for container in (again_and_again, once)]
    engine.kill()
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    engine.start()
    for container, pid in zip((again_and_again, once), pids, strict=True):
        eventually(lambda c=container, p=pid: state(engine, c)["Status"] == "running" and state(engine, c)["Pid"] != p)  # type: ignore[misc]
        assert again(engine, container).inspect()["RestartCount"] == 1


def test_a_container_whose_monitor_was_killed_is_watched_by_every_engine(engine: Engine) -> None:
    container, other, dying = run(engine, ["sleep", "1000"]), run(engine, TICKS), run(engine, ["sleep", "1000"])
    pid = state(engine, dying)["Pid"]
    os.kill(monitor_of(container), signal.SIGKILL)
    os.kill(monitor_of(dying), signal.SIGKILL)
    assert state(engine, container)["Status"] == "running"
    engine.kill()
    os.kill(pid, signal.SIGKILL)
    engine.start()
    assert state(engine, container)["Status"] == "running"
    assert state(engine, other)["Status"] == "running"
    assert (state(engine, dying)["Status"], state(engine, dying)["ExitCode"]) == ("exited", 255)
    again(engine, container).kill()
    eventually(lambda: state(engine, container)["Status"] == "exited")
    again(engine, container).start()
    assert state(engine, container)["Status"] == "running"
    assert client(engine).containers.get(container.id).inspect()["State"]["ExitCode"] == 0


def monitor_of(container: Container) -> int:
    """The process that `ps` shows as this container's monitor."""
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            words = Path(f"/proc/{name}/cmdline").read_text().split("\0")
        except OSError:
            continue
        if "@monitor" in words and container.id in words:
            return int(name)
    raise AssertionError(f"no monitor of {container.id}")


@pytest.mark.parametrize("keeps_run", [True, False])
def test_after_a_reboot_nothing_runs_but_what_its_policy_starts(engine: Engine, *, keeps_run: bool) -> None:
    plain = run(engine, TICKS)
    always = run(engine, TICKS, HostConfig={"RestartPolicy": {"Name": "always"}})
    stopped = run(engine, ["sleep", "1000"], HostConfig={"RestartPolicy": {"Name": "unless-stopped"}})
    stopped.stop(timeout=0)
    scratch = run(engine, ["sleep", "1000"], HostConfig={"AutoRemove": True})
    reboot(engine, [plain, always, scratch], keeps_run=keeps_run)
    assert state(engine, plain)["Status"] == "exited"
    assert again(engine, plain).logs(tail="1")[0].startswith(b"tick")
    eventually(lambda: state(engine, always)["Status"] == "running")
    assert state(engine, stopped)["Status"] == "exited"
    eventually(lambda: gone(engine, scratch))


def reboot(engine: Engine, running: list[Container], *, keeps_run: bool) -> None:
    """All processes gone, another boot id, a new network; the run directory may be emptied or not."""
    pids = [state(engine, container)["Pid"] for container in running]
    engine.kill()
    for container in running:
        os.kill(monitor_of(container), signal.SIGKILL)
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in pids))
    engine.remove_cgroups()
    note = engine.root.parent / "boot_id"
    note.write_text("00000000-1111-2222-3333-444444444444\n")
    assert engine.holder is not None
    engine.holder.kill()
    engine.holder.communicate()
    engine.holder = None
    assert engine.inside("mount", "--bind", str(note), BOOT_ID).returncode == 0
    if not keeps_run:
        engine.inside("rm", "-rf", str(engine.root / "run"))
    engine.start()
