"""Real containers: the launcher's checkpoint, a monitor that holds the ports, busybox as server and resolver."""

import socket
import subprocess
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from corten.network import NetworkSpec, PortRequest
from corten.tasks.config import TaskConfig
from corten.tasks.task import Task
from corten.tasks.tasks import Tasks
from tests.contracts.tasks.container import Workshop, ended
from tests.root.network.engines import Engine, engine
from tests.root.plans.bundle import make_rootfs

pytestmark = pytest.mark.root


@pytest.fixture
def corten(host: None, scratch: Path) -> Iterator[Engine]:  # noqa: ARG001
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    with engine(scratch / "engine") as made:
        made.networks.create(NetworkSpec(name="back"))
        yield made


@pytest.fixture
def workshop(corten: Engine, scratch: Path) -> Iterator[Workshop]:  # noqa: ARG001
    rootfs = make_rootfs(scratch / "rootfs")
    (rootfs / "etc").mkdir(exist_ok=True)
    (rootfs / "etc/resolv.conf").write_text("nameserver 127.0.0.11\n")
    (rootfs / "www").mkdir()
    (rootfs / "www/page").write_text("hello from inside\n")
    with Workshop(Tasks(f"{scratch}/run"), rootfs, scratch) as made:
        yield made


def run(corten: Engine, workshop: Workshop, name: str, *argv: str, port: str = "") -> Task:
    """One start as the engine does it: reserve, launch, join at the checkpoint, start."""
    ports = (PortRequest(8000, "tcp", "", port),) if port else ()
    workshop.count += 1
    reservation = corten.reserve("back", name=name, id=f"{workshop.count:064x}", ports=ports)
    id = reservation.sandbox.container
    task = workshop.tasks.create(
        workshop.spec(*argv),
        TaskConfig(id=id, bundle=str(workshop.scratch), ports=tuple(reservation.port_fds)),
        on_network=partial(corten.networks.join, id),
    )
    reservation.close_fds()
    task.start()
    return task


def fetch(port: int, seconds: float = 5) -> str:
    """GET /page from 127.0.0.1, once the server has come up."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), 2) as client:
                client.sendall(b"GET /page HTTP/1.0\r\n\r\n")
                return b"".join(iter(lambda: client.recv(4096), b"")).decode().rpartition("\r\n\r\n")[2]
        except ConnectionError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def test_a_server_is_reached_also_after_the_engine_was_killed_and_came_back(corten: Engine, workshop: Workshop) -> None:
    server = ("/bin/busybox", "httpd", "-f", "-p", "8000", "-h", "/www")
    task = run(corten, workshop, "web", *server, port="8080")
    assert fetch(8080) == "hello from inside\n"
    corten.restart()
    workshop.reopen()
    assert fetch(8080) == "hello from inside\n"
    corten.networks.restore({task.id: task.pid})
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind(("0.0.0.0", 8080))
    asking = run(corten, workshop, "asking", "/bin/busybox", "wget", "-q", "-O", "/dev/null", "http://web:8000/page")
    assert ended(asking).code == 0
    again = workshop.tasks.get(task.id)
    again.kill(9)
    ended(again)
    corten.networks.release(task.id)
    corten.networks.release(asking.id)
    run(corten, workshop, "next", *server, port="8080")
    assert fetch(8080) == "hello from inside\n"
