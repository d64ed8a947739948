"""`attach`: joins a client's own connection to a container's standard streams.

The bytes never pass through Python: the monitor is handed the client's socket and pumps, so that an attached client
outlives the engine. `docker run` attaches before it starts; until there is a monitor the connection waits in
`Container.pending`.
"""

import os
import select
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from corten.engine import logs
from corten.engine.record import Container
from corten.engine.requests import AttachOptions, LogQuery
from corten.engine.services import Services, commit, event
from corten.model.errors import Conflict, FailedPrecondition, InvalidArgument, NotFound
from corten.tasks import AttachOptions as Streams
from corten.tasks import Task
from corten.tasks import keys as sequence
from corten.wire import stdcopy

__all__ = ["Pending", "Take", "attach", "detach_sequence", "hand_over"]

PATIENCE = 30  # seconds
# Answers the client that its connection is taken over: (fd, bytes that came behind the request).
Take = Callable[..., tuple[int, bytes]]


class Pending(NamedTuple):
    """A connection that waits for the container's start."""

    fd: int
    early: bytes
    options: AttachOptions

    def close(self) -> None:
        os.close(self.fd)


def attach(services: Services, reference: str, options: AttachOptions, take: Take) -> None:
    """Check, take the connection over and join it. What is wrong is raised before `take` is called."""
    container = services.catalog.find(reference)
    detach_sequence(options.detach_keys)
    late = None
    with container.lock:
        refuse_unfit(services, container)
        # Under the lock: a client may ask for the start as soon as it reads our answer, and that start must find it on
        # the list. (It did not always: then a short program's whole output went by before its client was there.)
        commit(services, container, events=[event(container, "attach")])
        pending = Pending(*take(tty=container.record.config.tty), options)
        if container.task is not None and container.state.is_up:
            with suppress(FailedPrecondition):  # its monitor is gone: it ends now, and so does the client's stream
                hand_over(container, container.task, pending)
        elif options.stream and (not options.logs or container.state.status == "created"):
            container.pending.append(pending)  # there is no log yet: all that comes is still to come
        else:
            late = pending
    if late is not None:
        replay(services, container, late)  # for as long as its client needs, so not under the lock


def refuse_unfit(services: Services, container: Container) -> None:
    """Raise for a container that nobody can attach to now; the lock must be held."""
    if services.catalog.get(container.id) is not container:
        raise NotFound(f"No such container: {container.id}")
    status = container.state.status
    if status == "paused":
        raise Conflict(f"container {container.id} is paused, unpause the container before attach")
    if status == "restarting":
        raise Conflict(f"container {container.id} is restarting, wait until the container is running")


def hand_over(container: Container, task: Task, pending: Pending) -> None:
    """Give a connection to the monitor, and close our copy of it."""
    config, options = container.record.config, pending.options
    try:
        task.attach(
            pending.fd,
            Streams(
                stdin=options.stdin and config.open_stdin,
                stdout=options.stdout,
                stderr=options.stderr,
                logs=options.logs,
                stream=options.stream,
                multiplex=options.multiplex and not config.tty,
                detach_keys=detach_sequence(options.detach_keys) if config.tty else b"",
            ),
            pending.early,
        )
    finally:
        pending.close()


def replay(services: Services, container: Container, pending: Pending) -> None:
    """What a container that does not run wrote, for a client that asked for no more than that."""
    options = pending.options
    try:
        query = LogQuery(stdout=options.stdout, stderr=options.stderr)
        for batch in logs.read(services, container.id, query).batches if options.logs else ():
            framed = options.multiplex and not container.record.config.tty
            write_all(pending.fd, b"".join(stdcopy.frame(n, data) if framed else data for n, data in batch))
    except OSError:
        return  # the client went away
    finally:
        pending.close()


def write_all(fd: int, data: bytes) -> None:
    """Write to a client's socket, which does not block; OSError when the client takes nothing for a long time."""
    view = memoryview(data)
    room = select.poll()
    room.register(fd, select.POLLOUT)
    while view:
        if not room.poll(PATIENCE * 1000):
            raise TimeoutError(f"the client has taken nothing for {PATIENCE} s")
        with suppress(BlockingIOError):
            view = view[os.write(fd, view) :]


def detach_sequence(keys: str) -> bytes:
    """`ctrl-p,ctrl-q`, `ctrl-@`, `a,b` as the bytes that a terminal sends; the default for ""."""
    try:
        return sequence.parse(keys)
    except InvalidArgument:
        raise InvalidArgument(f"Invalid detach keys ({keys}) provided") from None
