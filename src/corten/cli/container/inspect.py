"""`corten container inspect`: all there is to know about containers."""

from __future__ import annotations

from corten.cli.flags import switch
from corten.cli.inspection import print_inspected
from corten.cli.system.version import DETAIL_FORMAT
from corten.cli.table import MANY, Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from corten.cli.flags import Options
    from corten.cli.session import Session

__all__ = ["CONTAINER", "SIZE"]

SIZE = switch("size", "s", "Show what each container's filesystem takes")


def _run(session: Session, options: Options, names: list[str]) -> int:
    query = {"size": "1" if options.on("size") else None}

    def fetch(name: str) -> str:
        return session.text(f"/containers/{name}/json", query)

    return print_inspected(names, fetch, options.text("format"))


CONTAINER = Command(
    "container inspect",
    "[OPTIONS] CONTAINER [CONTAINER...]",
    "Show everything about containers",
    _run,
    least=1,
    most=MANY,
    completes="container",
    flags=(DETAIL_FORMAT, SIZE),
)
