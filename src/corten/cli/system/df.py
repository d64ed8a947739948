"""`corten system df`: what the engine's things take on disk, and what could be had back."""

from __future__ import annotations

import sys

from corten.cli.container.ps import FORMAT
from corten.cli.container.ps import listing as container_listing
from corten.cli.flags import switch
from corten.cli.human import ago, seconds_of, short_id, size
from corten.cli.image.ls import image_rows
from corten.cli.image.ls import listing as image_listing
from corten.cli.listing import Listing
from corten.cli.table import Command, Fault
from corten.cli.volume.ls import listing as volume_listing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from corten.cli.flags import Options
    from corten.cli.session import Session

__all__ = ["DF"]


class _Usage:
    """One line of the sum: how many, how many in use, how large, how much of it unused."""

    __slots__ = ("active", "count", "noun", "percent", "size", "spare")

    def __init__(self, noun: str, count: int, active: int, total: int, spare: int, *, percent: bool = True) -> None:
        self.noun = noun
        self.count = count
        self.active = active
        self.size = total
        self.spare = spare
        self.percent = percent

    def reclaimable(self) -> str:
        if self.size > 0 and self.percent:
            return f"{size(self.spare)} ({self.spare * 100 // self.size}%)"
        return size(self.spare)


def _images(df: Any) -> _Usage:
    images, total = df.get("Images") or [], df.get("LayersSize") or 0
    used = [image for image in images if image["Containers"] > 0]
    known = [image for image in used if image["Size"] != -1 and image["SharedSize"] != -1]
    in_use = sum(image["Size"] - image["SharedSize"] for image in known)
    return _Usage("Images", len(images), len(used), total, total - in_use)


def _containers(df: Any) -> _Usage:
    rows = df.get("Containers") or []
    active = [row for row in rows if row["State"] in ("running", "paused", "restarting")]
    total = sum(row.get("SizeRw") or 0 for row in rows)
    return _Usage("Containers", len(rows), len(active), total, total - sum(row.get("SizeRw") or 0 for row in active))


def _volumes(df: Any) -> _Usage:
    usages = [volume.get("UsageData") or {"Size": -1, "RefCount": 0} for volume in df.get("Volumes") or []]
    sizes = [(max(usage["Size"], 0), usage["RefCount"]) for usage in usages]
    total, spare = sum(size for size, _ in sizes), sum(size for size, count in sizes if not count)
    return _Usage("Local Volumes", len(sizes), sum(count > 0 for _, count in sizes), total, spare)


def _cache(df: Any) -> _Usage:
    rows = df.get("BuildCache") or []
    own = [row for row in rows if not row["Shared"]]
    total, used = sum(row["Size"] for row in own), sum(row["Size"] for row in own if row["InUse"])
    return _Usage("Build Cache", len(rows), sum(row["InUse"] for row in rows), total, total - used, percent=False)


_SUMMARY = Listing(
    "*formatter.diskUsageContext",
    {
        "Type": ("TYPE", lambda usage: usage.noun),
        "TotalCount": ("TOTAL", lambda usage: str(usage.count)),
        "Active": ("ACTIVE", lambda usage: str(usage.active)),
        "Size": ("SIZE", lambda usage: size(usage.size)),
        "Reclaimable": ("RECLAIMABLE", lambda usage: usage.reclaimable()),
    },
)
_CACHE = Listing(
    "*formatter.buildCacheContext",
    {
        "ID": ("CACHE ID", lambda row: short_id(row["ID"]) + ("*" if row["InUse"] else "")),
        "CacheType": ("CACHE TYPE", lambda row: row["Type"]),
        "Size": ("SIZE", lambda row: size(row["Size"], 3)),
        "CreatedSince": ("CREATED", lambda row: ago(seconds_of(row["CreatedAt"]))),
        "LastUsedSince": ("LAST USED", lambda row: ago(seconds_of(row["LastUsedAt"])) if row.get("LastUsedAt") else ""),
        "UsageCount": ("USAGE", lambda row: str(row["UsageCount"])),
        "Shared": ("SHARED", lambda row: "true" if row["Shared"] else "false"),
    },
)


def _run(session: Session, options: Options, _: list[str]) -> int:
    form, verbose = options.text("format"), options.on("verbose")
    df = session.get("/system/df")
    if not verbose:
        rows = [_images(df), _containers(df), _volumes(df), _cache(df)]
        _SUMMARY.print(rows, ["Type", "TotalCount", "Active", "Size", "Reclaimable"], form=form)
    elif form == "json":
        _print_json(df)
    elif form:
        raise Fault("the verbose option can not be used with a custom format", hint="use --format json, or drop -v")
    else:
        _print_verbose(df)
    return 0


def _parts(df: Any) -> tuple[tuple[str, str, Listing, list[str], list[Any]], ...]:
    """The four tables of -v: the JSON's name, the title, the columns and the rows."""
    images = sorted(image_rows(df.get("Images") or [], digests=False), key=lambda row: -int(row.image["Created"]))
    return (
        ("Images", "Images space usage:", image_listing(full=False),
         ["Repository", "Tag", "ID", "CreatedSince", "Size", "SharedSize", "UniqueSize", "Containers"], list(images)),
        ("Containers", "Containers space usage:", _sized_containers(),
         ["ID", "Image", "Command", "LocalVolumes", "Size", "RunningFor", "Status", "Names"],
         df.get("Containers") or []),
        ("Volumes", "Local Volumes space usage:", volume_listing(), ["Name", "Links", "Size"], df.get("Volumes") or []),
        ("BuildCache", f"Build cache usage: {size(_cache(df).size)}", _CACHE,
         ["ID", "CacheType", "Size", "CreatedSince", "LastUsedSince", "UsageCount", "Shared"],
         df.get("BuildCache") or []),
    )  # fmt: skip


def _sized_containers() -> Listing:
    """The columns of a container, its size without the image's."""
    plain = container_listing(full=False)
    columns = {**plain.columns, "Size": ("SIZE", lambda row: size(row.get("SizeRw") or 0, 3))}
    return Listing(plain.kind, columns, plain.methods)


def _print_verbose(df: Any) -> None:
    tables = [f"{title}\n\n{listed.table(rows, shown)}" for _, title, listed, shown, rows in _parts(df)]
    sys.stdout.write("\n".join(tables))


def _print_json(df: Any) -> None:
    fields = [f'"{name}":[{",".join(listed.json(row) for row in rows)}]' for name, _, listed, _, rows in _parts(df)]
    sys.stdout.write("{" + ",".join(sorted(fields)) + "}\n")


DF = Command(
    "system df",
    "[OPTIONS]",
    "Show what is taken on disk",
    _run,
    flags=(FORMAT, switch("verbose", "v", "Show each thing and what it takes")),
)
