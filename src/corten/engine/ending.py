"""What happens when a container's process ends, whoever ended it.

The monitor tells the exit; `Exits` takes it on a thread of its own, under the container's lock: network and health
probe are let go, the exit is recorded with its event, waiters are told, and then the restart policy or `--rm` has its
turn.
"""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from corten.engine import lifecycle, restart, sharedmemory, waiting
from corten.engine.moment import SECOND
from corten.engine.record import Container
from corten.engine.remove import erase
from corten.engine.services import Services, commit, event, now, volume_events
from corten.engine.start import launch
from corten.model.errors import CortenError, ResourceExhausted, of_system
from corten.model.event import Event
from corten.tasks import Exit, Task

__all__ = ["Exits", "settle"]

THREADS = 8
AGAIN = 1.0  # seconds until what could not be recorded is tried again
log = logging.getLogger("corten.engine")


class Exits:
    """Handles exits off the thread that learns of them, which must not wait for a container's lock."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="exit")
        self._closed = False

    def handle(self, services: Services, container: Container, task: Task, exit: Exit) -> None:
        self._pool.submit(self._handle, services, container, task, exit)

    def submit(self, work: Callable[..., None], *arguments: object) -> None:
        """Do other work that an exit brings, on the same threads."""
        self._pool.submit(work, *arguments)

    def remove(self, services: Services, container: Container) -> None:
        """Take a `--rm` container away whose start failed: its client waits for that."""
        self._pool.submit(self._remove, services, container)

    def reconsider(self, services: Services, container: Container) -> None:
        """Somebody who kept a `--rm` container from being removed does so no longer."""
        self._pool.submit(self._remove_if_wanted, services, container)

    def later(self, delay: float, services: Services, container: Container) -> threading.Timer:
        """Start a container again after `delay` seconds, unless it is cancelled."""
        timer = threading.Timer(delay, lambda: self._submit(self._again, services, container, timer))
        timer.daemon = True
        timer.start()
        return timer

    def close(self) -> None:
        self._closed = True
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _submit(self, work: Callable[..., None], *arguments: object) -> None:
        """From a timer, which may go off while the engine leaves."""
        with suppress(RuntimeError):
            self._pool.submit(work, *arguments)

    def _handle(self, services: Services, container: Container, task: Task, exit: Exit) -> None:
        try:
            self._settle(services, container, task, exit)
        except Exception:
            # A full disk, as a rule. Nobody else would ever tell this end, so it is tried until it is recorded.
            log.exception("the end of container %s could not be recorded; trying again", container.id)
            self._retry(self._handle, services, container, task, exit)

    def _settle(self, services: Services, container: Container, task: Task, exit: Exit) -> None:
        with container.lock:
            if container.task is not task:
                return
            settle(services, container, exit)
        self._remove_if_wanted(services, container)

    def _remove_if_wanted(self, services: Services, container: Container) -> None:
        """A `--rm` container that has ended goes, unless somebody is about to start it again."""
        with container.lock:
            ended = container.state.status == "exited"
            wanted = ended and container.record.host.auto_remove and not container.keepers
        if wanted:
            self._remove(services, container)

    def _remove(self, services: Services, container: Container) -> None:
        """`--rm`: nobody waits for an answer, so a failure stays visible as a dead container."""
        try:
            erase(services, container, volumes=True)
        except (CortenError, OSError) as error:
            wanting = of_system(error) if isinstance(error, OSError) else error
            if isinstance(wanting, ResourceExhausted):
                self._retry(self._remove, services, container)

    def _retry(self, work: Callable[..., None], *arguments: object) -> None:
        if not self._closed:
            timer = threading.Timer(AGAIN, self._submit, (work, *arguments))
            timer.daemon = True
            timer.start()

    def _again(self, services: Services, container: Container, timer: threading.Timer) -> None:
        with container.lock:
            if container.state.status != "restarting" or container.retry is not timer:
                return
            container.retry = None
            try:
                launch(services, container)
            except CortenError as error:
                try:
                    commit(services, container, state=container.changed(status="exited", finished=now()))
                except CortenError:
                    log.error("container %s does not start again, trying later: %s", container.id, error)
                    container.retry = self.later(AGAIN, services, container)
                    return
                waiting.notify_exit(container)


def settle(services: Services, container: Container, exit: Exit) -> None:
    """Record an exit, then let go what only a running container has: whatever interrupts this, the exit is not lost.

    The lock must be held and the exit be that of the container's present task.
    """
    if container.state.is_up:  # else it was recorded, and what must be let go could not be
        record_end(services, container, exit)
    try:
        release(services, container)
    finally:
        waiting.notify_exit(container)


def record_end(services: Services, container: Container, exit: Exit) -> None:
    """The exit, and whether the container starts again."""
    state = container.state
    code, finished = exit.code, exit.at or now()
    delay = restart.delay_before_next(container, code, finished)
    action: lifecycle.Action = "exit" if delay is None else "retry"
    ended = container.changed(
        status=lifecycle.move(state.status, action, id=container.id, name=container.name),
        exit_code=code,
        pid=0,
        finished=finished,
        oom_killed=bool(exit.oom_killed),
        restart_count=state.restart_count + (delay is not None),
    )
    commit(services, container, state=ended, events=told(container, code, finished, oom=bool(exit.oom_killed)))
    if delay is not None:
        container.retry = services.exits.later(delay, services, container)


def told(container: Container, code: int, finished: int, *, oom: bool) -> list[Event]:
    lasted = max(0, finished - container.state.started) // SECOND
    died = event(container, "die", exitCode=str(code), execDuration=str(lasted))
    return [*([event(container, "oom")] if oom else []), died, *volume_events(container, "unmount")]


def release(services: Services, container: Container) -> None:
    """Let go what only a running container has."""
    if container.probe is not None:
        container.probe.stop()
        container.probe = None
    services.execs.forget(container)
    sharedmemory.remove(services, container)
    services.networks.release(container.id)
    if container.task is not None:
        container.task.delete()
        container.task = None
