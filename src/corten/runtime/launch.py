"""One launch: spawn the interpreter with a plan, and be its controller.

The program gets the plan in a sealed memfd and one end of a control socket. It reports the process (`STARTED`), stops
at checkpoints, where the controller does the rows that are its own and says `GO`, and reports a failing row; end of
file means that exec succeeded. `corten.plan.control` has the messages.

>>> launch = Launch.spawn(plan, program="/usr/bin/corten", fds={"console": 7})
>>> launch.until("created", controller)
>>> launch.go(); launch.until("", controller)
"""

from __future__ import annotations

import _socket
import errno
import fcntl
import os

from corten.plan.control import ABORT, CHECKPOINT, ERROR, GO, MAX_FDS, MAX_SIZE, STARTED, TRACE, Message, failure
from corten.plan.encode import encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from corten.plan.step import LaunchPlan, Step

    Controller = Callable[[Step, list[int]], None]

__all__ = ["Launch"]

_PLAN_FD, _CONTROL_FD = 3, 4
_SEALS = 0xF  # seal, shrink, grow, write
_F_ADD_SEALS = 1033
# Above every number that a plan's table names, so that moving descriptors into place overwrites none of them.
_OUT_OF_THE_WAY = 200


class Launch:
    """A running launch. `pid` and `pidfd` are the container's process once it exists (0 and -1 before)."""

    def __init__(self, plan: LaunchPlan | Callable[[], LaunchPlan], control: _socket.socket, launcher: int) -> None:
        self._plan = plan
        self.control = control
        self.launcher = launcher
        self.pid = 0
        self.pidfd = -1
        self.times: list[tuple[int, int]] = []

    @property
    def plan(self) -> LaunchPlan:
        """The plan; who continues another's launch compiles it only when a message is about one of its rows."""
        if not isinstance(self._plan, tuple):
            self._plan = self._plan()
        return self._plan

    @classmethod
    def spawn(
        cls,
        plan: LaunchPlan,
        *,
        program: str,
        fds: Mapping[str, int],
        streams: tuple[int, int, int] = (0, 1, 2),
        trace: bool = False,
        fault: tuple[int, int] | None = None,
    ) -> Launch:
        """Start the program with `fds` (slot to descriptor, for each slot the plan inherits) and `streams`."""
        code = encode(plan, trace=trace, fault=fault)
        ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
        memory = os.memfd_create("plan", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        moved: list[int] = []
        try:
            os.write(memory, code)
            fcntl.fcntl(memory, _F_ADD_SEALS, _SEALS)
            wanted = {_PLAN_FD: memory, _CONTROL_FD: theirs.fileno(), 0: streams[0], 1: streams[1], 2: streams[2]}
            wanted |= {number: fds[slot] for number, slot in plan.inherit if number > _CONTROL_FD}
            actions = []
            for number, fd in wanted.items():
                moved.append(fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _OUT_OF_THE_WAY))
                actions.append((os.POSIX_SPAWN_DUP2, moved[-1], number))
            launcher = os.posix_spawn(program, ["corten", "@launch"], {}, file_actions=actions)
        finally:
            for fd in (memory, *moved):
                os.close(fd)
            theirs.close()
        return cls(plan, ours, launcher)

    def until(self, name: str, controller: Controller) -> bool:
        """Go on to the checkpoint `name`, doing the controller's rows on the way; False when exec came first.

        The caller answers the checkpoint by `go` or `abort`. Raises what the failing row means.
        """
        while received := self._receive():
            message, fds = received
            if message.kind == STARTED:
                self.pid, self.pidfd = message.pid, fds[0]
            elif message.kind == TRACE:
                self.times.append((message.row, message.pid))
            elif message.kind == ERROR:
                self._reap()
                raise failure(self.plan, message)
            elif message.kind == CHECKPOINT:
                self._work(message.row, fds, controller)
                if message.text == name:
                    return True
                self.go()
        self._reap()
        return False

    def go(self) -> None:
        """Answer a checkpoint, or start what awaits its start on the control socket."""
        self._send(GO)

    def abort(self) -> None:
        """Answer a checkpoint with the end of the launch."""
        self._send(ABORT)
        self.close()

    def close(self) -> None:
        """Let go of the control socket: a launch at a checkpoint ends, one that awaits its start does not."""
        self.control.close()
        self._reap()

    def _work(self, row: int, fds: list[int], controller: Controller) -> None:
        """The controller's rows that follow a checkpoint."""
        try:
            for step in self.plan.steps[row + 1 :]:
                if step.actor != "controller":
                    break
                controller(step, fds)
        except BaseException:
            self.abort()
            raise
        finally:
            for fd in fds:
                os.close(fd)

    def _receive(self) -> tuple[Message, list[int]] | None:
        try:
            # Close-on-exec from the first moment: another thread may be starting a monitor, which would keep them.
            space, close = _socket.CMSG_SPACE(4 * MAX_FDS), _socket.MSG_CMSG_CLOEXEC
            raw, ancillary, flags, _ = self.control.recvmsg(MAX_SIZE, space, close)
        except ConnectionResetError:
            return None
        fds = []
        for level, kind, data in ancillary:
            if (level, kind) == (_socket.SOL_SOCKET, _socket.SCM_RIGHTS):
                fds += [int.from_bytes(data[at : at + 4], "little") for at in range(0, len(data) - 3, 4)]
        if flags & _socket.MSG_CTRUNC:  # there was no descriptor left here for one of them
            for fd in fds:
                os.close(fd)
            self.abort()
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return (Message.parse(raw), fds) if raw else None

    def _send(self, kind: int) -> None:
        try:  # noqa: SIM105 contextlib is not for the start path
            self.control.send(Message(kind).pack())
        except BrokenPipeError:
            pass  # it died; the next read says why

    def _reap(self) -> None:
        if self.launcher:
            launcher, self.launcher = self.launcher, 0
            os.waitpid(launcher, 0)
