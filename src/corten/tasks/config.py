"""What a caller says about a task: frozen values, checked where they are used."""

from collections.abc import Mapping

import msgspec

from corten.model.mount import Mount

__all__ = ["AttachOptions", "ExecConfig", "LogFile", "TaskConfig"]


class LogFile(msgspec.Struct, frozen=True):
    """A json-file log as Docker writes it.

    Rotation begins a new file once `path` holds `max_size` bytes (0: never) and keeps `max_file` files in all.
    `attrs` are repeated in every record, as Docker does for the log options labels and env.
    """

    path: str
    max_size: int = 0
    max_file: int = 1
    attrs: Mapping[str, str] | None = None
    compress: bool = False


class TaskConfig(msgspec.Struct, frozen=True):
    """A container's process: `id` names its state directory, `ports` are bound sockets that the monitor holds until
    it ends.

    `rootfs` are mounts that make the root, in place of the specification's directory. `open_stdin` keeps a stdin open
    that nobody is attached to; `stdin_once` closes it when the first client ends its input. `console_size` is (rows,
    columns). The caller keeps and closes its own copies of `ports`. `runtime` is the command of another OCI runtime
    that shall run it, in place of our own (`foreign`).
    """

    id: str
    bundle: str = ""
    rootfs: tuple[Mount, ...] = ()
    terminal: bool = False
    open_stdin: bool = False
    stdin_once: bool = False
    log: LogFile | None = None
    ports: tuple[int, ...] = ()
    console_size: tuple[int, int] = (0, 0)
    runtime: tuple[str, ...] = ()


class ExecConfig(msgspec.Struct, frozen=True):
    """A further process. With `detached` nobody will attach, and its output is read and dropped."""

    id: str
    terminal: bool = False
    open_stdin: bool = False
    detached: bool = False
    console_size: tuple[int, int] = (0, 0)


class AttachOptions(msgspec.Struct, frozen=True):
    """What passes between a process and a client's socket.

    `logs` sends first what the log holds already, `stream` stays for what follows. `multiplex` frames the output by
    stdcopy, a terminal's too when asked. `detach_keys` are the bytes that end the session (see
    `keys`).
    """

    stdin: bool = False
    stdout: bool = True
    stderr: bool = True
    logs: bool = False
    stream: bool = True
    multiplex: bool = True
    detach_keys: bytes = b""
