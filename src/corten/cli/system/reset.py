"""`corten system reset`: as if Corten had never been here."""

from __future__ import annotations

from corten.cli.container.lifecycle import FORCE
from corten.cli.system.entry import call_entry
from corten.cli.table import Command, Fault

TYPE_CHECKING = False
if TYPE_CHECKING:
    from corten.cli.flags import Options
    from corten.cli.session import Session

__all__ = ["RESET"]


def _run(session: Session, options: Options, _: list[str]) -> int:
    if not session.owns_engine():
        raise Fault(
            f"cannot reset the engine at {session.address().text}: it was named by its address",
            hint="name it by its directory: corten --root DIR system reset",
        )
    if not options.on("force"):
        session.say(
            "WARNING! This will stop the engine and remove all of its",
            "  - containers, running ones too",
            "  - images",
            "  - volumes and what is in them",
            "  - networks, cgroups and firewall rules",
            "",
        )
        if not session.confirm("Are you sure you want to continue?"):
            return 0
    root = session.root()
    return call_entry("corten.daemon.reset", ["--root", root] if root else [])


RESET = Command(
    "system reset", "[OPTIONS]", "Stop the engine and remove everything of it", _run, flags=(FORCE,),
)  # fmt: skip
