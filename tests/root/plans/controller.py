"""The smallest controller: start the interpreter with a plan and hold the conversation with it.

A `Launch` is the controller's end of one launch. Its life::

    launch = Launch(plan, {"stdout": fd, ...})     spawned; rows begin to run
    for event in launch.events():                  Message, with the descriptors that it carried
        CHECKPOINT → do what the plan's controller rows say, then launch.go()
        STARTED    → launch.pid, launch.pidfd
        TRACE      → a row's duration
    an ERROR is raised as the plan's own error     the launch is over, its child gone

`events` ends when the program has been executed; `close` before that ends the launch. The container then belongs to the
nearest subreaper. It shows every message as it is, where `corten.runtime.launch` already acts on some.
"""

from __future__ import annotations

import fcntl
import os
from _socket import AF_UNIX, CMSG_SPACE, SCM_RIGHTS, SOCK_CLOEXEC, SOCK_SEQPACKET, SOL_SOCKET, socketpair
from struct import unpack
from typing import TYPE_CHECKING

from corten.kernel import program
from corten.model.errors import Internal
from corten.plan import control
from corten.plan.encode import encode

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from socket import socket

    from corten.plan.step import LaunchPlan

__all__ = ["Launch", "seal"]

PLAN_FD, CONTROL_FD = 3, 4
CMSG_CLOEXEC = 0x40000000
SCRATCH = 64  # descriptors are first copied above every number that the plan may ask for


def seal(raw: bytes) -> int:
    """A sealed memfd that holds an encoded plan. The caller closes it."""
    fd = os.memfd_create("corten-plan", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.write(fd, raw)
    fcntl.fcntl(fd, program.F_ADD_SEALS, program.SEAL_ALL)
    return fd


class Launch:
    """One launch: `pid` of the interpreter's first process, the control socket, and what STARTED told.

    `fds` gives the descriptor for each slot of the plan's `inherit` table, and may name "stdin", "stdout", "stderr";
    they stay the caller's. `program_fd` is a sealed copy of the program, if the caller keeps one.
    """

    def __init__(
        self,
        plan: LaunchPlan,
        fds: Mapping[str, int] | None = None,
        *,
        raw: bytes | None = None,
        program_fd: int = -1,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.plan = plan
        self.pid = 0
        self.pidfd = -1
        ours, theirs = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC)
        self.control: socket = ours  # type: ignore[assignment]
        sealed = seal(raw if raw is not None else encode(plan))
        try:
            wanted = {PLAN_FD: sealed, CONTROL_FD: theirs.fileno()}
            wanted |= {number: (fds or {})[name] for number, name in plan.inherit}
            standard = {number: (fds or {}).get(name) for number, name in enumerate(("stdin", "stdout", "stderr"))}
            wanted |= {number: fd for number, fd in standard.items() if fd is not None}
            self.launcher = _spawn(wanted, program_fd, environment or {})
        finally:
            os.close(sealed)
            theirs.close()

    def events(self) -> Iterator[tuple[control.Message, list[int]]]:
        """What the interpreter says, with the descriptors of each message, which become the caller's.

        Raises the plan's error for an ERROR message, and Internal when the interpreter died without a word.
        """
        while True:
            raw, fds = self._receive()
            if not raw:
                self.wait()
                if not self.pid and any(step.op == "report" for step in self.plan.steps):
                    raise Internal("cannot launch: the interpreter died without a word")
                return
            message = control.Message.parse(raw)
            if message.kind == control.ERROR:
                self.wait()
                raise control.failure(self.plan, message)
            if message.kind == control.STARTED:
                self.pid, (self.pidfd,) = message.pid, fds
            yield message, fds

    def go(self) -> None:
        """Let the launch continue behind its checkpoint."""
        self.control.send(control.Message(control.GO).pack())

    def wait(self) -> None:
        """Reap the interpreter's first process, which leaves when the parent half's rows are done."""
        if self.launcher:
            os.waitpid(self.launcher, 0)
            self.launcher = 0

    def close(self) -> None:
        """Give up what is held: the control socket (an unfinished launch ends) and the pidfd."""
        self.control.close()
        self.wait()
        if self.pidfd >= 0:
            os.close(self.pidfd)
            self.pidfd = -1

    def _receive(self) -> tuple[bytes, list[int]]:
        data, ancillary, _, _ = self.control.recvmsg(control.MAX_SIZE, CMSG_SPACE(4 * control.MAX_FDS), CMSG_CLOEXEC)
        fds: list[int] = []
        for level, kind, payload in ancillary:
            if (level, kind) == (SOL_SOCKET, SCM_RIGHTS):
                fds += unpack(f"{len(payload) // 4}i", payload[: len(payload) // 4 * 4])
        return data, fds


def _spawn(wanted: dict[int, int], program_fd: int, environment: Mapping[str, str]) -> int:
    """posix_spawn of `corten @launch` with each descriptor at its number; everything else of ours is close-on-exec."""
    above = max(SCRATCH, *wanted) + 1  # no copy may stand where another one goes
    copies = {number: fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, above) for number, fd in wanted.items()}
    sealed = fcntl.fcntl(program_fd, fcntl.F_DUPFD_CLOEXEC, above) if program_fd >= 0 else -1
    try:
        actions = [(os.POSIX_SPAWN_DUP2, fd, number) for number, fd in copies.items()]
        path = f"/proc/self/fd/{sealed}" if sealed >= 0 else program.path()
        return os.posix_spawn(path, ["corten", "@launch"], environment, file_actions=actions)
    finally:
        for fd in (*copies.values(), sealed):
            if fd >= 0:
                os.close(fd)
