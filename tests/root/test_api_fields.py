"""Every field of ``POST /containers/create`` does what it says: asked over the API, seen from inside or outside.

Each row of `EFFECTS` names a field, a request that sets it, a command to run in the container, and what must be seen;
the rows of tests/claims.toml point here by the field's name.
"""

import os
import re
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from corten.client.connection import EngineError
from corten.client.engine import Engine as Client
from tests.root.engines import IMAGE, OTHER_HOST, eventually, unified_cgroups

UNIFIED = unified_cgroups()


class Effect(NamedTuple):
    """Run `command` in a container with `request` merged in; its output must match `seen`."""

    request: dict[str, Any]
    command: str
    seen: str


def host(command: str, seen: str, **request: Any) -> Effect:
    return Effect({"HostConfig": request}, command, seen)


def config(command: str, seen: str, **request: Any) -> Effect:
    return Effect(request, command, seen)


def cgroup(v1: str, v2: str, seen_v1: str, seen_v2: str, **request: Any) -> Effect:
    """A limit, read from the control group that the container itself sees."""
    command = f"cat /sys/fs/cgroup/{v2 if UNIFIED else v1}"
    return host(command, seen_v2 if UNIFIED else seen_v1, **request)


def mount(command: str, seen: str, **entry: Any) -> Effect:
    """One entry of HostConfig.Mounts, at /m."""
    return host(command, seen, Mounts=[{"Target": "/m", **entry}])


def throttled(v1: str, v2: str, **limit: int) -> Effect:
    """A limit of one block device, whichever the machine has."""
    ((name, rate),) = limit.items()
    device = next((path for path in sorted(Path("/dev").iterdir()) if path.is_block_device()), Path("/dev/null"))
    numbers = f"{os.major(device.stat().st_rdev)}:{os.minor(device.stat().st_rdev)}"
    request = {name: [{"Path": str(device), "Rate": rate}]}
    return cgroup(f"blkio/blkio.throttle.{v1}_device", "io.max", f"{numbers} {rate}", f".*{v2}={rate}.*", **request)


def own_namespace(kind: str) -> str:
    """The machine's namespace of a kind, which the engine shares with us."""
    return re.escape(os.readlink(f"/proc/self/ns/{kind}"))


EFFECTS: dict[str, Effect] = {
    "Hostname": config("hostname", "h1", Hostname="h1"),
    "Domainname": config("cat /proc/sys/kernel/domainname", "example.org", Domainname="example.org"),
    "User": config("id -u; id -g", "70\n70", User="postgres"),
    "Tty": config("test -t 1 && echo terminal", "terminal", Tty=True),
    "Env": config("echo $A-$B", "1-x y", Env=["A=1", "B=x y"]),
    "WorkingDir": config("pwd", "/made/here", WorkingDir="/made/here"),
    "Volumes": config("grep -c ' /vol ' /proc/mounts", "1", Volumes={"/vol": {}}),
    "NetworkDisabled": config("ls /sys/class/net", "lo", NetworkDisabled=True),
    "MacAddress": config("cat /sys/class/net/eth0/address", "02:42:0a:0b:0c:0d", MacAddress="02:42:0a:0b:0c:0d"),
    "HostConfig.Memory": cgroup("memory/memory.limit_in_bytes", "memory.max", "67108864", "67108864", Memory=64 << 20),
    "HostConfig.MemoryReservation": cgroup(
        "memory/memory.soft_limit_in_bytes", "memory.low", "33554432", "33554432", MemoryReservation=32 << 20
    ),
    "HostConfig.MemorySwap": cgroup(
        "memory/memory.memsw.limit_in_bytes",
        "memory.swap.max",
        "100663296",
        "33554432",
        Memory=64 << 20,
        MemorySwap=96 << 20,
    ),
    "HostConfig.CpuShares": cgroup("cpu/cpu.shares", "cpu.weight", "512", r"\d+", CpuShares=512),
    "HostConfig.CpuPeriod": cgroup("cpu/cpu.cfs_period_us", "cpu.max", "50000", "max 50000", CpuPeriod=50000),
    "HostConfig.CpuQuota": cgroup("cpu/cpu.cfs_quota_us", "cpu.max", "25000", "25000 100000", CpuQuota=25000),
    "HostConfig.NanoCpus": cgroup("cpu/cpu.cfs_quota_us", "cpu.max", "50000", "50000 100000", NanoCpus=500_000_000),
    "HostConfig.CpusetCpus": cgroup("cpuset/cpuset.cpus", "cpuset.cpus", "0", "0", CpusetCpus="0"),
    "HostConfig.CpusetMems": cgroup("cpuset/cpuset.mems", "cpuset.mems", "0", "0", CpusetMems="0"),
    "HostConfig.PidsLimit": cgroup("pids/pids.max", "pids.max", "33", "33", PidsLimit=33),
    "HostConfig.CgroupParent": host(
        "cat /proc/1/cgroup", r"(?s).*/corten-test-parent/.*", CgroupParent="/corten-test-parent"
    ),
    "HostConfig.Devices": host(
        "head -c 3 /dev/other | wc -c",
        "3",
        Devices=[{"PathOnHost": "/dev/zero", "PathInContainer": "/dev/other", "CgroupPermissions": "rwm"}],
    ),
    "HostConfig.DeviceCgroupRules": host(  # a device nobody has: allowed is "no such device", not "not permitted"
        "mknod /tmp/x c 240 0 && head -c 1 /tmp/x 2>&1",
        ".*No such device or address",
        DeviceCgroupRules=["c 240:0 rwm"],
    ),
    "HostConfig.Ulimits": host(
        "ulimit -Sn; ulimit -Hn", "100\n200", Ulimits=[{"Name": "nofile", "Soft": 100, "Hard": 200}]
    ),
    "HostConfig.Binds": host("ls -d /proc-of-host/1", "/proc-of-host/1", Binds=["/proc:/proc-of-host:ro"]),
    "HostConfig.NetworkMode": host("ls /sys/class/net", "lo", NetworkMode="none"),
    "HostConfig.CapAdd": host(
        "echo $((0x$(grep CapBnd /proc/self/status | cut -f2) >> 23 & 1))", "1", CapAdd=["SYS_NICE"]
    ),
    "HostConfig.CapDrop": host(
        "grep -E 'CapEff|CapBnd' /proc/self/status | grep -vc 0000000000000000", "0", CapDrop=["ALL"]
    ),
    "HostConfig.Dns": host("grep nameserver /etc/resolv.conf", "nameserver 10.9.8.7", Dns=["10.9.8.7"]),
    "HostConfig.DnsOptions": host("grep options /etc/resolv.conf", "options .*timeout:3.*", DnsOptions=["timeout:3"]),
    "HostConfig.DnsSearch": host("grep search /etc/resolv.conf", "search example.org", DnsSearch=["example.org"]),
    "HostConfig.ExtraHosts": host(
        "grep somewhere /etc/hosts", r"10\.1\.2\.3\s+somewhere", ExtraHosts=["somewhere:10.1.2.3"]
    ),
    "HostConfig.GroupAdd": host("id -G", r"0 .*\b4242\b.*", GroupAdd=["4242"]),
    "HostConfig.OomScoreAdj": host("cat /proc/self/oom_score_adj", "500", OomScoreAdj=500),
    "HostConfig.PidMode": host("readlink /proc/self/ns/pid", own_namespace("pid"), PidMode="host"),
    "HostConfig.IpcMode": host("readlink /proc/self/ns/ipc", own_namespace("ipc"), IpcMode="host"),
    "HostConfig.UTSMode": host("readlink /proc/self/ns/uts", own_namespace("uts"), UTSMode="host"),
    "HostConfig.Privileged": host(
        "grep -c ' /sys sysfs rw' /proc/mounts; test -e /dev/kmsg || test -e /dev/full && echo yes",
        "1\nyes",
        Privileged=True,
    ),
    "HostConfig.ReadonlyRootfs": host("touch /x 2>&1", ".*Read-only file system", ReadonlyRootfs=True),
    "HostConfig.SecurityOpt": host(
        "grep NoNewPrivs /proc/self/status", r"NoNewPrivs:\s*1", SecurityOpt=["no-new-privileges"]
    ),
    "HostConfig.Tmpfs": host(
        "grep ' /scratch ' /proc/mounts", ".*tmpfs.*noexec.*size=1024k.*", Tmpfs={"/scratch": "size=1m"}
    ),
    "HostConfig.ShmSize": host("grep ' /dev/shm ' /proc/mounts", ".*size=2048k.*", ShmSize=2 << 20),
    "HostConfig.Sysctls": host(
        "cat /proc/sys/net/ipv4/ip_default_ttl", "33", Sysctls={"net.ipv4.ip_default_ttl": "33"}
    ),
    "HostConfig.MaskedPaths": host("cat /etc/passwd | wc -c", "0", MaskedPaths=["/etc/passwd"]),
    "HostConfig.ReadonlyPaths": host("touch /etc/x 2>&1", ".*Read-only file system", ReadonlyPaths=["/etc"]),
    "HostConfig.Init": host("cat /proc/1/cmdline | tr '\\0' ' '", "(?s).*init.*", Init=True),
    "HostConfig.Mounts": host(
        "touch /m/x 2>&1; ls /m | grep -x share",
        "(?s).*Read-only file system.*share",
        Mounts=[{"Type": "bind", "Source": "/usr", "Target": "/m", "ReadOnly": True}],
    ),
    "TmpfsOptions": host(
        "grep ' /m ' /proc/mounts; stat -c %a /m",
        "(?s).*size=1024k.*700",
        Mounts=[{"Type": "tmpfs", "Target": "/m", "TmpfsOptions": {"SizeBytes": 1 << 20, "Mode": 0o700}}],
    ),
    "VolumeOptions.NoCopy": host(
        "ls /m | wc -l",
        "0",
        Mounts=[
            {"Type": "volume", "Target": "/etc/m", "VolumeOptions": {"NoCopy": True}},
            {"Type": "tmpfs", "Target": "/m"},
        ],
    ),
    "BindOptions.CreateMountpoint": host(
        "cat /made-for-me/../proc/mounts | grep -c made-for-me",
        "1",
        Mounts=[
            {
                "Type": "bind",
                "Source": "/tmp/corten-test-made",
                "Target": "/made-for-me",
                "BindOptions": {"CreateMountpoint": True},
            }
        ],
    ),
    "HostConfig.BlkioDeviceReadBps": throttled("read_bps", "rbps", BlkioDeviceReadBps=5 << 20),
    "HostConfig.BlkioDeviceWriteBps": throttled("write_bps", "wbps", BlkioDeviceWriteBps=5 << 20),
    "HostConfig.BlkioDeviceReadIOps": throttled("read_iops", "riops", BlkioDeviceReadIOps=100),
    "HostConfig.BlkioDeviceWriteIOps": throttled("write_iops", "wiops", BlkioDeviceWriteIOps=100),
    **(
        {}
        if UNIFIED  # neither exists in cgroup v2
        else {
            "HostConfig.MemorySwappiness": cgroup("memory/memory.swappiness", "", "10", "", MemorySwappiness=10),
            "HostConfig.OomKillDisable": cgroup(
                "memory/memory.oom_control", "", "(?s)oom_kill_disable 1.*", "", OomKillDisable=True, Memory=64 << 20
            ),
        }
    ),
    "HostConfig.UsernsMode": host("cat /proc/self/uid_map", r"0\s+0\s+\d+", UsernsMode="host"),
    "HostConfig.Runtime": host("echo runs", "runs", Runtime="runc"),
    "Mount.Consistency": mount("ls -d /m/share", "/m/share", Type="bind", Source="/usr", Consistency="cached"),
    "HostConfig.BlkioWeight": cgroup(
        "blkio/blkio*.weight", "io*.weight", "300", r"(default )?\d+(.|\n)*", BlkioWeight=300
    ),
    "BindOptions.ReadOnlyForceRecursive": mount(
        "grep ' /m' /proc/mounts | grep -vc ' ro,'",
        "0",
        Type="bind",
        Source="/dev",
        ReadOnly=True,
        BindOptions={"ReadOnlyForceRecursive": True, "Propagation": "rprivate"},
    ),
    "BindOptions.ReadOnlyNonRecursive": mount(
        "grep ' /m ' /proc/mounts | grep -c ' ro,'; grep ' /m/shm ' /proc/mounts | grep -q ' rw,' && echo below",
        "1\nbelow",
        Type="bind",
        Source="/dev",
        ReadOnly=True,
        BindOptions={"ReadOnlyNonRecursive": True},
    ),
    "TmpfsOptions.Options": mount(
        "grep ' /m ' /proc/mounts | grep -c noexec", "0", Type="tmpfs", TmpfsOptions={"Options": [["exec"]]}
    ),
    "BindOptions.Propagation": mount(
        "grep -c ' /m .*shared:' /proc/self/mountinfo",
        "0",
        Type="bind",
        Source="/usr",
        BindOptions={"Propagation": "private"},
    ),
    "BindOptions.NonRecursive": mount(
        "grep -c ' /m' /proc/mounts", "1", Type="bind", Source="/dev", BindOptions={"NonRecursive": True}
    ),
    "VolumeOptions.DriverConfig": mount(
        "grep -c '^tmpfs /m ' /proc/mounts",
        "1",
        Type="volume",
        VolumeOptions={"DriverConfig": {"Name": "local", "Options": {"type": "tmpfs", "device": "tmpfs"}}},
    ),
}


newer = pytest.mark.skipif(bool(OTHER_HOST), reason="newer than the other engine")
if OTHER_HOST:  # Docker 20.10 knows no CreateMountpoint, and no machine whose root lacks a capability
    del EFFECTS["BindOptions.CreateMountpoint"], EFFECTS["HostConfig.Privileged"]


def output(client: Client, request: dict[str, Any], command: str) -> str:
    """What `command` prints in a container made by `request`, which must end well."""
    container = client.containers.run({"Image": IMAGE, "Cmd": ["sh", "-c", command], **request})
    container.wait()
    out, err = container.logs()
    return (out + err).decode().replace("\r\n", "\n").strip()


@pytest.mark.parametrize("field", EFFECTS)
def test_a_field_of_create_has_its_effect(client: Client, field: str) -> None:
    effect = EFFECTS[field]
    seen = output(client, effect.request, effect.command)
    assert re.fullmatch(effect.seen, seen), seen


def test_cmd_and_entrypoint_make_the_command_line(client: Client) -> None:
    container = client.containers.run({"Image": IMAGE, "Entrypoint": ["echo", "-n"], "Cmd": ["a", "b"]})
    assert container.wait() == 0
    assert container.logs() == (b"a b", b"")


def test_an_open_stdin_keeps_a_reader_waiting(client: Client) -> None:
    waiting = client.containers.run({"Image": IMAGE, "Cmd": ["cat"], "OpenStdin": True})
    ended = client.containers.run({"Image": IMAGE, "Cmd": ["cat"]})
    assert ended.wait() == 0
    assert waiting.inspect()["State"]["Running"]


def test_stdin_once_closes_with_its_first_client(client: Client) -> None:
    container = client.containers.create({"Image": IMAGE, "Cmd": ["cat"], "OpenStdin": True, "StdinOnce": True})
    stream = container.attach()
    container.start()
    stream.sock.sendall(b"once")
    stream.close_write()
    assert container.wait() == 0
    assert container.logs()[0] == b"once"
    stream.close()


def test_stop_signal_and_timeout_rule_the_stop(client: Client) -> None:
    trap = "trap 'exit 5' USR2; trap '' TERM; echo up; while :; do sleep 0.05; done"
    asked = client.containers.run({"Image": IMAGE, "Cmd": ["sh", "-c", trap], "StopSignal": "SIGUSR2"})
    eventually(lambda: asked.logs()[0] == b"up\n")
    asked.stop()
    assert asked.wait() == 5
    deaf = client.containers.run({"Image": IMAGE, "Cmd": ["sh", "-c", trap], "StopTimeout": 1})
    eventually(lambda: deaf.logs()[0] == b"up\n")
    deaf.stop()
    assert deaf.wait() == 137


def test_a_health_check_turns_healthy_and_unhealthy(client: Client) -> None:
    quick = {"Interval": 200_000_000, "Timeout": 1_000_000_000, "Retries": 2, "StartPeriod": 0}
    well = client.containers.run(
        {"Image": IMAGE, "Cmd": ["sleep", "1000"], "Healthcheck": {"Test": ["CMD", "true"], **quick}}
    )
    ill = client.containers.run(
        {"Image": IMAGE, "Cmd": ["sleep", "1000"], "Healthcheck": {"Test": ["CMD-SHELL", "echo no; exit 1"], **quick}}
    )
    eventually(lambda: well.inspect()["State"]["Health"]["Status"] == "healthy")
    eventually(lambda: ill.inspect()["State"]["Health"]["Status"] == "unhealthy")
    health = ill.inspect()["State"]["Health"]
    assert health["FailingStreak"] >= 2
    assert health["Log"][-1]["Output"] == "no\n"


def test_a_health_check_is_quicker_while_it_starts(client: Client) -> None:
    slow = {"Test": ["CMD", "true"], "Interval": 60_000_000_000, "StartPeriod": 30_000_000_000}
    check = {**slow, "StartInterval": 100_000_000}
    container = client.containers.run({"Image": IMAGE, "Cmd": ["sleep", "1000"], "Healthcheck": check})
    eventually(lambda: container.inspect()["State"]["Health"]["Status"] == "healthy", 8)


def test_exposed_ports_and_publish_all_choose_host_ports(client: Client) -> None:
    request = {"Image": IMAGE, "Cmd": ["sleep", "1000"], "ExposedPorts": {"80/tcp": {}}}
    container = client.containers.run({**request, "HostConfig": {"PublishAllPorts": True}})
    (bound, *_) = container.inspect()["NetworkSettings"]["Ports"]["80/tcp"]
    assert int(bound["HostPort"]) > 0


def test_port_bindings_are_listed_as_asked(client: Client) -> None:
    bindings = {"81/tcp": [{"HostIp": "127.0.0.1", "HostPort": "18181"}]}
    container = client.containers.run(
        {
            "Image": IMAGE,
            "Cmd": ["sleep", "1000"],
            "ExposedPorts": {"81/tcp": {}},
            "HostConfig": {"PortBindings": bindings},
        }
    )
    assert container.inspect()["NetworkSettings"]["Ports"]["81/tcp"] == bindings["81/tcp"]


@newer
def test_labels_and_annotations_are_kept_and_filtered(client: Client) -> None:
    request = {"Image": IMAGE, "Cmd": ["true"], "Labels": {"tier": "web"}, "HostConfig": {"Annotations": {"a.b": "c"}}}
    container = client.containers.create(request)
    found = client.containers.list(all=True, filters={"label": ["tier=web"]})
    assert [row["Id"] for row in found] == [container.id]
    assert container.inspect()["HostConfig"]["Annotations"] == {"a.b": "c"}


def test_restart_policy_and_auto_remove_act_after_the_exit(client: Client) -> None:
    policy = {"Name": "on-failure", "MaximumRetryCount": 1}
    again = client.containers.run({"Image": IMAGE, "Cmd": ["false"], "HostConfig": {"RestartPolicy": policy}})
    eventually(lambda: again.inspect()["RestartCount"] == 1)
    gone = client.containers.create({"Image": IMAGE, "Cmd": ["true"], "HostConfig": {"AutoRemove": True}})
    gone.start()
    with pytest.raises(EngineError) as caught:
        eventually(lambda: gone.inspect() and False)
    assert caught.value.status == 404


def test_log_config_limits_rotates_and_switches_off(client: Client) -> None:
    small = {"Type": "json-file", "Config": {"max-size": "10k", "max-file": "2"}}
    noisy = "i=0; while [ $i -lt 1000 ]; do echo 01234567890123456789012345678901234567890123456789; i=$((i+1)); done"
    rotated = client.containers.run({"Image": IMAGE, "Cmd": ["sh", "-c", noisy], "HostConfig": {"LogConfig": small}})
    rotated.wait()
    assert 0 < len(rotated.logs()[0]) < 50_000
    local = {"Type": "local", "Config": {"max-size": "10k", "max-file": "2"}}
    other = client.containers.run({"Image": IMAGE, "Cmd": ["sh", "-c", noisy], "HostConfig": {"LogConfig": local}})
    other.wait()
    assert 0 < len(other.logs()[0]) < 50_000
    assert other.inspect()["LogPath"] == ""
    silent = client.containers.run(
        {"Image": IMAGE, "Cmd": ["echo", "x"], "HostConfig": {"LogConfig": {"Type": "none"}}}
    )
    silent.wait()
    with pytest.raises(EngineError, match="configured logging driver does not support reading"):
        silent.logs()


def test_volumes_from_and_links_reach_another_container(client: Client) -> None:
    first = client.containers.run(
        {"Image": IMAGE, "Cmd": ["sh", "-c", "echo shared > /vol/x; sleep 1000"], "Volumes": {"/vol": {}}}, name="first"
    )
    eventually(lambda: first.exec({"Cmd": ["cat", "/vol/x"], "AttachStdout": True}).run()[0] == b"shared\n")
    assert output(client, {"HostConfig": {"VolumesFrom": ["first"]}}, "cat /vol/x") == "shared"
    assert re.search(r"\bother\b", output(client, {"HostConfig": {"Links": ["first:other"]}}, "cat /etc/hosts"))


@newer
def test_what_cannot_be_given_is_refused(client: Client) -> None:
    for request in (
        {"HostConfig": {"Runtime": "no-such-runtime"}},
        {"HostConfig": {"DeviceRequests": [{"Driver": "nvidia", "Count": -1, "Capabilities": [["gpu"]]}]}},
        {"HostConfig": {"StorageOpt": {"size": "1g"}}},
        {"HostConfig": {"VolumeDriver": "no-such-driver", "Binds": ["x:/x"]}},
        {"HostConfig": {"Isolation": "hyperv"}},
        {"HostConfig": {"UsernsMode": "bad"}},
    ):
        with pytest.raises(EngineError) as caught:
            client.containers.run({"Image": IMAGE, "Cmd": ["true"], **request})
        assert caught.value.status in (400, 404, 409, 500, 501), request


@newer
def test_console_size_is_the_terminals_from_its_start(client: Client) -> None:
    assert output(client, {"Tty": True, "HostConfig": {"ConsoleSize": [31, 99]}}, "stty size") == "31 99"


def test_cgroupns_mode_hides_or_shows_the_path(client: Client) -> None:
    hidden = output(client, {"HostConfig": {"CgroupnsMode": "private"}}, "cat /proc/self/cgroup")
    shown = output(client, {"HostConfig": {"CgroupnsMode": "host"}}, "cat /proc/self/cgroup")
    assert all(line.endswith(":/") for line in hidden.splitlines())
    assert not all(line.endswith(":/") for line in shown.splitlines())


@newer
def test_endpoint_settings_choose_address_names_and_mac(client: Client) -> None:
    network = client.networks.create({"Name": "chosen", "IPAM": {"Config": [{"Subnet": "10.77.0.0/24"}]}})
    endpoint = {"IPAMConfig": {"IPv4Address": "10.77.0.9"}, "Aliases": ["other"], "MacAddress": "02:42:00:00:00:07"}
    request = {"NetworkingConfig": {"EndpointsConfig": {"chosen": endpoint}}, "HostConfig": {"NetworkMode": "chosen"}}
    container = client.containers.run({"Image": IMAGE, "Cmd": ["sleep", "1000"], **request})
    found = container.inspect()["NetworkSettings"]["Networks"]["chosen"]
    assert (found["IPAddress"], found["MacAddress"]) == ("10.77.0.9", "02:42:00:00:00:07")
    assert "other" in found["Aliases"]
    asking = {"HostConfig": {"NetworkMode": "chosen"}}
    assert "10.77.0.9" in output(client, asking, "nslookup other 127.0.0.11 | tail -2; ping -c1 -W2 other")
    container.remove(force=True)
    for row in client.containers.list(all=True):
        client.containers.get(row["Id"]).remove(force=True)
    client.networks.remove(network)


@newer
def test_a_network_has_its_range_gateway_labels_and_no_way_out_when_internal(client: Client) -> None:
    ipam = {"Config": [{"Subnet": "10.78.0.0/24", "IPRange": "10.78.0.128/25", "Gateway": "10.78.0.254"}]}
    network = client.networks.create({"Name": "ranged", "IPAM": ipam, "Internal": True, "Labels": {"a": "b"}})
    container = client.containers.run(
        {"Image": IMAGE, "Cmd": ["sleep", "1000"], "HostConfig": {"NetworkMode": "ranged"}}
    )
    found = container.inspect()["NetworkSettings"]["Networks"]["ranged"]
    assert 128 <= int(found["IPAddress"].split(".")[-1]) <= 255
    shown = client.networks.get("ranged")
    assert (shown["IPAM"]["Config"][0]["Gateway"], shown["Internal"], shown["Labels"]) == (
        "10.78.0.254",
        True,
        {"a": "b"},
    )
    routes = container.exec({"Cmd": ["sh", "-c", "ip route | grep -c default"], "AttachStdout": True}).run()
    assert routes == (b"0\n", 1)
    container.remove(force=True)
    client.networks.remove(network)


def test_a_volume_keeps_its_name_driver_options_and_labels(client: Client) -> None:
    options = {"type": "tmpfs", "device": "tmpfs"}
    made = client.volumes.create({"Name": "kept", "Driver": "local", "DriverOpts": options, "Labels": {"a": "b"}})
    assert (made["Name"], made["Driver"], made["Options"], made["Labels"]) == ("kept", "local", options, {"a": "b"})
    client.volumes.remove("kept")
    with pytest.raises(EngineError, match="plugin"):
        client.volumes.create({"Name": "other", "Driver": "no-such-driver"})


def test_exec_fields_have_their_effect(client: Client) -> None:
    container = client.containers.run({"Image": IMAGE, "Cmd": ["sleep", "1000"]})
    asked = {"AttachStdout": True, "AttachStderr": True}
    bits = "echo $((0x$(grep CapEff /proc/self/status | cut -f2) >> 21 & 1))"
    for request, command, seen in (
        ({"User": "postgres"}, "id -un", b"postgres"),
        ({"Env": ["A=b"]}, "echo $A", b"b"),
        ({"WorkingDir": "/srv"}, "pwd", b"/srv"),
        ({"Privileged": True}, bits, b"1"),
        ({"Privileged": False}, bits, b"0"),
        ({"Tty": True, "ConsoleSize": [22, 66]}, "stty size", b"22 66"),
    ):
        out, code = container.exec({**asked, **request, "Cmd": ["sh", "-c", command]}).run()
        assert (out.strip(), code) == (seen, 0), request


def test_one_stream_alone_is_attached(client: Client) -> None:
    container = client.containers.run({"Image": IMAGE, "Cmd": ["sleep", "1000"]})
    both = ["sh", "-c", "echo out; echo err >&2"]
    assert container.exec({"AttachStdout": True, "Cmd": both}).run() == (b"out\n", 0)
    assert container.exec({"AttachStderr": True, "Cmd": both}).run() == (b"err\n", 0)


def test_update_changes_a_running_containers_limits(client: Client) -> None:
    container = client.containers.run({"Image": IMAGE, "Cmd": ["sleep", "1000"], "HostConfig": {"Memory": 64 << 20}})
    limits: dict[str, Any] = {
        "Memory": 96 << 20, "MemorySwap": 96 << 20, "MemoryReservation": 32 << 20, "CpuShares": 512,
        "CpuPeriod": 50_000,
        "CpuQuota": 25_000, "CpusetCpus": "0", "CpusetMems": "0", "PidsLimit": 44,
    }  # fmt: skip
    container.update(limits)
    kept = container.inspect()["HostConfig"]
    assert {name: kept[name] for name in limits} == limits
    files = ("pids.max", "cpu.max") if UNIFIED else ("pids/pids.max", "cpu/cpu.cfs_quota_us")
    told = container.exec(
        {"AttachStdout": True, "Cmd": ["sh", "-c", f"cd /sys/fs/cgroup; cat {' '.join(files)}"]}
    ).run()
    assert told[0].split()[:2] == [b"44", b"25000"]
    for passed_over in ({"Ulimits": [{"Name": "nofile", "Soft": 5, "Hard": 5}]}, {"CgroupParent": "/other"}):
        container.update(passed_over)
    assert container.inspect()["HostConfig"]["CgroupParent"] == ""
    assert not container.inspect()["HostConfig"]["Ulimits"]
    for refused in ({"CpuCount": 1}, {"IOMaximumIOps": 1}):
        with pytest.raises(EngineError, match="Windows"):
            client.containers.create({"Image": IMAGE, "Cmd": ["true"], "HostConfig": refused})
    other = client.containers.run({"Image": IMAGE, "Cmd": ["sleep", "1000"]})
    other.update({"NanoCpus": 500_000_000})
    quota = "cpu.max" if UNIFIED else "cpu/cpu.cfs_quota_us"
    told = other.exec({"AttachStdout": True, "Cmd": ["cat", f"/sys/fs/cgroup/{quota}"]}).run()
    assert told[0].split()[0] == b"50000"
    container.update({"RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 2}})
    assert container.inspect()["HostConfig"]["RestartPolicy"] == {"Name": "on-failure", "MaximumRetryCount": 2}
