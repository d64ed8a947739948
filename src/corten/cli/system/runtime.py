"""`corten runtime`: the OCI runtime's own command line, which `corten-runtime` is too."""

from __future__ import annotations

from corten.cli.system.entry import call_entry
from corten.cli.table import MANY, Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from corten.cli.flags import Options
    from corten.cli.session import Session

__all__ = ["RUNTIME"]


def _run(_: Session, __: Options, words: list[str]) -> int:
    return call_entry("corten.runtime.command", words)


RUNTIME = Command(
    "runtime",
    "COMMAND [ARG...]",
    "Run and explain OCI bundles, as corten-runtime does",
    _run,
    most=MANY,
    stops=True,
    passes_flags=True,
)
