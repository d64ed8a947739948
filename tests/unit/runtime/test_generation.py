"""generate: each flag changes the field it is about, and what comes out is valid."""

import json
from typing import Any

import pytest

from corten.model.errors import InvalidArgument
from corten.runtime.generation import EDITS, generated

SAMPLES: dict[str, tuple[list[str], Any]] = {
    "oci-version": (["1.1.0"], "1.1.0"),
    "rootfs-readonly": (["true"], True),
    "label": (["a=b"], {"a": "b"}),
    "args": (["sleep", "7"], ["sleep", "7"]),
    "process-uid": (["7"], 7),
    "process-groups": (["7", "8"], [7, 8]),
    "process-consolesize": (["80:24"], {"width": 80, "height": 24}),
    "linux-oom-score-adj": (["-5"], -5),
    "linux-mem-limit": (["0x100000"], 1 << 20),
    "linux-cpus": (["0-1"], "0-1"),
    "linux-sysctl": (["net.ipv4.ip_forward=1"], {"net.ipv4.ip_forward": "1"}),
    "hooks-prestart-add": (['{"path": "/bin/hook"}'], [{"path": "/bin/hook"}]),
    "linux-device-add": (['{"path": "/dev/x", "type": "c"}'], [{"path": "/dev/x", "type": "c"}]),
}


def field(spec: Any, path: str) -> Any:
    for name in path.split("."):
        spec = spec[name]
    return spec


@pytest.mark.parametrize("name", SAMPLES)
def test_a_flag_sets_its_field(name: str) -> None:
    texts, value = SAMPLES[name]
    assert field(generated({name: texts}), EDITS[name][0]) == value


def test_a_variable_that_is_there_is_replaced() -> None:
    env = field(generated({"env": ["TERM=dumb", "A=1"]}), "process.env")
    assert [entry for entry in env if entry.startswith(("TERM=", "A="))] == ["TERM=dumb", "A=1"]


def test_capabilities_are_dropped_and_added_in_all_sets() -> None:
    spec: Any = generated({"process-cap-drop-all": ["true"], "process-cap-add": ["CAP_CHOWN,CAP_KILL"]})
    assert set(map(tuple, spec["process"]["capabilities"].values())) == {("CAP_CHOWN", "CAP_KILL")}
    assert len(spec["process"]["capabilities"]) == 5


def test_namespaces_are_removed_added_and_replaced() -> None:
    spec: Any = generated({"linux-namespace-remove": ["uts"], "linux-namespace-add": ["network:/run/x", "time"]})
    kinds = {one["type"]: one.get("path") for one in spec["linux"]["namespaces"]}
    assert "uts" not in kinds
    assert (kinds["network"], kinds["time"]) == ("/run/x", None)


def test_id_mappings_bring_their_namespace() -> None:
    spec: Any = generated({"linux-uidmappings": ["1000:0:10"], "linux-gidmappings": ["1000:0:10"]})
    assert spec["linux"]["uidMappings"] == [{"hostID": 1000, "containerID": 0, "size": 10}]
    assert {"type": "user"} in spec["linux"]["namespaces"]


def test_mounts_and_limits() -> None:
    mount = {"destination": "/d", "type": "tmpfs"}
    spec: Any = generated(
        {
            "mounts-remove": ["/sys"],
            "mounts-add": [json.dumps(mount)],
            "process-rlimits-add": ["RLIMIT_NOFILE:9:8"],
        }
    )
    assert spec["mounts"][-1] == mount
    assert not [one for one in spec["mounts"] if one["destination"] == "/sys"]
    assert spec["process"]["rlimits"] == [{"type": "RLIMIT_NOFILE", "hard": 9, "soft": 8}]


@pytest.mark.parametrize(
    "flags",
    [
        {"process-uid": ["root"]},
        {"label": ["novalue"]},
        {"mounts-add": ["{"]},
        {"process-rlimits-add": ["RLIMIT_NOFILE"]},
        {"linux-uidmappings": ["1:2"]},
        {"oci-version": ["2.0.0"]},
        {"process-cwd": ["relative"]},
    ],
)
def test_a_wrong_value_is_refused(flags: dict[str, list[str]]) -> None:
    with pytest.raises(InvalidArgument):
        generated(flags)


def test_a_template_is_the_beginning() -> None:
    spec = generated({"hostname": ["x"]}, {"ociVersion": "1.0.0"})
    assert spec == {"ociVersion": "1.0.0", "hostname": "x"}
