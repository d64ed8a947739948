"""`top`: the processes of a container, as ps(1) would show them.

A fresh machine has no `ps`, and starting one costs more than reading /proc: the columns are made here, for the usual
arguments (`-ef`, `aux`, `-o` with a list).
"""

import os
import pwd
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from corten.engine.services import Services, commit, event
from corten.model.errors import Conflict, InvalidArgument, Unimplemented

__all__ = ["top"]

TICKS = os.sysconf("SC_CLK_TCK")
PAGE_KIB = os.sysconf("SC_PAGE_SIZE") // 1024
FULL = ("UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD")
BSD = ("USER", "PID", "%CPU", "%MEM", "VSZ", "RSS", "TTY", "STAT", "START", "TIME", "COMMAND")
PLAIN = ("PID", "TTY", "TIME", "CMD")


class Process(NamedTuple):
    """What /proc tells of one process. Times are in clock ticks, `started` in Unix seconds."""

    pid: int
    ppid: int
    uid: int
    state: str
    tty: int
    ticks: int
    started: float
    virtual: int
    resident: int
    name: str
    command: str
    pgrp: int
    session: int
    nice: int
    threads: int


def top(services: Services, reference: str, arguments: str = "") -> dict[str, Any]:
    """Titles and one row for each process of a container that runs."""
    container = services.catalog.find(reference)
    if not container.is_up or container.task is None:
        raise Conflict(f"container {container.id} is not running")
    if container.state.status == "restarting":
        raise Conflict(f"Container {container.id} is restarting, wait until the container is running")
    titles = columns(arguments or "-ef")
    found = [process for pid in sorted(container.task.pids()) if (process := look(pid)) is not None]
    with container.lock:
        commit(services, container, events=[event(container, "top")])
    return {
        "Titles": [HEADINGS.get(title, title) for title in titles],
        "Processes": [row(process, titles) for process in found],
    }


def columns(arguments: str) -> tuple[str, ...]:
    """The columns that ps would show for its arguments; a `PID` column is always there, as Docker demands."""
    words = arguments.split()
    named: list[str] = []
    style: tuple[str, ...] = ()
    while words:
        word = words.pop(0)
        if word in ("-o", "-eo", "o", "--format") or word.startswith(("-o", "--format=")):
            inline = word.partition("=")[2] or (word[2:] if word.startswith("-o") else "")
            text = inline or (words.pop(0) if words else "")
            named += [known(part) for part in text.split(",") if part]
        elif word.startswith("-") and set(word[1:]) <= set("efFAay"):
            style = FULL if "f" in word.lower() else PLAIN
        elif set(word.removeprefix("-")) <= set("auxw"):
            style = BSD
        else:
            raise Unimplemented(f"top: ps argument {word!r} is not known here", hint="-ef, aux and -o LIST are")
    if named:
        if "PID" not in named:
            raise InvalidArgument("Couldn't find PID field in ps output")
        return tuple(named)
    return style or PLAIN


def known(name: str) -> str:
    title = ALIASES.get(name.lower(), name.upper())
    if title not in CELLS:
        raise InvalidArgument(f"error: unknown user-defined format specifier {name!r}")
    return title


def look(pid: int) -> Process | None:
    """A process; None when it ended meanwhile."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            head, _, tail = file.read().rpartition(")")
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            command = file.read(1 << 16).replace(b"\0", b" ").decode(errors="replace").strip()
        uid = os.stat(f"/proc/{pid}").st_uid
    except OSError:
        return None
    name = head.partition("(")[2]
    fields = tail.split()
    return Process(
        pid=pid,
        ppid=int(fields[1]),
        uid=uid,
        state=fields[0],
        tty=int(fields[4]),
        ticks=int(fields[11]) + int(fields[12]),
        started=boot_time() + int(fields[19]) / TICKS,
        virtual=int(fields[20]) // 1024,
        resident=int(fields[21]) * PAGE_KIB,
        name=name,
        command=command or f"[{name}]",
        pgrp=int(fields[2]),
        session=int(fields[3]),
        nice=int(fields[16]),
        threads=int(fields[17]),
    )


def boot_time() -> float:
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)


def row(process: Process, titles: tuple[str, ...]) -> list[str]:
    return [CELLS[title](process) for title in titles]


def user_name(process: Process) -> str:
    try:
        return pwd.getpwuid(process.uid).pw_name
    except KeyError:
        return str(process.uid)


def terminal(process: Process) -> str:
    """The terminal as ps names it: pts/N from its device number."""
    if not process.tty:
        return "?"
    major, minor = os.major(process.tty), os.minor(process.tty)
    return f"pts/{minor + (major - 136) * 256}" if 136 <= major <= 143 else f"tty{minor}"


def started(process: Process) -> str:
    """The hour for today, else the date."""
    when, today = time.localtime(process.started), time.localtime()
    return time.strftime("%H:%M" if when[:3] == today[:3] else "%b%d", when)


def spent(process: Process) -> str:
    seconds = process.ticks // TICKS
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


def share(process: Process) -> float:
    """CPU time over lifetime, in percent."""
    return process.ticks / TICKS / max(time.time() - process.started, 1.0) * 100


def memory_share(process: Process) -> str:
    total = os.sysconf("SC_PHYS_PAGES") * PAGE_KIB
    return f"{process.resident / total * 100:.1f}"


def minutes(process: Process) -> str:
    seconds = process.ticks // TICKS
    return f"{seconds // 60}:{seconds % 60:02d}"


CELLS: dict[str, Callable[[Process], str]] = {
    "UID": user_name,
    "USER": user_name,
    "PID": lambda p: str(p.pid),
    "PPID": lambda p: str(p.ppid),
    "PGID": lambda p: str(p.pgrp),
    "SID": lambda p: str(p.session),
    "C": lambda p: str(int(share(p))),
    "%CPU": lambda p: f"{share(p):.1f}",
    "%MEM": memory_share,
    "VSZ": lambda p: str(p.virtual),
    "RSS": lambda p: str(p.resident),
    "STIME": started,
    "START": started,
    "STARTED": started,
    "TTY": terminal,
    "TT": terminal,
    "TIME": spent,
    "STAT": lambda p: p.state,
    "S": lambda p: p.state,
    "NI": lambda p: str(p.nice),
    "NLWP": lambda p: str(p.threads),
    "CMD": lambda p: p.command,
    "COMMAND": lambda p: p.command,
    "COMM": lambda p: p.name,
    "ARGS": lambda p: p.command,
}
ALIASES = {"pcpu": "%CPU", "pmem": "%MEM", "vsize": "VSZ", "rssize": "RSS", "state": "S", "cputime": "TIME"}
# What ps writes above these columns.
HEADINGS = {"COMM": "COMMAND", "ARGS": "COMMAND"}
ALIASES |= {"uname": "USER", "euser": "USER", "ruser": "USER", "euid": "UID", "ruid": "UID", "start_time": "STIME"}
