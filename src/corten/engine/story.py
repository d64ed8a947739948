"""The story of a start, for `run --explain`: its chapters, and the launch plan row by row.

{"phase": "launch", "what": "…", "why": "…", "duration_ns": 2100000,
 "rows": [{"n": 7, "actor": "child", "op": "pivot", "text": "…", "why": "…", "origin": "/root/path"}]}
"""

import time
from typing import Any

from corten.engine.record import Container
from corten.plan import LaunchPlan, as_json

__all__ = ["Chapters", "with_rows"]

LAUNCH = "launch"
WHY = {
    "network": "the network decides what the container's hosts and resolv.conf say, so it comes first",
    "image": "users are looked up in the image's own files, by handle, never by a path of the host",
    "spec": "every option ends in one OCI document: what runs is what it says",
    LAUNCH: "Python has decided; a static C program executes the rows below, and nothing else",
    "start": "all is ready behind a socket: starting only opens it",
}


class Chapters:
    """Tells the parts of one start as they end, with the time since the last one."""

    def __init__(self, container: Container) -> None:
        container.story = []
        self._story = container.story
        self._last = time.perf_counter_ns()

    def chapter(self, phase: str, what: str) -> None:
        passed = time.perf_counter_ns()
        why = WHY.get(phase, "")
        self._story.append({"phase": phase, "what": what, "why": why, "duration_ns": passed - self._last})
        self._last = passed


def with_rows(story: list[dict[str, object]], plan: LaunchPlan | None) -> list[dict[str, Any]]:
    """The chapters, the launch with its plan's rows while they are remembered."""
    rows = as_json(plan)["steps"] if plan else []
    return [{**chapter, **({"rows": rows} if chapter["phase"] == LAUNCH else {})} for chapter in story]
