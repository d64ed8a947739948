"""Properties of compiled plans, over machines and over random configurations."""

import json
import subprocess
import sys
from errno import ENOENT
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from corten.kernel.capabilities import mask
from corten.model.errors import CortenError, InvalidArgument
from corten.plan import LaunchPlan, Step, check, encode
from corten.plan.control import ERROR, Message, failure
from corten.runtime import Options, compile
from corten.runtime.template import config
from corten.runtime.validation import paths, validate
from tests.unit.runtime.hosts import HYBRID, V1, V2, host


def fresh(**changes: Any) -> Any:
    spec = json.loads(json.dumps(config()))
    spec["process"]["terminal"] = False
    spec["linux"]["cgroupsPath"] = "/box"
    return spec | changes


def compiled(spec: Any, on: Any = None, **options: Any) -> tuple[LaunchPlan, list[str]]:
    warnings: list[str] = []
    plan = compile(spec, on or host(), bundle="/b", id="box", options=Options(**options), warnings=warnings)
    return plan, warnings


def rows(plan: LaunchPlan, op: str) -> list[Step]:
    return [step for step in plan.steps if step.op == op]


def test_compiling_imports_nothing_heavy() -> None:
    heavy = "msgspec asyncio dataclasses re enum pathlib ctypes subprocess json inspect typing socket"
    code = (
        "from corten.runtime import compile; from corten.kernel.probe import Host; import corten.runtime.container;"
        f"import corten.runtime.command.lifecycle; print([m for m in {heavy!r}.split() if m in sys.modules])"
    )
    source = str(sys.modules["corten"].__path__[0]).removesuffix("/corten")
    argv = [sys.executable, "-IS", "-c", f"import sys; sys.path.insert(0, {source!r}); {code}"]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("layout", [V1, HYBRID, V2], ids=["v1", "hybrid", "v2"])
def test_a_capability_the_machine_lacks_is_left_out_and_told(layout: Any) -> None:
    spec = fresh()
    sets = {kind: ["CAP_SYS_RESOURCE", "CAP_KILL", "CAP_TO_FLY"] for kind in ("bounding", "permitted", "effective")}
    spec["process"]["capabilities"] = sets
    plan, warnings = compiled(spec, host(layout, without=mask(["CAP_SYS_RESOURCE"])))
    assert rows(plan, "bounding")[0].args == (mask(["CAP_KILL"]),)
    assert any("CAP_SYS_RESOURCE" in one for one in warnings)
    assert any("CAP_TO_FLY" in one for one in warnings)


def test_a_limit_above_the_hard_one_is_lowered_and_told_where_root_may_not_raise_it() -> None:
    spec = fresh()
    spec["process"]["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 1 << 20, "hard": 1 << 20}]
    plan, warnings = compiled(spec, host(without=mask(["CAP_SYS_RESOURCE"])))
    assert rows(plan, "rlimit")[0].args == (7, 20000, 20000)
    assert len(warnings) == 1
    assert rows(compiled(spec)[0], "rlimit")[0].args == (7, 1 << 20, 1 << 20)


def test_the_filter_stands_directly_before_exec() -> None:
    spec = fresh()
    spec["linux"]["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": []}
    for no_new in (True, False):
        spec["process"]["noNewPrivileges"] = no_new
        plan, _ = compiled(spec)
        assert [step.op for step in plan.steps[-3:]] == ["close-from", "seccomp", "exec"]


def test_a_deadline_schedule_reaches_its_row() -> None:
    spec = fresh()
    spec["process"]["scheduler"] = {
        "policy": "SCHED_DEADLINE",
        "flags": ["SCHED_FLAG_RESET_ON_FORK", "SCHED_FLAG_DL_OVERRUN"],
        "runtime": 1,
        "deadline": 2,
        "period": 3,
    }
    assert rows(compiled(spec)[0], "scheduler")[0].args == (6, 5, 0, 0, 1, 2, 3)


def test_a_priority_is_for_realtime_policies_only() -> None:
    spec = fresh()
    spec["process"]["scheduler"] = {"policy": "SCHED_RR", "priority": 7}
    assert rows(compiled(spec)[0], "scheduler")[0].args[:4] == (2, 0, 0, 7)
    spec["process"]["scheduler"]["policy"] = "SCHED_BATCH"
    with pytest.raises(InvalidArgument):
        compiled(spec)


def test_memory_policy_flags_join_the_mode() -> None:
    spec = fresh()
    policy = {"mode": "MPOL_INTERLEAVE", "nodes": "0,2-3", "flags": ["MPOL_F_STATIC_NODES"]}
    spec["linux"]["memoryPolicy"] = policy
    assert rows(compiled(spec)[0], "mempolicy")[0].args == (3 | 1 << 15, (0b1101).to_bytes(8, "little"))
    policy["flags"] = ["MPOL_F_MAGIC"]
    with pytest.raises(InvalidArgument):
        compiled(spec)


def test_intel_rdt_makes_a_group_where_there_is_resctrl() -> None:
    spec, on = fresh(), host()
    on.resctrl = "/sys/fs/resctrl"
    spec["linux"]["intelRdt"] = {
        "closID": "guaranteed",
        "l3CacheSchema": "L3:0=f",
        "memBwSchema": "MB:0=50",
        "schemata": ["L2:0=3"],
        "enableMonitoring": True,
    }
    plan, _ = compiled(spec, on)
    made = [step.args[0] for step in rows(plan, "mkdir") if str(step.args[0]).startswith("/sys/fs/resctrl")]
    assert made == ["/sys/fs/resctrl/guaranteed", "/sys/fs/resctrl/guaranteed/mon_groups/box"]
    written = [step.args[2] for step in rows(plan, "write-at") if step.args[0] == "resctrl"]
    assert written == [b"L3:0=f\n", b"MB:0=50\n", b"L2:0=3\n"]
    assert [step.args for step in rows(plan, "attach-cgroup") if step.args[0] == "resctrl"] == [("resctrl", "tasks")]
    spec["linux"]["intelRdt"]["closID"] = "../.."
    with pytest.raises(InvalidArgument):
        compiled(spec, on)


def test_a_v2_cgroup_is_given_to_the_root_of_a_user_namespace_that_can_use_it() -> None:
    spec = fresh()
    spec["linux"]["namespaces"].append({"type": "user"})
    spec["linux"]["uidMappings"] = spec["linux"]["gidMappings"] = [{"containerID": 0, "hostID": 5000, "size": 10}]
    assert rows(compiled(spec)[0], "chown-at") == []  # its cgroup mount is read-only
    [mount] = [one for one in spec["mounts"] if one["type"] == "cgroup"]
    mount["options"].remove("ro")
    given = [step.args for step in rows(compiled(spec)[0], "chown-at")]
    assert given[0] == ("cgroup-unified", "", 5000, -1)
    assert {name for _, name, _, _ in given[1:]} == {"cgroup.procs", "cgroup.subtree_control", "cgroup.threads"}


def test_the_ending_of_a_limit_that_no_cgroup_passes_on_says_where_to_look() -> None:
    spec = fresh()
    spec["linux"]["cgroupsPath"] = "/here/box"
    spec["linux"]["resources"] = {"memory": {"limit": 1 << 24}}
    plan, _ = compiled(spec, host(V2))
    row = next(n for n, step in enumerate(plan.steps) if step.op == "write-at" and step.args[1] == "memory.max")
    error = failure(plan, Message(ERROR, row, ENOENT, 0, "openat"))
    assert (error.place, "/here/box" in error.message) == ("/linux/resources/memory/limit", True)
    assert "cgroup.subtree_control" in error.hint


def test_swap_that_is_not_wanted_or_not_limited_needs_no_file_for_it() -> None:
    for swap, ignored in ((1 << 24, True), (-1, True), (1 << 25, False)):
        spec = fresh()
        spec["linux"]["resources"] = {"memory": {"limit": 1 << 24, "swap": swap}}
        [row] = [step for step in rows(compiled(spec, host(V2))[0], "write-at") if step.args[1] == "memory.swap.max"]
        assert (ENOENT in row.accept) is ignored


def test_cgroup_paths_are_stable_and_stay_below_their_mount() -> None:
    from corten.runtime.compiler.control_groups import place

    assert place("", "box") == "box"
    assert place("/a//b/./c/", "box") == "/a/b/c"
    assert place("/a/../../../etc", "box") == "/etc"
    assert place("../../x", "box") == "x"


NAMESPACES = ["pid", "network", "ipc", "uts", "mount", "cgroup", "user", "time"]
MOUNT = st.fixed_dictionaries(
    {
        "destination": st.sampled_from(["/data", "/a/b", "/dev/x", "/proc/y", "/etc/hosts"]),
        "type": st.sampled_from(["bind", "tmpfs", "proc", "sysfs", "mqueue", "devpts", "cgroup"]),
        "source": st.sampled_from(["/src", "relative", "tmpfs"]),
        "options": st.lists(
            st.sampled_from(["ro", "rbind", "bind", "nosuid", "rslave", "rro", "size=1k", "sync"]), max_size=4
        ),
    }
)
SPECS = st.fixed_dictionaries(
    {
        "namespaces": st.sets(st.sampled_from(NAMESPACES)).map(lambda kinds: sorted({*kinds, "mount"})),
        "mounts": st.lists(MOUNT, max_size=5),
        "uid": st.sampled_from([0, 1000]),
        "noNewPrivileges": st.booleans(),
        "seccomp": st.booleans(),
        "terminal": st.booleans(),
        "readonly": st.booleans(),
        "hooks": st.sets(st.sampled_from(["prestart", "createRuntime", "createContainer", "startContainer"])),
        "layout": st.sampled_from([V1, HYBRID, V2]),
        "euid": st.sampled_from([0, 1000]),
        "sysctl": st.booleans(),
        "preserve": st.lists(st.integers(3, 12), unique=True, max_size=3),
        "pivot": st.booleans(),
    }
)


def random_spec(draft: dict[str, Any]) -> Any:
    spec = fresh()
    kinds = draft["namespaces"]
    spec["linux"]["namespaces"] = [{"type": kind} for kind in kinds]
    spec["mounts"] += draft["mounts"]
    spec["process"] |= {"user": {"uid": draft["uid"], "gid": 5}, "terminal": draft["terminal"]}
    spec["process"]["noNewPrivileges"] = draft["noNewPrivileges"]
    spec["root"]["readonly"] = draft["readonly"]
    spec["hooks"] = {kind: [{"path": "/bin/hook"}] for kind in draft["hooks"]}
    if "uts" not in kinds:
        del spec["hostname"]
    if "user" in kinds:
        ids = [{"containerID": 0, "hostID": draft["euid"] or 100000, "size": 1 if draft["euid"] else 65536}]
        spec["linux"] |= {"uidMappings": ids, "gidMappings": ids}
    if draft["seccomp"]:
        spec["linux"]["seccomp"] = {
            "defaultAction": "SCMP_ACT_ALLOW",
            "syscalls": [{"names": ["mount"], "action": "SCMP_ACT_KILL"}],
        }
    if draft["sysctl"] and "network" in kinds:
        spec["linux"]["sysctl"] = {"net.ipv4.ip_forward": "1"}
    return spec


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(SPECS)
def test_every_plan_of_a_random_configuration_obeys_the_rules_and_fits_the_wire(draft: dict[str, Any]) -> None:
    spec = random_spec(draft)
    validate(spec)
    on = host(draft["layout"], euid=draft["euid"])
    options = {"console": True, "preserve": draft["preserve"], "pivot": draft["pivot"], "listener": True}
    try:
        plan, _ = compiled(spec, on, cgroup_fallback=bool(draft["euid"]), **options)
    except InvalidArgument as error:
        place = error.place
        assert place, error.message  # noqa: PT017 refusing is one of two right outcomes
        return
    assert [str(one) for one in check(plan)] == []
    encode(plan)


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 65), 1 << 65) | st.text(max_size=3) | st.just("/x"),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=3), below, max_size=3),
    max_leaves=5,
)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_wrong_value_anywhere_is_a_clear_error_or_harmless(data: st.DataObject) -> None:
    """Hostile JSON: any field replaced by anything gives an error of ours with a place, or compiles."""
    spec = fresh()
    field = data.draw(st.sampled_from(paths()))
    here: Any = spec
    *parents, last = field.replace("[]", ".0").replace("*", "key").split(".")
    for name in parents:
        step = data.draw(JUNK) if name == "0" and not isinstance(here, list) else None
        if isinstance(here, list):
            here[:] = here or [{}]
            here = here[0]
            continue
        if not isinstance(here, dict):
            return
        here = here.setdefault(name, [] if step else {})
    if isinstance(here, dict):
        here[last] = data.draw(JUNK)
    elif isinstance(here, list):
        here.insert(0, data.draw(JUNK))
    try:
        validate(spec)
        encode(compiled(spec, console=True)[0])
    except CortenError as error:
        assert error.message  # noqa: PT017 refusing is one of two right outcomes


def test_null_means_absent() -> None:
    spec = fresh(hooks=None, annotations=None)
    spec["linux"]["resources"] = {"memory": None, "devices": None}
    validate(spec)
    assert "hooks" not in spec
    assert spec["linux"]["resources"] == {}


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"ociVersion": None}, "/ociVersion"),
        ({"ociVersion": "one"}, "/ociVersion"),
        ({"mounts": [{"destination": 5}]}, "/mounts/0/destination"),
        ({"mounts": {}}, "/mounts"),
        ({"process": {"cwd": "relative"}}, "/process/cwd"),
        ({"process": {"cwd": "/", "env": ["A=1", 2]}}, "/process/env/1"),
        ({"process": {"cwd": "/", "user": {"uid": 1 << 32, "gid": 0}}}, "/process/user/uid"),
        ({"annotations": {"": "x"}}, "/annotations"),
        ({"linux": {"sysctl": {"a/b~": 1}}}, "/linux/sysctl/a~1b~0"),
    ],
)
def test_a_wrong_shape_is_refused_with_its_pointer(change: dict[str, Any], place: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        validate(fresh(**change))
    assert caught.value.place == place


@pytest.mark.parametrize(
    ("source", "actor"), [("/srv/data", "child"), ("/proc/4711/fd/9", "host"), ("/proc/4711", "child")]
)
def test_a_handle_of_the_caller_is_cloned_where_its_mount_is(source: str, actor: str) -> None:
    """The caller keeps a volume's part open and names it so; in a new mount namespace that mount is a stranger's."""
    mount = {"type": "bind", "source": source, "destination": "/data", "options": ["rbind"]}
    plan, _ = compiled(fresh(mounts=[*fresh()["mounts"], mount]))
    (row,) = [step for step in rows(plan, "open-tree") if source in step.args]
    assert row.actor == actor


@pytest.mark.parametrize(
    ("field", "value", "facts", "path", "data"),
    [
        ("apparmorProfile", "corten-default", {"apparmor": True}, "self/attr/apparmor/exec", b"exec corten-default"),
        (
            "apparmorProfile",
            "corten-default",
            {"apparmor": True, "apparmor_file": "attr/exec"},
            "self/attr/exec",
            b"exec corten-default",
        ),
        ("selinuxLabel", "u:r:t:s0", {"selinux": True}, "self/attr/exec", b"u:r:t:s0"),
    ],
)
def test_a_security_label_is_written_through_our_own_procfs(
    field: str, value: str, facts: dict[str, Any], path: str, data: bytes
) -> None:
    spec = fresh()
    spec["process"][field] = value
    on = host(**facts)
    plan = compile(spec, on, bundle="/bundle", id="box", options=Options(console=True))
    (row,) = [step for step in rows(plan, "write-proc") if step.origin == f"/process/{field}"]
    assert row.args == ("proc", path, data)
    made = [step for step in rows(plan, "new-mount") if step.slot == "proc"]
    assert len(made) == 1
    assert check(plan) == []


def test_a_mount_label_reaches_the_filesystems_that_take_one() -> None:
    spec = fresh()
    spec["linux"]["mountLabel"] = "u:r:t:s0"
    plan = compile(spec, host(selinux=True), bundle="/bundle", id="box", options=Options(console=True))
    labelled = {str(step.args[0]) for step in rows(plan, "new-mount") if "context" in step.args[1]}  # type: ignore[operator]
    assert {"tmpfs", "devpts", "mqueue"} <= labelled
    assert "proc" not in labelled
