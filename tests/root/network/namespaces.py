"""Network namespaces for tests: the host's stand-in that the test itself sits in, and containers beside it.

A test may do what an engine may not: move its own thread into a namespace and back.
"""

import ctypes
import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from corten.kernel.netlink import NETLINK_NETFILTER, NETLINK_ROUTE, Netlink
from corten.kernel.netns import NetworkJoin

CLONE_NEWNET = 0x40000000
LIBC = ctypes.CDLL(None, use_errno=True)


def call(name: str, *args: int) -> None:
    if getattr(LIBC, name)(*args):
        code = ctypes.get_errno()
        raise OSError(code, f"{name}: {os.strerror(code)}")


@contextmanager
def own_namespace() -> Iterator[None]:
    """Put this thread, and what it starts, into a fresh network namespace for the time of the block."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    call("unshare", CLONE_NEWNET)
    try:
        yield
    finally:
        call("setns", home, CLONE_NEWNET)
        os.close(home)


class Container:
    """A process that sleeps in a namespace of its own, as a container's first process does before it starts."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(["unshare", "-n", "sh", "-c", "echo; exec sleep 1000"], stdout=subprocess.PIPE)
        assert self.process.stdout
        self.process.stdout.readline()
        self.process.stdout.close()
        self.pid = self.process.pid
        self.netns_fd = os.open(f"/proc/{self.pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Do the block in the container's network."""
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        call("setns", self.netns_fd, CLONE_NEWNET)
        try:
            yield
        finally:
            call("setns", home, CLONE_NEWNET)
            os.close(home)

    def join(self) -> NetworkJoin:
        """What the launcher passes out of a new container."""
        with self.inside():
            udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            route, netfilter = Netlink.open(NETLINK_ROUTE), Netlink.open(NETLINK_NETFILTER)
        return NetworkJoin(self.pid, os.dup(self.netns_fd), route, netfilter, udp, tcp)

    def run(self, *command: str) -> str:
        """Run a program in the container's network; its output, or an AssertionError with what it said."""
        with self.inside():
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
        assert not done.returncode, f"{command}: {done.stderr}{done.stdout}"
        return done.stdout

    def end(self) -> None:
        if self.netns_fd >= 0:
            self.process.kill()
            self.process.wait()
            os.close(self.netns_fd)
            self.netns_fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()


def lan(box: Container, address: str = "10.99.0.2/24", gateway: str = "10.99.0.1/24") -> None:
    """Make `box` a neighbour of the host on a cable: device lan0 here, eth0 there."""
    for command in (
        f"ip link add lan0 type veth peer name eth0 netns {box.pid}",
        f"ip address add {gateway} dev lan0",
        "ip link set lan0 up",
    ):
        subprocess.run(command.split(), check=True, timeout=20)
    box.run("ip", "address", "add", address, "dev", "eth0")
    box.run("ip", "link", "set", "eth0", "up")
    box.run("ip", "link", "set", "lo", "up")
