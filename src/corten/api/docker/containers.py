"""Containers: their life from create to remove, and everything that can be asked about one."""

import asyncio
import time
from collections.abc import AsyncGenerator, Iterator
from typing import Any

import msgspec

from corten.api.call import TAKEN, Answer, Bytes, Call, Empty, Flow, Json, Pieces
from corten.api.docker import older
from corten.api.hijack import MULTIPLEXED, RAW, Taker
from corten.api.lanes import Lane
from corten.api.moments import nanoseconds
from corten.api.query import Nothing
from corten.api.router import Route
from corten.engine.requests import AttachOptions, LogQuery
from corten.model.container import ContainerCreate, UpdateConfig
from corten.model.errors import CortenError, InvalidArgument
from corten.wire.filters import NONE, Filters
from corten.wire.stdcopy import frame

__all__ = ["ROUTES"]

LIST_FILTERS = (
    "ancestor", "before", "exited", "expose", "health", "id", "is-task", "isolation", "label", "name", "network",
    "publish", "since", "status", "volume",
)  # fmt: skip
PRUNE_FILTERS = ("label", "label!", "until")
CONDITIONS = ("", "not-running", "next-exit", "removed")
REMEMBERED = 64


class ListQuery(msgspec.Struct, frozen=True):
    all: bool = False
    limit: int = 0
    size: bool = False
    filters: Filters = NONE


class CreateQuery(msgspec.Struct, frozen=True):
    name: str = ""
    platform: str = ""


class SizeQuery(msgspec.Struct, frozen=True):
    size: bool = False


class TopQuery(msgspec.Struct, frozen=True):
    ps_args: str = "-ef"


class LogsQuery(msgspec.Struct, frozen=True):
    follow: bool = False
    stdout: bool = False
    stderr: bool = False
    since: str = ""
    until: str = ""
    timestamps: bool = False
    tail: str = "all"
    details: bool = False


class StatsQuery(msgspec.Struct, frozen=True):
    stream: bool = True
    one_shot: bool = msgspec.field(default=False, name="one-shot")


class SizeOfTerminal(msgspec.Struct, frozen=True):
    h: int
    w: int


class StartQuery(msgspec.Struct, frozen=True):
    detach_keys: str = msgspec.field(default="", name="detachKeys")
    checkpoint: str = ""


class StopQuery(msgspec.Struct, frozen=True):
    signal: str = ""
    t: int | None = None


class KillQuery(msgspec.Struct, frozen=True):
    signal: str = "SIGKILL"


class RenameQuery(msgspec.Struct, frozen=True):
    name: str


class AttachQuery(msgspec.Struct, frozen=True):
    detach_keys: str = msgspec.field(default="", name="detachKeys")
    logs: bool = False
    stream: bool = False
    stdin: bool = False
    stdout: bool = False
    stderr: bool = False


class WaitQuery(msgspec.Struct, frozen=True):
    condition: str = ""


class RemoveQuery(msgspec.Struct, frozen=True):
    v: bool = False
    force: bool = False
    link: bool = False


class PruneQuery(msgspec.Struct, frozen=True):
    filters: Filters = NONE


async def list_(call: Call[ListQuery, None]) -> Answer:
    """`ps`. An encoded answer is kept while nothing changes and the clock shows the same second ("Up 3 seconds")."""
    query = call.query
    query.filters.only(LIST_FILTERS)
    containers = call.engine.containers
    stamp = (containers.generation, int(time.time()))
    kept = call.remembered.get(query)
    if kept is None or kept[0] != stamp or query.size:
        made = await asyncio.to_thread(
            lambda: msgspec.json.encode(
                containers.list(all=query.all, limit=query.limit, size=query.size, filters=query.filters)
            )
        )
        if len(call.remembered) >= REMEMBERED:
            call.remembered.clear()
        kept = call.remembered[query] = (stamp, made + b"\n")
    return Bytes(kept[1])


def create(call: Call[CreateQuery, ContainerCreate]) -> Answer:
    body = older.create(call.body, call.version)
    made = call.engine.containers.create(
        body.config(), body.host_config, body.networking_config, name=call.query.name, platform=call.query.platform
    )
    return Json({"Id": made.id, "Warnings": list(made.warnings)}, 201)


def inspect(call: Call[SizeQuery, None]) -> Answer:
    return Json(call.engine.containers.inspect(call.path["id"], size=call.query.size))


def top(call: Call[TopQuery, None]) -> Answer:
    return Json(call.engine.containers.top(call.path["id"], call.query.ps_args))


def logs(call: Call[LogsQuery, None]) -> Answer:
    query = call.query
    if not (query.stdout or query.stderr):
        raise InvalidArgument("Bad parameters: you must choose at least one stream")
    wanted = LogQuery(
        stdout=query.stdout,
        stderr=query.stderr,
        since=nanoseconds(query.since, "since"),
        until=nanoseconds(query.until, "until"),
        timestamps=query.timestamps,
        tail=_tail(query.tail),
        follow=query.follow,
        details=query.details,
    )
    found = call.engine.containers.logs(call.path["id"], wanted, call.cancel)
    framed = not found.tty
    kind = MULTIPLEXED if framed and call.version >= (1, 42) else RAW
    return Pieces(_lines(found.batches, framed), kind, eager=True)


def _lines(batches: Iterator[list[tuple[int, bytes]]], framed: bool) -> Iterator[bytes]:
    for batch in batches:
        yield b"".join(frame(stream, data) if framed else data for stream, data in batch)


def _tail(text: str) -> int | None:
    """Go's rule: what is no number means all of it."""
    try:
        count = int(text)
    except ValueError:
        return None
    return count if count >= 0 else None


def changes(call: Call[Nothing, None]) -> Answer:
    return Json(call.engine.containers.changes(call.path["id"]))


def export(call: Call[Nothing, None]) -> Answer:
    return Pieces(call.engine.containers.export(call.path["id"], call.cancel), "application/x-tar")


async def stats(call: Call[StatsQuery, None]) -> Answer:
    """One sample a second; a single one has a predecessor to compare with unless `one-shot` spares the wait."""
    first = await asyncio.to_thread(call.engine.containers.stats, call.path["id"])
    if call.query.stream:
        return Flow(_samples(call, first), "application/json")
    if call.query.one_shot or not first.get("read") or first["read"].startswith("0001"):
        return Json(first)
    await asyncio.sleep(1)
    return Json(_compared(await asyncio.to_thread(call.engine.containers.stats, call.path["id"]), first))


async def _samples(call: Call[StatsQuery, None], sample: dict[str, Any]) -> AsyncGenerator[bytes, None]:
    while True:
        yield msgspec.json.encode(sample) + b"\n"
        await asyncio.sleep(1)
        try:
            now = await asyncio.to_thread(call.engine.containers.stats, call.path["id"])
        except CortenError:
            return  # it was removed: the stream ends
        sample = _compared(now, sample)


def _compared(now: dict[str, Any], before: dict[str, Any]) -> dict[str, Any]:
    return {**now, "preread": before["read"], "precpu_stats": before["cpu_stats"]}


def resize(call: Call[SizeOfTerminal, None]) -> Answer:
    call.engine.containers.resize(call.path["id"], call.query.h, call.query.w)
    return Empty(200)


def start(call: Call[StartQuery, None]) -> Answer:
    if call.query.checkpoint:
        raise InvalidArgument("starting from a checkpoint is not supported", place="?checkpoint")
    call.engine.containers.start(call.path["id"], detach_keys=call.query.detach_keys)
    return Empty()


def stop(call: Call[StopQuery, None]) -> Answer:
    query = call.query
    call.engine.containers.stop(call.path["id"], signal=query.signal or None, timeout=query.t, cancel=call.cancel)
    return Empty()


def restart(call: Call[StopQuery, None]) -> Answer:
    query = call.query
    call.engine.containers.restart(call.path["id"], signal=query.signal or None, timeout=query.t, cancel=call.cancel)
    return Empty()


def kill(call: Call[KillQuery, None]) -> Answer:
    call.engine.containers.kill(call.path["id"], call.query.signal or "SIGKILL")
    return Empty()


def update(call: Call[Nothing, UpdateConfig]) -> Answer:
    return Json({"Warnings": list(call.engine.containers.update(call.path["id"], call.body))})


def rename(call: Call[RenameQuery, None]) -> Answer:
    call.engine.containers.rename(call.path["id"], call.query.name)
    return Empty()


def pause(call: Call[Nothing, None]) -> Answer:
    call.engine.containers.pause(call.path["id"])
    return Empty()


def unpause(call: Call[Nothing, None]) -> Answer:
    call.engine.containers.unpause(call.path["id"])
    return Empty()


def attach(call: Call[AttachQuery, None]) -> Answer:
    with Taker(call) as take:
        call.engine.containers.attach(call.path["id"], _attach_options(call.query, multiplex=True), take)
    return TAKEN


def attach_websocket(call: Call[AttachQuery, None]) -> Answer:
    """As `attach`, without frames: a websocket's messages carry stdout and stderr as they come."""
    from corten.api.http import websocket  # wsproto loads only for those who use it

    def take(**_: bool) -> tuple[int, bytes]:
        return asyncio.run_coroutine_threadsafe(websocket.accept(call.exchange), call.loop).result(), b""

    call.engine.containers.attach(call.path["id"], _attach_options(call.query, multiplex=False), take)
    return TAKEN


def _attach_options(query: AttachQuery, *, multiplex: bool) -> AttachOptions:
    return AttachOptions(
        stdin=query.stdin,
        stdout=query.stdout,
        stderr=query.stderr,
        stream=query.stream,
        logs=query.logs,
        detach_keys=query.detach_keys,
        multiplex=multiplex,
    )


async def wait(call: Call[WaitQuery, None]) -> Answer:
    """The waiter is registered before the head goes out: a client that then starts the container misses nothing."""
    if call.query.condition not in CONDITIONS:
        raise InvalidArgument(f'invalid condition: "{call.query.condition}"', place="?condition")
    condition = call.query.condition or "not-running"
    exit_ = await asyncio.to_thread(call.engine.containers.wait, call.path["id"], condition)
    return Flow(_exit(asyncio.wrap_future(exit_)), "application/json")


async def _exit(future: "asyncio.Future[Any]") -> AsyncGenerator[bytes, None]:
    result = await future
    document: dict[str, Any] = {"StatusCode": result.status_code}
    if result.error:
        document["Error"] = {"Message": result.error}
    yield msgspec.json.encode(document) + b"\n"


def remove(call: Call[RemoveQuery, None]) -> Answer:
    query = call.query
    call.engine.containers.remove(call.path["id"], force=query.force, volumes=query.v, link=query.link)
    return Empty()


def prune(call: Call[PruneQuery, None]) -> Answer:
    return Json(call.engine.containers.prune(call.query.filters.only(PRUNE_FILTERS)))


ROUTES: tuple[Route[Any, Any], ...] = (
    Route("GET", "/containers/json", list_, Lane.LOOP, ListQuery),
    Route("POST", "/containers/create", create, Lane.CHANGE, CreateQuery, ContainerCreate),
    Route("POST", "/containers/prune", prune, Lane.CHANGE, PruneQuery),
    Route("GET", "/containers/{id:path}/json", inspect, Lane.QUICK, SizeQuery),
    Route("GET", "/containers/{id}/top", top, Lane.QUICK, TopQuery),
    Route("GET", "/containers/{id}/logs", logs, Lane.STREAM, LogsQuery),
    Route("GET", "/containers/{id}/changes", changes, Lane.ARCHIVE),
    Route("GET", "/containers/{id}/export", export, Lane.ARCHIVE),
    Route("GET", "/containers/{id}/stats", stats, Lane.LOOP, StatsQuery),
    Route("POST", "/containers/{id}/resize", resize, Lane.QUICK, SizeOfTerminal),
    Route("POST", "/containers/{id}/start", start, Lane.CHANGE, StartQuery),
    Route("POST", "/containers/{id}/stop", stop, Lane.CHANGE, StopQuery),
    Route("POST", "/containers/{id}/restart", restart, Lane.CHANGE, StopQuery),
    Route("POST", "/containers/{id}/kill", kill, Lane.CHANGE, KillQuery),
    Route("POST", "/containers/{id}/update", update, Lane.CHANGE, Nothing, UpdateConfig),
    Route("POST", "/containers/{id}/rename", rename, Lane.CHANGE, RenameQuery),
    Route("POST", "/containers/{id}/pause", pause, Lane.CHANGE),
    Route("POST", "/containers/{id}/unpause", unpause, Lane.CHANGE),
    Route("POST", "/containers/{id}/attach", attach, Lane.CHANGE, AttachQuery),
    Route("GET", "/containers/{id}/attach/ws", attach_websocket, Lane.CHANGE, AttachQuery),
    Route("POST", "/containers/{id}/wait", wait, Lane.LOOP, WaitQuery),
    Route("DELETE", "/containers/{id:path}", remove, Lane.CHANGE, RemoveQuery),
)
