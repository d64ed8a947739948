"""`corten top`: the processes of a container, as `ps` shows them."""

from __future__ import annotations

import sys

from corten.cli.columns import laid_out
from corten.cli.table import MANY, Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from corten.cli.flags import Options
    from corten.cli.session import Session

__all__ = ["TOP"]


def _run(session: Session, _: Options, words: list[str]) -> int:
    answer = session.get(f"/containers/{words[0]}/top", {"ps_args": " ".join(words[1:]) or None})
    rows = [answer["Titles"], *(answer["Processes"] or [])]
    sys.stdout.write(laid_out(["\t".join(row) for row in rows], least=20))
    return 0


TOP = Command(
    "top, container top",
    "CONTAINER [ps OPTIONS]",
    "Show the processes of a container",
    _run,
    least=1,
    most=MANY,
    stops=True,
    completes="running",
)
