"""A connection to systemd's manager, by D-Bus: start a scope, change it, stop it.

As root systemd listens at a private socket, where it is reached without a bus; else the system's bus leads to it. For
an ordinary user it is the user's own manager. `DBUS_SYSTEM_BUS_ADDRESS` and `DBUS_SESSION_BUS_ADDRESS` name another
bus, as for every D-Bus program.

>>> with Manager.connect() as manager:
...     manager.start(unit, scope(unit, pid, resources, {}, v2=True))
"""

from __future__ import annotations

import _socket
import os
import time

from corten.model.errors import DeadlineExceeded, FailedPrecondition, Unavailable
from corten.runtime.systemd import Unit, properties, scope
from corten.wire import dbus

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any, Self

    from corten.kernel.probe import Host
    from corten.model.runtime_spec import Resources, RuntimeSpec
    from corten.runtime.systemd import Property

__all__ = ["Manager", "Scope"]

_NAME, _PATH, _INTERFACE = "org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager"
_BUS, _BUS_PATH = "org.freedesktop.DBus", "/org/freedesktop/DBus"
_PATIENCE_S = 30.0
_GONE = ("org.freedesktop.systemd1.NoSuchUnit", "org.freedesktop.systemd1.UnitMasked")
_EXISTS = "org.freedesktop.systemd1.UnitExists"


class Manager:
    """One manager's connection."""

    def __init__(self, sock: _socket.socket, *, bus: bool) -> None:
        """Speak on a connected socket: of a bus, or of the manager itself."""
        self._sock = sock
        self._serial = 0
        self._to = _NAME if bus else ""
        self._ended: dict[str, str] = {}  # jobs and their results, as JobRemoved tells them
        self._authenticate()
        if bus:
            self._call(_BUS, _BUS_PATH, _BUS, "Hello")
            rule = f"type='signal',sender='{_NAME}',interface='{_INTERFACE}',member='JobRemoved'"
            self._call(_BUS, _BUS_PATH, _BUS, "AddMatch", "s", (rule,))
        self._ask("Subscribe")

    @classmethod
    def connect(cls) -> Manager:
        """Reach the manager of this user. Raises Unavailable where there is none."""
        tried: list[str] = []
        for path, bus in _places():
            sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
            try:
                sock.settimeout(_PATIENCE_S)
                sock.connect(path)
            except OSError as error:
                sock.close()
                tried.append(f"{path.removeprefix(chr(0))}: {str(error.strerror or error).lower()}")
                continue
            return cls(sock, bus=bus)
        raise Unavailable(
            f"systemd cgroup flag passed, but systemd cannot be reached ({'; '.join(tried)})",
            hint="leave --systemd-cgroup out: cgroups are then made directly",
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._sock.close()

    def start(self, unit: Unit, properties: list[Property]) -> None:
        """Make the transient unit and wait until systemd has. Raises FailedPrecondition with systemd's own reason."""
        arguments: tuple[Any, ...] = (unit.name, "replace", properties, [])
        signature = "ssa(sv)a(sa(sv))"
        try:
            (job,) = self._ask("StartTransientUnit", signature, arguments)
        except _Refused as refused:
            if refused.name != _EXISTS:
                raise
            # One that failed earlier keeps its name until somebody says that he has seen it.
            self._ask("ResetFailedUnit", "s", (unit.name,))
            (job,) = self._ask("StartTransientUnit", signature, arguments)
        result = self._await(job)
        if result != "done":
            message = f"systemd could not make the unit {unit.name}: {result}"
            raise FailedPrecondition(message, hint=f"see: journalctl -u {unit.name}", place="/linux/cgroupsPath")

    def set(self, unit: Unit, properties: list[Property]) -> None:
        """Change properties until the unit ends; nothing of it is kept for a next one."""
        self._ask("SetUnitProperties", "sba(sv)", (unit.name, True, properties))

    def stop(self, unit: Unit) -> None:
        """End the unit, and forget a failed one; one that is not there is well."""
        for member, signature, arguments in (
            ("StopUnit", "ss", (unit.name, "replace")),
            ("ResetFailedUnit", "s", (unit.name,)),
        ):
            try:
                answer = self._ask(member, signature, arguments)
            except _Refused as refused:
                if refused.name not in _GONE:
                    raise
                return
            if answer:
                self._await(answer[0])

    # ---- D-Bus -----------------------------------------------------------------------------------------------------

    def _ask(self, member: str, signature: str = "", arguments: tuple[Any, ...] = ()) -> tuple[Any, ...]:
        return self._call(self._to, _PATH, _INTERFACE, member, signature, arguments)

    def _call(
        self, to: str, path: str, interface: str, member: str, signature: str = "", arguments: tuple[Any, ...] = ()
    ) -> tuple[Any, ...]:
        self._serial += 1
        self._sock.sendall(dbus.call(self._serial, to, path, interface, member, signature, arguments))
        while True:
            message = self._next()
            if message.reply_serial != self._serial:
                continue
            if message.kind == dbus.ERROR:
                raise _Refused(message.error, f"systemd refused {member}: {message.body[0] if message.body else ''}")
            return message.body

    def _await(self, job: str) -> str:
        """How a job ended: ``done``, ``failed``, ``canceled``, ``timeout``, ``dependency``, ``skipped``."""
        end = time.monotonic() + _PATIENCE_S
        while job not in self._ended:
            if time.monotonic() > end:
                raise DeadlineExceeded(f"systemd's job {job} did not end within {_PATIENCE_S:.0f} s")
            self._next()
        return self._ended.pop(job)

    def _next(self) -> dbus.Message:
        header = self._read(dbus.HEADER)
        message = dbus.parse(header + self._read(dbus.size(header) - dbus.HEADER))
        if message.kind == dbus.SIGNAL and message.member == "JobRemoved":
            _, job, _, result = message.body
            self._ended[job] = result
        return message

    def _authenticate(self) -> None:
        """The line protocol before the messages: we are who the kernel says we are (SASL EXTERNAL)."""
        identity = str(os.geteuid()).encode().hex()
        self._sock.sendall(f"\0AUTH EXTERNAL {identity}\r\n".encode())
        line = bytearray()
        while not line.endswith(b"\r\n"):
            line += self._read(1)
        if not line.startswith(b"OK "):
            raise Unavailable(f"D-Bus does not let user {os.geteuid()} in: {line.decode(errors='replace').strip()}")
        self._sock.sendall(b"BEGIN\r\n")

    def _read(self, length: int) -> bytes:
        found = bytearray()
        while len(found) < length:
            try:
                piece = self._sock.recv(length - len(found))
            except TimeoutError:
                raise DeadlineExceeded(f"systemd did not answer within {_PATIENCE_S:.0f} s") from None
            if not piece:
                raise Unavailable("systemd closed the connection")
            found += piece
        return bytes(found)


class Scope:
    """The unit of one container: what its configuration asks systemd for."""

    def __init__(self, spec: RuntimeSpec, id: str, host: Host) -> None:
        linux = spec.get("linux") or {}
        self.unit = Unit.of(linux.get("cgroupsPath") or "", id, uid=host.euid)
        self._resources: Resources = linux.get("resources") or {}
        self._annotations = spec.get("annotations") or {}
        self._v2 = host.layout.mode == "v2"

    def start(self, pid: int) -> None:
        wanted = scope(self.unit, pid, self._resources, self._annotations, v2=self._v2)
        with Manager.connect() as manager:
            manager.start(self.unit, wanted)

    def update(self, resources: Resources) -> None:
        """Let systemd know changed limits, or its next reload would bring the old ones back."""
        if wanted := properties(resources, v2=self._v2):
            with Manager.connect() as manager:
                manager.set(self.unit, wanted)

    def stop(self) -> None:
        with Manager.connect() as manager:
            manager.stop(self.unit)


class _Refused(FailedPrecondition):
    """An error that the manager answered, with D-Bus's name of it."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message, hint=name, place="/linux/cgroupsPath")
        self.name = name


def _places() -> list[tuple[str, bool]]:
    """Where the manager may listen, and whether a bus is in between."""
    root = os.geteuid() == 0
    if given := os.environ.get("DBUS_SYSTEM_BUS_ADDRESS" if root else "DBUS_SESSION_BUS_ADDRESS"):
        found = [(path, True) for address in given.split(";") if (path := _path(address))]
        if found:
            return found
    if root:
        return [("/run/systemd/private", False), ("/run/dbus/system_bus_socket", True)]
    runtime = os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.geteuid()}"
    return [(f"{runtime}/systemd/private", False), (f"{runtime}/bus", True)]


def _path(address: str) -> str:
    """The socket of an address ``unix:path=/run/x`` or ``unix:abstract=x``; "" for another transport."""
    kind, _, rest = address.partition(":")
    if kind != "unix":
        return ""
    keys = dict(pair.split("=", 1) for pair in rest.split(",") if "=" in pair)
    return keys.get("path") or (f"\0{keys['abstract']}" if "abstract" in keys else "")
