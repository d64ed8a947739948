"""`corten network rm` and `prune`."""

from __future__ import annotations

from corten.cli.container.lifecycle import FILTER, FORCE, print_pruned
from corten.cli.flags import switch
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
    failed = False
    for name in names:
        try:
            session.delete(f"/networks/{name}").done()
            session.say(name)
        except EngineError as error:
            if options.on("force") and error.status == 404:
                continue
            session.warn(report(error))
            failed = True
    if failed:
        raise Fault("exit status 1")
    return 0


RM = Command(
    "network rm, network remove",
    "NETWORK [NETWORK...]",
    "Remove networks",
    _rm,
    least=1,
    most=MANY,
    completes="network",
    flags=(switch("force", "f", "A network that is not there is no error"),),
)


def _prune(session: Session, options: Options, _: list[str]) -> int:
    if not options.on("force"):
        session.say("WARNING! This will remove all custom networks not used by at least one container.")
        if not session.confirm("Are you sure you want to continue?"):
            return 0
    answer = session.post("/networks/prune", {"filters": filters(options.texts("filter"))}).json()
    print_pruned(session, "Deleted Networks:", answer.get("NetworksDeleted"))
    return 0


PRUNE = Command("network prune", "[OPTIONS]", "Remove all networks that nothing uses", _prune, flags=(FILTER, FORCE))
