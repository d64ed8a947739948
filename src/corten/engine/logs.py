"""`logs`: what a container wrote, from its json-file log, and on request what it goes on to write.

Following ends when the container has ended and everything was read, when the client goes away, or at `until`. It
sleeps in poll(2) on an inotify handle of the log's directory and on an eventfd that an exit or a cancelled client
rings.
"""

import os
import select
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from typing import BinaryIO, NamedTuple

from corten.engine import logfile
from corten.engine.moment import SECOND
from corten.engine.record import Container
from corten.engine.requests import LogQuery
from corten.engine.services import Services, now
from corten.kernel import inotify
from corten.model.cancel import Cancel
from corten.model.errors import InvalidArgument

__all__ = ["Logs", "read"]

BATCH = 256
LONGEST_SLEEP = 5.0

Batch = list[tuple[int, bytes]]


class Logs(NamedTuple):
    """`batches` yields lists of (stream number, line); with `tty` the lines go out without stdcopy frames."""

    tty: bool
    batches: Iterator[Batch]


def read(services: Services, reference: str, query: LogQuery, cancel: Cancel | None = None) -> Logs:
    """The log of a container. Raises InvalidArgument where there is none to read."""
    container = services.catalog.find(reference)
    if not (query.stdout or query.stderr):
        raise InvalidArgument("Bad parameters: you must choose at least one stream")
    if container.record.host.log_config.type == "none":
        raise InvalidArgument("configured logging driver does not support reading")
    return Logs(container.record.config.tty, batches(services, container, query, cancel or Cancel()))


def batches(services: Services, container: Container, query: LogQuery, cancel: Cancel) -> Iterator[Batch]:
    path = str(services.settings.log_path(container.id))
    with ExitStack() as stack:
        bell = Bell(stack, container, cancel, path) if query.follow else None
        names, offset = logfile.tail_entries(path, query.tail)
        last: BinaryIO | None = None
        for name in names:
            last = stack.enter_context(logfile.open_log(name))
            if offset is not None:
                last.seek(offset)
                offset = None
            yield from chosen(last, query, cancel)
        if bell is not None:
            yield from followed(stack, path, last, query, bell)


def chosen(file: BinaryIO, query: LogQuery, cancel: Cancel) -> Iterator[Batch]:
    """The wanted lines of one file, from its position to its present end."""
    batch: Batch = []
    for entry in logfile.entries(file):
        if cancel.is_set():
            return
        at = logfile.moment(entry.time) if query.since or query.until else 0
        if query.until and at > query.until:
            break
        if at >= (query.since or 0) and (query.stderr if entry.number == logfile.STDERR else query.stdout):
            batch.append((entry.number, line(entry, query)))
        if len(batch) >= BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def line(entry: logfile.Entry, query: LogQuery) -> bytes:
    """The line as it goes out: time and details in front of it, where they are wanted."""
    text = entry.log
    if query.details:
        text = ",".join(f"{name}={value}" for name, value in sorted((entry.attrs or {}).items())) + " " + text
    if query.timestamps:
        text = f"{padded(entry.time)} {text}"
    return text.encode(errors="surrogateescape")


def padded(time: str) -> str:
    """RFC3339 with nine digits, as Docker's logs show it (the file leaves zeros out)."""
    head, dot, fraction = time.rstrip("Z").partition(".")
    return f"{head}.{(fraction if dot else '').ljust(9, '0')}Z"


class Bell:
    """Wakes a follower: something was written, the container has ended, or the client went away."""

    def __init__(self, stack: ExitStack, container: Container, cancel: Cancel, path: str) -> None:
        self._container = container
        self._cancel = cancel
        self._mine = threading.Lock()
        self._event = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        stack.callback(os.close, self._event)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        self._inotify = inotify.watch(os.path.dirname(path))
        stack.callback(os.close, self._inotify)
        with container.lock:
            container.followers.add(self._event)
        stack.callback(self._leave)
        cancel.on_set(self._ring)

    def _leave(self) -> None:
        with self._container.lock:
            self._container.followers.discard(self._event)
        with self._mine:
            self._event = -1

    def _ring(self) -> None:
        """The event loop calls this when the client goes: it must not wait for whoever has the container."""
        with self._mine:
            if self._event >= 0:
                os.eventfd_write(self._event, 1)

    def is_over(self, query: LogQuery) -> bool:
        """Whether nothing more can come that is wanted."""
        over = self._cancel.is_set() or not self._container.state.is_up
        return over or bool(query.until and now() > query.until)

    def wait(self, query: LogQuery) -> None:
        """Sleep until something may have changed."""
        patience = LONGEST_SLEEP
        if query.until:
            patience = min(patience, max(0.0, (query.until - now()) / SECOND))
        poll = select.poll()
        for fd in (self._event, self._inotify):
            poll.register(fd, select.POLLIN)
        for fd, _ in poll.poll(patience * 1000):
            os.read(fd, 4096 if fd == self._inotify else 8)


def followed(stack: ExitStack, path: str, last: BinaryIO | None, query: LogQuery, bell: Bell) -> Iterator[Batch]:
    """What is written from now on. A rotation shows as another file under the log's name: the old one is read to its
    end.
    """
    file = last
    while True:
        over = bell.is_over(query)
        if file is not None:
            yield from chosen(file, query, Cancel())
        if (newer := rotated(path, file)) is not None:
            file = stack.enter_context(newer)
            continue
        if over:
            return
        bell.wait(query)


def rotated(path: str, file: BinaryIO | None) -> BinaryIO | None:
    """The file that now has the log's name, when it is another than `file`."""
    try:
        newer = logfile.open_log(path)
    except FileNotFoundError:
        return None
    if file is not None and os.path.sameopenfile(newer.fileno(), file.fileno()):
        newer.close()
        return None
    return newer
