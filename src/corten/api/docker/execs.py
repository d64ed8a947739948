"""Exec: a further process in a running container."""

from typing import Any

import msgspec

from corten.api.call import TAKEN, Answer, Call, Empty, Json
from corten.api.docker.containers import SizeOfTerminal
from corten.api.hijack import Taker
from corten.api.lanes import Lane
from corten.api.query import Nothing
from corten.api.router import Route
from corten.engine.requests import ExecStart
from corten.model.container import ExecConfig

__all__ = ["ROUTES"]


class StartBody(msgspec.Struct, frozen=True, rename="pascal"):
    """Whether there is a terminal was said at creation; `Tty` here says whether the answer is raw or in frames."""

    detach: bool = False
    tty: bool = False
    console_size: tuple[int, int] | None = None


def create(call: Call[Nothing, ExecConfig]) -> Answer:
    return Json({"Id": call.engine.execs.create(call.path["id"], call.body)}, 201)


def start(call: Call[Nothing, StartBody]) -> Answer:
    body = call.body or StartBody()
    options = ExecStart(detach=body.detach, tty=body.tty, console_size=body.console_size)
    if body.detach:
        call.engine.execs.start(call.path["id"], options, None)
        return Empty(200)
    with Taker(call) as take:
        call.engine.execs.start(call.path["id"], options, take)
    return TAKEN


def resize(call: Call[SizeOfTerminal, None]) -> Answer:
    call.engine.execs.resize(call.path["id"], call.query.h, call.query.w)
    return Empty(200)


def inspect(call: Call[Nothing, None]) -> Answer:
    return Json(call.engine.execs.inspect(call.path["id"]))


ROUTES: tuple[Route[Any, Any], ...] = (
    Route("POST", "/containers/{id}/exec", create, Lane.CHANGE, Nothing, ExecConfig),
    Route("POST", "/exec/{id}/start", start, Lane.CHANGE, Nothing, StartBody, body_may_be_empty=True),
    Route("POST", "/exec/{id}/resize", resize, Lane.QUICK, SizeOfTerminal),
    Route("GET", "/exec/{id}/json", inspect),
)
