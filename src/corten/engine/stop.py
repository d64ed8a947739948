"""Ends and holds running containers: stop, kill, restart, pause, unpause.

`stop` asks with the container's stop signal, waits, and kills. The lock is held while signals are sent and never
while waiting, so that the exit can be recorded meanwhile.
"""

from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from functools import partial

from corten.engine import lifecycle, signals, waiting
from corten.engine.record import Container, WaitResult
from corten.engine.services import Services, commit, event, now
from corten.engine.start import launch
from corten.model.cancel import Cancel
from corten.model.errors import Cancelled, Conflict, Internal, NotModified

__all__ = ["kill", "pause", "restart", "stop", "terminate", "unpause"]

DEFAULT_TIMEOUT = 10
KILL_PATIENCE = 10.0
SIGKILL, SIGTERM = 9, 15


def stop(
    services: Services,
    reference: str,
    *,
    signal: str | None = None,
    timeout: int | None = None,
    cancel: Cancel | None = None,
) -> None:
    """Stop a container. `timeout` in seconds (-1 for ever) before it is killed; NotModified when it does not run."""
    container = services.catalog.find(reference)
    if not container.is_up:
        raise NotModified(f"container {container.id} is already stopped")
    terminate(services, container, signal=signal, timeout=timeout, cancel=cancel)
    with container.lock:
        commit(services, container, events=[event(container, "stop")])


def terminate(
    services: Services,
    container: Container,
    *,
    signal: str | None = None,
    timeout: int | None = None,
    cancel: Cancel | None = None,
    stays_stopped: bool = True,
) -> None:
    """End a container's process and come back when its exit is recorded."""
    config = container.record.config
    number = signals.number(signal or config.stop_signal or "SIGTERM")
    if timeout is None:
        timeout = config.stop_timeout if config.stop_timeout is not None else DEFAULT_TIMEOUT
    gone = signalled(services, container, number, stays_stopped=stays_stopped)
    if gone is None:
        return
    if cancel is not None:
        cancel.on_set(partial(give_up, gone))
    if not ended(gone, None if timeout < 0 else timeout):
        gone = signalled(services, container, SIGKILL, stays_stopped=stays_stopped)
        if gone is not None and not ended(gone, KILL_PATIENCE):
            raise Internal(f"cannot stop container: {container.id}: it did not end {KILL_PATIENCE:.0f} s after SIGKILL")


def signalled(
    services: Services, container: Container, number: int, *, stays_stopped: bool
) -> "Future[WaitResult] | None":
    """Send a signal and answer a future of the exit; None when there is nothing that could exit any more."""
    with container.lock:
        if not container.state.is_up:
            return None
        if cancel_retry(services, container):
            return None
        if stays_stopped:
            commit(services, container, state=container.changed(stopped=True))
        future: Future[WaitResult] = Future()
        container.exit_waiters.append(future)
        try:
            send(services, container, number)
        except Conflict:
            # It has just ended by itself, and its exit is waiting for our lock or on its way: as good as stopped.
            if container.task is None:
                raise
    return future


def send(services: Services, container: Container, number: int) -> None:
    """The signal itself; a frozen container is thawed, or it would never see it."""
    if container.task is None:
        raise Conflict(f"container {container.id} is not running")
    container.task.kill(number)
    container.doomed = container.doomed or number == SIGKILL
    commit(services, container, events=[event(container, "kill", signal=str(number))])
    if container.state.status == "paused":
        container.task.resume()
        commit(services, container, state=container.changed(status="running"), events=[event(container, "unpause")])


def cancel_retry(services: Services, container: Container) -> bool:
    """A container between two runs is stopped by not starting it again."""
    if container.state.status != "restarting":
        return False
    if container.retry is not None:
        container.retry.cancel()
        container.retry = None
    commit(services, container, state=container.changed(status="exited", stopped=True, finished=now()))
    waiting.notify_exit(container)
    return True


def give_up(gone: "Future[WaitResult]") -> None:
    gone.cancel()


def ended(gone: "Future[WaitResult]", timeout: float | None) -> bool:
    try:
        gone.result(timeout)
    except NotYet:
        return False
    except BaseException as error:
        if gone.cancelled():
            raise Cancelled("the client went away while the container was stopping") from None
        raise error from None
    return True


def kill(services: Services, reference: str, signal: str = "") -> None:
    """Send a signal. SIGKILL (the default) waits until the container has ended."""
    number = signals.number(signal) if signal else SIGKILL
    container = services.catalog.find(reference)
    if not container.is_up:
        raise Conflict(f"cannot kill container: {reference}: container {container.id} is not running")
    if number == SIGKILL:
        gone = signalled(services, container, SIGKILL, stays_stopped=True)
        if gone is not None and not ended(gone, KILL_PATIENCE):
            raise Internal(f"cannot kill container: {reference}: it did not end in {KILL_PATIENCE:.0f} s")
        return
    with container.lock:
        meant_to_end = number == signals.number(container.record.config.stop_signal or "SIGTERM")
        if meant_to_end:
            commit(services, container, state=container.changed(stopped=True))
        send(services, container, number)


def restart(
    services: Services,
    reference: str,
    *,
    signal: str | None = None,
    timeout: int | None = None,
    cancel: Cancel | None = None,
) -> None:
    """Stop, if it runs, and start."""
    container = services.catalog.find(reference)
    with container.lock:
        container.keepers += 1
    try:
        if container.is_up:
            terminate(services, container, signal=signal, timeout=timeout, cancel=cancel)
    except BaseException:
        with container.lock:
            container.keepers -= 1
        services.exits.reconsider(services, container)  # it may have ended all the same
        raise
    with container.lock:
        container.keepers -= 1  # before the launch, for it may end at once
        if not container.state.is_up:  # another restart may have been quicker
            launch(services, container)
        commit(services, container, events=[event(container, "restart")])


def pause(services: Services, reference: str) -> None:
    container = services.catalog.find(reference)
    with container.lock:
        status = lifecycle.move(container.state.status, "pause", id=container.id, name=container.name)
        if container.doomed:  # frozen with the signal on its way it would not even die (cgroup v1)
            raise Conflict(f"Container {container.id} is not running")
        if container.task is not None:
            container.task.pause()
        commit(services, container, state=container.changed(status=status), events=[event(container, "pause")])


def unpause(services: Services, reference: str) -> None:
    container = services.catalog.find(reference)
    with container.lock:
        status = lifecycle.move(container.state.status, "unpause", id=container.id, name=container.name)
        if container.task is not None:
            container.task.resume()
        commit(services, container, state=container.changed(status=status), events=[event(container, "unpause")])
