"""The interpreter on a hand-made bundle: what the container sees, what errors say, what is left behind."""

import errno
import os
from pathlib import Path

import pytest

from corten.kernel import program
from corten.model.errors import CortenError, FailedPrecondition, NotFound, PermissionDenied
from corten.plan import LaunchPlan, ops
from corten.plan.control import CHECKPOINT, GO, Message
from corten.plan.encode import encode
from tests.root.plans import bundle
from tests.root.plans.controller import Launch


def shell(rootfs: Path, script: str) -> str:
    return bundle.output(bundle.docker_like(rootfs, ("sh", "-c", script)))


def test_a_container_has_its_own_everything(rootfs: Path) -> None:
    seen = shell(rootfs, "hostname; id -u; ps | wc -l; ls /proc/self/fd | wc -l; pwd; umask; ls /sys/class/net")
    assert seen.split() == ["web", "0", "4", "4", "/", "0022", "lo"]


def test_the_mount_table_holds_the_containers_mounts_only(rootfs: Path) -> None:
    lines = [line.split() for line in shell(rootfs, "cat /proc/self/mountinfo").splitlines()]
    points = [line[4] for line in lines]
    assert points[:7] == ["/", "/proc", "/dev", "/dev/pts", "/dev/shm", "/dev/mqueue", "/sys"]
    assert set(points[7:]) <= {*bundle.MASKED, *bundle.READ_ONLY}
    assert all("ro" in line[5].split(",") for line in lines if line[4] in bundle.READ_ONLY)


def test_masked_files_read_as_empty_and_directories_as_empty(rootfs: Path) -> None:
    assert (
        shell(rootfs, "cat /proc/keys /proc/timer_list; ls /sys/firmware /proc/acpi 2>/dev/null")
        .replace("/sys/firmware:", "")
        .replace("/proc/acpi:", "")
        .strip()
        == ""
    )


def test_capabilities_are_what_the_plan_says(rootfs: Path) -> None:
    seen = shell(rootfs, "grep -E 'Cap(Inh|Prm|Eff|Bnd|Amb)|NoNewPrivs' /proc/self/status")
    values = dict(line.split(":\t") for line in seen.splitlines())
    assert values.pop("CapInh") == values.pop("CapAmb") == "0" * 16
    assert values.pop("NoNewPrivs") == "1"
    assert set(values.values()) == {f"{bundle.DOCKER_CAPS:016x}"}


def test_the_exit_code_and_the_signal_reach_the_subreaper(rootfs: Path) -> None:
    assert bundle.run(bundle.docker_like(rootfs, ("sh", "-c", "exit 42"))) == 42
    assert bundle.run(bundle.docker_like(rootfs, ("sh", "-c", "sh -c 'kill -9 $$'; exit $?"))) == 137


@pytest.mark.parametrize(
    ("name", "kind", "text"),
    [
        ("nope", NotFound, 'exec: "nope": executable file not found in $PATH'),
        ("/nope", NotFound, 'exec: "/nope": stat /nope: no such file or directory'),
        ("/tmp", PermissionDenied, 'exec: "/tmp": is a directory'),
        ("/etc/passwd", PermissionDenied, 'exec: "/etc/passwd": permission denied'),
        ("/bin/script", NotFound, "exec /bin/script: no such file or directory"),
        ("/bin/garbage", FailedPrecondition, "exec /bin/garbage: exec format error"),
    ],
)
def test_a_program_that_cannot_start_says_what_runc_says(rootfs: Path, name: str, kind: type, text: str) -> None:
    (rootfs / "etc/passwd").write_text("")
    for file, content in (("script", "#!/no/such/interpreter\n"), ("garbage", "\1\2\3\4")):
        (rootfs / "bin" / file).write_text(content)
        (rootfs / "bin" / file).chmod(0o755)
    with pytest.raises(kind) as caught:
        bundle.run(bundle.docker_like(rootfs, (name,)))
    assert str(caught.value) == text


def test_an_error_names_the_row_the_call_and_the_place(rootfs: Path) -> None:
    bad = ops.new_mount("tmpfs", ("size", "many"), (), 0, slot="t", actor="child", origin="/mounts/7")
    with pytest.raises(FailedPrecondition) as caught:
        bundle.run(LaunchPlan([*bundle.begin(rootfs), bad]))
    assert caught.value.place == "/mounts/7"
    assert caught.value.message.startswith("cannot new tmpfs [size many]") or "tmpfs" in caught.value.message
    assert "Bad value for 'size'" in caught.value.message


def test_a_controller_that_goes_away_ends_the_launch(rootfs: Path) -> None:
    launch = Launch(bundle.docker_like(rootfs, ("sleep", "100")))
    for message, _ in launch.events():
        if message.kind == CHECKPOINT:
            break
    launch.control.close()
    assert bundle.wait(launch) == 1
    launch.close()


def test_the_program_runs_from_a_sealed_copy_that_cannot_be_written(rootfs: Path) -> None:
    launch = Launch(bundle.docker_like(rootfs, ("true",)))
    for message, _ in launch.events():
        if message.kind == CHECKPOINT:
            target = os.readlink(f"/proc/{launch.pid}/exe")
            assert target.startswith("/memfd:corten")
            with pytest.raises(OSError, match=r"Text file busy|Operation not permitted"):
                os.open(f"/proc/{launch.pid}/exe", os.O_WRONLY)
            launch.go()
    assert bundle.wait(launch) == 0
    launch.close()


def test_a_spawner_may_keep_the_sealed_copy(rootfs: Path) -> None:
    fd = program.sealed()
    try:
        assert bundle.output(bundle.docker_like(rootfs, ("hostname",)), program_fd=fd) == "web\n"
    finally:
        os.close(fd)


def test_every_row_can_fail_and_leaves_nothing(rootfs: Path) -> None:
    plan = bundle.docker_like(rootfs, ("true",))
    for row, step in enumerate(plan.steps):
        if errno.EIO in step.accept:
            continue
        with pytest.raises(CortenError) as caught:
            bundle.run(plan, raw=encode(plan, fault=(row, errno.EIO)))
        assert os.strerror(errno.EIO).lower() in caught.value.message, f"row {row}: {step.op}"
    assert sorted(os.listdir(rootfs)) == ["bin", "dev", "etc", "proc", "sys", "tmp"]


def test_a_traced_plan_reports_each_row_once_in_order(rootfs: Path) -> None:
    plan = bundle.docker_like(rootfs, ("true",))
    launch = Launch(plan, raw=encode(plan, trace=True))
    rows = []
    for message, _ in launch.events():
        if message.kind == CHECKPOINT:
            launch.go()
        elif message.kind == 4:
            rows.append(message.row)
    assert bundle.wait(launch) == 0
    assert rows == list(range(len(plan.steps) - 1))
    launch.close()


def test_start_comes_over_a_socket_and_brings_the_errors_back(rootfs: Path, scratch: Path) -> None:
    import socket

    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(str(scratch / "start"))
    listener.listen()
    plan = bundle.docker_like(rootfs, ("/bin/garbage",))
    (rootfs / "bin/garbage").write_text("\1\2")
    (rootfs / "bin/garbage").chmod(0o755)
    steps = list(plan.steps)
    steps.insert(len(steps) - 2, ops.await_start("start"))
    launch = Launch(LaunchPlan(steps, [(5, "start")]), {"start": listener.fileno()})
    for message, _ in launch.events():
        if message.kind == CHECKPOINT:
            launch.go()
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as start:
        start.connect(str(scratch / "start"))
        start.send(Message(GO).pack())
        error = Message.parse(start.recv(512))
    assert (error.errno, steps[error.row].op) == (errno.ENOEXEC, "exec")
    assert bundle.wait(launch) == 1
    launch.close()
    listener.close()
