"""What is asked is merged with the image, checked in Docker's words, and completed with Docker's defaults."""

import pytest

from corten.engine import merging, mountspec, names, signals, validation
from corten.model.container import (
    BindOptions,
    ContainerConfig,
    DeviceRequest,
    HealthConfig,
    HostConfig,
    LogConfig,
    Mount,
    PortBinding,
    RestartPolicy,
    TmpfsOptions,
)
from corten.model.errors import CortenError, InvalidArgument, Unimplemented
from corten.model.image import Healthcheck, RunConfig
from corten.spec.resources import HostLimits

LIMITS = HostLimits(cpus=2, cpuset="0-1", mems="0")
IMAGE = RunConfig(entrypoint=["/entry"], cmd=["a"], env=["A=image", "B=image"], labels={"l": "image"}, user="app")


def test_the_users_entrypoint_discards_the_images_command() -> None:
    merged = merging.merge(ContainerConfig(entrypoint=("sh",)), IMAGE)
    assert (merged.entrypoint, merged.cmd) == (("sh",), None)


def test_the_users_command_keeps_the_images_entrypoint() -> None:
    merged = merging.merge(ContainerConfig(cmd=("b",)), IMAGE)
    assert (merged.entrypoint, merged.cmd) == (("/entry",), ("b",))


def test_an_empty_entrypoint_resets_the_images() -> None:
    merged = merging.merge(ContainerConfig(entrypoint=("",), cmd=("b",)), IMAGE)
    assert (merged.entrypoint, merged.cmd) == (None, ("b",))


def test_nothing_to_run_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="no command specified"):
        merging.merge(ContainerConfig(), RunConfig())


def test_variables_and_labels_of_both_sides_are_united_and_the_user_wins() -> None:
    merged = merging.merge(ContainerConfig(env=("A=mine",), labels={"m": "1"}), IMAGE)
    assert merged.env == ("A=mine", "B=image")
    assert merged.labels == {"l": "image", "m": "1"}
    assert merged.user == "app"


def test_a_probe_takes_what_it_lacks_from_the_image() -> None:
    image = RunConfig(cmd=["x"], healthcheck=Healthcheck(test=["CMD", "t"], interval=5, retries=2))
    merged = merging.merge(ContainerConfig(healthcheck=HealthConfig(interval=9)), image)
    assert merged.healthcheck == HealthConfig(test=("CMD", "t"), interval=9, retries=2)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (ContainerConfig(working_dir="x"), "the working directory 'x' is invalid, it needs to be an absolute path"),
        (ContainerConfig(env=("=x",)), "invalid environment variable: =x"),
        (ContainerConfig(stop_signal="NOPE"), "invalid signal: NOPE"),
        (ContainerConfig(healthcheck=HealthConfig(interval=5)), "Interval in Healthcheck cannot be less than 1ms"),
        (ContainerConfig(exposed_ports={"80/icmp": {}}), "invalid proto: icmp"),
    ],
)
def test_impossible_configurations_are_refused(config: ContainerConfig, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        validation.check(config, HostConfig(), LIMITS)


@pytest.mark.parametrize(
    ("host", "message"),
    [
        (HostConfig(restart_policy=RestartPolicy("sometimes")), "unknown policy 'sometimes'"),
        (HostConfig(restart_policy=RestartPolicy("always", 3)), "can only be used with 'on-failure'"),
        (HostConfig(auto_remove=True, restart_policy=RestartPolicy("always")), "can't create 'AutoRemove' container"),
        (HostConfig(log_config=LogConfig("syslog")), "no log driver named 'syslog' is registered"),
        (HostConfig(log_config=LogConfig("json-file", {"x": "1"})), "unknown log opt 'x' for json-file log driver"),
        (HostConfig(log_config=LogConfig("local", {"labels": "1"})), "unknown log opt 'labels' for local log driver"),
        (HostConfig(log_config=LogConfig("json-file", {"compress": "true"})), "compressing rotated logs is not built"),
        (HostConfig(log_config=LogConfig("local", {"compress": "perhaps"})), "invalid value for compress"),
        (HostConfig(uts_mode="x"), "invalid UTS mode: x"),
        (HostConfig(ipc_mode="x"), "invalid IPC mode: x"),
        (HostConfig(pid_mode="container:"), "invalid container format container:<name|id>"),
        (HostConfig(shm_size=-1), "SHM size can not be less than 0"),
        (HostConfig(oom_score_adj=1001), r"range for oom score adj is \[-1000, 1000\]"),
        (HostConfig(cap_add=("NOPE",)), 'invalid capability: "CAP_NOPE"'),
        (HostConfig(port_bindings={"80/tcp": (PortBinding("", "x"),)}), 'invalid port specification: "x"'),
        (HostConfig(extra_hosts=("x",)), 'bad format for add-host: "x"'),
        (HostConfig(storage_opt={"size": "1"}), "storage-opt is supported only"),
        (HostConfig(device_requests=(DeviceRequest(capabilities=(("gpu",),)),)), r"with capabilities: \[\[gpu\]\]"),
        (HostConfig(network_mode="container:x", dns=("1.1.1.1",)), "conflicting options: dns and the network mode"),
        (HostConfig(tmpfs={"/x": "bind"}), "invalid tmpfs option"),
    ],
)
def test_impossible_hosts_are_refused(host: HostConfig, message: str) -> None:
    with pytest.raises(CortenError, match=message):
        validation.check(ContainerConfig(), host, LIMITS)


def test_defaults_are_filled_in_as_inspect_shows_them() -> None:
    host = validation.settled(HostConfig(memory=8 << 20, pids_limit=-1), cgroup_private=False)
    assert (host.network_mode, host.ipc_mode, host.cgroupns_mode) == ("bridge", "private", "host")
    assert (host.memory_swap, host.shm_size, host.pids_limit) == (16 << 20, 64 << 20, None)
    assert host.log_config == LogConfig("json-file", {})
    assert "/proc/kcore" in (host.masked_paths or ())


def test_a_privileged_container_hides_nothing() -> None:
    assert validation.settled(HostConfig(privileged=True), cgroup_private=True).masked_paths == ()


@pytest.mark.parametrize(
    ("text", "type_", "source", "name", "rw"),
    [
        ("/a:/b", "bind", "/a", "", True),
        ("/a:/b:ro,rslave", "bind", "/a", "", False),
        ("vol:/b", "volume", "", "vol", True),
        ("vol:/b:nocopy", "volume", "", "vol", True),
    ],
)
def test_bind_strings(text: str, type_: str, source: str, name: str, rw: bool) -> None:
    point = mountspec.parse_bind(text)
    assert (point.type, point.source, point.name, point.rw, point.destination) == (type_, source, name, rw, "/b")
    assert point.copy_up == (type_ == "volume" and "nocopy" not in text)


@pytest.mark.parametrize(
    "text", ["", "a", "/a", ":/b", "/a:", "/a:b", "/a:/", "/a:/b:x", "/a:/b:ro,rw", "a:b:c:d", "/a:/b:nocopy"]
)
def test_other_bind_strings_are_refused(text: str) -> None:
    with pytest.raises(InvalidArgument):
        mountspec.parse_bind(text)


@pytest.mark.parametrize(
    ("mount", "message"),
    [
        (Mount(type="bind", target="/b"), "field Source must not be empty"),
        (Mount(type="bind", source="a", target="/b"), "'a' mount path must be absolute"),
        (Mount(type="volume", target=""), "field Target must not be empty"),
        (Mount(type="volume", target="/"), "destination can't be '/'"),
        (Mount(type="bind", source="/a", target="/b", tmpfs_options=TmpfsOptions()), "field TmpfsOptions must not"),
        (Mount(type="nope", target="/b"), "mount type unknown"),
        (Mount(type="bind", source="/a", target="/b", bind_options=BindOptions(propagation="x")), "invalid prop"),
    ],
)
def test_impossible_mounts_are_refused(mount: Mount, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        mountspec.from_mounts((mount,))


def test_image_mounts_say_that_they_are_not_built() -> None:
    with pytest.raises(Unimplemented):
        mountspec.from_mounts((Mount(type="image", target="/b"),))


def test_a_destination_asked_for_twice_is_refused_but_wins_over_a_bare_volume() -> None:
    config = ContainerConfig(volumes={"/b": {}, "/c": {}})
    points = mountspec.requested(config, HostConfig(binds=("/a:/b",)), ())
    assert [(p.type, p.destination, p.anonymous) for p in points] == [("bind", "/b", False), ("volume", "/c", True)]
    with pytest.raises(InvalidArgument, match="Duplicate mount point: /b"):
        mountspec.requested(config, HostConfig(binds=("/a:/b", "/d:/b")), ())


@pytest.mark.parametrize(("text", "number"), [("TERM", 15), ("sigkill", 9), ("9", 9), ("RTMIN+3", 37), ("RTMAX-1", 63)])
def test_signals(text: str, number: int) -> None:
    assert signals.number(text) == number


@pytest.mark.parametrize("text", ["", "0", "65", "TERM+1", "SIG", "RTMIN+99", "-9"])
def test_other_signals_are_refused(text: str) -> None:
    with pytest.raises(InvalidArgument):
        signals.number(text)


def test_names_are_checked_and_made_up() -> None:
    assert names.check("/web-1") == "web-1"
    for wrong in ("", "a", "-a", "a b", "a/b", "ä1"):
        with pytest.raises(InvalidArgument, match="Invalid container name"):
            names.check(wrong)
    made = names.generate((), "abc")
    assert names.check(made) == made


def test_a_made_up_name_is_free_even_when_all_are_taken() -> None:
    class All:
        def __contains__(self, _: object) -> bool:
            return True

    assert names.generate(All(), "0123456789abcdef").endswith("_0123456789ab")
