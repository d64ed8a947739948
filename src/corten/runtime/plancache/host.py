"""The host as a compiler sees it, remembering what it was asked: each answer must be in the key or have a witness.

That is the security question of a cache: a plan must not outlive what it was made from. So compiling asks nothing but a
`Host`, and this one keeps account; a question that stands in none of the tables below makes the plan unkept.
"""

from __future__ import annotations

import os
import sys

from corten.kernel.probe import Host

TYPE_CHECKING = False
if TYPE_CHECKING:
    from corten.runtime.plancache.front import Key

__all__ = ["Witness", "Witnessed"]

# What the key tells (native/front_key.c); the kernel's release and its security modules are the boot's.
KEYED = frozenset(("egid", "euid", "held", "in_user_namespace", "limits", "machine", "release", "apparmor_file"))
# What a file of the kernel tells.
FILES = {
    "oom_score_adj": "/proc/self/oom_score_adj",
    "apparmor": "/sys/module/apparmor/parameters/enabled",
    "selinux": "/sys/fs/selinux/enforce",
}
TEXT, IDENTITY = 0, 1
_UNIFIED = ("/sys/fs/cgroup", "/sys/fs/cgroup/unified")


class Witness:
    """A file and what it said: its text without space around it, or which file it is."""

    __slots__ = ("data", "kind", "path")

    def __init__(self, kind: int, path: str, data: bytes) -> None:
        self.kind = kind
        self.path = path
        self.data = data


class Witnessed(Host):
    """A host that notes each question."""

    def __init__(self) -> None:
        super().__init__()
        self.__dict__["asked"] = set()
        self.__dict__["texts"] = {}

    def __getattr__(self, name: str) -> object:
        self.__dict__["asked"].add(name)
        return super().__getattr__(name)

    def read(self, path: str) -> str:
        text = self.__dict__["texts"][path] = super().read(path)
        return text

    def unknown(self) -> list[str]:
        """Questions whose answers nobody could check later."""
        return sorted(self.__dict__["asked"] - KEYED - FILES.keys() - {"layout"})

    def differs(self, key: Key) -> bool:
        """Whether we were told anything else than C was, a moment before."""
        held = (self.held.effective, self.held.permitted, self.held.bounding)
        told = [int(key.words["held"][n], 16) for n in (0, 1, 3)]
        limits = [tuple(map(int, pair.split(":"))) for pair in key.words["limits"]]
        with open("/proc/self/cgroup") as file:
            cgroup = file.read().strip()
        mounted = len(self.layout.hierarchies) + (not self.layout.unified) == len(cgroup.splitlines())
        ours = [str(self.euid), str(self.egid)] == key.words["user"] and [self.machine] == key.words["machine"]
        return list(held) != told or limits != list(self.limits) or cgroup != key.cgroup or not mounted or not ours

    def witnesses(self) -> list[Witness]:
        """What C must find unchanged."""
        for name in self.__dict__["asked"] & FILES.keys():
            self.read(FILES[name])
        found = [Witness(TEXT, path, text.encode()) for path, text in self.__dict__["texts"].items()]
        # Where the version 2 tree would be mounted on a machine that has none yet: it is always among our cgroups.
        unmounted = [] if self.layout.unified else [place for place in _UNIFIED if os.path.isdir(place)]
        found += [Witness(IDENTITY, place, _identity(place, dated=False)) for place in unmounted]
        for hierarchy in self.layout.hierarchies:
            places = dict.fromkeys((hierarchy.directory("/"), hierarchy.directory("")))
            found += [Witness(IDENTITY, place, _identity(place, dated=False)) for place in places]
        return found + [Witness(IDENTITY, path, _identity(path, dated=True)) for path in _sources()]


def _sources() -> list[str]:
    """The files we were compiled from, where they can change without the program changing: a source tree. An installed
    package is replaced by pip together with the program, which the key names by its inode and time."""
    if "site-packages" in __file__ or "dist-packages" in __file__:
        return []
    ours = ("corten.runtime", "corten.plan", "corten.kernel", "corten.model", "corten.wire")
    modules = [module for name, module in sys.modules.items() if name.startswith(ours)]
    return sorted({module.__file__ for module in modules if module.__file__})


def _identity(path: str, *, dated: bool) -> bytes:
    """Device, inode, mount, and of a file that may be edited in place its time and size."""
    fd = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        st = os.fstat(fd)
        with open(f"/proc/self/fdinfo/{fd}") as file:
            mount = int(file.read().split("mnt_id:\t", 1)[1].split("\n", 1)[0])
    finally:
        os.close(fd)
    device = os.major(st.st_dev) << 32 | os.minor(st.st_dev)
    words = (device, st.st_ino, mount, *((st.st_mtime_ns, st.st_size) if dated else (0, 0)))
    return b"".join(word.to_bytes(8, "little") for word in words)
