"""`corten system prune`: away with all that nothing uses."""

from __future__ import annotations

from corten.cli.container.lifecycle import FILTER, FORCE, print_pruned
from corten.cli.flags import switch
from corten.cli.human import size
from corten.cli.image.rm import removed_lines
from corten.cli.table import Command, Fault
from corten.cli.values import filters
from corten.client.connection import EngineError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from corten.cli.flags import Options
    from corten.cli.session import Session

__all__ = ["PRUNE"]


def _warning(options: Options) -> list[str]:
    every = options.on("all")
    parts = ["all stopped containers", "all networks not used by at least one container"]
    if options.on("volumes"):
        parts.append("all anonymous volumes not used by at least one container")
    parts.append("all images without at least one container associated to them" if every else "all dangling images")
    parts.append("all build cache" if every else "unused build cache")
    lines = ["WARNING! This will remove:", *(f"  - {part}" for part in parts)]
    if conditions := options.texts("filter"):
        lines += ["", "  Items to be pruned will be filtered with:", *(f"  - {condition}" for condition in conditions)]
    return [*lines, ""]


def _run(session: Session, options: Options, _: list[str]) -> int:
    conditions = options.texts("filter")
    if options.on("volumes") and any(condition.startswith("until=") for condition in conditions):
        raise Fault('ERROR: The "until" filter is not supported with "--volumes"')
    if not options.on("force"):
        session.say(*_warning(options))
        if not session.confirm("Are you sure you want to continue?"):
            return 0
    spare = 0
    for path, key, title in _steps(options):
        dangling = [f"dangling={'false' if options.on('all') else 'true'}"] if path == "/images/prune" else []
        query = {"filters": filters([*conditions, *dangling])}
        if path == "/build/prune":
            query["all"] = "1" if options.on("all") else None
        spare += _step(session, path, key, title, query)
    session.say(f"Total reclaimed space: {size(spare)}")
    return 0


def _steps(options: Options) -> list[tuple[str, str, str]]:
    steps = [
        ("/containers/prune", "ContainersDeleted", "Deleted Containers:"),
        ("/networks/prune", "NetworksDeleted", "Deleted Networks:"),
        ("/volumes/prune", "VolumesDeleted", "Deleted Volumes:"),
        ("/images/prune", "ImagesDeleted", "Deleted Images:"),
        ("/build/prune", "CachesDeleted", "Deleted build cache objects:"),
    ]
    return [step for step in steps if options.on("volumes") or step[0] != "/volumes/prune"]


def _step(session: Session, path: str, key: str, title: str, query: dict[str, str | None]) -> int:
    """Prune one kind and print what went; the bytes that it gave back."""
    try:
        answer = session.post(path, query).json()
    except EngineError as error:
        if path == "/build/prune" and error.status in (404, 501):
            return 0  # an engine that cannot build has no cache
        raise
    removed: list[Any] = answer.get(key) or []
    lines = [line.lower() for line in removed_lines(removed)] if key == "ImagesDeleted" else removed
    print_pruned(session, title, lines)
    return int(answer.get("SpaceReclaimed") or 0)


PRUNE = Command(
    "system prune",
    "[OPTIONS]",
    "Remove all that nothing uses",
    _run,
    flags=(
        switch("all", "a", "Also images that have a name but no container"),
        FILTER,
        FORCE,
        switch("volumes", "", "Anonymous volumes too"),
    ),
)
