"""The kernel, our capabilities in it, and what limits them."""

from __future__ import annotations

import os

from corten.cli.doctor.finding import FAIL, NOTE, OK, WARN, Finding, read
from corten.kernel import capabilities

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["look"]

_FLOOR = (5, 15)
# What is lost without each, for an engine that runs as root.
_LOST = {
    "CAP_SYS_ADMIN": (FAIL, "nothing can be mounted and no namespace made"),
    "CAP_NET_ADMIN": (WARN, "no bridge networks and no published ports; --network host and none work"),
    "CAP_SYS_CHROOT": (WARN, "programs that chroot fail in containers"),
    "CAP_SETUID": (FAIL, "containers cannot change their user"),
    "CAP_SETGID": (FAIL, "containers cannot change their group"),
    "CAP_CHOWN": (FAIL, "image layers cannot be unpacked with their owners"),
    "CAP_DAC_OVERRIDE": (WARN, "files of other owners may be out of reach"),
    "CAP_FOWNER": (WARN, "modes of files of other owners cannot be set"),
    "CAP_MKNOD": (NOTE, "devices in containers are binds of the host's; layers with device nodes cannot be unpacked"),
    "CAP_SYS_RESOURCE": (NOTE, "limits above our own hard limits are cut to them; oom_score_adj cannot be lowered"),
    "CAP_SYS_PTRACE": (NOTE, "processes of other users cannot be looked into"),
    "CAP_NET_RAW": (NOTE, "containers cannot ping"),
    "CAP_SETFCAP": (NOTE, "file capabilities of layers are lost"),
}


def look() -> Iterator[Finding]:
    yield _release()
    yield from _capabilities()
    yield from _restrictions()


def _release() -> Finding:
    release = os.uname().release
    numbers = tuple(int("".join(c for c in part if c.isdigit()) or 0) for part in release.split(".")[:2])
    if numbers < _FLOOR:
        floor = ".".join(map(str, _FLOOR))
        return Finding("kernel", FAIL, f"Linux {release} is older than {floor}", "use a newer kernel")
    return Finding("kernel", OK, f"Linux {release} on {os.uname().machine}")


def _capabilities() -> Iterator[Finding]:
    held = capabilities.held()
    if os.geteuid():
        yield Finding(
            "capabilities",
            NOTE,
            "not root: containers run in a user namespace of yours",
            "run as root for what needs it",
        )
        return
    missing = [name for name in capabilities.NAMES if not held.effective >> capabilities.NUMBERS[name] & 1]
    last = int(read("/proc/sys/kernel/cap_last_cap") or 40)
    missing = [name for name in missing if capabilities.NUMBERS[name] <= last]
    if not missing:
        yield Finding("capabilities", OK, "root with every capability")
        return
    for name in missing:
        if name in _LOST:
            level, meaning = _LOST[name]
            yield Finding("capabilities", level, f"root lacks {name}: {meaning}", f"start this environment with {name}")
    others = [name for name in missing if name not in _LOST]
    if others:
        yield Finding("capabilities", NOTE, f"root also lacks {', '.join(others)}: containers cannot have them either")


def _restrictions() -> Iterator[Finding]:
    status = read("/proc/self/status")
    fields = dict(line.partition(":\t")[::2] for line in status.splitlines())
    if fields.get("NoNewPrivs") == "1":
        yield Finding(
            "restrictions", WARN, "no_new_privs is set on us: newuidmap and other setuid programs do not work"
        )
    if fields.get("Seccomp") == "2":
        yield Finding(
            "restrictions", WARN, "a seccomp filter is on us: system calls it refuses fail in containers too",
            "start this environment with --security-opt seccomp=unconfined or --privileged",
        )  # fmt: skip
    actions = read("/proc/sys/kernel/seccomp/actions_avail")
    if "errno" in actions:
        yield Finding("restrictions", OK, f"seccomp filters: {actions}")
    else:
        yield Finding("restrictions", WARN, "this kernel has no seccomp filters", "a kernel with CONFIG_SECCOMP_FILTER")
    if read("/sys/module/apparmor/parameters/enabled") == "Y":
        yield Finding("restrictions", OK, "AppArmor is on")
    elif os.path.isdir("/sys/fs/selinux") and os.listdir("/sys/fs/selinux"):
        yield Finding("restrictions", OK, "SELinux is on")
    else:
        yield Finding("restrictions", NOTE, "neither AppArmor nor SELinux is on: one fence less around containers")
