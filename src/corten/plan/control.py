"""The control socket between the interpreter and its controller: bytes in, messages out; no socket is touched here.

A message is a datagram of an AF_UNIX SEQPACKET socket: ``u16 type, u16 row, i32 errno, u32 pid, text``, NUL-terminated.

::

    interpreter                                      controller
    CHECKPOINT row name  (descriptors)        →      does the `controller` rows that follow the row, then
                                              ←      GO, or ABORT (so does closing the socket): the launch ends silently
    STARTED pid          (pidfd)              →      from the parent half, which leaves soon after
    TRACE row duration                        →      with a traced plan, after each row
    ERROR row errno text                      →      the launch has failed; `failure` makes an error of it
    end of file                               →      after STARTED and no ERROR: the program runs

`await-start` on a listener takes the conversation over to whoever connects there; it begins with that one's GO.
"""

from __future__ import annotations

import os
from struct import Struct

from corten.model.errors import FailedPrecondition, Internal, InvalidArgument, NotFound, PermissionDenied

TYPE_CHECKING = False
if TYPE_CHECKING:
    from corten.model.errors import CortenError
    from corten.plan.step import LaunchPlan, Step

__all__ = [
    "ABORT",
    "CHECKPOINT",
    "ERROR",
    "GO",
    "MAX_FDS",
    "MAX_SIZE",
    "NO_ROW",
    "STARTED",
    "TRACE",
    "Message",
    "failure",
]

CHECKPOINT, STARTED, ERROR, TRACE, GO, ABORT = 1, 2, 3, 4, 16, 17
NO_ROW = 0xFFFF  # an error before the first row: the plan itself
MAX_SIZE = 512
MAX_FDS = 8
_ENOENT = 2
_HEAD = Struct("<HHiI")


class Message(tuple):  # type: ignore[type-arg]
    """One message: ``(type, row, errno, pid, text)``. In TRACE `pid` is the row's duration in nanoseconds."""

    __slots__ = ()

    def __new__(cls, kind: int, row: int = NO_ROW, errno: int = 0, pid: int = 0, text: str = "") -> Message:
        return tuple.__new__(cls, (kind, row, errno, pid, text))

    @classmethod
    def parse(cls, raw: bytes) -> Message:
        """Raises InvalidArgument for bytes that are no message."""
        if len(raw) < _HEAD.size:
            raise InvalidArgument(
                f"cannot read a control message of {len(raw)} bytes: at least {_HEAD.size} are needed"
            )
        text = raw[_HEAD.size :].split(b"\0", 1)[0].decode("utf-8", "replace")
        kind, row, errno, pid = _HEAD.unpack_from(raw)
        return cls(kind, row, errno, pid, text)

    def pack(self) -> bytes:
        return _HEAD.pack(self.kind, self.row, self.errno, self.pid) + self.text.encode() + b"\0"

    @property
    def kind(self) -> int:
        return self[0]  # type: ignore[no-any-return]

    @property
    def row(self) -> int:
        return self[1]  # type: ignore[no-any-return]

    @property
    def errno(self) -> int:
        return self[2]  # type: ignore[no-any-return]

    @property
    def pid(self) -> int:
        return self[3]  # type: ignore[no-any-return]

    @property
    def text(self) -> str:
        """The checkpoint's name, or the system call that failed with what it failed on."""
        return self[4]  # type: ignore[no-any-return]


def failure(plan: LaunchPlan, message: Message) -> CortenError:
    """The error that an ERROR message stands for, with the row's origin as its place.

    For the program itself the text is word for word what runc says: dockerd, containerd and the docker CLI recognise
    exit codes 126 and 127 by it.
    """
    cause = os.strerror(message.errno)
    if message.row >= len(plan.steps):
        return Internal(f"cannot launch: {message.text or cause}")
    step = plan.steps[message.row]
    if step.op in ("find-program", "exec"):
        return _program_failure(plan, step, message)
    if step.op == "write-at" and message.errno == _ENOENT and (refused := _missing_controller(plan, step)):
        return refused
    from corten.plan.text import sentence

    call = f" ({message.text})" if message.text else ""
    kind = {1: PermissionDenied, 13: PermissionDenied, 2: NotFound}.get(message.errno, FailedPrecondition)
    return kind(f"cannot {sentence(step)}: {cause.lower()}{call}", place=step.origin or f"row {message.row}")


def _missing_controller(plan: LaunchPlan, step: Step) -> CortenError | None:
    """A limit's file that is not in the container's cgroup: those above it did not pass the controller on."""
    made = next((row for row in plan.steps if row.op == "make-cgroup" and row.slot == step.args[0]), None)
    if made is None:
        return None
    file = str(step.args[1])
    message = (
        f"cannot limit by {file.split('.')[0]}: the cgroup {made.args[1]!s} below {made.args[0]!s} has no {file}: "
    )
    message += "no such file or directory"
    hint = "a cgroup above it holds processes itself or may not pass the controller on: see the cgroup.procs and "
    hint += "cgroup.subtree_control on the way down, or choose another cgroupsPath"
    return FailedPrecondition(message, hint=hint, place=step.origin)


def _program_failure(plan: LaunchPlan, step: Step, message: Message) -> CortenError:
    cause = os.strerror(message.errno).lower()
    argv = next((row.args[0] for row in plan.steps if row.op == "exec"), ())
    name = argv[0] if isinstance(argv, tuple) and argv else ""
    if step.op == "exec":
        text = f"exec {name}: {cause}"
    elif "/" not in str(name) and message.errno == 2:
        text = f'exec: "{name}": executable file not found in $PATH'
    elif message.errno == 2:
        text = f'exec: "{name}": stat {name}: {cause}'
    else:
        text = f'exec: "{name}": {cause}'
    kind = NotFound if message.errno == 2 else PermissionDenied if message.errno in (13, 21) else FailedPrecondition
    return kind(text, place=step.origin)
