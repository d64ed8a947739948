"""`corten rmi`, `tag` and `image prune`: names come and go."""

from __future__ import annotations

from corten.cli.container.lifecycle import FILTER, FORCE, print_pruned
from corten.cli.flags import switch, texts
from corten.cli.human import size
from corten.cli.image.ls import platform_object
from corten.cli.image.names import check_name, split_reference
from corten.cli.session import report
from corten.cli.table import MANY, Command, Fault
from corten.cli.values import filters
from corten.client.connection import EngineError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from corten.cli.flags import Options
    from corten.cli.session import Session

__all__ = ["PRUNE", "RM", "TAG", "removed_lines"]


def removed_lines(removed: list[Any] | None) -> list[str]:
    """What a removal did, a line for each name and layer."""
    return [
        f"Deleted: {row['Deleted']}" if row.get("Deleted") else f"Untagged: {row['Untagged']}" for row in removed or []
    ]


def _rm(session: Session, options: Options, names: list[str]) -> int:
    query = {
        "force": "1" if options.on("force") else None,
        "noprune": "1" if options.on("no-prune") else None,
        "platforms": [found for item in options.texts("platform") if (found := platform_object(item))] or None,
    }
    failures: list[str] = []
    harmless = True
    for name in names:
        try:
            session.say(*removed_lines(session.delete(f"/images/{name}", query).json()))
        except EngineError as error:
            failures.append(report(error))
            harmless = harmless and options.on("force") and error.status == 404
    if failures:
        raise Fault("\n".join(failures), 0 if harmless else 1)
    return 0


RM = Command(
    "rmi, image rm, image remove",
    "[OPTIONS] IMAGE [IMAGE...]",
    "Remove images",
    _rm,
    least=1,
    most=MANY,
    completes="image",
    flags=(
        switch("force", "f", "Remove it though stopped containers use it"),
        switch("no-prune", "", "Keep the layers that nothing names any more"),
        texts("platform", "", "Remove one platform of an image for several", kind="strings"),
    ),
)


def _tag(session: Session, _: Options, names: list[str]) -> int:
    source, target = names
    check_name(target, f'Error parsing reference: "{target}" is not a valid repository/tag: ')
    repository, tag = split_reference(target)
    session.post(f"/images/{source}/tag", {"repo": repository, "tag": tag or "latest"}).done()
    return 0


TAG = Command(
    "tag, image tag", "SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]", "Give an image a further name", _tag,
    least=2, most=2, completes="image",
)  # fmt: skip


def _prune(session: Session, options: Options, _: list[str]) -> int:
    every = options.on("all")
    if not options.on("force"):
        session.say(
            "WARNING! This will remove all images without at least one container associated to them."
            if every
            else "WARNING! This will remove all dangling images."
        )
        if not session.confirm("Are you sure you want to continue?"):
            return 0
    conditions = [*options.texts("filter"), f"dangling={'false' if every else 'true'}"]
    answer = session.post("/images/prune", {"filters": filters(conditions)}).json()
    print_pruned(session, "Deleted Images:", [line.lower() for line in removed_lines(answer.get("ImagesDeleted"))])
    session.say(f"Total reclaimed space: {size(answer['SpaceReclaimed'])}")
    return 0


PRUNE = Command(
    "image prune",
    "[OPTIONS]",
    "Remove images that nothing uses",
    _prune,
    flags=(switch("all", "a", "Also those that have a name but no container"), FILTER, FORCE),
)
