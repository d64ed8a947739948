"""`corten network ls`."""

from __future__ import annotations

from corten.cli.container.ps import FORMAT
from corten.cli.flags import switch, texts
from corten.cli.human import local_time, seconds_of, short_id
from corten.cli.listing import Listing
from corten.cli.table import Command
from corten.cli.values import filter_pair, filters

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from corten.cli.flags import Options
    from corten.cli.session import Session

__all__ = ["LS", "labels_of", "natural"]


def labels_of(row: Any) -> str:
    return ",".join(sorted(f"{key}={value}" for key, value in (row.get("Labels") or {}).items()))


def natural(name: str) -> list[tuple[int, int, str]]:
    """A key that sorts `net2` before `net10`."""
    parts: list[str] = [""]
    for char in name:
        if parts[-1] and parts[-1][-1].isdecimal() == char.isdecimal():
            parts[-1] += char
        else:
            parts.append(char)
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts if part]


def _created(row: Any) -> str:
    """Go's form of the time, its fraction without trailing zeros."""
    stamp = row["Created"]
    text = local_time(int(seconds_of(stamp)))
    _, mark, rest = stamp.partition(".")
    digits = rest[: len(rest) - len(rest.lstrip("0123456789"))].rstrip("0")
    return f"{text[:19]}.{digits}{text[19:]}" if mark and digits else text


def _listing(*, full: bool) -> Listing:
    return Listing(
        "*network.networkContext",
        {
            "ID": ("NETWORK ID", lambda row: row["Id"] if full else short_id(row["Id"])),
            "Name": ("NAME", lambda row: row["Name"]),
            "Driver": ("DRIVER", lambda row: row["Driver"]),
            "Scope": ("SCOPE", lambda row: row["Scope"]),
            "IPv4": ("IPV4", lambda row: "true" if row.get("EnableIPv4") else "false"),
            "IPv6": ("IPV6", lambda row: "true" if row.get("EnableIPv6") else "false"),
            "Internal": ("INTERNAL", lambda row: "true" if row.get("Internal") else "false"),
            "Labels": ("LABELS", labels_of),
            "CreatedAt": ("CREATED AT", _created),
        },
        {"Label": lambda row, name: (row.get("Labels") or {}).get(name, "")},
    )


def _run(session: Session, options: Options, _: list[str]) -> int:
    rows = session.get("/networks", {"filters": filters(options.texts("filter"))})
    rows.sort(key=lambda row: natural(row["Name"]))
    quiet = "ID" if options.on("quiet") else ""
    listed = _listing(full=options.on("no-trunc"))
    listed.print(rows, ["ID", "Name", "Driver", "Scope"], form=options.text("format"), quiet=quiet)
    return 0


LS = Command(
    "network ls, network list",
    "[OPTIONS]",
    "List networks",
    _run,
    flags=(
        texts(
            "filter", "f", "Only those that meet a condition, such as driver=bridge", kind="filter", read=filter_pair
        ),
        FORMAT,
        switch("no-trunc", "", "Cut nothing short"),
        switch("quiet", "q", "Print ids only"),
    ),
)
