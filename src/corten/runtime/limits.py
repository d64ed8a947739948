"""``/linux/resources`` to writes of control files, for cgroup v1 and v2.

A **write** is ``(controller, file, value, pointer)``: the value goes to the file in the container's directory of that
controller, and `pointer` says which field asked for it. The units differ between the versions:

=============  =========================  =======================================================================
field          v1                         v2
=============  =========================  =======================================================================
cpu.shares     2..262144, 1024 is normal  weight 1..10000, 100 is normal: a curve through the three points
memory.swap    memory and swap together   swap alone: the limit is subtracted
-1             -1                         max
blockIO        10..1000                   1..10000, linear
=============  =========================  =======================================================================

Fields that the version at hand cannot enforce are refused, except the kernel memory limits, which Linux itself took
out: those become a warning.
"""

from __future__ import annotations

from corten.model.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from corten.model.runtime_spec import BlockIO, Memory, Resources

    Write = tuple[str, str, str, str]

__all__ = ["io_weight", "may_be_missing", "shares_to_weight", "swap_alone", "v1_writes", "v2_writes", "warnings"]

_AT = "/linux/resources"
_THROTTLES = {
    "throttleReadBpsDevice": ("blkio.throttle.read_bps_device", "rbps"),
    "throttleWriteBpsDevice": ("blkio.throttle.write_bps_device", "wbps"),
    "throttleReadIOPSDevice": ("blkio.throttle.read_iops_device", "riops"),
    "throttleWriteIOPSDevice": ("blkio.throttle.write_iops_device", "wiops"),
}


def v1_writes(resources: Resources, *, bfq: bool = False) -> list[Write]:
    """The writes for v1, in an order that a fresh cgroup accepts; `bfq`: the block weight file is BFQ's."""
    if resources.get("unified"):
        raise InvalidArgument("unified limits need cgroup v2", hint="use the fields beside it", place=f"{_AT}/unified")
    return [
        *_v1_memory(resources.get("memory") or {}),
        *_v1_cpu(resources.get("cpu") or {}),
        *_pids(resources),
        *_v1_block(resources.get("blockIO") or {}, bfq),
        *_hugepages(resources, "limit_in_bytes"),
        *_rdma(resources),
        *_v1_network(resources.get("network") or {}),
    ]


def v2_writes(resources: Resources, *, bfq: bool = False) -> list[Write]:
    """The writes for v2. `unified` comes last, so that it overrides what the other fields said."""
    return [
        *_v2_memory(resources.get("memory") or {}),
        *_v2_cpu(resources.get("cpu") or {}),
        *_pids(resources),
        *_v2_block(resources.get("blockIO") or {}, bfq),
        *_hugepages(resources, "max"),
        *_rdma(resources),
        *_v2_network(resources.get("network") or {}),
        *_unified(resources.get("unified") or {}),
    ]


def warnings(resources: Resources, version: int) -> list[str]:
    """What the kernel has no means for any more, in words for the user."""
    memory = resources.get("memory") or {}
    lost = [field for field in ("kernel",) if field in memory]
    if version == 2:
        lost += [
            field for field in ("kernelTCP", "swappiness", "disableOOMKiller", "useHierarchy") if memory.get(field)
        ]
    return [
        f"{_AT}/memory/{field} is not enforced: this kernel's memory controller has no such limit" for field in lost
    ]


def may_be_missing(file: str, value: str) -> bool:
    """Whether a kernel without this file does what is wanted anyhow: it has no swap, or counts no reservations."""
    return ".rsvd." in file or (file == "memory.swap.max" and value in ("0", "max"))


def shares_to_weight(shares: int) -> int:
    """cpu.shares of v1 as cpu.weight of v2: 2 is 1, 1024 is 100, 262144 is 10000 (runc and crun since 2025).

    >>> [shares_to_weight(n) for n in (0, 2, 1024, 262144)]
    [0, 1, 100, 10000]
    """
    if shares <= 0:
        return 0
    if shares <= 2:
        return 1
    if shares >= 262144:
        return 10000
    from math import ceil, log2

    power = log2(shares)
    return ceil(10 ** ((power * power + 125 * power) / 612 - 7 / 34))


def swap_alone(swap: int, limit: int | None, place: str = f"{_AT}/memory/swap") -> str:
    """memory.swap.max for a spec that counts memory and swap together."""
    if swap < 0:
        return "max"
    if swap == 0:
        return "0"
    if limit is None or limit < 0:
        raise InvalidArgument("a swap limit needs a memory limit", hint="set memory.limit too", place=place)
    if swap < limit:
        raise InvalidArgument(
            f"swap limit {swap} is below the memory limit {limit}",
            hint="swap counts memory and swap together",
            place=place,
        )
    return str(swap - limit)


def io_weight(weight: int) -> int:
    """blkio.weight (10..1000) as io.weight (1..10000)."""
    return 1 + (weight - 10) * 9999 // 990 if weight else 0


def _plain(
    fields: Mapping[str, Any], controller: str, names: dict[str, str], at: str, *, unlimited: str = ""
) -> Iterator[Write]:
    """Fields whose number goes to a file as it stands; `unlimited` is the word for a negative one."""
    for field, file in names.items():
        value = fields.get(field)
        if value is not None:
            yield controller, file, unlimited if unlimited and value < 0 else str(value), f"{_AT}/{at}/{field}"


def _v1_memory(memory: Memory) -> Iterator[Write]:
    limit, swap = memory.get("limit"), memory.get("swap")
    if limit is not None and swap is not None and 0 < swap < limit:
        swap_alone(swap, limit)  # raises
    names = {"limit": "memory.limit_in_bytes", "swap": "memory.memsw.limit_in_bytes"}
    chosen = {field: value for field, value in (("limit", limit), ("swap", swap)) if value}
    yield from _plain(chosen, "memory", names, "memory")
    names = {
        "reservation": "memory.soft_limit_in_bytes",
        "kernelTCP": "memory.kmem.tcp.limit_in_bytes",
        "swappiness": "memory.swappiness",
    }
    yield from _plain(memory, "memory", names, "memory")
    if memory.get("disableOOMKiller"):
        yield "memory", "memory.oom_control", "1", f"{_AT}/memory/disableOOMKiller"
    if memory.get("useHierarchy"):
        yield "memory", "memory.use_hierarchy", "1", f"{_AT}/memory/useHierarchy"


def _v1_cpu(cpu: Mapping[str, Any]) -> Iterator[Write]:
    # The period before the quota: the kernel refuses a quota that the present period could not hold. 0 means unset.
    names = {
        "shares": "cpu.shares",
        "period": "cpu.cfs_period_us",
        "quota": "cpu.cfs_quota_us",
        "burst": "cpu.cfs_burst_us",
        "realtimePeriod": "cpu.rt_period_us",
        "realtimeRuntime": "cpu.rt_runtime_us",
    }
    yield from _plain({field: value for field, value in cpu.items() if value}, "cpu", names, "cpu")
    yield from _plain(cpu, "cpu", {"idle": "cpu.idle"}, "cpu")
    yield from _cpuset(cpu)


def _cpuset(cpu: Mapping[str, Any]) -> Iterator[Write]:
    for field in ("cpus", "mems"):
        if cpu.get(field):
            yield "cpuset", f"cpuset.{field}", cpu[field], f"{_AT}/cpu/{field}"


def _pids(resources: Resources) -> Iterator[Write]:
    pids = resources.get("pids")
    if pids is not None and "limit" in pids:
        yield "pids", "pids.max", str(pids["limit"]) if pids["limit"] > 0 else "max", f"{_AT}/pids/limit"


def _v1_block(block: BlockIO, bfq: bool) -> Iterator[Write]:
    stem = "blkio.bfq." if bfq else "blkio."
    names = {"weight": f"{stem}weight", "leafWeight": f"{stem}leaf_weight"}
    yield from _plain({field: value for field, value in block.items() if value}, "blkio", names, "blockIO")
    for n, device in enumerate(block.get("weightDevice") or ()):
        number = f"{device['major']}:{device['minor']}"
        for field, file in (("weight", f"{stem}weight_device"), ("leafWeight", f"{stem}leaf_weight_device")):
            if device.get(field):
                yield "blkio", file, f"{number} {device[field]}", f"{_AT}/blockIO/weightDevice/{n}/{field}"  # type: ignore[literal-required]
    for place, number, rate, (file, _) in _throttles(block):
        yield "blkio", file, f"{number} {rate}", place


def _throttles(block: BlockIO) -> Iterator[tuple[str, str, int, tuple[str, str]]]:
    for field, names in _THROTTLES.items():
        for n, device in enumerate(block.get(field) or ()):  # type: ignore[var-annotated, arg-type]
            yield f"{_AT}/blockIO/{field}/{n}", f"{device['major']}:{device['minor']}", device["rate"], names


def _hugepages(resources: Resources, suffix: str) -> Iterator[Write]:
    for n, limit in enumerate(resources.get("hugepageLimits") or ()):
        size = limit["pageSize"]
        if "/" in size:
            raise InvalidArgument(f"{size!r} is not a page size", place=f"{_AT}/hugepageLimits/{n}/pageSize")
        # What is reserved, too, where the kernel can (5.7): a reservation beyond the limit would fail at first use.
        for kind in ("", "rsvd."):
            yield "hugetlb", f"hugetlb.{size}.{kind}{suffix}", str(limit["limit"]), f"{_AT}/hugepageLimits/{n}"


def _rdma(resources: Resources) -> Iterator[Write]:
    for device, limits in (resources.get("rdma") or {}).items():
        words = [device]
        for field, word in (("hcaHandles", "hca_handle"), ("hcaObjects", "hca_object")):
            if field in limits:
                words.append(f"{word}={limits[field]}")  # type: ignore[literal-required]
        yield "rdma", "rdma.max", " ".join(words), f"{_AT}/rdma/{device}"


def _v1_network(network: Mapping[str, Any]) -> Iterator[Write]:
    if network.get("classID"):
        yield "net_cls", "net_cls.classid", str(network["classID"]), f"{_AT}/network/classID"
    for n, one in enumerate(network.get("priorities") or ()):
        yield "net_prio", "net_prio.ifpriomap", f"{one['name']} {one['priority']}", f"{_AT}/network/priorities/{n}"


def _v2_network(network: Mapping[str, Any]) -> Iterator[Write]:
    for field in ("classID", "priorities"):
        if network.get(field):
            raise InvalidArgument(
                f"cgroup v2 has no network {field}",
                hint="use nftables or tc in the network namespace",
                place=f"{_AT}/network/{field}",
            )
    yield from ()


def _v2_memory(memory: Memory) -> Iterator[Write]:
    limit, swap = memory.get("limit"), memory.get("swap")
    if swap is not None:
        # Before the limit: a smaller limit alone could push into swap what the swap limit forbids.
        yield "memory", "memory.swap.max", swap_alone(swap, limit), f"{_AT}/memory/swap"
    if limit:
        yield "memory", "memory.max", "max" if limit < 0 else str(limit), f"{_AT}/memory/limit"
    yield from _plain(memory, "memory", {"reservation": "memory.low"}, "memory", unlimited="max")


def _v2_cpu(cpu: Mapping[str, Any]) -> Iterator[Write]:
    for field in ("realtimeRuntime", "realtimePeriod"):
        if cpu.get(field):
            raise InvalidArgument(
                "cgroup v2 has no realtime limits", hint=f"remove {field}", place=f"{_AT}/cpu/{field}"
            )
    if weight := shares_to_weight(cpu.get("shares") or 0):
        yield "cpu", "cpu.weight", str(weight), f"{_AT}/cpu/shares"
    quota, period = cpu.get("quota"), cpu.get("period")
    if quota or period:
        value = f"{quota if quota and quota > 0 else 'max'} {period or 100000}"
        yield "cpu", "cpu.max", value, f"{_AT}/cpu/{'quota' if quota else 'period'}"
    yield from _plain(cpu, "cpu", {"burst": "cpu.max.burst", "idle": "cpu.idle"}, "cpu")
    yield from _cpuset(cpu)


def _v2_block(block: BlockIO, bfq: bool) -> Iterator[Write]:
    if weight := block.get("weight"):
        written = f"{weight}" if bfq else f"default {io_weight(weight)}"
        yield "io", "io.bfq.weight" if bfq else "io.weight", written, f"{_AT}/blockIO/weight"
    if block.get("leafWeight"):
        raise InvalidArgument("cgroup v2 has no leaf weight", hint="use weight", place=f"{_AT}/blockIO/leafWeight")
    for n, device in enumerate(block.get("weightDevice") or ()):
        weight = device.get("weight") or 0
        value = f"{device['major']}:{device['minor']} {weight if bfq else io_weight(weight)}"
        yield "io", "io.bfq.weight" if bfq else "io.weight", value, f"{_AT}/blockIO/weightDevice/{n}"
    for place, number, rate, (_, key) in _throttles(block):
        yield "io", "io.max", f"{number} {key}={rate or 'max'}", place


def _unified(unified: Mapping[str, str]) -> Iterator[Write]:
    for file, value in unified.items():
        place = f"{_AT}/unified/{file.replace('~', '~0').replace('/', '~1')}"
        if "/" in file or file.startswith(".") or "." not in file:
            raise InvalidArgument(
                # crun's words, by which its callers know the case
                f"the specified key has not the form CONTROLLER.VALUE `{file}`",
                hint="such as memory.high",
                place=place,
            )
        for line in value.splitlines():
            yield file.split(".", 1)[0], file, line, place
