"""Where an engine listens: `unix:///path` or `tcp://host:port`.

>>> Address("unix:///run/corten/corten.sock").path
'/run/corten/corten.sock'
"""

from __future__ import annotations

from posix import getuid

from corten.client.environment import variable
from corten.model.errors import InvalidArgument, Unimplemented

__all__ = ["Address", "root_socket", "system_socket"]


class Address:
    """One engine's address. `path` is set for a Unix socket, `host` and `port` for TCP."""

    __slots__ = ("host", "path", "port", "text")

    def __init__(self, text: str) -> None:
        scheme, mark, rest = text.partition("://")
        if not mark:
            scheme, rest = "tcp", text
        self.text, self.path, self.host, self.port = text, "", "", 0
        if scheme == "unix":
            self.path = rest or system_socket()
        elif scheme in ("tcp", "http"):
            if variable("DOCKER_TLS_VERIFY"):
                raise Unimplemented(
                    f"cannot reach {text}: DOCKER_TLS_VERIFY is set, and TLS is not built",
                    hint="unset it only where nobody else can read what passes, or use a Unix socket",
                )
            self.host, self.port = _host_and_port(rest.partition("/")[0], text)
        elif scheme in ("ssh", "npipe", "fd", "https"):
            raise Unimplemented(
                f"cannot reach {text}: {scheme}:// addresses are not built", hint="use unix:// or tcp://"
            )
        else:
            raise InvalidArgument(f"unable to parse docker host `{text}`", hint="write unix:///PATH or tcp://HOST:PORT")

    @property
    def authority(self) -> str:
        """What the Host header names; a Unix socket has no name of its own, so Docker's clients say `docker`."""
        return "docker" if self.path else f"{self.host}:{self.port}"


def _host_and_port(text: str, whole: str) -> tuple[str, int]:
    host, mark, port = text.rpartition(":")
    if not mark or not port:
        host, port = text.rstrip(":"), "2375"
    if not port.isdecimal() or int(port) > 65535:
        raise InvalidArgument(f"unable to parse docker host `{whole}`: invalid port {port}")
    return host.strip("[]") or "127.0.0.1", int(port)


def root_socket(root: str) -> str:
    """The socket of the engine that keeps everything below `root`."""
    return f"{root.rstrip('/')}/corten.sock"


def system_socket() -> str:
    """The socket of this user's own engine when nothing names another."""
    if getuid() == 0:
        return "/run/corten/corten.sock"
    return f"{variable('XDG_RUNTIME_DIR') or f'/run/user/{getuid()}'}/corten/corten.sock"
