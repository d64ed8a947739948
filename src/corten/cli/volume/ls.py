"""`corten volume ls`."""

from __future__ import annotations

from corten.cli.container.ps import FORMAT
from corten.cli.flags import switch, texts
from corten.cli.human import size
from corten.cli.listing import Listing
from corten.cli.network.ls import labels_of, natural
from corten.cli.table import Command
from corten.cli.values import filter_pair, filters

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from corten.cli.flags import Options
    from corten.cli.session import Session

__all__ = ["LS", "listing"]


def _size(row: Any) -> str:
    usage = row.get("UsageData")
    return size(usage["Size"]) if usage and usage["Size"] != -1 else "N/A"


def _links(row: Any) -> str:
    usage = row.get("UsageData")
    return str(usage["RefCount"]) if usage else "N/A"


def listing() -> Listing:
    """The columns of a volume; those of swarm's cluster volumes are never known."""
    return Listing(
        "*formatter.volumeContext",
        {
            "Name": ("VOLUME NAME", lambda row: row["Name"]),
            "Driver": ("DRIVER", lambda row: row["Driver"]),
            "Scope": ("SCOPE", lambda row: row["Scope"]),
            "Mountpoint": ("MOUNTPOINT", lambda row: row["Mountpoint"]),
            "Labels": ("LABELS", labels_of),
            "Links": ("LINKS", _links),
            "Size": ("SIZE", _size),
            "Group": ("GROUP", lambda _: "N/A"),
            "Availability": ("AVAILABILITY", lambda _: "N/A"),
            "Status": ("STATUS", lambda _: "N/A"),
        },
        {"Label": lambda row, name: (row.get("Labels") or {}).get(name, "")},
    )


def _run(session: Session, options: Options, _: list[str]) -> int:
    if options.on("cluster"):
        from corten.model.errors import Unimplemented

        raise Unimplemented("volume ls --cluster: this engine is no node of a swarm")
    rows = session.get("/volumes", {"filters": filters(options.texts("filter"))})["Volumes"] or []
    rows.sort(key=lambda row: natural(row["Name"]))
    quiet = "Name" if options.on("quiet") else ""
    listing().print(rows, ["Driver", "Name"], form=options.text("format"), quiet=quiet)
    return 0


LS = Command(
    "volume ls, volume list",
    "[OPTIONS]",
    "List volumes",
    _run,
    flags=(
        switch("cluster", "", "Only volumes of a swarm", hidden=True),
        texts(
            "filter", "f", "Only those that meet a condition, such as dangling=true", kind="filter", read=filter_pair
        ),
        FORMAT,
        switch("quiet", "q", "Print names only"),
    ),
)
