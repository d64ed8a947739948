"""A connection to one monitor: requests answered at once, events in between.

Requests may come from any thread. While one waits for its answer it reads for all; the watcher's thread reads the
rest. What was sent before is always seen first: after a client has seen the end of its stream, `pump` finds the
process's EXIT.
"""

import errno
import os
import socket
import struct
import threading
from collections.abc import Callable, Sequence

from corten.model.errors import (
    Conflict,
    CortenError,
    FailedPrecondition,
    Internal,
    NotFound,
    ResourceExhausted,
    Unavailable,
    Unimplemented,
)
from corten.tasks import protocol
from corten.tasks.protocol import Received

__all__ = ["Connection", "send_ports"]

_PATIENCE = 10  # seconds; a monitor answers in microseconds unless somebody stopped it
_RECORD = 8192
_FDS_AT_ONCE = 250
_KINDS: dict[int, type[CortenError]] = {
    errno.ESRCH: Conflict,
    errno.ENOTTY: Conflict,
    errno.EMFILE: ResourceExhausted,
    errno.EAGAIN: ResourceExhausted,
    errno.ENOSYS: Unimplemented,
    errno.ENOENT: NotFound,
}


class Connection:
    """`on_event` is called, under no lock, for each event; `closed` is true once the monitor is gone,
    and from the beginning without a socket."""

    def __init__(self, sock: socket.socket | None) -> None:
        self.on_event: Callable[[Received], object] = lambda _: None
        self._socket = sock or socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._lock = threading.Lock()
        self._seq = 0
        self._events: list[Received] = []
        self.closed = False
        self.version = 0
        if sock is None:
            self.close()
            return
        sock.settimeout(None)  # Python's own timeout would wait even with MSG_DONTWAIT
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", _PATIENCE, 0))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", _PATIENCE, 0))

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        with self._lock:
            self.closed = True
            self._socket.close()

    def hello(self) -> Received:
        """Say who we are and subscribe to events; returns the monitor's STATE."""
        state = self._exchange("HELLO", (), b"", {"version": protocol.VERSION})
        self.version = state.fields["version"]
        return state

    def request(self, name: str, fds: Sequence[int] = (), tail: bytes = b"", **fields: int) -> int:
        """Send one request and return its value. The monitor's errno becomes an error of the matching kind."""
        reply = self._exchange(name, fds, tail, fields)
        number = reply.fields.get("error", 0)
        if number == 0:
            return reply.fields.get("value", 0)
        kind = _KINDS.get(number, Internal)
        hint = (
            f"it speaks version {self.version}: restart the container to get a newer one"
            if kind is Unimplemented
            else ""
        )
        raise kind(f"the container's monitor refuses {name}: {os.strerror(number)}", hint=hint)

    def pump(self) -> bool:
        """Read every event that has arrived; False once the monitor is gone. Does nothing while a request is under
        way."""
        if not self._lock.acquire(blocking=False):
            return True
        try:
            while not self.closed and (record := self._receive(socket.MSG_DONTWAIT)) is not None:
                self._events.append(record)
        except TimeoutError:
            pass
        finally:
            self._lock.release()
        self._deliver()
        return not self.closed

    def sync(self) -> None:
        """See every event that was sent up to now, also one that another thread is about to read."""
        with self._lock:
            pass
        self.pump()

    def _exchange(self, name: str, fds: Sequence[int], tail: bytes, fields: dict[str, int]) -> Received:
        with self._lock:
            if self.closed:
                raise self._gone(name)
            self._seq += 1
            record = protocol.encode(name, self._seq, tail, **fields)
            try:
                socket.send_fds(self._socket, [record], list(fds))
                reply = self._await_reply(self._seq)
            except (BlockingIOError, TimeoutError):
                raise Unavailable(
                    f"the container's monitor does not answer {name}", hint="is it stopped? see: ps"
                ) from None
            except OSError:
                reply = None
                self.closed = True
        self._deliver()
        if reply is None:
            raise self._gone(name)
        return reply

    def _await_reply(self, seq: int) -> Received | None:
        while (record := self._receive(0)) is not None:
            if record.seq == seq:
                return record
            if record.seq == 0:
                self._events.append(record)
        return None

    def _receive(self, flags: int) -> Received | None:
        """One record, or None at the end. TimeoutError when none has come."""
        try:
            data = self._socket.recv(_RECORD, flags)
        except BlockingIOError:
            raise TimeoutError from None
        except ConnectionResetError:  # it left with a request of ours unread: what it said before comes now
            data = self._socket.recv(_RECORD, flags)
        if not data:
            self.closed = True
            return None
        return protocol.decode(data)

    def _deliver(self) -> None:
        while self._events:
            try:
                event = self._events.pop(0)
            except IndexError:
                return
            self.on_event(event)

    def _gone(self, name: str) -> CortenError:
        return FailedPrecondition(f"cannot send {name}: the container's monitor is gone")


def send_ports(connection: Connection, ports: tuple[int, ...]) -> None:
    """Have a monitor hold these bound sockets and no others."""
    for at in range(0, len(ports) or 1, _FDS_AT_ONCE):
        connection.request("PORTS", ports[at : at + _FDS_AT_ONCE], flags=protocol.FLAGS["APPEND"] if at else 0)
