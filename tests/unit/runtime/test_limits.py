"""Resources to control files: units, order, and what a version cannot do."""

from typing import Any

import pytest

from corten.model.errors import InvalidArgument
from corten.runtime import limits


def files(writes: list[tuple[str, str, str, str]]) -> dict[str, str]:
    return {file: value for _, file, value, _ in writes}


@pytest.mark.parametrize(
    ("shares", "weight"),
    [(0, 0), (1, 1), (2, 1), (3, 2), (256, 35), (1024, 100), (2048, 174), (262144, 10000), (1 << 40, 10000)],
)
def test_shares_become_weights_by_the_curve_of_runc_and_crun(shares: int, weight: int) -> None:
    assert limits.shares_to_weight(shares) == weight


def test_weights_never_fall_when_shares_grow() -> None:
    weights = [limits.shares_to_weight(shares) for shares in range(2, 262145, 101)]
    assert weights == sorted(weights)
    assert (weights[0], weights[-1] <= 10000) == (1, True)


def test_swap_on_v2_is_what_is_left_above_the_memory_limit() -> None:
    written = files(limits.v2_writes({"memory": {"limit": 100, "swap": 250, "reservation": 50}}))
    assert written == {"memory.swap.max": "150", "memory.max": "100", "memory.low": "50"}
    assert files(limits.v2_writes({"memory": {"limit": -1, "swap": -1}})) == {
        "memory.swap.max": "max",
        "memory.max": "max",
    }


def test_swap_below_the_limit_or_without_one_is_refused() -> None:
    for resources in ({"memory": {"limit": 100, "swap": 50}}, {"memory": {"swap": 50}}):
        with pytest.raises(InvalidArgument) as caught:
            limits.v2_writes(resources)  # type: ignore[arg-type]
        assert caught.value.place == "/linux/resources/memory/swap"
    with pytest.raises(InvalidArgument):
        limits.v1_writes({"memory": {"limit": 100, "swap": 50}})


def test_cpu_on_both_versions() -> None:
    cpu = {"cpu": {"shares": 512, "quota": 50000, "period": 200000, "burst": 10, "cpus": "0-1", "idle": 1}}
    assert files(limits.v1_writes(cpu)) == {  # type: ignore[arg-type]
        "cpu.shares": "512",
        "cpu.cfs_period_us": "200000",
        "cpu.cfs_quota_us": "50000",
        "cpu.cfs_burst_us": "10",
        "cpu.idle": "1",
        "cpuset.cpus": "0-1",
    }
    assert list(files(limits.v1_writes(cpu)))[1:3] == ["cpu.cfs_period_us", "cpu.cfs_quota_us"]  # type: ignore[arg-type]
    assert files(limits.v2_writes(cpu)) == {  # type: ignore[arg-type]
        "cpu.weight": "59",
        "cpu.max": "50000 200000",
        "cpu.max.burst": "10",
        "cpu.idle": "1",
        "cpuset.cpus": "0-1",
    }
    assert files(limits.v2_writes({"cpu": {"quota": -1}})) == {"cpu.max": "max 100000"}


def test_memory_on_v1_in_all_its_fields() -> None:
    memory: Any = {
        "limit": 10,
        "swap": 20,
        "reservation": 5,
        "kernelTCP": 3,
        "swappiness": 60,
        "disableOOMKiller": True,
    }
    assert files(
        limits.v1_writes({"memory": memory | {"disableOOMKiller": True, "useHierarchy": True, "kernel": 7}})
    ) == {
        "memory.limit_in_bytes": "10",
        "memory.memsw.limit_in_bytes": "20",
        "memory.soft_limit_in_bytes": "5",
        "memory.kmem.tcp.limit_in_bytes": "3",
        "memory.swappiness": "60",
        "memory.oom_control": "1",
        "memory.use_hierarchy": "1",
    }


def test_realtime_limits_are_v1s_alone() -> None:
    writes = limits.v1_writes({"cpu": {"realtimeRuntime": 10, "realtimePeriod": 20}})
    assert [(file, value) for _, file, value, _ in writes] == [("cpu.rt_period_us", "20"), ("cpu.rt_runtime_us", "10")]
    with pytest.raises(InvalidArgument):
        limits.v2_writes({"cpu": {"realtimePeriod": 20}})


def test_leaf_weights_are_v1s_alone() -> None:
    block: Any = {"leafWeight": 30, "weightDevice": [{"major": 8, "minor": 0, "leafWeight": 40}]}
    written = files(limits.v1_writes({"blockIO": block}))
    assert written == {"blkio.leaf_weight": "30", "blkio.leaf_weight_device": "8:0 40"}
    with pytest.raises(InvalidArgument):
        limits.v2_writes({"blockIO": block})


@pytest.mark.parametrize(("limit", "written"), [(-1, "max"), (0, "max"), (7, "7")])
def test_pids(limit: int, written: str) -> None:
    for writes in (limits.v1_writes, limits.v2_writes):
        assert files(writes({"pids": {"limit": limit}})) == {"pids.max": written}


def test_block_io_on_both_versions() -> None:
    block = {
        "blockIO": {
            "weight": 500,
            "weightDevice": [{"major": 8, "minor": 0, "weight": 10}],
            "throttleReadBpsDevice": [{"major": 8, "minor": 0, "rate": 1024}],
            "throttleWriteIOPSDevice": [{"major": 8, "minor": 16, "rate": 7}],
        }
    }
    assert files(limits.v1_writes(block)) == {  # type: ignore[arg-type]
        "blkio.weight": "500",
        "blkio.weight_device": "8:0 10",
        "blkio.throttle.read_bps_device": "8:0 1024",
        "blkio.throttle.write_iops_device": "8:16 7",
    }
    v2 = [(file, value) for _, file, value, _ in limits.v2_writes(block)]  # type: ignore[arg-type]
    assert v2 == [
        ("io.weight", "default 4950"),
        ("io.weight", "8:0 1"),
        ("io.max", "8:0 rbps=1024"),
        ("io.max", "8:16 wiops=7"),
    ]
    assert files(limits.v1_writes({"blockIO": {"weight": 100}}, bfq=True)) == {"blkio.bfq.weight": "100"}


def test_the_ends_of_the_weight_scales_meet() -> None:
    assert [limits.io_weight(weight) for weight in (10, 1000)] == [1, 10000]


def test_the_rest_of_the_controllers() -> None:
    resources = {
        "hugepageLimits": [{"pageSize": "2MB", "limit": 9}],
        "rdma": {"mlx5": {"hcaHandles": 2, "hcaObjects": 20}},
        "network": {"classID": 1048577, "priorities": [{"name": "lo", "priority": 5}]},
    }
    assert files(limits.v1_writes(resources)) == {  # type: ignore[arg-type]
        "hugetlb.2MB.limit_in_bytes": "9",
        "hugetlb.2MB.rsvd.limit_in_bytes": "9",
        "rdma.max": "mlx5 hca_handle=2 hca_object=20",
        "net_cls.classid": "1048577",
        "net_prio.ifpriomap": "lo 5",
    }


@pytest.mark.parametrize(
    "resources",
    [
        {"network": {"classID": 1}},
        {"cpu": {"realtimeRuntime": 1}},
        {"blockIO": {"leafWeight": 10}},
        {"unified": {"../memory.max": "1"}},
        {"unified": {"memory": "1"}},
    ],
)
def test_what_v2_cannot_enforce_is_refused(resources: dict[str, object]) -> None:
    with pytest.raises(InvalidArgument) as caught:
        limits.v2_writes(resources)  # type: ignore[arg-type]
    assert caught.value.place.startswith("/linux/resources/")


def test_unified_comes_last_and_only_on_v2() -> None:
    writes = limits.v2_writes(
        {"memory": {"limit": 5}, "unified": {"memory.max": "9", "io.max": "8:0 rbps=1\n8:1 rbps=2"}}
    )
    assert [value for _, file, value, _ in writes if file == "memory.max"] == ["5", "9"]
    assert [value for _, file, value, _ in writes if file == "io.max"] == ["8:0 rbps=1", "8:1 rbps=2"]
    with pytest.raises(InvalidArgument):
        limits.v1_writes({"unified": {"memory.high": "1"}})


def test_lost_limits_are_told() -> None:
    assert limits.warnings({"memory": {"kernel": 5}}, 1)
    assert len(limits.warnings({"memory": {"kernel": 5, "swappiness": 60, "disableOOMKiller": True}}, 2)) == 3
    assert limits.warnings({"memory": {"limit": 5}}, 2) == []
