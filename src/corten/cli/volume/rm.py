"""`corten volume rm` and `prune`."""

from __future__ import annotations

from corten.cli.container.lifecycle import FILTER, FORCE, print_pruned
from corten.cli.flags import switch
from corten.cli.human import size
from corten.cli.session import report
from corten.cli.table import MANY, Command, Fault
from corten.cli.values import filters
from corten.client.connection import EngineError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from corten.cli.flags import Options
    from corten.cli.session import Session

__all__ = ["PRUNE", "RM"]


def _rm(session: Session, options: Options, names: list[str]) -> int:
    failures: list[str] = []
    for name in names:
        try:
            session.delete(f"/volumes/{name}", {"force": "1" if options.on("force") else None}).done()
            session.say(name)
        except EngineError as error:
            failures.append(report(error))
    if failures:
        raise Fault("\n".join(failures))
    return 0


RM = Command(
    "volume rm, volume remove",
    "[OPTIONS] VOLUME [VOLUME...]",
    "Remove volumes",
    _rm,
    least=1,
    most=MANY,
    about="Remove volumes that no container uses.",
    completes="volume",
    flags=(switch("force", "f", "A volume that is not there is no error"),),
)


def _prune(session: Session, options: Options, _: list[str]) -> int:
    every = options.on("all")
    conditions = options.texts("filter")
    if every and any(condition.startswith("all=") for condition in conditions):
        raise Fault("conflicting options: cannot specify both --all and --filter all=1")
    if not options.on("force"):
        kind = "" if every else "anonymous "
        session.say(f"WARNING! This will remove all {kind}local volumes not used by at least one container.")
        if not session.confirm("Are you sure you want to continue?"):
            return 0
    conditions += ["all=true"] if every else []
    answer = session.post("/volumes/prune", {"filters": filters(conditions)}).json()
    print_pruned(session, "Deleted Volumes:", answer.get("VolumesDeleted"))
    session.say(f"Total reclaimed space: {size(answer['SpaceReclaimed'])}")
    return 0


PRUNE = Command(
    "volume prune",
    "[OPTIONS]",
    "Remove volumes that nothing uses",
    _prune,
    flags=(switch("all", "a", "Also those that have a name"), FILTER, FORCE),
)
