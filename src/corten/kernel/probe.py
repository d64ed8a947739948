"""What this machine and this process can do, as values that decide compile-time choices.

Everything is read from /proc and /sys once, when it is first asked for: a plan for a plain container looks at the
capability sets and the cgroup layout only. The launch program has no fallbacks; whoever compiles for it asks here.
"""

from __future__ import annotations

import os

from corten.kernel import capabilities, cgroups

__all__ = ["Host", "Limit"]

Limit = tuple[int, int]
_UNLIMITED = (1 << 64) - 1

# The lines of /proc/self/limits, in the order of the RLIMIT_* numbers of x86_64 and aarch64 (asm-generic/resource.h).
_LIMIT_LINES = (
    "Max cpu time",
    "Max file size",
    "Max data size",
    "Max stack size",
    "Max core file size",
    "Max resident set",
    "Max processes",
    "Max open files",
    "Max locked memory",
    "Max address space",
    "Max file locks",
    "Max pending signals",
    "Max msgqueue size",
    "Max nice priority",
    "Max realtime priority",
    "Max realtime timeout",
)


class Host:
    """One machine as seen by one process. Tests make their own by setting the attributes they need."""

    def __init__(self, **known: object) -> None:
        self.__dict__.update(known)

    def __getattr__(self, name: str) -> object:
        probe = _PROBES.get(name)
        if probe is None:
            raise AttributeError(name)
        value = self.__dict__[name] = probe()
        return value

    def read(self, path: str) -> str:
        """The text of a file of the kernel, stripped; "" where there is none. Tests give `files` by path instead."""
        files = self.__dict__.get("files")
        return _read(path) if files is None else files.get(path, "")

    machine: str
    """uname's machine, ``x86_64`` or ``aarch64``."""
    release: tuple[int, int]
    """The kernel's version, major and minor."""
    euid: int
    egid: int
    held: capabilities.Held
    layout: cgroups.Layout
    limits: tuple[Limit, ...]
    """Soft and hard limit by RLIMIT number; `2**64 - 1` is unlimited."""
    oom_score_adj: int
    in_user_namespace: bool
    """Whether root here is not the machine's root: no device nodes, some files of /proc not writable."""
    apparmor: bool
    apparmor_file: str
    """Which file below /proc/self/attr takes a profile: the interface of its own since Linux 5.8."""
    selinux: bool
    resctrl: str
    """Where the resource control filesystem (Intel RDT) is mounted, or an empty string."""


def _release() -> tuple[int, int]:
    major, minor = os.uname().release.split(".")[:2]
    return int(major), int("".join(c for c in minor if c.isdigit()) or 0)


def _read(path: str) -> str:
    try:
        with open(path) as file:
            return file.read().strip()
    except OSError:
        return ""


def _limits() -> tuple[Limit, ...]:
    lines = {line[:26].rstrip(): line[26:].split()[:2] for line in _read("/proc/self/limits").splitlines()}
    pairs = (lines.get(name, ["0", "0"]) for name in _LIMIT_LINES)
    return tuple((_limit(soft), _limit(hard)) for soft, hard in pairs)


def _limit(text: str) -> int:
    return _UNLIMITED if text == "unlimited" else int(text)


def _in_user_namespace() -> bool:
    """The first user namespace maps every id to itself; any other map means we are inside one."""
    return _read("/proc/self/uid_map").split() not in ([], ["0", "0", "4294967295"])


def _resctrl() -> str:
    for line in _read("/proc/self/mountinfo").splitlines():
        if " - resctrl " in line:
            return line.split(" ")[4]
    return ""


def _apparmor_file() -> str:
    return "attr/apparmor/exec" if os.path.exists("/proc/self/attr/apparmor/exec") else "attr/exec"


_PROBES = {
    "machine": lambda: os.uname().machine,
    "release": _release,
    "euid": os.geteuid,
    "egid": os.getegid,
    "held": capabilities.held,
    "layout": cgroups.read_layout,
    "limits": _limits,
    "oom_score_adj": lambda: int(_read("/proc/self/oom_score_adj") or 0),
    "in_user_namespace": _in_user_namespace,
    "apparmor": lambda: _read("/sys/module/apparmor/parameters/enabled") == "Y",
    "apparmor_file": _apparmor_file,
    "selinux": lambda: os.path.isdir("/sys/fs/selinux") and bool(os.listdir("/sys/fs/selinux")),
    "resctrl": _resctrl,
}
