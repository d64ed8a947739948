"""`corten images` and `corten history`: what is in the store, and how an image came to be."""

from __future__ import annotations

from corten.cli.container.ps import FORMAT
from corten.cli.flags import switch, text, texts
from corten.cli.human import ago, local_time, short_id, shortened, size
from corten.cli.image.names import familiar
from corten.cli.listing import Listing
from corten.cli.table import Command
from corten.cli.values import filter_pair, filters

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from corten.cli.flags import Options
    from corten.cli.session import Session

__all__ = ["HISTORY", "LS", "image_rows", "listing"]

_NONE = "<none>"


class ImageRow:
    """One name of one image: an image with three tags makes three rows."""

    __slots__ = ("digest", "image", "repository", "tag")

    def __init__(self, image: Any, repository: str, tag: str, digest: str = _NONE) -> None:
        self.image = image
        self.repository = repository
        self.tag = tag
        self.digest = digest


def image_rows(images: list[Any], *, digests: bool) -> list[ImageRow]:
    """A row for each tag, and one for each digest that no tag stands for."""
    return [row for image in images for row in _rows_of(image, digests=digests)]


def _rows_of(image: Any, *, digests: bool) -> list[ImageRow]:
    tags = [tag for tag in image.get("RepoTags") or [] if tag != "<none>:<none>"]
    by_repository: dict[str, list[str]] = {}
    for reference in image.get("RepoDigests") or []:
        repository, _, digest = reference.partition("@")
        if repository != _NONE:
            by_repository.setdefault(familiar(repository), []).append(digest)
    if not tags and not by_repository:
        return [ImageRow(image, _NONE, _NONE)]
    rows: list[ImageRow] = []
    tagged: set[str] = set()
    for reference in tags:
        repository, _, tag = reference.rpartition(":")
        repository = familiar(repository)
        tagged.add(repository)
        known = by_repository.get(repository) if digests else None
        rows += [ImageRow(image, repository, tag, digest) for digest in known or [_NONE]]
    for repository, found in by_repository.items():
        if repository not in tagged:
            rows += [ImageRow(image, repository, _NONE, digest) for digest in (found if digests else [""])]
    return rows


def _shared(row: ImageRow) -> str:
    shared = row.image.get("SharedSize", -1)
    return "N/A" if shared == -1 else size(shared)


def _unique(row: ImageRow) -> str:
    shared = row.image.get("SharedSize", -1)
    return "N/A" if shared == -1 else size(row.image["Size"] - shared)


def _containers(row: ImageRow) -> str:
    count = row.image.get("Containers", -1)
    return "N/A" if count == -1 else str(count)


def listing(*, full: bool) -> Listing:
    """The columns of an image's row."""
    return Listing(
        "*formatter.imageContext",
        {
            "ID": ("IMAGE ID", lambda row: row.image["Id"] if full else short_id(row.image["Id"])),
            "Repository": ("REPOSITORY", lambda row: row.repository),
            "Tag": ("TAG", lambda row: row.tag),
            "Digest": ("DIGEST", lambda row: row.digest),
            "CreatedSince": ("CREATED", lambda row: ago(row.image["Created"])),
            "CreatedAt": ("CREATED AT", lambda row: local_time(row.image["Created"])),
            "Size": ("SIZE", lambda row: size(row.image["Size"], 3)),
            "Containers": ("CONTAINERS", _containers),
            "VirtualSize": ("SIZE", lambda row: size(row.image["Size"])),
            "SharedSize": ("SHARED SIZE", _shared),
            "UniqueSize": ("UNIQUE SIZE", _unique),
        },
    )


def _list(session: Session, options: Options, words: list[str]) -> int:
    if options.on("tree"):
        from corten.model.errors import Unimplemented

        raise Unimplemented("images --tree is not built", hint="corten images --digests shows what each name points to")
    conditions = options.texts("filter") + [f"reference={word}" for word in words]
    query = {"all": "1" if options.on("all") else None, "filters": filters(conditions)}
    images = session.get("/images/json", query)
    images.sort(key=lambda image: -image["Created"])
    form, digests = options.text("format"), options.on("digests")
    if form.startswith("table ") and digests and "{{.Digest}}" not in form:
        form += "\t{{.Digest}}"
    shown = ["Repository", "Tag", *(["Digest"] if digests else []), "ID", "CreatedSince", "Size"]
    rows = image_rows(images, digests=digests or "{{.Digest}}" in form)
    quiet = "ID" if options.on("quiet") else ""
    listing(full=options.on("no-trunc")).print(rows, shown, form=form, quiet=quiet)
    return 0


LS = Command(
    "images, image ls, image list",
    "[OPTIONS] [REPOSITORY[:TAG]]",
    "List images",
    _list,
    most=1,
    completes="image",
    flags=(
        switch("all", "a", "List the layers between, which no name points to, too"),
        switch("digests", "", "Show digests"),
        texts(
            "filter", "f", "Only those that meet a condition, such as dangling=true", kind="filter", read=filter_pair
        ),
        FORMAT,
        switch("no-trunc", "", "Cut nothing short"),
        switch("quiet", "q", "Print ids only"),
        switch("tree", "", "Show an image's platforms as a tree", hidden=True),
    ),
)


def _step(row: Any, *, full: bool) -> str:
    step = row["CreatedBy"].replace("\t", " ")
    return step if full else shortened(step, 45)


def _history_listing(*, full: bool, human: bool) -> Listing:
    return Listing(
        "*image.historyContext",
        {
            "ID": ("IMAGE", lambda row: row["Id"] if full else short_id(row["Id"]) if ":" in row["Id"] else row["Id"]),
            "CreatedAt": ("CREATED AT", lambda row: _created_at(row["Created"])),
            "CreatedSince": ("CREATED", lambda row: ago(row["Created"]) if human else _created_at(row["Created"])),
            "CreatedBy": ("CREATED BY", lambda row: _step(row, full=full)),
            "Size": ("SIZE", lambda row: size(row["Size"], 3) if human else str(row["Size"])),
            "Comment": ("COMMENT", lambda row: row.get("Comment", "")),
        },
    )


def _created_at(when: int) -> str:
    import time

    local = time.localtime(when)
    offset = local.tm_gmtoff
    zone = time.strftime("%z", local)
    return time.strftime("%Y-%m-%dT%H:%M:%S", local) + (f"{zone[:3]}:{zone[3:]}" if offset else "Z")


def _history(session: Session, options: Options, words: list[str]) -> int:
    rows = session.get(f"/images/{words[0]}/history", {"platform": platform_object(options.text("platform"))})
    created = "CreatedSince" if options.on("human") else "CreatedAt"
    shown = ["ID", created, "CreatedBy", "Size", "Comment"]
    listed = _history_listing(full=options.on("no-trunc"), human=options.on("human"))
    listed.print(rows, shown, form=options.text("format"), quiet="ID" if options.on("quiet") else "")
    return 0


def platform_object(text: str) -> str | None:
    """A platform as the image endpoints take it: the JSON of an OCI platform."""
    if not text:
        return None
    from corten.wire.codec import dumps

    system, _, rest = text.partition("/")
    architecture, _, variant = rest.partition("/")
    found = {"architecture": architecture, "os": system}
    return dumps({**found, "variant": variant} if variant else found)


PLATFORM = text("platform", "", "Choose a platform of an image for several: OS/ARCH[/VARIANT]")

HISTORY = Command(
    "history, image history",
    "[OPTIONS] IMAGE",
    "Show the steps that made an image",
    _history,
    least=1,
    most=1,
    completes="image",
    flags=(
        FORMAT,
        switch("human", "H", "Sizes and dates as people read them", default=True),
        switch("no-trunc", "", "Cut nothing short"),
        PLATFORM,
        switch("quiet", "q", "Print ids only"),
    ),
)
