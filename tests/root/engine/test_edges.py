"""What an error or a race must not leave: clients that wait for ever, paths out of a volume, faults of the engine."""

import io
import os
import random
import socket
import stat
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from corten.engine import execs
from corten.engine.requests import AttachOptions, ExecStart
from corten.model.container import ExecConfig, HostConfig, LogConfig, Mount, VolumeOptions
from corten.model.errors import CortenError, InvalidArgument, NotFound, PermissionDenied
from tests.root.engine.workbench import Workbench

pytestmark = pytest.mark.root
BOUND = 5.0


def mounted(**options: Any) -> HostConfig:
    mount = Mount(type="volume", source="vol", target="/d", volume_options=VolumeOptions(**options))
    return HostConfig(network_mode="none", mounts=(mount,))


def test_a_client_that_waits_for_the_start_of_a_removed_container_is_hung_up_on(bench: Workbench) -> None:
    id = bench.create("true")
    ours, theirs = socket.socketpair()
    fd = theirs.detach()
    options = AttachOptions(stdin=False, stdout=True, stderr=False, stream=True)
    bench.containers.attach(id, options, lambda tty: (fd, b""))  # noqa: ARG005
    bench.containers.remove(id)
    with ours:
        ours.settimeout(BOUND)
        assert ours.recv(1) == b""


def test_a_copy_from_a_stopped_container_stays_in_the_part_of_the_volume_it_was_given(bench: Workbench) -> None:
    bench.run("sh", "-c", "mkdir /d/sub; echo inner > /d/sub/f; echo outer > /d/secret", host=mounted())
    id = bench.create("true", host=mounted(subpath="sub"))
    assert bench.containers.archive_stat(id, "/d/f")["size"] == len("inner\n")
    with pytest.raises(NotFound, match="Could not find the file /d/secret"):
        bench.containers.archive_stat(id, "/d/secret")


def test_a_read_only_volume_is_not_written_through_cp(bench: Workbench) -> None:
    mount = Mount(type="volume", source="vol", target="/d", read_only=True)
    id = bench.create("true", host=HostConfig(network_mode="none", mounts=(mount,)))
    with pytest.raises(PermissionDenied, match="mounted volume is marked read-only"):
        bench.containers.archive_put(id, "/d", io.BytesIO(bytes(1024)))


def test_a_path_that_cannot_be_walked_is_the_askers_fault(bench: Workbench) -> None:
    with pytest.raises(InvalidArgument, match="File name too long"):
        bench.containers.archive_stat(bench.create("true"), "/" + "a" * 300)


def test_volumes_are_closed_to_other_users(bench: Workbench) -> None:
    assert stat.S_IMODE((bench.root / "data" / "volumes").stat().st_mode) == 0o700


@pytest.mark.parametrize("config", [{"max-size": "nank"}, {"max-size": "x"}, {"max-file": "-1"}, {"max-file": "x"}])
def test_a_log_option_that_is_no_number_is_refused_at_once(bench: Workbench, config: dict[str, str]) -> None:
    with pytest.raises(InvalidArgument, match="invalid value for max-"):
        bench.create(
            "true", host=HostConfig(network_mode="none", log_config=LogConfig(type="json-file", config=config))
        )


def test_eight_clients_at_one_container_meet_refusals_and_nothing_else(bench: Workbench) -> None:
    """Start, stop, kill, rename, pause, restart, wait and remove in any order: an engine's errors are its own kinds."""
    end, faults = time.monotonic() + 4, []
    containers = bench.containers

    def pester(seed: int) -> None:
        dice = random.Random(seed)
        moves: list[Callable[[], object]] = [
            lambda: bench.create("sleep", "100", name=f"n{dice.randrange(2)}"),
            lambda: containers.start(f"n{dice.randrange(2)}"),
            lambda: containers.stop(f"n{dice.randrange(2)}", timeout=0),
            lambda: containers.kill(f"n{dice.randrange(2)}", ""),
            lambda: containers.restart(f"n{dice.randrange(2)}", timeout=0),
            lambda: containers.rename(f"n{dice.randrange(2)}", f"n{dice.randrange(2)}"),
            lambda: containers.pause(f"n{dice.randrange(2)}"),
            lambda: containers.unpause(f"n{dice.randrange(2)}"),
            lambda: containers.inspect(f"n{dice.randrange(2)}"),
            lambda: containers.wait(f"n{dice.randrange(2)}", "removed"),
            lambda: containers.remove(f"n{dice.randrange(2)}", force=True),
        ]
        while time.monotonic() < end:
            try:
                dice.choice(moves)()
            except CortenError as error:
                if error.http >= 500:
                    faults.append(repr(error))
            except Exception as error:
                faults.append(repr(error))

    threads = [threading.Thread(target=pester, args=(seed,), daemon=True) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not any(thread.is_alive() for thread in threads), "a client waits for ever"
    assert not faults, faults
    for summary in containers.list(all=True):
        containers.remove(summary["Id"], force=True)
    assert not os.listdir(bench.root / "run" / "tasks")


def test_ended_execs_are_forgotten_and_cost_no_thread(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    id = bench.create("sleep", "1000")
    bench.containers.start(id)
    bench.exec(id, "true")  # whatever threads an exec brings to life, it has now
    threads = threading.active_count()
    first = bench.engine.execs.create(id, ExecConfig(cmd=("true",)))
    bench.engine.execs.start(first, ExecStart(detach=True))
    deadline = time.monotonic() + BOUND
    while bench.engine.execs.inspect(first)["ExitCode"] is None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert bench.engine.execs.inspect(first)["ExitCode"] == 0
    assert threading.active_count() <= threads + 1  # one of the pool that handles ends
    monkeypatch.setattr(execs, "KEPT_AFTER_EXIT", 0.0)
    bench.exec(id, "true")
    with pytest.raises(NotFound, match="No such exec instance"):
        bench.engine.execs.inspect(first)
