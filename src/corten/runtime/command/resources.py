"""pause, resume, update: a running container's freezer and limits."""

from __future__ import annotations

import sys

from corten.kernel.probe import Host
from corten.model.errors import Conflict, InvalidArgument
from corten.runtime.container import Container
from corten.runtime.state import Store
from corten.wire import codec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from corten.model.runtime_spec import Resources
    from corten.runtime.command import Context
    from corten.runtime.command.flags import Given

__all__ = ["pause", "resume", "update"]

_NUMBERS = {
    "blkio-weight": ("blockIO", "weight"),
    "cpu-period": ("cpu", "period"),
    "cpu-quota": ("cpu", "quota"),
    "cpu-burst": ("cpu", "burst"),
    "cpu-share": ("cpu", "shares"),
    "cpu-rt-period": ("cpu", "realtimePeriod"),
    "cpu-rt-runtime": ("cpu", "realtimeRuntime"),
    "cpu-idle": ("cpu", "idle"),
    "pids-limit": ("pids", "limit"),
}
_SIZES = {
    "memory": ("memory", "limit"),
    "memory-reservation": ("memory", "reservation"),
    "memory-swap": ("memory", "swap"),
    "kernel-memory-tcp": ("memory", "kernelTCP"),
}
_LISTS = {"cpuset-cpus": ("cpu", "cpus"), "cpuset-mems": ("cpu", "mems")}


def pause(context: Context) -> int:
    container = _open(context)
    status = container.status()
    if status not in ("running", "created"):
        raise Conflict("container paused" if status == "paused" else "container not running")
    container.cgroups().pause()
    return 0


def resume(context: Context) -> int:
    container = _open(context)
    if container.status() != "paused":
        raise Conflict("container not paused")
    container.cgroups().resume()
    return 0


def update(context: Context) -> int:
    container = _open(context)
    if container.status() == "stopped":
        raise Conflict("container not running")
    schemata = _schemata(context.given)
    if schemata:
        container.resctrl().update(schemata, container.cgroups().pids())
    resources = _resources(context.given)
    if container.entry.record()["options"]["systemd"]:
        container.unit(container.entry.spec()).update(resources)
    container.cgroups().update(resources)
    return 0


def _open(context: Context) -> Container:
    return Container(Store(context.root).open(context.id), Host())


def _schemata(given: Given) -> list[str]:
    from corten.runtime.resctrl import schema

    return [schema(text, flag) for flag in ("l3-cache-schema", "mem-bw-schema") if (text := given.text(flag))]


def _resources(given: Given) -> Resources:
    """The limits of a file or of standard input, or else of the flags."""
    if path := given.text("resources"):
        if path == "-":
            found: Resources = codec.loads(sys.stdin.read())
        else:
            with open(path, "rb") as file:
                found = codec.loads(file.read())
        from corten.runtime.validation import validate

        validate({"ociVersion": "1.0.0", "linux": {"resources": found}})
        return found
    resources: dict[str, dict[str, Any]] = {}
    for table, convert in ((_NUMBERS, _integer), (_SIZES, _bytes), (_LISTS, str)):
        for flag, (section, field) in table.items():
            if text := given.text(flag):
                resources.setdefault(section, {})[field] = convert(text)
    return resources  # type: ignore[return-value]


def _integer(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise InvalidArgument(f"invalid value {text!r}: it is not a number") from None


def _bytes(text: str) -> int:
    """A size in bytes, or with a unit as Go's units.RAMInBytes takes it: 512m, 1g, 64KiB."""
    word = text.strip().lower().removesuffix("ib").removesuffix("b")
    for power, unit in enumerate("kmgtp", 1):
        if word.endswith(unit):
            number = word.removesuffix(unit).strip()
            if number.replace(".", "", 1).isdecimal():
                return int(float(number) * 1024**power)
    return _integer(word)
