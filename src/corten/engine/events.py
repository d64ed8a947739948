"""`events`: what happened and what happens, from the outbox in which every change leaves its event.

A subscription replays the stored events from `since` on, then passes on the new ones; none is lost or told twice in
between.
"""

import threading
from collections.abc import Callable
from typing import Any

from corten.engine.services import Services
from corten.model.event import Event
from corten.wire.filters import NONE, Filters

__all__ = ["Events", "Subscription", "described"]

Deliver = Callable[[dict[str, Any]], None]
SECOND = 1_000_000_000


class Subscription:
    """One listener; `close` ends it."""

    def __init__(self, stop: Callable[[], None]) -> None:
        self._stop = stop
        self._closed = False

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._stop()


class Events:
    """Docker's event stream over the database's outbox."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def subscribe(self, deliver: Deliver, *, since: int | None = None, filters: Filters = NONE) -> Subscription:
        """Call `deliver` with each event that the filters let through, from whatever thread; replay comes first.

        New events that come during the replay wait for its end.
        """
        relay = Relay(deliver, filters)
        stop = self._services.database.subscribe(relay.live)
        stored = self._services.database.events(since) if since is not None else []
        relay.replay(stored)
        return Subscription(stop)


class Relay:
    """Puts replayed and live events into one order."""

    def __init__(self, deliver: Deliver, filters: Filters) -> None:
        self._deliver = deliver
        self._filters = filters
        self._lock = threading.Lock()
        self._held: list[Event] | None = []

    def live(self, event: Event) -> None:
        with self._lock:
            if self._held is not None:
                self._held.append(event)
                return
        self._pass(event)

    def replay(self, stored: list[Event]) -> None:
        told = {identity(event) for event in stored}
        for event in stored:
            self._pass(event)
        with self._lock:
            held, self._held = self._held or [], None
            for event in held:
                if identity(event) not in told:
                    self._pass(event)

    def _pass(self, event: Event) -> None:
        if accepts(self._filters, event):
            self._deliver(described(event))


def identity(event: Event) -> tuple[int, str, str]:
    return event.time_ns, event.actor, event.action


def described(event: Event) -> dict[str, Any]:
    """An event as Docker's API shows it; `status`, `id` and `from` are for clients before 1.52."""
    shown: dict[str, Any] = {
        "Type": event.type,
        "Action": event.action,
        "Actor": {"ID": event.actor, "Attributes": event.attributes},
        "scope": event.scope,
        "time": event.time_ns // SECOND,
        "timeNano": event.time_ns,
    }
    if event.type in ("container", "image"):
        origin = {"from": event.attributes["image"]} if "image" in event.attributes else {}
        shown = {"status": event.action, "id": event.actor, **origin, **shown}
    return shown


def accepts(filters: Filters, event: Event) -> bool:
    """Docker's rules: a filter by object names also matches what happens to it in another object's event."""
    action = event.action.partition(":")[0]
    return (
        (filters.accepts("event", event.action) or filters.accepts("event", action))
        and filters.accepts("type", event.type)
        and filters.accepts("scope", event.scope)
        and filters.labels(event.attributes)
        and all(names(filters, kind, event) for kind in ("container", "image", "volume", "network", "daemon", "plugin"))
    )


def names(filters: Filters, kind: str, event: Event) -> bool:
    if kind not in filters:
        return True
    if kind == "image":
        known = (
            {event.attributes.get("image", ""), event.attributes.get("name", "")}
            if event.type == "container"
            else set()
        )
        known |= {event.actor, event.attributes.get("name", "")} if event.type == "image" else set()
        return any(matches_image(value, known) for value in filters.values(kind))
    known = {event.attributes.get(kind, "")}
    if event.type == kind:
        known |= {event.actor, event.attributes.get("name", "")}
    wanted = filters.values(kind)
    return any(value in known or (event.type == kind and event.actor.startswith(value)) for value in wanted)


def matches_image(value: str, known: set[str]) -> bool:
    """An image filter without a tag matches every tag of the repository."""
    return any(value == name or (name and name.rpartition(":")[0] == value) for name in known)
