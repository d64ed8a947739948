"""The verbs that move containers from one state to the next: stop, restart, kill, pause, wait, rm, rename, prune.

Each takes many names, does what it can, prints the names it did and then why it could not do the others.
"""

from __future__ import annotations

from corten.cli.flags import number, switch, text, texts
from corten.cli.human import size
from corten.cli.session import report
from corten.cli.table import MANY, Command, Fault
from corten.cli.values import filter_pair, filters
from corten.client.connection import EngineError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from corten.cli.flags import Options
    from corten.cli.session import Session
    from corten.client.connection import Connection, Query

__all__ = [
    "FILTER",
    "FORCE",
    "KILL",
    "PAUSE",
    "PRUNE",
    "RENAME",
    "RESTART",
    "RM",
    "STOP",
    "UNPAUSE",
    "WAIT",
    "print_pruned",
]

_AT_ONCE = 50

FORCE = switch("force", "f", "Do not ask first")
FILTER = texts("filter", "", "Only those that meet a condition, such as until=24h", kind="filter", read=filter_pair)


def _each(session: Session, names: list[str], verb: str, query: Query | None = None) -> int:
    """POST a verb about each container, and print the names it worked for."""

    def ask(connection: Connection, name: str) -> str:
        connection.send("POST", f"/containers/{name}/{verb}", query=query)
        return "POST"

    failures: list[str] = []
    for outcome in session.for_each(names, ask, at_once=_AT_ONCE):
        if outcome.error is None:
            session.say(outcome.name)
        else:
            failures.append(report(outcome.error))
    if failures:
        raise Fault("\n".join(failures))
    return 0


def _stop_query(options: Options) -> Query:
    return {
        "t": str(options.number("timeout")) if options.given("timeout") else None,
        "signal": options.text("signal") or None,
    }


_STOP_FLAGS = (
    text("signal", "s", "Signal to send"),
    number("timeout", "t", "Seconds to wait before killing; -1 waits for ever"),
    number("time", "", "Seconds to wait before killing", same_as="timeout", hidden=True),
)


def _stop(session: Session, options: Options, names: list[str]) -> int:
    return _each(session, names, "stop", _stop_query(options))


STOP = Command(
    "stop, container stop",
    "[OPTIONS] CONTAINER [CONTAINER...]",
    "Stop running containers",
    _stop,
    least=1,
    most=MANY,
    flags=_STOP_FLAGS,
    completes="running",
)


def _restart(session: Session, options: Options, names: list[str]) -> int:
    return _each(session, names, "restart", _stop_query(options))


RESTART = Command(
    "restart, container restart",
    "[OPTIONS] CONTAINER [CONTAINER...]",
    "Stop containers and start them again",
    _restart,
    least=1,
    most=MANY,
    flags=_STOP_FLAGS,
    completes="container",
)


def _kill(session: Session, options: Options, names: list[str]) -> int:
    return _each(session, names, "kill", {"signal": options.text("signal") or None})


KILL = Command(
    "kill, container kill",
    "[OPTIONS] CONTAINER [CONTAINER...]",
    "Send a signal to running containers, SIGKILL when none is named",
    _kill,
    least=1,
    most=MANY,
    flags=(text("signal", "s", "Signal to send"),),
    completes="running",
)


def _pause(session: Session, _: Options, names: list[str]) -> int:
    return _each(session, names, "pause")


PAUSE = Command(
    "pause, container pause",
    "CONTAINER [CONTAINER...]",
    "Freeze every process of containers",
    _pause,
    least=1,
    most=MANY,
    completes="running",
)


def _unpause(session: Session, _: Options, names: list[str]) -> int:
    return _each(session, names, "unpause")


UNPAUSE = Command(
    "unpause, container unpause",
    "CONTAINER [CONTAINER...]",
    "Let frozen containers go on",
    _unpause,
    least=1,
    most=MANY,
    completes="running",
)


def _wait(session: Session, _: Options, names: list[str]) -> int:
    failures: list[str] = []
    for name in names:
        try:
            session.say(str(session.engine.request("POST", f"/containers/{name}/wait").json()["StatusCode"]))
        except EngineError as error:
            failures.append(report(error))
    if failures:
        raise Fault("\n".join(failures))
    return 0


WAIT = Command(
    "wait, container wait",
    "CONTAINER [CONTAINER...]",
    "Wait until containers end and print their exit statuses",
    _wait,
    least=1,
    most=MANY,
    completes="container",
)


def _rm(session: Session, options: Options, names: list[str]) -> int:
    forced = options.on("force")
    query = {
        "v": "1" if options.on("volumes") else None,
        "link": "1" if options.on("link") else None,
        "force": "1" if forced else None,
    }

    def ask(connection: Connection, name: str) -> str:
        connection.send("DELETE", f"/containers/{name.strip('/')}", query=query)
        return "DELETE"

    if not all(name.strip("/") for name in names):
        raise Fault("container name cannot be empty")
    failures: list[str] = []
    harmless = True
    for outcome in session.for_each(names, ask, at_once=_AT_ONCE):
        if outcome.error is None:
            session.say(outcome.name)
            continue
        failures.append(report(outcome.error))
        harmless = harmless and forced and outcome.error.status == 404
    if failures:
        raise Fault("\n".join(failures), 0 if harmless else 1)
    return 0


RM = Command(
    "rm, container rm, container remove",
    "[OPTIONS] CONTAINER [CONTAINER...]",
    "Remove containers",
    _rm,
    least=1,
    most=MANY,
    completes="container",
    flags=(
        switch("force", "f", "Kill and remove running ones too"),
        switch("link", "l", "Remove the link of this name, not the container"),
        switch("volumes", "v", "Remove their anonymous volumes too"),
    ),
)


def _rename(session: Session, _: Options, names: list[str]) -> int:
    old, new = (name.strip() for name in names)
    if not old or not new:
        raise Fault("Error: Neither old nor new names may be empty")
    try:
        session.post(f"/containers/{old}/rename", {"name": new}).done()
    except EngineError as error:
        raise Fault(f"{report(error)}\nError: failed to rename container named {old}") from None
    return 0


RENAME = Command(
    "rename, container rename", "CONTAINER NEW_NAME", "Give a container another name", _rename,
    least=2, most=2, completes="container",
)  # fmt: skip


def _prune(session: Session, options: Options, _: list[str]) -> int:
    if not options.on("force"):
        session.say("WARNING! This will remove all stopped containers.")
        if not session.confirm("Are you sure you want to continue?"):
            return 0
    answer = session.post("/containers/prune", {"filters": filters(options.texts("filter"))}).json()
    print_pruned(session, "Deleted Containers:", answer.get("ContainersDeleted"))
    session.say(f"Total reclaimed space: {size(answer['SpaceReclaimed'])}")
    return 0


def print_pruned(session: Session, title: str, names: list[str] | None) -> None:
    if names:
        session.say(title, *names, "")


PRUNE = Command("container prune", "[OPTIONS]", "Remove all stopped containers", _prune, flags=(FILTER, FORCE))
