"""What a container is asked to be it is: options, seen from inside; and its life, seen from outside."""

import io
import os
import re
import tarfile
import time
from pathlib import Path
from typing import Any

import pytest

from corten.engine.requests import AttachOptions, LogQuery
from corten.model.container import (
    DriverConfig,
    HealthConfig,
    HostConfig,
    LogConfig,
    Mount,
    RestartPolicy,
    TmpfsOptions,
    Ulimit,
    UpdateConfig,
    VolumeOptions,
)
from corten.model.errors import Conflict, InvalidArgument, NotFound, NotModified
from corten.wire.filters import parse
from tests.root.engine.workbench import Workbench

pytestmark = pytest.mark.root

NONE = "none"


def host(**options: Any) -> HostConfig:
    return HostConfig(network_mode=NONE, **options)


def test_output_exit_code_and_events_of_a_run(bench: Workbench) -> None:
    code, output = bench.run("sh", "-c", "echo out; echo err >&2; exit 3", host=host(auto_remove=False))
    assert (code, sorted(output.splitlines())) == (3, [b"err", b"out"])
    assert bench.actions() == ["create", "start", "die"]
    died = next(event for event in bench.events if event["Action"] == "die")
    assert died["Actor"]["Attributes"]["exitCode"] == "3"


@pytest.mark.parametrize(
    ("options", "command", "shown"),
    [
        (
            host(memory=64 << 20),
            "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max",
            b"67108864",
        ),
        (host(pids_limit=50), "cat /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/pids.max", b"50"),
        (host(nano_cpus=500_000_000), "cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us /sys/fs/cgroup/cpu.max", b"50000"),
        (host(readonly_rootfs=True), "touch /x || echo refused", b"refused"),
        (host(tmpfs={"/t": "size=1m"}), "grep /t /proc/mounts", b"size=1024k"),
        (host(shm_size=1 << 20), "grep /dev/shm /proc/mounts", b"size=1024k"),
        (host(sysctls={"net.core.somaxconn": "99"}), "cat /proc/sys/net/core/somaxconn", b"99"),
        (host(ulimits=(Ulimit("nofile", hard=100, soft=90),)), "ulimit -n", b"90"),
        (host(cap_drop=("ALL",)), "grep CapEff /proc/self/status", b"0000000000000000"),
        (host(security_opt=("no-new-privileges",)), "grep NoNewPrivs /proc/self/status", b"1"),
        (host(), "grep Seccomp: /proc/self/status", b"2"),
        (host(security_opt=("seccomp=unconfined",)), "grep Seccomp: /proc/self/status", b"0"),
        (host(init=True), "cat /proc/1/cmdline", b"/sbin/docker-init"),
        (host(group_add=("70",)), "id -G", b"70"),
        (host(oom_score_adj=500), "cat /proc/self/oom_score_adj", b"500"),
        (host(ipc_mode="none"), "grep -c /dev/shm /proc/mounts", b"0"),
        (host(uts_mode="host"), "hostname", os.uname().nodename.encode()),
        (host(privileged=True), "mount -t tmpfs x /mnt && echo mounted", b"mounted"),
        (
            host(mounts=(Mount(type="tmpfs", target="/t", tmpfs_options=TmpfsOptions(size_bytes=1 << 20)),)),
            "df /t",
            b"1024",
        ),
    ],
    ids=lambda value: str(value)[:0] or None,
)
def test_host_options_hold_inside(bench: Workbench, options: HostConfig, command: str, shown: bytes) -> None:
    code, output = bench.run("sh", "-c", f"{command} 2>&1", host=options)
    assert shown in output, (code, output)


@pytest.mark.parametrize(
    ("config", "command", "shown"),
    [
        ({"user": "postgres"}, "id -un", b"postgres"),
        ({"user": "1000:50"}, "id -u; id -g", b"1000\n50"),
        ({"working_dir": "/var/new"}, "pwd", b"/var/new"),
        ({"env": ("A=1", "PATH=/bin")}, "echo $A $PATH", b"1 /bin"),
        ({"hostname": "web"}, "hostname; echo $HOSTNAME; cat /etc/hostname", b"web\nweb\nweb"),
        ({"tty": True}, "tty; echo $TERM", b"/dev/pts/0\r\nxterm"),
    ],
    ids=lambda value: str(value)[:0] or None,
)
def test_config_options_hold_inside(bench: Workbench, config: dict[str, Any], command: str, shown: bytes) -> None:
    assert shown in bench.run("sh", "-c", command, **config)[1]


@pytest.mark.parametrize(
    ("command", "code", "text"),
    [
        ("nope", 127, 'exec: "nope": executable file not found in $PATH'),
        ("/nope", 127, "no such file or directory"),
        ("/etc/passwd", 126, "permission denied"),
        ("/etc", 126, "is a directory"),
    ],
)
def test_what_cannot_be_executed_has_dockers_exit_code(bench: Workbench, command: str, code: int, text: str) -> None:
    id = bench.create(command)
    with pytest.raises(InvalidArgument, match=re.escape(text)):
        bench.containers.start(id)
    state = bench.state(id)
    assert (state["Status"], state["ExitCode"]) == ("created", code)
    assert text in state["Error"]


def test_a_container_that_removes_itself_does_so_when_it_cannot_start(bench: Workbench) -> None:
    id = bench.create("nope", host=host(auto_remove=True))
    gone = bench.containers.wait(id, "removed")
    with pytest.raises(InvalidArgument):
        bench.containers.start(id)
    assert gone.result(10).status_code == 127


def test_a_volume_takes_over_the_images_content_and_outlives_its_container(bench: Workbench) -> None:
    options = host(binds=("data:/var/www",))
    bench.run("sh", "-c", "echo kept > /var/www/file", host=options)
    assert bench.run("cat", "/var/www/file", host=options)[1] == b"kept\n"
    with pytest.raises(Conflict, match=r"remove data: volume is in use - \["):
        bench.engine.volumes.remove("data")


def test_an_anonymous_volume_goes_with_a_container_that_removes_itself(bench: Workbench) -> None:
    id = bench.create("true", host=host(auto_remove=True), volumes={"/data": {}})
    (mount,) = bench.containers.inspect(id)["Mounts"]
    gone = bench.containers.wait(id, "removed")
    bench.containers.start(id)
    assert gone.result(10).status_code == 0
    bench.until(lambda: not bench.engine.volumes.list()["Volumes"])
    assert mount["Type"] == "volume"
    with pytest.raises(NotFound):
        bench.containers.inspect(id)


def test_binds_follow_dockers_rules_for_missing_sources(bench: Workbench, scratch: Path) -> None:
    bench.run("sh", "-c", "echo x > /data/f", host=host(binds=(f"{scratch}/made:/data",)))
    assert (scratch / "made/f").read_text() == "x\n"
    with pytest.raises(InvalidArgument, match="bind source path does not exist"):
        bench.create("true", host=host(mounts=(Mount(type="bind", source=f"{scratch}/missing", target="/data"),)))
    code, output = bench.run("sh", "-c", "touch /data/g 2>&1", host=host(binds=(f"{scratch}/made:/data:ro",)))
    assert (code, b"Read-only file system" in output) == (1, True)


def test_stop_asks_and_then_kills(bench: Workbench) -> None:
    id = bench.start("sh", "-c", "trap 'exit 7' TERM; echo ready; while :; do sleep 0.05; done")
    bench.until(lambda: bench.output(id))
    bench.containers.stop(id, timeout=5)
    assert bench.state(id)["ExitCode"] == 7
    with pytest.raises(NotModified):
        bench.containers.stop(id)
    stubborn = bench.start("sh", "-c", "trap '' TERM; while :; do sleep 0.05; done")
    bench.containers.stop(stubborn, timeout=0)
    assert bench.state(stubborn)["ExitCode"] == 137
    assert bench.actions()[-3:] == ["kill", "die", "stop"]


def test_start_pause_rename_and_remove_refuse_in_the_wrong_state(bench: Workbench) -> None:
    id = bench.start("sleep", "100", name="one")
    with pytest.raises(NotModified):
        bench.containers.start(id)
    with pytest.raises(Conflict, match="container is running: stop the container before removing or force remove"):
        bench.containers.remove(id)
    bench.containers.pause(id)
    assert bench.state(id)["Status"] == "paused"
    with pytest.raises(Conflict, match="cannot start a paused container"):
        bench.containers.start(id)
    with pytest.raises(Conflict, match="is paused, unpause the container before exec"):
        bench.exec(id, "true")
    bench.containers.unpause(id)
    bench.containers.rename("one", "two")
    with pytest.raises(Conflict, match=f'The container name "/two" is already in use by container "{id}"'):
        bench.create("true", name="two")
    bench.containers.remove("two", force=True)
    bench.create("true", name="two")


def test_exec_has_its_own_exit_code_user_directory_and_environment(bench: Workbench) -> None:
    id = bench.start("sleep", "100", env=("A=container",))
    assert bench.exec(
        id, "sh", "-c", "echo $A $B; pwd; id -u; exit 5", env=("B=exec",), user="33", working_dir="/tmp"
    ) == (
        5,
        b"container exec\n/tmp\n33\n",
    )
    with pytest.raises(InvalidArgument, match="executable file not found"):
        bench.exec(id, "nope")


def test_an_attached_client_gets_everything_of_a_container_that_ends_at_once(bench: Workbench) -> None:
    import socket

    for _ in range(5):
        id = bench.create("sh", "-c", "cat; echo end", open_stdin=True, stdin_once=True, tty=False)
        ours, theirs = socket.socketpair()
        wanted = AttachOptions(stdin=True, stdout=True, stderr=True, multiplex=False)
        descriptor = theirs.detach()
        bench.containers.attach(id, wanted, lambda tty, fd=descriptor: (fd, b"early "))  # noqa: ARG005
        bench.containers.start(id)
        with ours:
            ours.sendall(b"late\n")
            ours.shutdown(socket.SHUT_WR)
            data = b""
            while piece := ours.recv(1 << 16):
                data += piece
        assert data == b"early late\nend\n"


def test_logs_can_be_followed_to_the_end(bench: Workbench) -> None:
    id = bench.start("sh", "-c", "for i in 1 2 3; do echo $i; sleep 0.1; done")
    followed = bench.containers.logs(id, LogQuery(follow=True))
    lines = [line for batch in followed.batches for _, line in batch]
    assert lines == [b"1\n", b"2\n", b"3\n"]
    assert [line for b in bench.containers.logs(id, LogQuery(tail=1)).batches for _, line in b] == [b"3\n"]


def test_no_log_is_kept_where_none_is_wanted(bench: Workbench) -> None:
    id = bench.start("echo", "x", host=host(log_config=LogConfig("none")))
    with pytest.raises(InvalidArgument, match="configured logging driver does not support reading"):
        bench.containers.logs(id, LogQuery())


def test_a_restart_policy_starts_again_and_gives_up(bench: Workbench) -> None:
    id = bench.start("sh", "-c", "exit 5", host=host(restart_policy=RestartPolicy("on-failure", 2)))
    bench.until(lambda: bench.containers.inspect(id)["RestartCount"] == 2 and bench.state(id)["Status"] == "exited")
    assert bench.actions().count("die") == 3


def test_a_stopped_container_is_not_started_again(bench: Workbench) -> None:
    id = bench.start("sleep", "100", host=host(restart_policy=RestartPolicy("always")))
    bench.containers.kill(id)
    time.sleep(0.3)
    assert bench.state(id)["Status"] == "exited"


def test_health_is_told(bench: Workbench) -> None:
    probe = HealthConfig(test=("CMD-SHELL", "test -f /ok && echo fine"), interval=50_000_000, retries=2)
    id = bench.start("sleep", "100", healthcheck=probe)
    assert bench.state(id)["Health"]["Status"] == "starting"
    bench.until(lambda: bench.state(id)["Health"]["Status"] == "unhealthy")
    bench.exec(id, "touch", "/ok")
    bench.until(lambda: bench.state(id)["Health"]["Status"] == "healthy")
    assert bench.state(id)["Health"]["Log"][-1]["Output"] == "fine\n"
    assert [a for a in bench.actions() if a.startswith("health")] == [
        "health_status: unhealthy",
        "health_status: healthy",
    ]


@pytest.mark.parametrize("running", [True, False])
def test_files_go_in_and_out(bench: Workbench, running: bool) -> None:
    id = bench.start("sleep", "100", host=host(binds=("data:/data",)))
    if not running:
        bench.containers.kill(id)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        info = tarfile.TarInfo("f")
        info.size = 5
        archive.addfile(info, io.BytesIO(b"hello"))
    for place in ("/tmp", "/data"):
        bench.containers.archive_put(id, place, io.BytesIO(buffer.getvalue()))
        found, pieces = bench.containers.archive_get(id, f"{place}/f")
        with tarfile.open(fileobj=io.BytesIO(b"".join(pieces))) as archive:
            member = archive.extractfile("f")
            assert member is not None
            assert member.read() == b"hello"
        assert (found["name"], found["size"]) == ("f", 5)
    with pytest.raises(NotFound, match="Could not find the file /nope in container"):
        bench.containers.archive_stat(id, "/nope")


def test_a_link_in_a_container_never_leads_to_the_host(bench: Workbench, scratch: Path) -> None:
    (scratch / "secret").mkdir()
    (scratch / "secret/key").write_text("x")
    id = bench.start("sh", "-c", f"ln -s {scratch}/secret /link; sleep 100")
    bench.until(lambda: bench.exec(id, "test", "-L", "/link")[0] == 0)
    assert bench.containers.archive_stat(id, "/link")["linkTarget"] == f"{scratch}/secret"
    with pytest.raises(NotFound):
        bench.containers.archive_get(id, "/link/key")


def test_changes_export_and_commit(bench: Workbench) -> None:
    id = bench.create("sh", "-c", "echo new > /tmp/new; rm /etc/group; echo x >> /etc/passwd")
    ended = bench.containers.wait(id, "next-exit")
    bench.containers.start(id)
    ended.result(10)
    kinds = {change["Path"]: change["Kind"] for change in bench.containers.changes(id) or []}
    assert (kinds["/tmp/new"], kinds["/etc/group"], kinds["/etc/passwd"]) == (1, 2, 0)
    assert "/etc/hosts" not in kinds
    with tarfile.open(fileobj=io.BytesIO(b"".join(bench.containers.export(id)))) as exported:
        assert "tmp/new" in [name.lstrip("/") for name in exported.getnames()]
    bench.engine.images.commit(id, repo="made", changes=['CMD ["cat", "/tmp/new"]'])
    from corten.model.container import ContainerConfig, NetworkingConfig

    made = bench.containers.create(ContainerConfig(image="made"), host(), NetworkingConfig()).id
    again = bench.containers.wait(made, "next-exit")
    bench.containers.start(made)
    again.result(10)
    assert bench.output(made) == b"new\n"


def test_limits_can_be_changed_while_it_runs(bench: Workbench) -> None:
    id = bench.start("sleep", "100", host=host(memory=64 << 20))
    bench.containers.update(id, UpdateConfig(memory=96 << 20, memory_swap=192 << 20))
    shown = bench.exec(
        id, "sh", "-c", "cat /sys/fs/cgroup/memory/memory.limit_in_bytes || cat /sys/fs/cgroup/memory.max"
    )[1]
    assert int(shown.splitlines()[0]) == 96 << 20
    assert bench.containers.inspect(id)["HostConfig"]["Memory"] == 96 << 20


def test_top_and_stats_show_what_runs(bench: Workbench) -> None:
    id = bench.start("sleep", "1234")
    shown = bench.containers.top(id, "-o pid,comm,args")
    assert shown["Titles"] == ["PID", "COMMAND", "COMMAND"]
    assert shown["Processes"][0][1:] == ["sleep", "sleep 1234"]
    sample = bench.containers.stats(id)
    assert sample["pids_stats"]["current"] == 1
    assert sample["memory_stats"]["usage"] > 0
    assert sample["cpu_stats"]["system_cpu_usage"] > sample["cpu_stats"]["cpu_usage"]["total_usage"] > 0


def test_lists_are_filtered(bench: Workbench) -> None:
    one = bench.start("sleep", "100", name="one", labels={"tier": "web"})
    two = bench.create("true", name="two")

    def listed(filters: str) -> list[str]:
        return [found["Id"] for found in bench.containers.list(all=True, filters=parse(filters))]

    assert listed("{}") == [two, one]
    assert listed('{"status": ["running"]}') == [one]
    assert listed('{"name": ["^/on"]}') == [one]
    assert listed('{"label": ["tier=web"]}') == [one]
    assert listed('{"ancestor": ["busybox"]}') == [two, one]
    assert listed('{"since": ["one"]}') == [two]
    assert [found["Id"] for found in bench.containers.list()] == [one]


def test_prune_takes_what_does_not_run(bench: Workbench) -> None:
    kept = bench.start("sleep", "100")
    gone = bench.create("true")
    assert bench.containers.prune()["ContainersDeleted"] == [gone]
    assert [found["Id"] for found in bench.containers.list(all=True)] == [kept]


def test_an_image_in_use_is_not_removed(bench: Workbench) -> None:
    bench.create("true")
    with pytest.raises(Conflict):
        bench.engine.images.remove("busybox")


@pytest.mark.parametrize("overlay", [True, False])
@pytest.mark.parametrize("name", ["tree", r"a:b\:c"])
def test_a_container_needs_no_image(bench: Workbench, scratch: Path, overlay: bool, name: str) -> None:
    from corten.model.container import ContainerConfig, NetworkingConfig
    from tests.root.plans.bundle import make_rootfs

    make_rootfs(scratch / name)
    suffix = ":O" if overlay else ""
    options = host(annotations={"corten.rootfs": f"{scratch}/{name}{suffix}"})
    made = bench.containers.create(ContainerConfig(cmd=("sh", "-c", "echo x > /new")), options, NetworkingConfig()).id
    ended = bench.containers.wait(made, "next-exit")
    bench.containers.start(made)
    assert ended.result(10).status_code == 0
    assert (scratch / name / "new").exists() != overlay
    assert bench.containers.archive_stat(made, "/new")["size"] == 2


def test_namespaces_can_be_shared_with_another_container(bench: Workbench) -> None:
    bench.start("sh", "-c", "echo x > /dev/shm/f; sleep 100", name="donor", host=HostConfig(ipc_mode="shareable"))
    options = HostConfig(network_mode="container:donor", ipc_mode="container:donor", pid_mode="container:donor")
    code, output = bench.run("sh", "-c", "cat /dev/shm/f; ps -o args; ls /sys/class/net", host=options)
    assert code == 0
    assert output.startswith(b"x\n")
    assert b"sleep 100" in output
    assert b"eth0" in output


def test_a_restarted_container_that_should_remove_itself_stays(bench: Workbench) -> None:
    id = bench.start("sleep", "100", host=host(auto_remove=True))
    bench.containers.restart(id, timeout=0)
    assert bench.state(id)["Status"] == "running"
    gone = bench.containers.wait(id, "removed")
    bench.containers.kill(id)
    assert gone.result(10).status_code == 137


def test_a_part_of_a_volume_is_mounted_and_a_link_in_it_stays_inside(bench: Workbench, scratch: Path) -> None:
    bench.run("sh", "-c", f"mkdir /d/sub; echo x > /d/sub/f; ln -s {scratch} /d/out", host=host(binds=("vol:/d",)))
    part = host(mounts=(Mount(type="volume", source="vol", target="/d", volume_options=VolumeOptions(subpath="sub")),))
    assert bench.run("ls", "/d", host=part)[1] == b"f\n"
    out = host(mounts=(Mount(type="volume", source="vol", target="/d", volume_options=VolumeOptions(subpath="out")),))
    with pytest.raises(InvalidArgument, match="no such file or directory"):
        bench.run("ls", "/d", host=out)


def test_a_volume_made_by_a_mount_has_its_labels_and_options(bench: Workbench) -> None:
    driver = DriverConfig(options={"type": "tmpfs", "device": "tmpfs", "o": "size=1m"})
    options = VolumeOptions(labels={"l": "1"}, driver_config=driver)
    wanted = host(mounts=(Mount(type="volume", source="made", target="/d", volume_options=options),))
    assert b"size=1024k" in bench.run("grep", " /d ", "/proc/mounts", host=wanted)[1]
    assert bench.engine.volumes.inspect("made")["Labels"] == {"l": "1"}
