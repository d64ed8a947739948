"""The options of a mount, sorted by who understands them.

fstab words came before the mount calls of today, which keep apart what belongs to one *mount* (read-only, nosuid: set
by `mount_setattr`, recursively or not), to the *filesystem* (sync, or ``size=64k``: set by `fsconfig`), and to
*propagation* (private, slave, shared). The table is runtime-spec's `config.md`, "Linux mount options".

>>> options = parse(["rbind", "ro", "rnosuid", "rprivate", "size=64k"])
>>> options.bind, options.recursive, options.set, options.recursive_set, options.values
(True, True, 1, 2, ['size', '64k'])
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["ATTRIBUTES", "PROPAGATION", "MountOptions", "names", "parse"]

# linux/mount.h: MOUNT_ATTR_*
RDONLY, NOSUID, NODEV, NOEXEC, ATIME, NODIRATIME, NOSYMFOLLOW = 0x1, 0x2, 0x4, 0x8, 0x70, 0x80, 0x200000
_NOATIME, _STRICTATIME = 0x10, 0x20

# word: (bits to set, bits to clear). The three access time modes exclude each other, so each clears them all.
ATTRIBUTES = {
    "ro": (RDONLY, 0),
    "rw": (0, RDONLY),
    "nosuid": (NOSUID, 0),
    "suid": (0, NOSUID),
    "nodev": (NODEV, 0),
    "dev": (0, NODEV),
    "noexec": (NOEXEC, 0),
    "exec": (0, NOEXEC),
    "noatime": (_NOATIME, ATIME),
    "strictatime": (_STRICTATIME, ATIME),
    "relatime": (0, ATIME),
    # The kernel's default is relatime: what takes another mode away, leads back to it.
    "atime": (0, ATIME),
    "norelatime": (0, ATIME),
    "nostrictatime": (0, ATIME),
    "nodiratime": (NODIRATIME, 0),
    "diratime": (0, NODIRATIME),
    "nosymfollow": (NOSYMFOLLOW, 0),
    "symfollow": (0, NOSYMFOLLOW),
}

# linux/mount.h: MS_UNBINDABLE, MS_PRIVATE, MS_SLAVE, MS_SHARED; with "r" in front for the mounts below, too.
PROPAGATION = {"unbindable": 1 << 17, "private": 1 << 18, "slave": 1 << 19, "shared": 1 << 20}

# Options of every filesystem that `fsconfig` takes as a switch (fs/fs_context.c: common_set_sb_flag).
_SWITCHES = ("sync", "async", "dirsync", "lazytime", "nolazytime", "mand", "nomand")

# Words of mount(2) that change nothing for a mount made by the newer calls: `defaults` is the absence of options,
# `silent` and `loud` concern one line of the kernel's log, and no filesystem reads the i_version flag since Linux 6.1.
_NOTHING = ("defaults", "silent", "loud", "iversion", "noiversion", "remount")


class MountOptions:
    """One mount's options: `set`/`clear` of this mount, the same recursively, propagation, and the filesystem's own."""

    __slots__ = (
        "bind",
        "clear",
        "copy_up",
        "idmap",
        "idmap_recursive",
        "propagation",
        "propagation_recursive",
        "recursive",
        "recursive_clear",
        "recursive_set",
        "set",
        "switches",
        "values",
    )

    def __init__(self) -> None:
        self.bind = self.recursive = self.copy_up = self.idmap = self.idmap_recursive = False
        self.set = self.clear = self.recursive_set = self.recursive_clear = 0
        self.propagation = 0
        self.propagation_recursive = False
        self.switches: list[str] = []
        self.values: list[str] = []


def parse(words: Iterable[str]) -> MountOptions:
    """Sort the words; a later one overrides an earlier one, unknown ones go to the filesystem as they stand."""
    options = MountOptions()
    for word in words:
        if word in ATTRIBUTES:
            options.set, options.clear = _changed(options.set, options.clear, ATTRIBUTES[word])
        elif word[:1] == "r" and word[1:] in ATTRIBUTES:
            pair = _changed(options.recursive_set, options.recursive_clear, ATTRIBUTES[word[1:]])
            options.recursive_set, options.recursive_clear = pair
        elif word in PROPAGATION or word[1:] in PROPAGATION:
            options.propagation_recursive = word not in PROPAGATION
            options.propagation = PROPAGATION[word.removeprefix("r") if options.propagation_recursive else word]
        elif word not in _NOTHING and word:
            _special(options, word)
    return options


def names() -> list[str]:
    """Every option that is understood, for `features`."""
    recursive = [f"r{word}" for word in (*ATTRIBUTES, *PROPAGATION)]
    special = ("bind", "rbind", "tmpcopyup", "idmap", "ridmap")
    return sorted({*ATTRIBUTES, *recursive, *PROPAGATION, *_SWITCHES, *_NOTHING, *special})


def _changed(bits: int, cleared: int, change: tuple[int, int]) -> tuple[int, int]:
    on, off = change
    return bits & ~off | on, cleared & ~on | off


def _special(options: MountOptions, word: str) -> None:
    match word:
        case "bind":
            options.bind = True
        case "rbind":
            options.bind = options.recursive = True
        case "tmpcopyup":
            options.copy_up = True
        case "idmap":
            options.idmap = True
        case "ridmap":
            options.idmap = options.idmap_recursive = True
        case _ if "=" in word:
            options.values += word.split("=", 1)
        case _:
            options.switches.append(word)
