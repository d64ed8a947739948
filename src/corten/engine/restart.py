"""Restart policies: whether a container is started again after an exit, and how long to wait before.

The first delay is 100 ms and doubles up to a minute; a run of ten seconds or more starts over (moby restartmanager).
What a user stopped stays stopped; `always` comes back at the next boot even so.
"""

from corten.engine.moment import SECOND
from corten.engine.record import Container, State
from corten.model.container import RestartPolicy

__all__ = ["FIRST_DELAY", "after_boot", "delay_before_next", "wanted"]

FIRST_DELAY = 0.1
LONGEST_DELAY = 60.0
GOOD_RUN = 10 * SECOND


def wanted(policy: RestartPolicy, exit_code: int, restarts: int, *, stopped: bool) -> bool:
    """Whether the policy starts the container again after this exit."""
    if stopped:
        return False
    if policy.name == "on-failure":
        return exit_code != 0 and (policy.maximum_retry_count == 0 or restarts < policy.maximum_retry_count)
    return policy.name in ("always", "unless-stopped")


def delay_before_next(container: Container, exit_code: int, finished: int) -> float | None:
    """Seconds to wait before the next start; None when there is none. Remembers how far the delay has grown."""
    state = container.state
    if not wanted(container.record.host.restart_policy, exit_code, state.restart_count, stopped=state.stopped):
        container.backoff = 0.0
        return None
    good = finished - state.started >= GOOD_RUN
    container.backoff = FIRST_DELAY if good or not container.backoff else min(container.backoff * 2, LONGEST_DELAY)
    return container.backoff


def after_boot(policy: RestartPolicy, state: State) -> bool:
    """Whether a container that does not run is started when the machine has come up again."""
    if state.status == "created" or state.started == 0:
        return False
    if policy.name == "always":
        return True
    return wanted(policy, state.exit_code, state.restart_count, stopped=state.stopped)
