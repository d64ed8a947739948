"""How a container lives: the table of its states, restart policies, health, waiting, and how all that is told."""

import pytest

from corten.engine import health, lifecycle, listing, moment, restart, waiting
from corten.engine.catalog import Catalog
from corten.engine.launchfailure import explained
from corten.engine.lifecycle import TRANSITIONS, Action, Status
from corten.engine.moment import SECOND
from corten.engine.record import HealthCheck, HealthState, State
from corten.model.container import HealthConfig, HostConfig, RestartPolicy
from corten.model.errors import Conflict, FailedPrecondition, InvalidArgument, NotFound, PermissionDenied
from corten.wire.filters import parse
from tests.unit.engine.values import ID, container


@pytest.mark.parametrize(("before", "action"), TRANSITIONS)
def test_every_move_of_the_table_is_made(before: Status, action: Action) -> None:
    assert lifecycle.move(before, action, id=ID, name="web") == TRANSITIONS[before, action]


@pytest.mark.parametrize(
    ("before", "action", "message"),
    [
        ("paused", "start", "cannot start a paused container, try unpause instead"),
        ("removing", "remove", "is already in progress"),
        ("running", "remove", "container is running: stop the container before removing or force remove"),
        ("created", "pause", f"Container {ID} is not running"),
        ("paused", "pause", "is already paused"),
        ("dead", "start", "marked for removal"),
    ],
)
def test_other_moves_are_refused_in_dockers_words(before: Status, action: Action, message: str) -> None:
    with pytest.raises(Conflict, match=message):
        lifecycle.move(before, action, id=ID, name="web")


@pytest.mark.parametrize(
    ("policy", "code", "count", "stopped", "again"),
    [
        (RestartPolicy("no"), 1, 0, False, False),
        (RestartPolicy("always"), 0, 9, False, True),
        (RestartPolicy("always"), 0, 0, True, False),
        (RestartPolicy("unless-stopped"), 0, 0, False, True),
        (RestartPolicy("on-failure"), 0, 0, False, False),
        (RestartPolicy("on-failure", 2), 1, 1, False, True),
        (RestartPolicy("on-failure", 2), 1, 2, False, False),
    ],
)
def test_restart_policies(policy: RestartPolicy, code: int, count: int, stopped: bool, again: bool) -> None:
    assert restart.wanted(policy, code, count, stopped=stopped) == again


def test_the_delay_doubles_up_to_a_minute_and_a_good_run_starts_over() -> None:
    subject = container(host=HostConfig(restart_policy=RestartPolicy("always")), state=State("running", started=1))
    delays = [restart.delay_before_next(subject, 1, 2) for _ in range(12)]
    assert delays[:4] == [0.1, 0.2, 0.4, 0.8]
    assert delays[-1] == 60.0
    assert restart.delay_before_next(subject, 1, 11 * SECOND) == 0.1


def test_always_comes_back_at_boot_even_when_it_was_stopped() -> None:
    stopped = State(status="exited", started=1, stopped=True)
    assert restart.after_boot(RestartPolicy("always"), stopped)
    assert not restart.after_boot(RestartPolicy("unless-stopped"), stopped)
    assert not restart.after_boot(RestartPolicy("always"), State())


TIMING = health.Timing.of(HealthConfig(retries=2, start_period=10))


def check(code: int) -> HealthCheck:
    return HealthCheck(1, 2, code, "")


def test_health_turns_bad_after_its_retries_and_good_at_once() -> None:
    state = HealthState("starting")
    for expected in ("starting", "unhealthy", "unhealthy"):
        state = health.judged(state, check(1), TIMING, since_start=100)
        assert state.status == expected
    assert health.judged(state, check(0), TIMING, since_start=100) == HealthState(
        "healthy", 0, (check(1), check(1), check(1), check(0))
    )


def test_failures_within_the_start_period_do_not_count() -> None:
    state = health.judged(HealthState("starting"), check(1), TIMING, since_start=5)
    assert (state.status, state.failing_streak) == ("starting", 0)


def test_only_the_last_five_probes_are_kept() -> None:
    state = HealthState("healthy")
    for _ in range(9):
        state = health.judged(state, check(0), TIMING, since_start=100)
    assert len(state.log) == 5


def test_probe_commands() -> None:
    assert health.command(("CMD", "a", "b"), None) == ("a", "b")
    assert health.command(("CMD-SHELL", "x"), None) == ("/bin/sh", "-c", "x")
    assert health.wanted(HealthConfig(test=("NONE",))) is None


@pytest.mark.parametrize(
    ("span", "words"),
    [
        (0, "Less than a second"),
        (1, "1 second"),
        (59, "59 seconds"),
        (60, "About a minute"),
        (3599, "59 minutes"),
        (3600, "About an hour"),
        (47 * 3600, "47 hours"),
        (49 * 3600, "2 days"),
        (15 * 86400, "2 weeks"),
        (90 * 86400, "3 months"),
        (800 * 86400, "2 years"),
    ],
)
def test_durations_are_dockers_words(span: int, words: str) -> None:
    assert moment.duration(span * SECOND) == words


def test_moments_are_gos() -> None:
    assert moment.rfc3339(0) == "0001-01-01T00:00:00Z"
    assert moment.rfc3339(1_500_000_000 * SECOND) == "2017-07-14T02:40:00Z"
    assert moment.rfc3339(1_500_000_000 * SECOND + 10) == "2017-07-14T02:40:00.00000001Z"


def test_status_texts() -> None:
    from time import time_ns

    started = time_ns() - 5 * SECOND
    assert listing.status_text(State()) == "Created"
    assert listing.status_text(State(status="running", started=started)) == "Up 5 seconds"
    assert listing.status_text(State(status="paused", started=started)) == "Up 5 seconds (Paused)"
    healthy = State(status="running", started=started, health=HealthState("starting"))
    assert listing.status_text(healthy) == "Up 5 seconds (health: starting)"
    exited = State(status="exited", started=1, finished=started, exit_code=3)
    assert listing.status_text(exited) == "Exited (3) 5 seconds ago"
    assert listing.status_text(State(status="dead")) == "Dead"


@pytest.mark.parametrize("text", ["1500000000", "2017-07-14T02:40:00Z"])
def test_until_is_a_unix_time_or_a_date(text: str) -> None:
    assert listing.until(parse(f'{{"until": ["{text}"]}}')) == 1_500_000_000 * SECOND


def test_go_durations() -> None:
    assert listing.span("1h30m") == 5400 * SECOND
    assert listing.span("10ms") == SECOND // 100
    for wrong in ("", "1", "x", "1y"):
        with pytest.raises(InvalidArgument, match="invalid duration"):
            listing.span(wrong)


def test_containers_are_found_by_id_name_and_beginning() -> None:
    catalog = Catalog()
    one, two = container(id="ab" * 32, name="one"), container(id="ac" * 32, name="two")
    catalog.add(one)
    catalog.add(two)
    assert catalog.find("one") is catalog.find("/one") is catalog.find("ab") is catalog.find("ab" * 32) is one
    with pytest.raises(InvalidArgument, match="Multiple IDs found with provided prefix: a"):
        catalog.find("a")
    with pytest.raises(NotFound, match="No such container: nope"):
        catalog.find("nope")


def fail_while_reserved(catalog: Catalog) -> None:
    with catalog.reserved("web", ID):
        with pytest.raises(Conflict, match='The container name "/web" is already in use by container "4f4f'):
            catalog.reserved("web", "other").__enter__()
        raise RuntimeError


def test_a_reserved_name_is_taken_and_given_back_on_failure() -> None:
    catalog = Catalog()
    with pytest.raises(RuntimeError):
        fail_while_reserved(catalog)
    with catalog.reserved("web", ID):
        assert catalog.names == {"web"}


def test_every_change_of_the_catalog_can_be_told() -> None:
    catalog = Catalog()
    before = catalog.generation
    catalog.add(container())
    assert catalog.generation > before


def test_who_waits_for_an_exit_learns_it_and_who_waits_for_removal_not_yet() -> None:
    from concurrent.futures import Future

    from corten.engine.record import WaitResult

    subject = container(state=State(status="exited", exit_code=7))
    exit_: Future[WaitResult] = Future()
    removal: Future[WaitResult] = Future()
    subject.exit_waiters.append(exit_)
    subject.removal_waiters.append(removal)
    waiting.notify_exit(subject)
    assert exit_.result(0).status_code == 7
    assert not removal.done()
    waiting.notify_removal(subject)
    assert removal.result(0).status_code == 7


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (NotFound('exec: "x": executable file not found in $PATH', place="/process/args"), 127),
        (PermissionDenied('exec: "x": permission denied', place="/process/args/0"), 126),
        (FailedPrecondition("exec x: exec format error", place="/process/args"), 126),
        (NotFound("cannot open /x", place="/mounts/3"), 128),
        (OSError("x"), 128),
    ],
)
def test_exit_codes_of_failed_launches(error: Exception, code: int) -> None:
    failure = explained(error)
    assert failure.exit_code == code
    if code < 128:
        assert failure.error.message.startswith("failed to create task for container: ")
        assert failure.error.message.endswith(": unknown")
