"""What the engine does at a launch's checkpoints besides network and hooks: devices, the seccomp agent, id maps."""

import json
import os
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

from corten.plan import ops
from corten.runtime.launch import Launch
from corten.tasks.config import LogFile, TaskConfig
from corten.tasks.controller import Controller
from corten.tasks.hooks import Hooks
from tests.contracts.tasks.container import Workshop, ended
from tests.root.runtime.bundle import wait_for


def output(workshop: Workshop, spec: Any) -> str:
    log = workshop.scratch / "log"
    task = workshop.tasks.create(spec, TaskConfig(id="c", bundle=str(workshop.scratch), log=LogFile(str(log))))
    task.start()
    assert ended(task).code == 0
    return "".join(json.loads(line)["log"] for line in log.read_text().splitlines())


def test_network_devices_move_into_the_container(workshop: Workshop) -> None:
    near, far = f"ct{os.getpid()}n", f"ct{os.getpid()}f"
    spec: Any = workshop.spec("/bin/sh", "-c", "ip -o link; ip -4 -o address show dev eth1")
    spec["linux"]["netDevices"] = {near: {"name": "eth0"}, far: {"name": "eth1"}}
    subprocess.run(["ip", "link", "add", near, "type", "veth", "peer", "name", far], check=True)
    try:
        subprocess.run(["ip", "address", "add", "10.99.7.1/30", "dev", far], check=True)
        shown = output(workshop, spec)
    finally:
        subprocess.run(["ip", "link", "delete", near], check=False, stderr=subprocess.DEVNULL)
    assert "eth0" in shown
    assert "10.99.7.1/30" in shown


def test_a_seccomp_agent_gets_the_listener_with_the_state(workshop: Workshop, scratch: Path) -> None:
    path = scratch / "agent.sock"
    calls = [{"names": ["chroot"], "action": "SCMP_ACT_NOTIFY"}]
    profile = {"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": str(path), "syscalls": calls}
    spec: Any = workshop.spec("/bin/true")
    spec["linux"]["seccomp"] = profile
    with socket.socket(socket.AF_UNIX) as agent:
        agent.bind(str(path))
        agent.listen(1)
        output(workshop, spec)
        with agent.accept()[0] as connection:
            data, fds, _, _ = socket.recv_fds(connection, 65536, 4)
    assert json.loads(data)["state"]["id"] == "c"
    assert os.readlink(f"/proc/self/fd/{fds[0]}") == "anon_inode:seccomp notify"
    os.close(fds[0])


@pytest.mark.skipif(not shutil.which("newuidmap"), reason="needs newuidmap (package uidmap)")
def test_ids_are_mapped_by_the_set_user_id_programs() -> None:
    with subprocess.Popen(["unshare", "--user", "sleep", "1000"]) as process:
        try:
            maps = Path(f"/proc/{process.pid}/uid_map")
            wait_for(lambda: os.readlink(f"/proc/{process.pid}/ns/user") != os.readlink("/proc/self/ns/user"))
            launch = Launch(lambda: None, socket.socket(), 0)  # type: ignore[arg-type, return-value]
            launch.pid = process.pid
            hooks = Hooks({"ociVersion": "1.0.0"}, "c", "/", "")
            Controller(launch, hooks, None)(ops.map_users("0 0 1\n", "0 0 1\n"), [])
            assert maps.read_text().split() == ["0", "0", "1"]
            launch.control.close()
        finally:
            process.kill()
