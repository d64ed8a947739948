"""A peer that is systemd as far as a container runtime sees it: it listens on D-Bus and makes cgroups for processes."""

import os
import socket
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from corten.kernel.cgroups import read_layout
from corten.runtime.systemd import Unit
from corten.wire import dbus

PATH, MANAGER = "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager"


class FakeSystemd:
    """Serves one connection after the other. `calls` has what was asked, `result` how the jobs end."""

    def __init__(self, path: Path, *, result: str = "done", error: str = "") -> None:
        self.calls: list[tuple[str, tuple[Any, ...]]] = []
        self.result = result
        self.error = error
        self.address = f"unix:path={path}"
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen(4)
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def properties(self, call: str = "StartTransientUnit") -> dict[str, Any]:
        """Those of the last such call, by name."""
        body = next(arguments for name, arguments in reversed(self.calls) if name == call)
        return dict(next(value for value in body if isinstance(value, list)))

    def names(self) -> list[str]:
        return [name for name, _ in self.calls]

    def close(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(5)

    def _serve(self) -> None:
        with suppress(OSError):  # the listener was closed
            while True:
                connection, _ = self.listener.accept()
                with connection, suppress(EOFError):
                    self._greet(connection)
                    while True:
                        self._answer(connection)

    def _greet(self, connection: socket.socket) -> None:
        line = self._read(connection, 1)
        while not line.endswith(b"\r\n"):
            line += self._read(connection, 1)
        assert line == b"\0AUTH EXTERNAL " + str(os.geteuid()).encode().hex().encode() + b"\r\n"
        connection.sendall(b"OK 0123456789abcdef0123456789abcdef\r\n")
        assert self._read(connection, 7) == b"BEGIN\r\n"

    def _answer(self, connection: socket.socket) -> None:
        header = self._read(connection, dbus.HEADER)
        message = dbus.parse(header + self._read(connection, dbus.size(header) - dbus.HEADER))
        self.calls.append((message.member, message.body))
        job = f"{PATH}/job/{len(self.calls)}"
        if message.member in ("StartTransientUnit", "StopUnit"):
            if self.error and message.member == "StartTransientUnit":
                refusal = dbus.reply(1, message.serial, "s", ("no",), error=self.error)
                connection.sendall(refusal)
                return
            if message.member == "StartTransientUnit" and self.result == "done":
                self._make(message.body)
            # The signal first, as a fast systemd may: the job has ended before its name is known.
            removed = dbus.signal(1, PATH, MANAGER, "JobRemoved", "uoss", (7, job, message.body[0], self.result))
            connection.sendall(removed + dbus.reply(2, message.serial, "o", (job,)))
        else:
            signature, values = ("s", (":1.7",)) if message.member == "Hello" else ("", ())
            connection.sendall(dbus.reply(2, message.serial, signature, values))

    def _make(self, body: tuple[Any, ...]) -> None:
        properties = dict(body[2])
        name, slice = body[0], properties["Slice"][1]
        path = Unit.of(
            f"{slice}:{name.removesuffix('.scope').partition('-')[0]}:{name.partition('-')[2][:-6]}", "", uid=0
        )
        for hierarchy in read_layout().hierarchies:
            if hierarchy.name == "name=systemd" or hierarchy.version == 2:
                directory = Path(hierarchy.directory(path.path))
                directory.mkdir(parents=True)
                (directory / "cgroup.procs").write_text(str(properties["PIDs"][1][0]))

    @staticmethod
    def _read(connection: socket.socket, length: int) -> bytes:
        found = b""
        while len(found) < length:
            piece = connection.recv(length - len(found))
            if not piece:
                raise EOFError
            found += piece
        return found
