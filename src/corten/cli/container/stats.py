"""`corten stats`: what containers use, now.

The numbers come from two samples: CPU is the container's share of the time that passed between them. On a terminal
the table is drawn over every half second; new containers join it and ended ones leave.
"""

from __future__ import annotations

import sys
import time

from corten.cli.container.ps import FORMAT
from corten.cli.flags import switch
from corten.cli.human import size, size_binary
from corten.cli.listing import Listing
from corten.cli.session import report
from corten.cli.table import MANY, Command, Fault
from corten.client.connection import EngineError
from corten.wire.codec import values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from corten.cli.flags import Options
    from corten.cli.session import Session
    from corten.client.connection import Connection, Response

__all__ = ["STATS", "Usage"]

_PERIOD = 0.5
_HOME, _END_OF_LINE, _END_OF_SCREEN = "\x1b[H", "\x1b[K", "\x1b[J"


class Usage:
    """One container's line; with no sample yet every number is unknown."""

    __slots__ = ("asked", "sample")

    def __init__(self, asked: str, sample: Any = None) -> None:
        self.asked = asked
        self.sample = sample

    def name(self) -> str:
        return str((self.sample or {}).get("name", "")).removeprefix("/") or "--"

    def identity(self) -> str:
        return str((self.sample or {}).get("id", "")) or "--"

    def cpu(self) -> float:
        """Percent of one CPU, by Docker's formula."""
        now, before = self.sample["cpu_stats"], self.sample.get("precpu_stats") or {}
        used = now["cpu_usage"]["total_usage"] - (before.get("cpu_usage") or {}).get("total_usage", 0)
        passed = now.get("system_cpu_usage", 0) - before.get("system_cpu_usage", 0)
        cpus = now.get("online_cpus") or len(now["cpu_usage"].get("percpu_usage") or [])
        return used / passed * cpus * 100 if used > 0 and passed > 0 else 0.0

    def memory(self) -> int:
        """Bytes, without the page cache that is easily had back: `inactive_file`, as v1 and v2 call it."""
        stats = self.sample.get("memory_stats") or {}
        detail, used = stats.get("stats") or {}, int(stats.get("usage", 0))
        for key in ("total_inactive_file", "inactive_file"):
            if (spare := detail.get(key)) is not None and spare < used:
                return used - int(spare)
        return used

    def limit(self) -> int:
        return int((self.sample.get("memory_stats") or {}).get("limit", 0))

    def network(self) -> tuple[int, int]:
        rows = (self.sample.get("networks") or {}).values()
        return sum(row["rx_bytes"] for row in rows), sum(row["tx_bytes"] for row in rows)

    def block(self) -> tuple[int, int]:
        rows = (self.sample.get("blkio_stats") or {}).get("io_service_bytes_recursive") or []
        total = {"r": 0, "w": 0}
        for row in rows:
            if (first := row["op"][:1].lower()) in total:
                total[first] += row["value"]
        return total["r"], total["w"]


def _text(write: Any) -> Any:
    """A reader that shows dashes until there is a sample."""
    return lambda usage: "--" if usage.sample is None else write(usage)


def _pair(counts: tuple[int, int]) -> str:
    return f"{size(counts[0], 3)} / {size(counts[1], 3)}"


def _memory_percent(usage: Usage) -> float:
    return usage.memory() / usage.limit() * 100 if usage.limit() else 0.0


def _memory(usage: Usage) -> str:
    if usage.sample is None:
        return "-- / --"
    return f"{size_binary(usage.memory())} / {size_binary(usage.limit())}"


def _listing(*, full: bool) -> Listing:
    return Listing(
        "*container.statsContext",
        {
            "Container": ("CONTAINER", lambda usage: usage.asked),
            "Name": ("NAME", lambda usage: usage.name()),
            "ID": ("CONTAINER ID", lambda usage: usage.identity() if full else usage.identity()[:12]),
            "CPUPerc": ("CPU %", _text(lambda usage: f"{usage.cpu():.2f}%")),
            "MemUsage": ("MEM USAGE / LIMIT", _memory),
            "MemPerc": ("MEM %", _text(lambda usage: f"{_memory_percent(usage):.2f}%")),
            "NetIO": ("NET I/O", _text(lambda usage: _pair(usage.network()))),
            "BlockIO": ("BLOCK I/O", _text(lambda usage: _pair(usage.block()))),
            "PIDs": ("PIDS", _text(lambda usage: str((usage.sample.get("pids_stats") or {}).get("current", 0)))),
        },
    )


_SHOWN = ["ID", "Name", "CPUPerc", "MemUsage", "MemPerc", "NetIO", "BlockIO", "PIDs"]


def _run(session: Session, options: Options, names: list[str]) -> int:
    if names and options.on("all"):
        raise Fault("containers and --all are mutually exclusive")  # Docker refuses it with other words
    listed, form = _listing(full=options.on("no-trunc")), options.text("format")
    if options.on("no-stream"):
        usages = _once(session, names or _present(session, options))
        listed.print(usages, _SHOWN, form=form)
        return 0
    _Screen(session, options, names, listed, form).run()
    return 0


def _present(session: Session, options: Options) -> list[str]:
    rows = session.get("/containers/json", {"all": "1" if options.on("all") else None})
    return [row["Id"][:12] for row in rows]


def _once(session: Session, names: list[str]) -> list[Usage]:
    def ask(connection: Connection, name: str) -> str:
        connection.send("GET", f"/containers/{name}/stats", query={"stream": "0"})
        return "GET"

    outcomes = list(session.for_each(names, ask, at_once=50))
    if failures := [report(outcome.error) for outcome in outcomes if outcome.error is not None]:
        raise Fault("\n".join(failures))
    return [Usage(outcome.name, outcome.answer) for outcome in outcomes]


class _Feed:
    """The stream of samples of one container."""

    def __init__(self, session: Session, name: str) -> None:
        self.usage = Usage(name)
        self.answer: Response = (
            session.dial().request("GET", f"/containers/{name}/stats", query={"stream": "1"}).check()
        )
        self._chunks = self.answer.chunks()
        self._rest = ""

    def take(self) -> bool:
        """Read what came; False at the stream's end."""
        data = next(self._chunks, None)
        if data is None:
            return False
        found, self._rest = values(self._rest + data.decode())
        if found:
            sample = found[-1]
            self.usage.sample = sample if sample.get("read", "0001")[:4] != "0001" else self.usage.sample
        return True


class _Screen:
    """The table on the terminal and the feeds that fill it."""

    def __init__(self, session: Session, options: Options, names: list[str], listed: Listing, form: str) -> None:
        self._session = session
        self._listed = listed
        self._form = form
        self._follows = not names
        self._events: Response | None = None
        if self._follows:
            query = {"filters": '{"type":{"container":true}}'}
            self._events = session.dial().request("GET", "/events", query=query).check()
        self._event_chunks = self._events.chunks() if self._events else iter(())
        self._feeds = {name: _Feed(session, name) for name in names or _present(session, options)}

    def run(self) -> None:
        import select

        drawn = 0.0
        while self._feeds or self._follows:
            poll = select.poll()
            feeds = {feed.answer.fileno(): name for name, feed in self._feeds.items()}
            for descriptor in feeds:
                poll.register(descriptor, select.POLLIN)
            if self._events:
                poll.register(self._events.fileno(), select.POLLIN)
            for descriptor, _ in poll.poll(_PERIOD * 1000):
                if descriptor in feeds:
                    if not self._feeds[feeds[descriptor]].take():
                        del self._feeds[feeds[descriptor]]
                elif self._events and not self._take_events():
                    return
            if time.monotonic() - drawn >= _PERIOD:
                drawn = time.monotonic()
                self._draw()

    def _take_events(self) -> bool:
        data = next(self._event_chunks, None)
        if data is None:
            return False
        for event in values(data.decode())[0]:
            name = event["Actor"]["ID"][:12]
            if event["Action"] == "start" and name not in self._feeds:
                try:
                    self._feeds[name] = _Feed(self._session, name)
                except EngineError:
                    continue  # it ended already
            elif event["Action"] == "die":
                self._feeds.pop(name, None)
        return True

    def _draw(self) -> None:
        usages = [feed.usage for feed in self._feeds.values()]
        if self._form not in ("", "table") and not self._form.startswith("table"):
            self._listed.print(usages, _SHOWN, form=self._form)
        else:
            sys.stdout.write(_HOME)
            text = self._listed.table(usages, _SHOWN) if self._form in ("", "table") else ""
            if text:
                sys.stdout.write(text.replace("\n", _END_OF_LINE + "\n"))
            else:
                self._listed.print(usages, _SHOWN, form=self._form)
            sys.stdout.write(_END_OF_SCREEN)
        sys.stdout.flush()


STATS = Command(
    "stats, container stats",
    "[OPTIONS] [CONTAINER...]",
    "Show what containers use, now",
    _run,
    most=MANY,
    completes="running",
    flags=(
        switch("all", "a", "Stopped containers too"),
        FORMAT,
        switch("no-stream", "", "Show it once and end"),
        switch("no-trunc", "", "Cut nothing short"),
    ),
)
