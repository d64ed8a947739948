"""`wait`: a promise of a container's exit or removal, made before the caller is answered.

    not-running   now, if it does not run; else like next-exit
    next-exit     the next time it stops running, also when its restart policy starts it again
    removed       when it is gone

A waiter is registered under the container's lock, so that an exit cannot slip between the look and the registration.
"""

from concurrent.futures import Future

from corten.engine.record import Container, WaitResult
from corten.engine.services import Services
from corten.model.errors import InvalidArgument

__all__ = ["notify_exit", "notify_removal", "wait"]


def wait(services: Services, reference: str, condition: str = "not-running") -> "Future[WaitResult]":
    """A future of the exit; no thread blocks for it."""
    container = services.catalog.find(reference)
    future: Future[WaitResult] = Future()
    with container.lock:
        match condition or "not-running":
            case "not-running" if not container.state.is_up:
                future.set_result(result(container))
            case "not-running" | "next-exit":
                container.exit_waiters.append(future)
            case "removed":
                container.removal_waiters.append(future)
            case _:
                raise InvalidArgument(f'invalid condition: "{condition}"')
    return future


def result(container: Container) -> WaitResult:
    return WaitResult(container.state.exit_code, container.state.error)


def notify_exit(container: Container) -> None:
    """Tell who waits for an exit; the lock must be held, the state already be the new one."""
    container.ring()
    waiters, container.exit_waiters = container.exit_waiters, []
    tell(waiters, result(container))


def notify_removal(container: Container) -> None:
    """Tell everybody that is left: who waited for an exit of a container that never ran learns it now.

    Why a start failed was its caller's answer; the removal itself went well.
    """
    waiters = container.exit_waiters + container.removal_waiters
    container.exit_waiters, container.removal_waiters = [], []
    tell(waiters, WaitResult(container.state.exit_code))


def tell(waiters: "list[Future[WaitResult]]", outcome: WaitResult) -> None:
    for waiter in waiters:
        # A waiter whose client has gone away was cancelled.
        if waiter.set_running_or_notify_cancel():
            waiter.set_result(outcome)
