"""`corten network inspect`: all there is to know about networks."""

from __future__ import annotations

from corten.cli.flags import switch
from corten.cli.inspection import print_inspected
from corten.cli.system.version import DETAIL_FORMAT
from corten.cli.table import MANY, Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from corten.cli.flags import Options
    from corten.cli.session import Session

__all__ = ["NETWORK"]


def _run(session: Session, options: Options, names: list[str]) -> int:
    query = {"verbose": "1" if options.on("verbose") else None}
    return print_inspected(names, lambda name: session.text(f"/networks/{name}", query), options.text("format"))


NETWORK = Command(
    "network inspect",
    "[OPTIONS] NETWORK [NETWORK...]",
    "Show everything about networks",
    _run,
    least=1,
    most=MANY,
    completes="network",
    flags=(DETAIL_FORMAT, switch("verbose", "v", "Show more, for finding faults")),
)
