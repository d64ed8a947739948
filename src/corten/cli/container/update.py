"""`corten update`: other limits for containers that exist."""

from __future__ import annotations

from corten.cli import values
from corten.cli.container.config import restart_policy
from corten.cli.container.options import MEMORY_FLAGS
from corten.cli.flags import integer, number, text, value
from corten.cli.session import report
from corten.cli.table import MANY, Command, Fault
from corten.client.connection import EngineError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from corten.cli.flags import Options
    from corten.cli.session import Session

__all__ = ["UPDATE"]

_FIELDS = {
    "blkio-weight": "BlkioWeight",
    "cpu-period": "CpuPeriod",
    "cpu-quota": "CpuQuota",
    "cpu-rt-period": "CpuRealtimePeriod",
    "cpu-rt-runtime": "CpuRealtimeRuntime",
    "cpu-shares": "CpuShares",
    "cpus": "NanoCpus",
    "cpuset-cpus": "CpusetCpus",
    "cpuset-mems": "CpusetMems",
    "memory": "Memory",
    "memory-reservation": "MemoryReservation",
    "memory-swap": "MemorySwap",
    "pids-limit": "PidsLimit",
}


def _run(session: Session, options: Options, names: list[str]) -> int:
    body: dict[str, Any] = {field: options.value(flag) for flag, field in _FIELDS.items() if options.given(flag)}
    if options.given("restart"):
        body["RestartPolicy"] = restart_policy(options.text("restart"))
    if not body:
        raise Fault("you must provide one or more flags when using this command")
    warnings: list[str] = []
    failures: list[str] = []
    for name in names:
        try:
            warnings += session.post(f"/containers/{name}/update", body=body).json().get("Warnings") or []
            session.say(name)
        except EngineError as error:
            failures.append(report(error))
    if warnings:
        session.say(*warnings)
    if failures:
        raise Fault("\n".join(failures))
    return 0


UPDATE = Command(
    "update, container update",
    "[OPTIONS] CONTAINER [CONTAINER...]",
    "Give containers other limits",
    _run,
    least=1,
    most=MANY,
    completes="container",
    flags=(
        number("blkio-weight", "", "Share of block I/O, 10 to 1000, 0 for none", kind="uint16", read=integer(0, 65535)),
        number("cpu-period", "", "Length of a CFS period in microseconds"),
        number("cpu-quota", "", "CPU time in each CFS period in microseconds"),
        number("cpu-rt-period", "", "Length of a real-time period in microseconds"),
        number("cpu-rt-runtime", "", "Real-time CPU time in each period in microseconds"),
        number("cpu-shares", "c", "Share of CPU time against others"),
        value("cpus", "", "Number of CPUs, such as 1.5", "decimal", values.cpus, 0),
        text("cpuset-cpus", "", "CPUs it may run on (0-3, 0,1)"),
        text("cpuset-mems", "", "Memory nodes it may use (0-3, 0,1)"),
        *MEMORY_FLAGS,
        number("pids-limit", "", "Most processes, -1 for no limit"),
        text("restart", "", "When to start again: no, always, unless-stopped, on-failure[:N]"),
    ),
)
