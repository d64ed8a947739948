"""`corten ps`: the list of containers."""

from __future__ import annotations

from corten.cli.flags import number, quoted, switch, text, texts
from corten.cli.human import ago, local_time, short_id, shortened, size
from corten.cli.image.names import familiar
from corten.cli.listing import Listing, format_asks_for
from corten.cli.table import Command
from corten.cli.values import filter_pair, filters

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from corten.cli.flags import Options
    from corten.cli.session import Session

__all__ = ["FORMAT", "PS", "listing", "ports"]

FORMAT = text("format", "", "Print by a Go template; `table TEMPLATE` adds headers, `json` prints JSON")

_RAW = """container_id: {{.ID}}
image: {{.Image}}
command: {{.Command}}
created_at: {{.CreatedAt}}
state: {{- pad .State 1 0}}
status: {{- pad .Status 1 0}}
names: {{.Names}}
labels: {{- pad .Labels 1 0}}
ports: {{- pad .Ports 1 0}}
"""


def _names(row: Any, *, full: bool) -> str:
    names = [name.removeprefix("/") for name in row.get("Names") or []]
    if not full:
        names = next(([name] for name in names if "/" not in name), names)
    return ",".join(names)


def _image(row: Any, *, full: bool) -> str:
    image = row.get("Image") or "<no image>"
    if full:
        return str(image)
    if short_id(row.get("ImageID") or "") == short_id(image):
        return short_id(image)
    return familiar(image.partition("@")[0])


def _size(row: Any) -> str:
    own, whole = row.get("SizeRw") or 0, row.get("SizeRootFs") or 0
    return f"{size(own, 3)} (virtual {size(whole, 3)})" if whole else size(own, 3)


def _mounts(row: Any, *, full: bool) -> str:
    names = [mount.get("Name") or mount.get("Source") or "" for mount in row.get("Mounts") or []]
    return ",".join(name if full else shortened(name, 15) for name in names)


def _labels(row: Any) -> str:
    return ",".join(sorted(f"{key}={value}" for key, value in (row.get("Labels") or {}).items()))


def _host_port(address: str, port: object) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def ports(published: list[Any]) -> str:
    """Ports as a list, neighbours that map to themselves folded into ranges: `0.0.0.0:80-82->80-82/tcp, 99/udp`.

    Ranges stand first, in the order in which each address and protocol first comes; moved ports follow.
    """
    finished: list[str] = []
    moved: list[str] = []
    open_ranges: dict[tuple[str, str], tuple[int, int]] = {}
    by_port = sorted(published, key=lambda p: (p["PrivatePort"], p.get("IP", ""), p.get("PublicPort", 0), p["Type"]))
    for port in by_port:
        private, address = port["PrivatePort"], port.get("IP", "")
        if address and port.get("PublicPort", 0) != private:
            moved.append(f"{_host_port(address, port.get('PublicPort', 0))}->{private}/{port['Type']}")
            continue
        key = (address, port["Type"])
        first, last = open_ranges.get(key, (private, private - 1))
        if private != last + 1:
            finished.append(_range(key, first, last))
            first = private
        open_ranges[key] = (first, private)
    finished += [_range(key, first, last) for key, (first, last) in open_ranges.items()]
    return ", ".join(finished + moved)


def _range(key: tuple[str, str], first: int, last: int) -> str:
    address, protocol = key
    group = str(first) if first == last else f"{first}-{last}"
    return f"{_host_port(address, group)}->{group}/{protocol}" if address else f"{group}/{protocol}"


def _platform(row: Any) -> object:
    return (row.get("ImageManifestDescriptor") or {}).get("platform")


def listing(*, full: bool) -> Listing:
    """The columns of a container; with `full`, nothing is cut short."""
    return Listing(
        "*formatter.ContainerContext",
        {
            "ID": ("CONTAINER ID", lambda row: row["Id"] if full else short_id(row["Id"])),
            "Names": ("NAMES", lambda row: _names(row, full=full)),
            "Image": ("IMAGE", lambda row: _image(row, full=full)),
            "Command": ("COMMAND", lambda row: quoted(row["Command"] if full else shortened(row["Command"], 20))),
            "CreatedAt": ("CREATED AT", lambda row: local_time(row["Created"])),
            "RunningFor": ("CREATED", lambda row: ago(row["Created"])),
            "Ports": ("PORTS", lambda row: ports(row.get("Ports") or [])),
            "State": ("STATE", lambda row: row.get("State", "")),
            "Status": ("STATUS", lambda row: row.get("Status", "")),
            "Size": ("SIZE", _size),
            "Labels": ("LABELS", _labels),
            "Mounts": ("MOUNTS", lambda row: _mounts(row, full=full)),
            "LocalVolumes": (
                "LOCAL VOLUMES",
                lambda row: str(sum(mount.get("Driver") == "local" for mount in row.get("Mounts") or [])),
            ),
            "Networks": ("NETWORKS", lambda row: ",".join((row.get("NetworkSettings") or {}).get("Networks") or {})),
            "Platform": ("PLATFORM", _platform),
        },
        {"Label": lambda row, name: (row.get("Labels") or {}).get(name, "")},
        raw=_RAW,
    )


def _run(session: Session, options: Options, _: list[str]) -> int:
    form, quiet = options.text("format"), options.on("quiet")
    if form and quiet:
        session.warn("WARNING: Ignoring custom format, because both --format and --quiet are set.")
        form = ""
    sizes = options.on("size")
    if form and not quiet and not options.given("size"):
        sizes = format_asks_for(form, "Size")
    limit = 1 if options.on("latest") and options.number("last") == -1 else options.number("last")
    query = {
        "all": "1" if options.on("all") else None,
        "limit": str(limit) if limit > 0 else None,
        "size": "1" if sizes else None,
        "filters": filters(options.texts("filter")),
    }
    rows = session.get("/containers/json", query)
    shown = ["ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names"] + (["Size"] if sizes else [])
    listing(full=options.on("no-trunc")).print(rows, shown, form=form, quiet="ID" if quiet else "")
    return 0


PS = Command(
    "ps, container ls, container list, container ps",
    "[OPTIONS]",
    "List containers",
    _run,
    flags=(
        switch("all", "a", "List stopped containers too"),
        texts(
            "filter", "f", "Only those that meet a condition, such as status=exited", kind="filter", read=filter_pair
        ),
        FORMAT,
        number("last", "n", "Only the N that were created last, in whatever state", -1),
        switch("latest", "l", "Only the one that was created last, in whatever state"),
        switch("no-trunc", "", "Cut nothing short"),
        switch("quiet", "q", "Print ids only"),
        switch("size", "s", "Show what each container's filesystem takes"),
    ),
)
