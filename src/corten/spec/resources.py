"""Limits: checks them with Docker's messages, and turns them into the runtime specification's `linux.resources`.

0 and "" mean "not set" throughout. `check` also answers what to warn about; `settled` gives the defaults that depend
on other fields, so that inspect shows what holds (memory-swap is twice the memory unless said otherwise).
"""

from __future__ import annotations

import os
from typing import Any, NamedTuple, TypeVar

from msgspec.structs import replace

from corten.model.container import HostConfig, Resources, UpdateConfig
from corten.model.errors import InvalidArgument
from corten.spec.devices import ALLOW_ALL, DEFAULT_RULES, mapped, rule

__all__ = ["HostLimits", "check", "parse_cpuset", "resources", "settled"]

SMALLEST_MEMORY = 6 << 20
NANO = 1_000_000_000
CPU_PERIOD = 100_000
FEWEST_SHARES, MOST_SHARES = 2, 262_144

Limits = TypeVar("Limits", HostConfig, UpdateConfig)


class HostLimits(NamedTuple):
    """What the host has to share out. `cpuset` and `mems` are kernel lists such as `0-3,8`; "" is unknown."""

    cpus: int
    cpuset: str = ""
    mems: str = ""
    swap_limit: bool = True


def settled(limits: Limits) -> Limits:
    """The limits with the defaults that follow from others filled in."""
    changes: dict[str, Any] = {}
    if limits.cpu_shares:
        changes["cpu_shares"] = min(max(limits.cpu_shares, FEWEST_SHARES), MOST_SHARES)
    if limits.memory > 0 and limits.memory_swap == 0:
        changes["memory_swap"] = limits.memory * 2
    return replace(limits, **changes) if changes else limits


def check(limits: Resources, host: HostLimits) -> list[str]:
    """Warnings about limits that will not hold; raises InvalidArgument with Docker's message for impossible ones."""
    check_memory(limits)
    check_cpu(limits, host)
    check_cpuset(limits.cpuset_cpus, host.cpuset, "CPUs", "cpus")
    check_cpuset(limits.cpuset_mems, host.mems, "memory nodes", "mems")
    check_blkio(limits)
    warnings = []
    if limits.oom_kill_disable and not limits.memory:
        warnings.append(
            "OOM killer is disabled for the container, but no memory limit is set, "
            "this can result in the system running out of resources."
        )
    if limits.memory and limits.memory_swap != -1 and not host.swap_limit:
        warnings.append(
            "Your kernel does not support swap limit capabilities or the cgroup is not mounted. "
            "Memory limited without swap."
        )
    return warnings


def check_memory(limits: Resources) -> None:
    memory, swap, reservation = limits.memory, limits.memory_swap, limits.memory_reservation
    if 0 != memory < SMALLEST_MEMORY:
        raise InvalidArgument("Minimum memory limit allowed is 6MB")
    if memory > 0 and 0 < swap < memory:
        raise InvalidArgument("Minimum memoryswap limit should be larger than memory limit, see usage")
    if memory == 0 and swap > 0:
        raise InvalidArgument("You should always set the Memory limit when using Memoryswap limit, see usage")
    if limits.memory_swappiness is not None and not -1 <= limits.memory_swappiness <= 100:
        raise InvalidArgument(f"Invalid value: {limits.memory_swappiness}, valid memory swappiness range is 0-100")
    if 0 != reservation < SMALLEST_MEMORY:
        raise InvalidArgument("Minimum memory reservation allowed is 6MB")
    if 0 < memory < reservation:
        raise InvalidArgument("Minimum memory limit can not be less than memory reservation limit, see usage")


def check_cpu(limits: Resources, host: HostLimits) -> None:
    if limits.nano_cpus > 0 and limits.cpu_period > 0:
        raise InvalidArgument("Conflicting options: Nano CPUs and CPU Period cannot both be set")
    if limits.nano_cpus > 0 and limits.cpu_quota > 0:
        raise InvalidArgument("Conflicting options: Nano CPUs and CPU Quota cannot both be set")
    if limits.nano_cpus < 0 or limits.nano_cpus > host.cpus * NANO:
        raise InvalidArgument(
            f"range of CPUs is from 0.01 to {host.cpus}.00, as there are only {host.cpus} CPUs available"
        )
    if limits.cpu_shares < 0:
        raise InvalidArgument(f"invalid CPU shares ({limits.cpu_shares}): value must be a positive integer")
    if limits.cpu_period and not 1_000 <= limits.cpu_period <= 1_000_000:
        raise InvalidArgument("CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)")
    if 0 < limits.cpu_quota < 1_000:
        raise InvalidArgument("CPU cfs quota can not be less than 1ms (i.e. 1000)")
    if limits.cpu_percent or limits.cpu_count or limits.io_maximum_iops or limits.io_maximum_bandwidth:
        raise InvalidArgument("Windows-only limits (CpuCount, CpuPercent, IOMaximum…) do not exist on Linux")


def check_cpuset(wanted: str, available: str, noun: str, field: str) -> None:
    if not wanted:
        return
    asked = parse_cpuset(wanted)
    if asked is None:
        raise InvalidArgument(f"Invalid value {wanted} for cpuset {field}")
    if available and not asked <= (parse_cpuset(available) or set()):
        raise InvalidArgument(f"Requested {noun} are not available - requested {wanted}, available: {available}")


def parse_cpuset(text: str) -> set[int] | None:
    """The numbers of a kernel list such as `0-2,7`; None when it is not one."""
    numbers: set[int] = set()
    for part in text.strip().split(","):
        first, dash, last = part.partition("-")
        if not (first.isascii() and first.isdigit()) or (dash and not (last.isascii() and last.isdigit())):
            return None
        low, high = int(first), int(last) if dash else int(first)
        if high < low or high > 8192:
            return None
        numbers.update(range(low, high + 1))
    return numbers


def check_blkio(limits: Resources) -> None:
    if limits.blkio_weight and not 10 <= limits.blkio_weight <= 1000:
        raise InvalidArgument("Range of blkio weight is from 10 to 1000")
    for device in limits.blkio_weight_device or ():
        if not 10 <= device.weight <= 1000:
            raise InvalidArgument(f"Range of blkio weight is from 10 to 1000, {device.path} has {device.weight}")


def resources(limits: Resources, *, privileged: bool = False, unlimited_devices: bool = False) -> dict[str, Any]:
    """The `linux.resources` object. `update` passes an UpdateConfig and takes no notice of the device rules."""
    parts = {
        "memory": memory(limits),
        "cpu": cpu(limits),
        "blockIO": block_io(limits),
        "pids": {"limit": limits.pids_limit} if limits.pids_limit is not None and limits.pids_limit != 0 else {},
    }
    present: dict[str, Any] = {name: part for name, part in parts.items() if part}
    present["devices"] = [ALLOW_ALL] if privileged or unlimited_devices else device_rules(limits)
    return present


def device_rules(limits: Resources) -> list[dict[str, Any]]:
    own = [access for mapping in limits.devices or () for _, access in mapped(mapping)]
    return [*DEFAULT_RULES, *own, *(rule(text) for text in limits.device_cgroup_rules or ())]


def memory(limits: Resources) -> dict[str, Any]:
    values = {
        "limit": limits.memory,
        "reservation": limits.memory_reservation,
        "swap": limits.memory_swap,
    }
    part: dict[str, Any] = {name: value for name, value in values.items() if value}
    if limits.memory_swappiness is not None and limits.memory_swappiness != -1:
        part["swappiness"] = limits.memory_swappiness
    if limits.oom_kill_disable:
        part["disableOOMKiller"] = True
    return part


def cpu(limits: Resources) -> dict[str, Any]:
    """NanoCpus become a quota of the default period: half a CPU is 50 ms of every 100."""
    quota, period = limits.cpu_quota, limits.cpu_period
    if limits.nano_cpus > 0:
        period = CPU_PERIOD
        quota = limits.nano_cpus * CPU_PERIOD // NANO
    values: dict[str, Any] = {
        "shares": limits.cpu_shares,
        "quota": quota,
        "period": period,
        "realtimePeriod": limits.cpu_realtime_period,
        "realtimeRuntime": limits.cpu_realtime_runtime,
        "cpus": limits.cpuset_cpus,
        "mems": limits.cpuset_mems,
    }
    return {name: value for name, value in values.items() if value}


def block_io(limits: Resources) -> dict[str, Any]:
    throttles = {
        "throttleReadBpsDevice": limits.blkio_device_read_bps,
        "throttleWriteBpsDevice": limits.blkio_device_write_bps,
        "throttleReadIOPSDevice": limits.blkio_device_read_iops,
        "throttleWriteIOPSDevice": limits.blkio_device_write_iops,
    }
    part: dict[str, Any] = {
        name: [numbered(device.path) | {"rate": device.rate} for device in devices]
        for name, devices in throttles.items()
        if devices
    }
    if limits.blkio_weight:
        part["weight"] = limits.blkio_weight
    if limits.blkio_weight_device:
        part["weightDevice"] = [numbered(d.path) | {"weight": d.weight} for d in limits.blkio_weight_device]
    return part


def numbered(path: str) -> dict[str, Any]:
    """A device's numbers, by which the kernel's throttles name it."""
    try:
        device = os.stat(path).st_rdev
    except OSError as error:
        raise InvalidArgument(f"stat {path}: {(error.strerror or '').lower()}") from None
    return {"major": os.major(device), "minor": os.minor(device)}
