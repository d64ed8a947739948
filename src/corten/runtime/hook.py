"""Run one hook of the configuration: the state as JSON on its standard input, a time limit, its outcome checked.

A hook of the runtime's namespaces is spawned as it is. One of the container's namespaces (createContainer,
startContainer) gets a launch plan of its own, which joins them by the container's verified process: Python itself never
changes a namespace.
"""

from __future__ import annotations

import os
import select

from corten.model.errors import DeadlineExceeded, FailedPrecondition
from corten.plan import flags, ops
from corten.plan.step import LaunchPlan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from corten.plan.step import Step

__all__ = ["Where", "run"]

_SIGKILL, _SIGPIPE = 9, 13
_INSIDE = ("createContainer", "startContainer")


class Where:
    """The container whose namespaces a hook may run in: its first process, and the types it has of its own."""

    __slots__ = ("bits", "pid", "program", "start")

    def __init__(self, pid: int, start: int, kinds: Iterable[int], program: str) -> None:
        self.pid = pid
        self.start = start
        self.program = program
        self.bits = 0
        for kind in kinds:
            self.bits |= kind


def run(step: Step, state: bytes, where: Where, *, inherits: bool = False) -> None:
    """With `inherits` it gets our environment: that of a configuration that says nothing of one, as crun has it.

    Run the hook of a controller row. Raises FailedPrecondition for a failed one, DeadlineExceeded for a slow one."""
    kind, path, args, env, timeout = step.args
    reading, writing = os.pipe2(os.O_CLOEXEC)
    try:
        argv = _texts(args) or [str(path)]
        environment = [f"{name}={value}" for name, value in os.environ.items()] if inherits else _texts(env)
        spawn = _inside if kind in _INSIDE else _outside
        pid = spawn(str(path), argv, environment, reading, where)
        os.close(reading)
        reading = -1
        _feed(writing, state)
        os.close(writing)
        writing = -1
        _await(pid, int(timeout), str(kind), str(path), step.origin)  # type: ignore[arg-type]
    finally:
        for fd in (reading, writing):
            if fd >= 0:
                os.close(fd)


def _texts(value: object) -> list[str]:
    return [str(text) for text in value] if isinstance(value, tuple) else []


def _outside(path: str, argv: list[str], env: list[str], stdin: int, _: Where) -> int:
    environment = dict(entry.split("=", 1) for entry in env if "=" in entry)
    actions = [(os.POSIX_SPAWN_DUP2, stdin, 0)]
    try:
        return os.posix_spawn(path, argv, environment, file_actions=actions, setsigmask=[], setsigdef=[_SIGPIPE])
    except OSError as error:
        message = f"error running hook: fork/exec {path}: {str(error.strerror).lower()}"
        raise FailedPrecondition(message, hint="the path of a hook is the host's") from error


def _inside(path: str, argv: list[str], env: list[str], stdin: int, where: Where) -> int:
    from corten.runtime.launch import Launch

    early = where.bits & (flags.CLONE_NEWUSER | flags.CLONE_NEWPID)
    rows = [ops.open_pidfd(where.pid, where.start, slot="container")]
    if early:
        rows.append(ops.setns("container", early))
    rows.append(ops.clone(flags.CLONE_PARENT, "", slot="pidfd"))
    rows.append(ops.report("pidfd", ""))
    if where.bits & ~early:
        rows.append(ops.setns("container", where.bits & ~early, actor="child"))
    rows += [ops.close_from(3), ops.find_program(path, ()), ops.exec(tuple(argv), tuple(env))]
    launch = Launch.spawn(LaunchPlan(rows), program=where.program, fds={}, streams=(stdin, 1, 2))
    launch.until("", lambda _, __: None)
    launch.close()
    os.close(launch.pidfd)
    return launch.pid


def _feed(fd: int, state: bytes) -> None:
    """A hook need not read its input."""
    try:  # noqa: SIM105 contextlib is not for the start path
        os.write(fd, state)
    except BrokenPipeError:
        pass


def _await(pid: int, timeout: int, kind: str, path: str, place: str) -> None:
    pidfd = os.pidfd_open(pid)
    try:
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        in_time = poll.poll(timeout * 1000 if timeout else None)
        if not in_time:
            os.kill(pid, _SIGKILL)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    finally:
        os.close(pidfd)
    if not in_time:
        raise DeadlineExceeded(f"error running {kind} hook {path}: it took longer than {timeout} s", place=place)
    if status:
        ended = f"exit status {status}" if status > 0 else f"signal {-status}"
        raise FailedPrecondition(f"error running {kind} hook {path}: {ended}", hint="see its output above", place=place)
