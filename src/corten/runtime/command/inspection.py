"""state, list, ps, events, features, spec: what containers and this runtime are like."""

from __future__ import annotations

import os
import sys

from corten.kernel.probe import Host
from corten.model.errors import AlreadyExists, InvalidArgument
from corten.runtime.container import Container
from corten.runtime.state import Store
from corten.wire import codec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from corten.runtime.command import Context

__all__ = ["events", "features", "list_", "ps", "spec", "state"]


def state(context: Context) -> int:
    _print(_open(context).state())
    return 0


def list_(context: Context) -> int:
    given = context.given
    host = Host()
    states = [Container(entry, host).state() for entry in Store(context.root).all()]
    if given.on("quiet"):
        sys.stdout.write("".join(f"{one['id']}\n" for one in states))
    elif given.text("format", "table") == "json":
        sys.stdout.write(codec.dumps(states or None) + "\n")
    elif given.text("format", "table") == "table":
        columns = ("id", "pid", "status", "bundle", "created", "owner")
        sys.stdout.write(_table([[str(one[column]) for column in columns] for one in states], columns))
    else:
        raise InvalidArgument(f"invalid format option: {given.text('format')!r}", hint="table or json")
    return 0


def ps(context: Context) -> int:
    container = _open(context)
    pids = container.cgroups().pids()
    form = context.given.text("format", "table")
    if form == "json":
        sys.stdout.write(codec.dumps(pids) + "\n")
        return 0
    if form != "table":
        raise InvalidArgument(f"invalid format option: {form!r}", hint="table or json")
    if options := context.given.operands[1:]:
        return _foreign_ps(options, pids)
    rows = [row for row in map(_process_row, pids) if row]
    sys.stdout.write(_table(rows, ("uid", "pid", "ppid", "c", "stime", "tty", "time", "cmd"), width=2))
    return 0


def events(context: Context) -> int:
    """One line of JSON for the statistics, then with the interval, and one whenever the kernel killed for memory."""
    import time

    container = _open(context)
    if container.status() == "stopped":
        raise InvalidArgument(f"container with id {container.id} is not running")
    groups, kills = container.cgroups(), 0
    interval = _seconds(context.given.text("interval", "5s"))
    while True:
        _event("stats", container.id, groups.stats())
        if context.given.on("stats"):
            return 0
        end = time.monotonic() + interval
        while time.monotonic() < end:
            if groups.oom_kills() > kills:
                kills = groups.oom_kills()
                _event("oom", container.id, None)
            if container.status() == "stopped":
                return 0
            time.sleep(min(0.1, interval))


def features(_: Context) -> int:
    from corten.runtime.feature_report import features as report

    _print(report())
    return 0


def spec(context: Context) -> int:
    from corten.runtime.template import config

    path = os.path.join(context.given.text("bundle", "."), "config.json")
    text = codec.dumps_indented(config(rootless=context.given.on("rootless")), "\t") + "\n"
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    except FileExistsError:
        raise AlreadyExists(f"File {path} exists. Remove it first") from None
    with os.fdopen(fd, "w") as file:
        file.write(text)
    return 0


def _open(context: Context) -> Container:
    return Container(Store(context.root).open(context.id), Host())


def _print(value: object) -> None:
    sys.stdout.write(codec.dumps_indented(value, "  ") + "\n")


def _event(kind: str, id: str, data: dict[str, Any] | None) -> None:
    event = {"type": kind, "id": id} | ({"data": data} if data is not None else {})
    sys.stdout.write(codec.dumps(event) + "\n")
    sys.stdout.flush()


def _table(rows: list[list[str]], columns: tuple[str, ...], width: int = 3) -> str:
    """Columns as wide as their widest cell, headed in capitals."""
    lines = [[column.upper() for column in columns], *rows]
    widths = [max(len(line[n]) for line in lines) for n in range(len(columns))]
    shown = ("".join(cell.ljust(widths[n] + width) for n, cell in enumerate(line)).rstrip() for line in lines)
    return "".join(f"{line}\n" for line in shown)


def _foreign_ps(options: list[str], pids: list[int]) -> int:
    """What the host's `ps` prints with the caller's options, for the container's processes only."""
    import subprocess

    result = subprocess.run(["ps", *options], capture_output=True, text=True, check=False)
    lines = result.stdout.splitlines()
    if not lines or "PID" not in lines[0].split():
        raise InvalidArgument("couldn't find PID field in ps output", hint=result.stderr.strip())
    column = lines[0].split().index("PID")
    wanted = {str(pid) for pid in pids}
    chosen = [line for line in lines[1:] if line.split()[column : column + 1][:1] and line.split()[column] in wanted]
    sys.stdout.write("".join(f"{line}\n" for line in (lines[0], *chosen)))
    return 0


def _process_row(pid: int) -> list[str] | None:
    """One process as ``ps -ef`` shows it; None when it has gone."""
    import time

    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            name, rest = file.read().decode("utf-8", "replace").rsplit(")", 1)
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            command = file.read().replace(b"\0", b" ").decode("utf-8", "replace").strip()
        uid = os.stat(f"/proc/{pid}").st_uid
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = rest.split()
    ticks = int(fields[11]) + int(fields[12])
    seconds = ticks // os.sysconf("SC_CLK_TCK")
    began = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + int(fields[19]) / os.sysconf("SC_CLK_TCK")
    clock = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    tty = int(fields[4])
    terminal = f"pts/{tty & 0xFF | tty >> 12 & 0xFFF00}" if tty else "?"
    shown = command or f"[{name.split('(', 1)[1]}]"
    return [
        _user_name(uid),
        str(pid),
        fields[1],
        "0",
        time.strftime("%H:%M", time.localtime(began)),
        terminal,
        clock,
        shown,
    ]


def _user_name(uid: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _seconds(text: str) -> float:
    """A duration in Go's form: 5s, 100ms, 1m."""
    for unit, factor in (("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0)):
        if text.endswith(unit) and text.removesuffix(unit).replace(".", "", 1).isdecimal():
            seconds = float(text.removesuffix(unit)) * factor
            if seconds > 0:
                return seconds
    raise InvalidArgument(f"duration interval must be greater than 0: {text!r}", hint="such as 5s or 100ms")
