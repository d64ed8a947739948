"""Health checks: a probe by `exec` every so often, its verdicts as state and events.

    starting ──success──► healthy ◄──success── unhealthy
    starting ──`retries` failures in a row (those within the start period do not count)──► unhealthy

The interval counts from the end of one probe to the start of the next. Output is kept to 4096 bytes, the last five
probes are shown. Defaults: interval and timeout 30 s, 3 retries, no start period, 5 s between probes within it (moby
daemon/health.go).
"""

import threading
from typing import NamedTuple

from corten.engine.moment import SECOND
from corten.engine.record import Container, HealthCheck, HealthState
from corten.engine.services import Services, commit, event, now
from corten.model.container import ExecConfig, HealthConfig
from corten.model.errors import CortenError

__all__ = ["Probe", "begin", "initial", "judged", "wanted"]

MOST_OUTPUT = 4096
KEPT = 5
TIMED_OUT = -1


class Timing(NamedTuple):
    """A health configuration with its defaults; spans in ns."""

    interval: int
    timeout: int
    start_period: int
    start_interval: int
    retries: int

    @classmethod
    def of(cls, config: HealthConfig) -> "Timing":
        return cls(
            config.interval or 30 * SECOND,
            config.timeout or 30 * SECOND,
            config.start_period,
            config.start_interval or 5 * SECOND,
            config.retries or 3,
        )


def wanted(config: HealthConfig | None) -> tuple[str, ...] | None:
    """The probe's command without its first word; None when there is no probe (none given, or `NONE`)."""
    if config is None or not config.test or config.test[0] in ("", "NONE"):
        return None
    return config.test


def initial(config: HealthConfig | None) -> HealthState | None:
    return HealthState("starting") if wanted(config) else None


def judged(before: HealthState, check: HealthCheck, timing: Timing, *, since_start: int) -> HealthState:
    """The state after one more probe."""
    log = (*before.log, check)[-KEPT:]
    if check.exit_code == 0:
        return HealthState("healthy", 0, log)
    forgiven = before.status == "starting" and since_start < timing.start_period
    streak = before.failing_streak + (not forgiven)
    status = "unhealthy" if streak >= timing.retries else before.status
    return HealthState(status, streak, log)


def begin(services: Services, container: Container) -> None:
    """Start probing a container that was just started or adopted; the lock must be held."""
    config = container.record.config.healthcheck
    test = wanted(config)
    if test is not None and config is not None:
        container.probe = Probe(services, container, test, Timing.of(config))
        container.probe.schedule()


class Probe:
    """The probing of one run of a container."""

    def __init__(self, services: Services, container: Container, test: tuple[str, ...], timing: Timing) -> None:
        self._services = services
        self._container = container
        self._timing = timing
        self._command = command(test, container.record.config.shell)
        self._timer: threading.Timer | None = None
        self._stopped = False

    def stop(self) -> None:
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()

    def schedule(self) -> None:
        """Probe again after the interval that holds now."""
        state, timing = self._container.state, self._timing
        starting = state.health is not None and state.health.status == "starting"
        in_start = starting and now() - state.started < timing.start_period
        interval = timing.start_interval if in_start else timing.interval
        self._timer = threading.Timer(interval / SECOND, self._run)
        self._timer.daemon = True
        self._timer.start()

    def _run(self) -> None:
        if self._stopped:
            return
        if self._container.state.status == "running":
            self._record(self._check())
        if not self._stopped:
            self.schedule()

    def _check(self) -> HealthCheck:
        start = now()
        try:
            code, output = self._services.execs.run(
                self._container, ExecConfig(cmd=self._command), timeout=self._timing.timeout / SECOND, most=MOST_OUTPUT
            )
        except TimeoutError:
            message = f"Health check exceeded timeout ({self._timing.timeout / SECOND:g}s)"
            return HealthCheck(start, now(), TIMED_OUT, message)
        except (CortenError, OSError) as error:
            return HealthCheck(start, now(), TIMED_OUT, str(error))
        return HealthCheck(start, now(), code, output.decode(errors="replace"))

    def _record(self, check: HealthCheck) -> None:
        container = self._container
        with container.lock:
            state = container.state
            if self._stopped or state.health is None or state.status != "running":
                return
            health = judged(state.health, check, self._timing, since_start=check.start - state.started)
            changed = health.status != state.health.status
            events = [event(container, f"health_status: {health.status}")] if changed else []
            commit(self._services, container, state=container.changed(health=health), events=events)


def command(test: tuple[str, ...], shell: tuple[str, ...] | None) -> tuple[str, ...]:
    """`CMD` runs as it stands; `CMD-SHELL` by the image's shell."""
    if test[0] == "CMD-SHELL":
        return (*(shell or ("/bin/sh", "-c")), *test[1:])
    return test[1:]
