"""`attach`: joins a client's own connection to a container's standard streams.

The bytes never pass through Python: the monitor is handed the client's socket and pumps, so that an attached client
outlives the engine. `docker run` attaches before it starts; until there is a monitor the connection waits in
`Container.pending`.
"""

import os
from collections.abc import Callable
from typing import NamedTuple

from corten.engine import logs
from corten.engine.record import Container
from corten.engine.requests import AttachOptions, LogQuery
from corten.engine.services import Services, commit, event
from corten.model.errors import Conflict, InvalidArgument
from corten.tasks import AttachOptions as Streams
from corten.tasks import Task
from corten.tasks import keys as sequence
from corten.wire import stdcopy

__all__ = ["Pending", "Take", "attach", "detach_sequence", "hand_over"]

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
    status = container.state.status
    if status == "paused":
        raise Conflict(f"container {container.id} is paused, unpause the container before attach")
    if status == "restarting":
        raise Conflict(f"container {container.id} is restarting, wait until the container is running")
    fd, early = take(tty=container.record.config.tty)
    pending = Pending(fd, early, options)
    with container.lock:
        if services.catalog.get(container.id) is not container:
            pending.close()  # removed while the client was being answered: nothing will ever come
            return
        commit(services, container, events=[event(container, "attach")])
        if container.task is not None and container.state.is_up:
            hand_over(container, container.task, pending)
        elif options.stream and (not options.logs or container.state.status == "created"):
            container.pending.append(pending)  # there is no log yet: all that comes is still to come
        else:
            replay(services, container, pending)


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
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def detach_sequence(keys: str) -> bytes:
    """`ctrl-p,ctrl-q`, `ctrl-@`, `a,b` as the bytes that a terminal sends; the default for ""."""
    try:
        return sequence.parse(keys)
    except InvalidArgument:
        raise InvalidArgument(f"Invalid detach keys ({keys}) provided") from None
