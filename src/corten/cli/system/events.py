"""`corten events`: what happens in the engine, as it happens."""

from __future__ import annotations

import sys
import time

from corten.cli.container.logs import moment_option
from corten.cli.flags import text, texts
from corten.cli.human import zone
from corten.cli.table import Command, Fault
from corten.cli.values import filter_pair, filters

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from corten.cli.flags import Options
    from corten.cli.session import Session

__all__ = ["EVENTS", "line"]


def line(event: Any) -> str:
    """One event as people read it."""
    attributes = (event.get("Actor") or {}).get("Attributes") or {}
    detail = ", ".join(f"{key}={attributes[key]}" for key in sorted(attributes))
    actor = (event.get("Actor") or {}).get("ID", "")
    return f"{_when(event)} {event['Type']} {event['Action']} {actor}" + (f" ({detail})" if detail else "")


def _when(event: Any) -> str:
    nanoseconds = event.get("timeNano") or event["time"] * 10**9
    local = time.localtime(nanoseconds // 10**9)
    offset = zone(local).partition(" ")[0]
    away = "Z" if offset == "+0000" else f"{offset[:3]}:{offset[3:]}"
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', local)}.{nanoseconds % 10**9:09d}{away}"


def _writer(form: str) -> Callable[[Any], str]:
    """How to print an event: a line, JSON, or by a template."""
    if not form:
        return line
    if form == "json":
        from corten.wire.codec import dumps

        return dumps
    from corten.cli.inspection import typed
    from corten.cli.template import Template, TemplateError

    try:
        template = Template(form)
    except TemplateError as error:
        raise Fault(f"Error parsing format: {error}", 64) from None
    return lambda event: template.render(typed(event))


def _run(session: Session, options: Options, _: list[str]) -> int:
    write = _writer(options.text("format"))
    query = {
        "since": moment_option(options, "since", titled=False),
        "until": moment_option(options, "until", titled=False),
        "filters": filters(options.texts("filter")),
    }
    for event in session.engine.request("GET", "/events", query=query).check().lines():
        sys.stdout.write(write(event) + "\n")
        sys.stdout.flush()
    return 0


EVENTS = Command(
    "events, system events",
    "[OPTIONS]",
    "Show what happens in the engine, as it happens",
    _run,
    flags=(
        texts(
            "filter", "f", "Only those that meet a condition, such as type=container", kind="filter", read=filter_pair
        ),
        text("format", "", "Print each by a Go template; `json` prints JSON"),
        text("since", "", "From this time on, what has happened already included"),
        text("until", "", "End at this time"),
    ),
)
