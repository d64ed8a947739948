"""The systemd driver's pure half: units, slices and the properties that limits become."""

from typing import Any

import pytest

from corten.model.errors import InvalidArgument
from corten.plan import check, describe
from corten.runtime import Options, compile
from corten.runtime.systemd import Unit, annotated, properties, scope
from corten.runtime.template import config
from tests.unit.runtime.hosts import HYBRID, V1, V2, host

UNLIMITED = (1 << 64) - 1


@pytest.mark.parametrize(
    ("cgroups_path", "uid", "name", "path"),
    [
        ("machine-web.slice:corten:a", 0, "corten-a.scope", "/machine.slice/machine-web.slice/corten-a.scope"),
        (":docker:4f", 0, "docker-4f.scope", "/system.slice/docker-4f.scope"),
        ("a.slice::b", 0, "b.scope", "/a.slice/b.scope"),
        ("-.slice:x:b", 0, "x-b.scope", "/x-b.scope"),
        ("a.slice:x:b.slice", 0, "b.slice", "/a.slice/b.slice"),
        ("", 0, "corten-id.scope", "/system.slice/corten-id.scope"),
        ("", 7, "corten-id.scope", "/user.slice/user-7.slice/user@7.service/user.slice/corten-id.scope"),
    ],
)
def test_a_cgroups_path_names_a_unit_in_a_slice(cgroups_path: str, uid: int, name: str, path: str) -> None:
    unit = Unit.of(cgroups_path, "id", uid=uid)
    assert (unit.name, unit.path) == (name, path)


@pytest.mark.parametrize(
    "cgroups_path", ["/a/b", "a.slice:b", "a:b:c", "a/b.slice:x:y", "a--b.slice:x:y", "-a.slice:x:y", "a.slice:x:y/z"]
)
def test_what_names_no_unit_is_refused(cgroups_path: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        Unit.of(cgroups_path, "id", uid=0)
    assert caught.value.place == "/linux/cgroupsPath"


RESOURCES: Any = {
    "memory": {"limit": 64 << 20, "swap": 96 << 20, "reservation": 32 << 20},
    "cpu": {"shares": 1024, "quota": 15_000, "period": 100_000, "cpus": "0-2,8", "mems": "0"},
    "pids": {"limit": 7},
    "blockIO": {"weight": 500},
}


def test_limits_are_properties_of_version_2() -> None:
    assert dict(properties(RESOURCES, v2=True)) == {
        "MemoryMax": ("t", 64 << 20),
        "MemoryLow": ("t", 32 << 20),
        "MemorySwapMax": ("t", 32 << 20),
        "CPUWeight": ("t", 100),
        "CPUQuotaPeriodUSec": ("t", 100_000),
        "CPUQuotaPerSecUSec": ("t", 150_000),
        "AllowedCPUs": ("ay", [0b111, 1]),
        "AllowedMemoryNodes": ("ay", [1]),
        "TasksMax": ("t", 7),
        "IOWeight": ("t", 4950),
    }


def test_limits_are_properties_of_version_1() -> None:
    names = dict(properties(RESOURCES, v2=False))
    assert names["MemoryLimit"] == ("t", 64 << 20)
    assert names["CPUShares"] == ("t", 1024)
    assert names["BlockIOWeight"] == ("t", 500)
    assert not {"MemoryLow", "MemorySwapMax", "AllowedCPUs"} & set(names)


@pytest.mark.parametrize(
    ("resources", "name", "value"),
    [
        ({"memory": {"limit": -1}}, "MemoryMax", UNLIMITED),
        ({"pids": {"limit": -1}}, "TasksMax", UNLIMITED),
        ({"cpu": {"quota": -1}}, "CPUQuotaPerSecUSec", UNLIMITED),
        ({"cpu": {"quota": 1_050}}, "CPUQuotaPerSecUSec", 20_000),
        ({"cpu": {"idle": 1, "shares": 2}}, "CPUWeight", 0),
    ],
)
def test_no_limit_and_small_ones(resources: Any, name: str, value: int) -> None:
    assert dict(properties(resources, v2=True))[name] == ("t", value)


def test_annotations_add_properties() -> None:
    prefix = "org.systemd.property."
    given = {
        f"{prefix}CollectMode": "'inactive-or-failed'",
        f"{prefix}TimeoutStopSec": "uint64 7",
        f"{prefix}TasksMax": "uint64 0x10",
        f"{prefix}SendSIGHUP": "true",
        f"{prefix}After": "['a.service', \"b,c.service\"]",
        "other": "x",
    }
    assert annotated(given) == [
        ("CollectMode", ("s", "inactive-or-failed")),
        ("TimeoutStopUSec", ("t", 7_000_000)),
        ("TasksMax", ("t", 16)),
        ("SendSIGHUP", ("b", True)),
        ("After", ("as", ["a.service", "b,c.service"])),
    ]


@pytest.mark.parametrize(("name", "value"), [("A", "1"), ("No-Name", "1"), ("Good", "@a{sv} {}"), ("XSec", "'x'")])
def test_an_annotation_that_is_no_property_is_refused(name: str, value: str) -> None:
    with pytest.raises(InvalidArgument):
        annotated({f"org.systemd.property.{name}": value})


def test_a_scope_is_delegated_and_has_its_process() -> None:
    named = dict(scope(Unit.of("a.slice:x:y", "", uid=0), 42, {}, {}, v2=True))
    assert named["PIDs"] == ("au", [42])
    assert (named["Slice"], named["Delegate"]) == (("s", "a.slice"), ("b", True))
    assert named["DefaultDependencies"] == ("b", False)


@pytest.mark.parametrize("layout", [V1, HYBRID, V2], ids=["v1", "hybrid", "v2"])
def test_the_plan_waits_for_systemd_and_then_writes_what_a_unit_cannot_say(layout: Any) -> None:
    spec = config()
    spec["linux"]["cgroupsPath"] = "a.slice:x:web"
    spec["linux"]["resources"]["memory"] = {"limit": 1 << 20}
    plan = compile(spec, host(layout), bundle="/b", id="web", options=Options(systemd=True, console=True))
    assert check(plan) == []
    ops = [step.op for step in plan.steps]
    asked = ops.index("start-unit")
    assert ops.index("clone") < asked < ops.index("make-cgroup") < ops.index("write-at")
    assert plan.steps[asked - 1].op == "checkpoint"
    assert all(step.actor == "parent" for step in plan.steps if step.op in ("make-cgroup", "write-at"))
    assert "systemd starts x-web.scope in a.slice" in describe(plan)
