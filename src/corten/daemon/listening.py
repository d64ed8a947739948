"""The sockets an engine listens on.

A unix socket's address holds 108 bytes, and a root may be deeper than that: the directory is opened and the socket
reached as ``/proc/self/fd/N/name``. Its mode lets only the owner in. Whoever reaches this socket is root on the
machine, so TCP is taken on loopback alone, or with certificates of clients.
"""

import contextlib
import ipaddress
import os
import socket
import stat

from corten.model.errors import InvalidArgument

__all__ = ["answers", "listen_tcp", "listen_unix", "unlink_own"]

BACKLOG = 4096


def listen_unix(path: str) -> socket.socket:
    """Bind and listen at `path`. The caller holds the engine's lock, so a socket that is there is a dead engine's."""
    directory, name = os.path.split(path)
    fd = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _remove_stale(name, fd, path)
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        sock.bind(f"/proc/self/fd/{fd}/{name}")
        os.chmod(f"/proc/self/fd/{fd}/{name}", 0o600)
        sock.listen(BACKLOG)
    finally:
        os.close(fd)
    return sock


def listen_tcp(host: str, port: int, *, verified: bool = False) -> socket.socket:
    """Listen on loopback; `verified`, where clients must show a certificate, on any address of this machine."""
    try:
        address = ipaddress.ip_address("127.0.0.1" if host in ("", "localhost") else host)
    except ValueError:
        raise InvalidArgument(f"cannot listen on {host}:{port}: the host must be an IP address") from None
    if not address.is_loopback and not verified:
        raise InvalidArgument(
            f"cannot listen on {host}:{port}: everybody who reaches it would be root here",
            hint="listen on 127.0.0.1, or ask for client certificates: --tlsverify",
        )
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((str(address), port))
    sock.listen(BACKLOG)
    return sock


def answers(path: str) -> bool:
    """True when somebody accepts connections at `path`."""
    try:
        directory = os.open(os.path.dirname(path), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as sock:
        refused = sock.connect_ex(f"/proc/self/fd/{directory}/{os.path.basename(path)}")
    os.close(directory)
    return not refused


def unlink_own(path: str) -> None:
    """Remove the socket's name, so that the next client starts an engine instead of knocking at a dead one."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def _remove_stale(name: str, directory: int, path: str) -> None:
    try:
        mode = os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise InvalidArgument(f"cannot listen at {path}: something that is no socket is there")
    os.unlink(name, dir_fd=directory)
