"""`stats`: one sample of what a container uses, in Docker's shape (ContainerStatsResponse).

The numbers come from the control groups, as `runtime.cgroups` reads them, and from the network devices' counters. A
container that does not run has an empty sample.
"""

import os
from typing import Any

from corten.engine.moment import rfc3339
from corten.engine.record import Container
from corten.engine.services import Services, now

__all__ = ["sample"]

NANOSECONDS_PER_TICK = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
# The fields of /proc/net/dev after the device's name.
COUNTERS = {
    "rx_bytes": 0, "rx_packets": 1, "rx_errors": 2, "rx_dropped": 3,
    "tx_bytes": 8, "tx_packets": 9, "tx_errors": 10, "tx_dropped": 11,
}  # fmt: skip


def sample(services: Services, reference: str) -> dict[str, Any]:
    """One sample; the caller sets the one before it beside it."""
    container = services.catalog.find(reference)
    empty_cpu = {"cpu_usage": {"total_usage": 0, "usage_in_kernelmode": 0, "usage_in_usermode": 0}}
    throttling = {"periods": 0, "throttled_periods": 0, "throttled_time": 0}
    shown: dict[str, Any] = {
        "name": f"/{container.name}",
        "id": container.id,
        "os_type": "linux",
        "read": rfc3339(0),
        "preread": rfc3339(0),
        "pids_stats": {},
        "blkio_stats": dict.fromkeys(BLKIO),
        "num_procs": 0,
        "storage_stats": {},
        "cpu_stats": {**empty_cpu, "throttling_data": throttling},
        "precpu_stats": {**empty_cpu, "throttling_data": throttling},
        "memory_stats": {},
    }
    task = container.task
    if task is None or not container.state.is_up:
        return shown
    used = task.stats()
    return shown | {
        "read": rfc3339(now()),
        "pids_stats": pids(used),
        "blkio_stats": blkio(used),
        "cpu_stats": cpu(used),
        "memory_stats": memory(used, container),
        **networks(container),
    }


BLKIO = (
    "io_service_bytes_recursive", "io_serviced_recursive", "io_queue_recursive", "io_service_time_recursive",
    "io_wait_time_recursive", "io_merged_recursive", "io_time_recursive", "sectors_recursive",
)  # fmt: skip


def pids(used: dict[str, Any]) -> dict[str, Any]:
    found = used.get("pids", {})
    return {"current": found.get("current", 0), "limit": found.get("limit") or (1 << 64) - 1}


def cpu(used: dict[str, Any]) -> dict[str, Any]:
    found = used.get("cpu", {})
    usage, throttling = found.get("usage", {}), found.get("throttling", {})
    spent: dict[str, Any] = {
        "total_usage": usage.get("total", 0),
        "usage_in_kernelmode": usage.get("kernel", 0),
        "usage_in_usermode": usage.get("user", 0),
    }
    if usage.get("percpu"):
        spent["percpu_usage"] = usage["percpu"]
    return {
        "cpu_usage": spent,
        "system_cpu_usage": system_cpu(),
        "online_cpus": os.cpu_count() or 1,
        "throttling_data": {
            "periods": throttling.get("periods", 0),
            "throttled_periods": throttling.get("throttledPeriods", 0),
            "throttled_time": throttling.get("throttledTime", 0),
        },
    }


def system_cpu() -> int:
    """The time all CPUs have spent since boot, idle included, in ns: the first line of /proc/stat."""
    with open("/proc/stat", encoding="ascii") as file:
        words = file.readline().split()
    # user, nice, system, idle, iowait, irq, softirq, steal; guest time is in user already
    return sum(int(word) for word in words[1:9]) * NANOSECONDS_PER_TICK


def memory(used: dict[str, Any], container: Container) -> dict[str, Any]:
    found = used.get("memory", {})
    usage = found.get("usage", {})
    total = host_memory()
    limit = min(usage.get("limit") or total, container.record.host.memory or total, total)
    shown: dict[str, Any] = {"usage": usage.get("usage", 0), "stats": found.get("raw", {}), "limit": limit}
    for field, name in (("max", "max_usage"), ("failcnt", "failcnt")):
        if usage.get(field):
            shown[name] = usage[field]
    return shown


def host_memory() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def blkio(used: dict[str, Any]) -> dict[str, Any]:
    found = used.get("blkio", {})
    names = {"io_service_bytes_recursive": "ioServiceBytesRecursive", "io_serviced_recursive": "ioServicedRecursive"}
    return dict.fromkeys(BLKIO) | {shown: found.get(field) or None for shown, field in names.items()}


def networks(container: Container) -> dict[str, Any]:
    """The counters of the container's devices; none for one in the host's network."""
    if container.record.host.network_mode == "host":
        return {}
    devices: dict[str, dict[str, int]] = {}
    try:
        with open(f"/proc/{container.state.pid}/net/dev", encoding="ascii") as file:
            lines = file.readlines()[2:]
    except OSError:
        return {}
    for line in lines:
        name, _, numbers = line.partition(":")
        values = numbers.split()
        if name.strip() != "lo":
            devices[name.strip()] = {field: int(values[at]) for field, at in COUNTERS.items()}
    return {"networks": devices} if devices else {}
