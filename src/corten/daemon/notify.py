"""systemd's two protocols: sockets passed by ``LISTEN_FDS``, and state told to ``NOTIFY_SOCKET``."""

import os
import socket
from collections.abc import MutableMapping

__all__ = ["FIRST_FD", "notify", "passed_sockets"]

FIRST_FD = 3


def passed_sockets(environ: MutableMapping[str, str]) -> list[socket.socket]:
    """The listening sockets that systemd passed to this very process (sd_listen_fds(3)); the variables are consumed."""
    pid, count = environ.pop("LISTEN_PID", ""), environ.pop("LISTEN_FDS", "")
    environ.pop("LISTEN_FDNAMES", None)
    if pid != str(os.getpid()) or not count.isdigit():
        return []
    sockets = []
    for fd in range(FIRST_FD, FIRST_FD + int(count)):
        os.set_inheritable(fd, False)
        sockets.append(socket.socket(fileno=fd))
    return sockets


def notify(state: str, environ: MutableMapping[str, str]) -> None:
    """Tell the service manager `state`, such as ``READY=1`` (sd_notify(3)); nothing when there is none."""
    address = environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        sock.sendto(state.encode(), address)
