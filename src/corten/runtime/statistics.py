"""The numbers of a container's cgroups in runc's form, which containerd, podman and Docker's callers expect.

v1 and v2 name and measure differently: v2 counts CPU time in microseconds, has no failure counts, and one io.stat for
four of v1's files. What a version does not have is left out, never guessed.
"""

from __future__ import annotations

import os

from corten.runtime.cgroups import fields, read

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from corten.runtime.cgroups import Cgroups

__all__ = ["v1", "v2"]

_USER_HZ_NS = 10_000_000  # clock ticks of /proc and of v1's cpuacct.stat are hundredths of a second
_UNLIMITED = (1 << 64) - 1

_CPUSET = (
    "cpu_exclusive mem_hardwall mem_exclusive memory_migrate memory_spread_page memory_spread_slab memory_pressure "
    "sched_load_balance sched_relax_domain_level"
)


def v1(groups: Cgroups) -> dict[str, Any]:
    return {
        "cpu": _cpu_v1(groups),
        "cpuset": _cpuset_v1(groups),
        "memory": _memory_v1(groups),
        "pids": _pids(groups),
        "blkio": _blkio_v1(groups),
        "hugetlb": _hugetlb(groups),
        "intel_rdt": {},
        "network_interfaces": None,
    }


def v2(groups: Cgroups) -> dict[str, Any]:
    return {
        "cpu": _cpu_v2(groups),
        "cpuset": {},
        "memory": _memory_v2(groups),
        "pids": _pids(groups),
        "blkio": _io_v2(groups),
        "hugetlb": _hugetlb(groups),
        "intel_rdt": {},
        "network_interfaces": None,
    }


def _number(path: str) -> int:
    text = read(path).strip()
    return int(text) if text.lstrip("-").isdecimal() else _UNLIMITED if text == "max" else 0


def _cpu_v1(groups: Cgroups) -> dict[str, Any]:
    accounting, cpu = groups.directory("cpuacct"), groups.directory("cpu")
    split, throttled = fields(f"{accounting}/cpuacct.stat"), fields(f"{cpu}/cpu.stat")
    each = [line.split() for line in read(f"{accounting}/cpuacct.usage_all").splitlines()[1:]]
    usage = {
        "total": _number(f"{accounting}/cpuacct.usage"),
        "percpu": [int(word) for word in read(f"{accounting}/cpuacct.usage_percpu").split()],
        "percpu_kernel": [int(row[2]) for row in each],
        "percpu_user": [int(row[1]) for row in each],
        "kernel": split.get("system", 0) * _USER_HZ_NS,
        "user": split.get("user", 0) * _USER_HZ_NS,
    }
    throttling = {
        "periods": throttled.get("nr_periods", 0),
        "throttledPeriods": throttled.get("nr_throttled", 0),
        "throttledTime": throttled.get("throttled_time", 0),
    }
    return {"usage": usage, "throttling": throttling}


def _cpuset_v1(groups: Cgroups) -> dict[str, Any]:
    directory = groups.directory("cpuset")
    found: dict[str, Any] = {name: _number(f"{directory}/cpuset.{name}") for name in _CPUSET.split()}
    return {**found, "cpus": _listed(f"{directory}/cpuset.cpus"), "mems": _listed(f"{directory}/cpuset.mems")}


def _listed(path: str) -> list[int]:
    """A file such as ``0-2,7`` as numbers."""
    parts = [part.partition("-") for part in read(path).strip().split(",") if part]
    return [number for first, _, last in parts for number in range(int(first), int(last or first) + 1)]


def _cpu_v2(groups: Cgroups) -> dict[str, Any]:
    stat = fields(f"{groups.directory('cpu')}/cpu.stat")
    times = {name: stat.get(f"{key}_usec", 0) * 1000 for name, key in _CPU_TIMES.items()}
    throttling = {
        "periods": stat.get("nr_periods", 0),
        "throttledPeriods": stat.get("nr_throttled", 0),
        "throttledTime": stat.get("throttled_usec", 0) * 1000,
    }
    return {"usage": times, "throttling": throttling, **_pressure(groups, "cpu")}


_CPU_TIMES = {"total": "usage", "kernel": "system", "user": "user"}


def _memory_v1(groups: Cgroups) -> dict[str, Any]:
    directory = groups.directory("memory")

    def entry(kind: str) -> dict[str, int]:
        stem = f"{directory}/memory.{kind}"
        names = {
            "limit": "limit_in_bytes",
            "usage": "usage_in_bytes",
            "max": "max_usage_in_bytes",
            "failcnt": "failcnt",
        }
        return {name: _number(f"{stem}{file}") for name, file in names.items()}

    raw = fields(f"{directory}/memory.stat")
    return {
        "cache": raw.get("cache", 0),
        "usage": entry(""),
        "swap": entry("memsw."),
        "kernel": entry("kmem."),
        "kernelTCP": entry("kmem.tcp."),
        "raw": raw,
    }


def _memory_v2(groups: Cgroups) -> dict[str, Any]:
    directory = groups.directory("memory")
    raw = fields(f"{directory}/memory.stat")
    usage, swap = _number(f"{directory}/memory.current"), _number(f"{directory}/memory.swap.current")
    limit, swap_limit = _number(f"{directory}/memory.max"), _number(f"{directory}/memory.swap.max")
    both = _UNLIMITED if _UNLIMITED in (limit, swap_limit) else limit + swap_limit
    events = fields(f"{directory}/memory.events")
    return {
        "cache": raw.get("file", 0),
        "usage": {
            "limit": limit,
            "usage": usage,
            "max": _number(f"{directory}/memory.peak"),
            "failcnt": events.get("max", 0),
        },
        "swap": {"limit": both, "usage": usage + swap, "max": 0, "failcnt": 0},
        "kernel": {"limit": 0, "usage": raw.get("kernel", 0), "failcnt": 0},
        "kernelTCP": {"limit": 0, "usage": raw.get("sock", 0), "failcnt": 0},
        "raw": raw,
        **_pressure(groups, "memory"),
    }


def _pids(groups: Cgroups) -> dict[str, int]:
    directory = groups.directory("pids")
    limit = _number(f"{directory}/pids.max")
    return {"current": _number(f"{directory}/pids.current"), "limit": 0 if limit == _UNLIMITED else limit}


def _blkio_v1(groups: Cgroups) -> dict[str, Any]:
    directory = groups.directory("blkio")
    stem = "blkio.bfq." if os.path.exists(f"{directory}/blkio.bfq.io_serviced") else "blkio.throttle."
    found = {
        "ioServiceBytesRecursive": _blkio_lines(f"{directory}/{stem}io_service_bytes_recursive"),
        "ioServicedRecursive": _blkio_lines(f"{directory}/{stem}io_serviced_recursive"),
    }
    return {name: entries for name, entries in found.items() if entries}


def _blkio_lines(path: str) -> list[dict[str, Any]]:
    entries = []
    for line in read(path).splitlines():
        words = line.replace(":", " ").split()
        if len(words) == 4:
            entries.append({"major": int(words[0]), "minor": int(words[1]), "op": words[2], "value": int(words[3])})
    return entries


def _io_v2(groups: Cgroups) -> dict[str, Any]:
    found: dict[str, list[dict[str, Any]]] = {"ioServiceBytesRecursive": [], "ioServicedRecursive": []}
    kinds = {"rbytes": (0, "Read"), "wbytes": (0, "Write"), "rios": (1, "Read"), "wios": (1, "Write")}
    lists = list(found.values())
    for line in read(f"{groups.directory('io')}/io.stat").splitlines():
        device, *pairs = line.split()
        major, _, minor = device.partition(":")
        for key, value in (pair.split("=", 1) for pair in pairs if "=" in pair):
            if key in kinds:
                which, op = kinds[key]
                lists[which].append({"major": int(major), "minor": int(minor), "op": op, "value": int(value)})
    return {**{name: entries for name, entries in found.items() if entries}, **_pressure(groups, "io")}


def _hugetlb(groups: Cgroups) -> dict[str, dict[str, int]]:
    directory = groups.directory("hugetlb")
    found: dict[str, dict[str, int]] = {}
    try:
        names = os.listdir(directory)
    except OSError:
        return found
    for name in names:
        size, _, kind = name.removeprefix("hugetlb.").partition(".")
        if name.startswith("hugetlb.") and kind in ("current", "usage_in_bytes"):
            stem = f"{directory}/hugetlb.{size}"
            most, failed = _number(f"{stem}.max_usage_in_bytes"), _number(f"{stem}.failcnt")
            if kind == "current":
                failed = fields(f"{stem}.events").get("max", 0)
            found[size] = {"usage": _number(f"{directory}/{name}"), "max": most, "failcnt": failed}
    return found


def _pressure(groups: Cgroups, controller: str) -> dict[str, Any]:
    """Pressure stall information, where the kernel keeps it."""
    found: dict[str, dict[str, float]] = {}
    for line in read(f"{groups.directory(controller)}/{controller}.pressure").splitlines():
        kind, *pairs = line.split()
        split = (pair.split("=", 1) for pair in pairs)
        found[kind] = {name: int(value) if name == "total" else float(value) for name, value in split}
    return {"psi": found} if found else {}
