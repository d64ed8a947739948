"""What the engine holds of a container's network namespace: its handle and sockets that live inside it.

A process is in one network namespace, and entering another needs setns, which a daemon with threads must not do. A
socket, though, stays in the namespace it was created in, wherever its descriptor goes. So whoever is inside anyway
(the launcher, just after clone; the applet `corten @netns` for a container that already runs) makes four sockets and
passes them out, and the engine configures the inside from outside.

The five descriptors travel by SCM_RIGHTS in this order: the namespace, NETLINK_ROUTE, NETLINK_NETFILTER, a UDP and a
TCP socket (both AF_INET, unbound, for the name service).
"""

import array
import os
import socket
from collections.abc import Sequence
from contextlib import ExitStack
from typing import NamedTuple, Self

from corten.kernel.netlink import Netlink
from corten.model.errors import FailedPrecondition, Internal

__all__ = ["NetworkJoin", "enter"]

PASSED = 5


class NetworkJoin(NamedTuple):
    """A namespace that the engine may furnish. `pid` is a process inside it, 0 when that is not known."""

    pid: int
    netns_fd: int
    route: Netlink
    netfilter: Netlink
    udp: socket.socket
    tcp: socket.socket

    @classmethod
    def from_fds(cls, pid: int, fds: Sequence[int]) -> Self:
        """Take over the five descriptors of the launcher's network checkpoint, in their order.

        :raises Internal: there are not five; those that came are closed
        """
        if len(fds) != PASSED:
            for fd in fds:
                os.close(fd)
            raise Internal(f"take over a network namespace: expected {PASSED} descriptors, got {len(fds)}")
        route, netfilter, udp, tcp = (socket.socket(fileno=fd) for fd in fds[1:])
        return cls(pid, fds[0], Netlink(route), Netlink(netfilter), udp, tcp)

    @classmethod
    def of_copies(cls, pid: int, fds: Sequence[int]) -> Self:
        """The same with duplicates: the caller's own descriptors stay its own. OSError when there are none left."""
        with ExitStack() as undo:
            copies = []
            for fd in fds:
                copies.append(os.dup(fd))
                undo.callback(os.close, copies[-1])
            undo.pop_all()
        return cls.from_fds(pid, copies)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of all of it; sockets that someone took over by `dup` or `detach` are no longer ours to close."""
        os.close(self.netns_fd)
        for part in (self.route, self.netfilter, self.udp, self.tcp):
            part.close()


def enter(netns_fd: int, program: str, pid: int = 0) -> NetworkJoin:
    """Have `corten @netns` make sockets inside the namespace behind `netns_fd`.

    :param program: path of the static program
    :raises FailedPrecondition: the applet failed (the namespace is not ours to enter)
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        argv = [program, "@netns", str(netns_fd), str(theirs.fileno())]
        keep = [(os.POSIX_SPAWN_DUP2, fd, fd) for fd in (netns_fd, theirs.fileno())]
        child = os.posix_spawn(program, argv, {}, file_actions=keep)
        theirs.close()
        _, ancillary, _, _ = ours.recvmsg(64, socket.CMSG_SPACE(PASSED * 4), socket.MSG_CMSG_CLOEXEC)
        _, status = os.waitpid(child, 0)
    fds = array.array("i", b"".join(data for level, kind, data in ancillary if kind == socket.SCM_RIGHTS)).tolist()
    if not fds:
        code = os.waitstatus_to_exitcode(status)
        raise FailedPrecondition(f"enter network namespace {netns_fd}: corten @netns ended with status {code}")
    return NetworkJoin.from_fds(pid, fds)
