"""`corten volume inspect`: all there is to know about volumes."""

from __future__ import annotations

from corten.cli.inspection import print_inspected
from corten.cli.system.version import DETAIL_FORMAT
from corten.cli.table import MANY, Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from corten.cli.flags import Options
    from corten.cli.session import Session

__all__ = ["VOLUME"]


def _run(session: Session, options: Options, names: list[str]) -> int:
    return print_inspected(names, lambda name: session.text(f"/volumes/{name}"), options.text("format"))


VOLUME = Command(
    "volume inspect",
    "[OPTIONS] VOLUME [VOLUME...]",
    "Show everything about volumes",
    _run,
    least=1,
    most=MANY,
    completes="volume",
    flags=(DETAIL_FORMAT,),
)
