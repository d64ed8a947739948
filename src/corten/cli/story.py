"""`run --explain`: how a container came to run, told step by step.

The client tells its own half, the requests and how long each took; the engine tells the other half at
`/corten/containers/ID/explain`: image, snapshot, network, and each row of the launch plan with its reason.

    {"steps": [{"phase": "launch", "what": "…", "why": "…", "duration_ns": 2100000,
                "rows": [{"op": "mount", "text": "…", "why": "…", "origin": "/mounts/0"}]}]}
"""

from __future__ import annotations

from corten.client.connection import EngineError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from corten.cli.session import Session

__all__ = ["fetch", "lines", "show"]

_WHY = {
    "create": "the engine makes the container's record and filesystem; nothing runs yet",
    "attach": "this connection becomes the container's stdin, stdout and stderr",
    "wait": "asked before the start, so that even a container that ends at once is not missed",
    "start": "the engine compiles the launch plan, joins the network and lets the program execute it",
    "images": "the image was not here: the engine fetches it from its registry",
}
_REQUESTS = "request"


def fetch(session: Session, container: str) -> dict[str, Any]:
    """The engine's half of the story and ours; an engine that tells none leaves ours."""
    steps = [_request_step(*record) for record in session.requests]
    try:
        told = session.get(f"/corten/containers/{container}/explain")
    except EngineError as error:
        if error.status not in (404, 501):
            raise
        return {
            "container": container,
            "steps": steps,
            "untold": f"this engine tells no story of its own ({error.message})",
        }
    return {"container": container, "steps": [*steps, *told.get("steps", [])], "untold": ""}


def _request_step(method: str, path: str, nanoseconds: int) -> dict[str, Any]:
    verb = path.rpartition("/")[2] if not path.startswith("/images") else "images"
    return {"phase": _REQUESTS, "what": f"{method} {path}", "why": _WHY.get(verb, ""), "duration_ns": nanoseconds}


def show(session: Session, story: dict[str, Any], phases: list[str]) -> None:
    """Write the story to stderr, of the named phases only; none named means all."""
    known = list(dict.fromkeys(step["phase"] for step in story["steps"]))
    session.warn(*lines(story, phases))
    if unknown := [phase for phase in phases if phase not in known]:
        session.warn(f"(no phase {', '.join(unknown)}; this story has {', '.join(known)})")


def lines(story: dict[str, Any], phases: list[str]) -> list[str]:
    """The story as text: a line for each step with its time, its reason below, its rows numbered."""
    container = story["container"]
    found = ["", f"The story of {container[:12]}"]
    phase = ""
    for step in story["steps"]:
        if phases and step["phase"] not in phases:
            continue
        if step["phase"] != phase:
            phase = step["phase"]
            found += ["", phase]
        found.append(f"  {_milliseconds(step.get('duration_ns')):>10}  {step['what']}")
        if step.get("why"):
            found.append(f"  {'':>10}  - {step['why']}")
        found += _rows(step.get("rows") or [])
    if story.get("untold"):
        found += ["", story["untold"]]
    return [line.replace(container, container[:12]) for line in found]


def _milliseconds(nanoseconds: int | None) -> str:
    return "" if nanoseconds is None else f"{nanoseconds / 1e6:.2f} ms"


def _rows(rows: list[dict[str, Any]]) -> list[str]:
    """The rows of a plan; neighbours with one reason stand together below it."""
    found: list[str] = []
    reason = ""
    for number, row in enumerate(rows, 1):
        own = row.get("why") or ""
        if own != reason:
            reason = own
            found.append(f"  {'':>10}  # {reason}")
        origin = f"   ({row['origin']})" if row.get("origin") else ""
        found.append(f"  {number:>10}  {row.get('text') or row.get('op')}{origin}")
    return found
