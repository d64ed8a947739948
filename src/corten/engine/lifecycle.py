"""The life of a container, as a table.

    created ──start──► running ──pause──► paused
       │                │  ▲ ◄──unpause──┘   │
       │               exit│                exit
       │                │ start              │
       │                ▼  │                 ▼
       │             exited ◄────────────────┘          running ──retry──► restarting ──start──► running
       └──remove──► removing ──destroy──► (gone)         restarting ──exit──► exited
                       └──fail──► dead ──remove──► removing

`retry` is an exit after which the restart policy will start the container again. Only `TRANSITIONS` says what may
follow what; the diagram above and the tests are about it. What a refused move is called is Docker's wording.
"""

from typing import Literal

from corten.model.errors import Conflict

__all__ = ["TRANSITIONS", "Action", "Status", "is_up", "move"]

Status = Literal["created", "running", "paused", "restarting", "exited", "removing", "dead"]
Action = Literal["start", "exit", "retry", "pause", "unpause", "remove", "fail"]

TRANSITIONS: dict[tuple[Status, Action], Status] = {
    ("created", "start"): "running",
    ("created", "remove"): "removing",
    ("running", "exit"): "exited",
    ("running", "retry"): "restarting",
    ("running", "pause"): "paused",
    ("paused", "unpause"): "running",
    ("paused", "exit"): "exited",
    ("paused", "retry"): "restarting",
    ("restarting", "start"): "running",
    ("restarting", "retry"): "restarting",
    ("restarting", "exit"): "exited",
    ("exited", "start"): "running",
    ("exited", "remove"): "removing",
    ("removing", "fail"): "dead",
    ("dead", "remove"): "removing",
}

REFUSALS: dict[tuple[Status, Action], str] = {
    ("paused", "start"): "cannot start a paused container, try unpause instead",
    ("removing", "start"): "container is marked for removal and cannot be started",
    ("dead", "start"): "container is marked for removal and cannot be started",
    ("removing", "remove"): "removal of container {id} is already in progress",
    ("paused", "pause"): "Container {id} is already paused",
    ("running", "unpause"): "Container {id} is not paused",
    ("restarting", "pause"): "Container {id} is restarting, wait until the container is running",
    ("running", "remove"): 'cannot remove container "{name}": container is running: '
    "stop the container before removing or force remove",
    ("restarting", "remove"): 'cannot remove container "{name}": container is restarting: '
    "stop the container before removing or force remove",
    ("paused", "remove"): 'cannot remove container "{name}": container is paused and must be unpaused first',
}


def move(status: Status, action: Action, *, id: str, name: str) -> Status:
    """The status after an action; Conflict in Docker's words when it cannot happen now."""
    after = TRANSITIONS.get((status, action))
    if after is None:
        refusal = REFUSALS.get((status, action), "Container {id} is not running")
        raise Conflict(refusal.format(id=id, name=name))
    return after


def is_up(status: Status) -> bool:
    """What Docker calls Running: also while paused, and between two runs under a restart policy."""
    return status in ("running", "paused", "restarting")
