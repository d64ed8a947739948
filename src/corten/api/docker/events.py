"""The stream of what happens.

A subscription calls back from the thread in which something happened; a queue brings it to the loop. A client that
does not read is cut off when its queue is full, so that it costs neither memory nor anybody else's time.
"""

import asyncio
import time
from collections.abc import AsyncGenerator
from typing import Any

import msgspec

from corten.api.call import Answer, Call, Flow
from corten.api.lanes import Lane
from corten.api.moments import nanoseconds
from corten.api.router import Route
from corten.model.errors import InvalidArgument
from corten.wire.filters import NONE, Filters
from corten.wire.jsonstream import framing

__all__ = ["ROUTES"]

FILTERS = (
    "config", "container", "daemon", "event", "image", "label", "network", "node", "plugin", "scope", "secret",
    "service", "type", "volume",
)  # fmt: skip
BACKLOG = 10_000
END = None


class EventsQuery(msgspec.Struct, frozen=True):
    since: str = ""
    until: str = ""
    filters: Filters = NONE


async def events(call: Call[EventsQuery, None]) -> Answer:
    since, until = nanoseconds(call.query.since, "since"), nanoseconds(call.query.until, "until")
    if since is not None and until is not None and until < since:
        raise InvalidArgument("`since` must be before `until`", place="?since")
    call.query.filters.only(FILTERS)
    content_type, prefix, suffix = framing(call.headers.get("accept", ""))
    return Flow(_stream(call, since, until, prefix, suffix), content_type)


async def _stream(
    call: Call[EventsQuery, None], since: int | None, until: int | None, prefix: bytes, suffix: bytes
) -> AsyncGenerator[bytes, None]:
    queue: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()

    def deliver(event: dict[str, Any] | None) -> None:
        call.loop.call_soon_threadsafe(queue.put_nowait, event)

    subscription = await asyncio.to_thread(
        call.engine.events.subscribe, deliver, since=since, filters=call.query.filters
    )
    timer = call.loop.call_later(max(0.0, until / 1e9 - time.time()), deliver, END) if until is not None else None
    try:
        while (event := await queue.get()) is not END and queue.qsize() < BACKLOG:
            if until is None or event["timeNano"] <= until:
                yield prefix + msgspec.json.encode(_with_legacy(event)) + suffix
    finally:
        subscription.close()
        if timer:
            timer.cancel()


def _with_legacy(event: dict[str, Any]) -> dict[str, Any]:
    """`status`, `id` and `from`, which every version before 1.52 carries for containers and images."""
    if event["Type"] not in ("container", "image"):
        return event
    legacy = {"status": event["Action"], "id": event["Actor"]["ID"]}
    if event["Type"] == "container":
        legacy["from"] = event["Actor"]["Attributes"].get("image", "")
    return {**legacy, **event}


ROUTES: tuple[Route[Any, Any], ...] = (Route("GET", "/events", events, Lane.LOOP, EventsQuery),)
