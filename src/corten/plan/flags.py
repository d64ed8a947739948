"""The numbers of Linux that rows carry, and how to print them: the families that native/ops.toml names."""

from __future__ import annotations

CLONE_NEWTIME = 0x80
CLONE_PARENT = 0x8000  # not a namespace: the new process is a child of the launch's spawner
CLONE_NEWNS = 0x20000
CLONE_NEWCGROUP = 0x2000000
CLONE_NEWUTS = 0x4000000
CLONE_NEWIPC = 0x8000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

O_WRONLY = 0o1
O_RDWR = 0o2
O_CREAT = 0o100
O_EXCL = 0o200
O_NOCTTY = 0o400
O_TRUNC = 0o1000
O_NONBLOCK = 0o4000
# O_DIRECTORY and O_NOFOLLOW differ between x86_64 and aarch64; the interpreter translates these, which are x86_64's.
O_DIRECTORY = 0o200000
O_NOFOLLOW = 0o400000
O_CLOEXEC = 0o2000000  # the interpreter always adds it
O_PATH = 0o10000000

MOUNT_ATTR_RDONLY = 0x1
MOUNT_ATTR_NOSUID = 0x2
MOUNT_ATTR_NODEV = 0x4
MOUNT_ATTR_NOEXEC = 0x8
MOUNT_ATTR_ATIME = 0x70  # the field of the three below; to set one, clear the field
MOUNT_ATTR_RELATIME = 0x0
MOUNT_ATTR_NOATIME = 0x10
MOUNT_ATTR_STRICTATIME = 0x20
MOUNT_ATTR_NODIRATIME = 0x80
MOUNT_ATTR_IDMAP = 0x100000
MOUNT_ATTR_NOSYMFOLLOW = 0x200000

MS_RDONLY = 0x1
MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_NOEXEC = 0x8
MS_SYNCHRONOUS = 0x10
MS_REMOUNT = 0x20
MS_MANDLOCK = 0x40
MS_DIRSYNC = 0x80
MS_NOSYMFOLLOW = 0x100
MS_NOATIME = 0x400
MS_NODIRATIME = 0x800
MS_BIND = 0x1000
MS_MOVE = 0x2000
MS_REC = 0x4000
MS_SILENT = 0x8000
MS_UNBINDABLE = 0x20000
MS_PRIVATE = 0x40000
MS_SLAVE = 0x80000
MS_SHARED = 0x100000
MS_RELATIME = 0x200000
MS_I_VERSION = 0x800000
MS_STRICTATIME = 0x1000000
MS_LAZYTIME = 0x2000000

S_IFCHR = 0o020000
S_IFDIR = 0o040000
S_IFBLK = 0o060000
S_IFREG = 0o100000
S_IFIFO = 0o010000
S_IFSOCK = 0o140000

PROC_SUPER_MAGIC = 0x9FA0
SYSFS_MAGIC = 0x62656572
NSFS_MAGIC = 0x6E736673

NETLINK_ROUTE = 0
NETLINK_NETFILTER = 12
SOCK_STREAM = 1
SOCK_DGRAM = 2

SECCOMP_FILTER_FLAG_TSYNC = 1
SECCOMP_FILTER_FLAG_LOG = 2
SECCOMP_FILTER_FLAG_SPEC_ALLOW = 4
SECCOMP_FILTER_FLAG_NEW_LISTENER = 8
SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV = 32

RLIM_INFINITY = 0xFFFFFFFFFFFFFFFF

# The number of each is its place.
RLIMITS = (  # noqa: SIM905
    "RLIMIT_CPU RLIMIT_FSIZE RLIMIT_DATA RLIMIT_STACK RLIMIT_CORE RLIMIT_RSS RLIMIT_NPROC RLIMIT_NOFILE RLIMIT_MEMLOCK"
    " RLIMIT_AS RLIMIT_LOCKS RLIMIT_SIGPENDING RLIMIT_MSGQUEUE RLIMIT_NICE RLIMIT_RTPRIO RLIMIT_RTTIME"
).split()
CAPABILITIES = (  # noqa: SIM905
    "CAP_CHOWN CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_FOWNER CAP_FSETID CAP_KILL CAP_SETGID CAP_SETUID CAP_SETPCAP"
    " CAP_LINUX_IMMUTABLE CAP_NET_BIND_SERVICE CAP_NET_BROADCAST CAP_NET_ADMIN CAP_NET_RAW CAP_IPC_LOCK CAP_IPC_OWNER"
    " CAP_SYS_MODULE CAP_SYS_RAWIO CAP_SYS_CHROOT CAP_SYS_PTRACE CAP_SYS_PACCT CAP_SYS_ADMIN CAP_SYS_BOOT CAP_SYS_NICE"
    " CAP_SYS_RESOURCE CAP_SYS_TIME CAP_SYS_TTY_CONFIG CAP_MKNOD CAP_LEASE CAP_AUDIT_WRITE CAP_AUDIT_CONTROL"
    " CAP_SETFCAP CAP_MAC_OVERRIDE CAP_MAC_ADMIN CAP_SYSLOG CAP_WAKE_ALARM CAP_BLOCK_SUSPEND CAP_AUDIT_READ CAP_PERFMON"
    " CAP_BPF CAP_CHECKPOINT_RESTORE"
).split()

_NS = {
    CLONE_NEWUSER: "user",
    CLONE_NEWNS: "mnt",
    CLONE_NEWPID: "pid",
    CLONE_NEWNET: "net",
    CLONE_NEWIPC: "ipc",
    CLONE_NEWUTS: "uts",
    CLONE_NEWCGROUP: "cgroup",
    CLONE_NEWTIME: "time",
    CLONE_PARENT: "parent",
}
_OPEN = {
    O_WRONLY: "wronly",
    O_RDWR: "rdwr",
    O_CREAT: "creat",
    O_EXCL: "excl",
    O_NOCTTY: "noctty",
    O_TRUNC: "trunc",
    O_NONBLOCK: "nonblock",
    O_DIRECTORY: "directory",
    O_NOFOLLOW: "nofollow",
    O_CLOEXEC: "cloexec",
    O_PATH: "path",
}
_ATTR = {
    MOUNT_ATTR_RDONLY: "ro",
    MOUNT_ATTR_NOSUID: "nosuid",
    MOUNT_ATTR_NODEV: "nodev",
    MOUNT_ATTR_NOEXEC: "noexec",
    MOUNT_ATTR_NOATIME: "noatime",
    MOUNT_ATTR_STRICTATIME: "strictatime",
    MOUNT_ATTR_NODIRATIME: "nodiratime",
    MOUNT_ATTR_IDMAP: "idmap",
    MOUNT_ATTR_NOSYMFOLLOW: "nosymfollow",
}
_MOUNT = {
    value: name[3:].lower() for name, value in globals().items() if name.startswith("MS_") and isinstance(value, int)
}
_TYPE = {S_IFCHR: "char", S_IFDIR: "directory", S_IFBLK: "block", S_IFREG: "file", S_IFIFO: "fifo", S_IFSOCK: "socket"}


def named(value: int, names: dict[int, str]) -> str:
    """A set of bits by name, comma-separated; bits without a name in hexadecimal at the end."""
    found = [name for bit, name in names.items() if value & bit == bit]
    rest = value & ~sum(bit for bit in names if value & bit == bit)
    return ",".join([*found, *([hex(rest)] if rest else [])])


def _attributes(value: int) -> str:
    """The access-time modes are values of one field, not bits; all of its bits together mean the field."""
    if value & MOUNT_ATTR_ATIME == MOUNT_ATTR_ATIME:
        return ",".join(filter(None, (named(value & ~MOUNT_ATTR_ATIME, _ATTR), "atime")))
    return named(value, _ATTR)


def show(family: str, value: int) -> str:
    """An integer argument as text, by its family in native/ops.toml."""
    match family:
        case "ns":
            return named(value, _NS)
        case "open":
            return named(value, _OPEN)
        case "attr":
            return _attributes(value)
        case "mount" | "propagation":
            return named(value, _MOUNT)
        case "type":
            return _TYPE.get(value, oct(value))
        case "rlimit":
            return RLIMITS[value] if value < len(RLIMITS) else str(value)
        case "caps":
            return named(value, {1 << number: name[4:].lower() for number, name in enumerate(CAPABILITIES)}) or "none"
        case "octal":
            return f"{value:04o}"
    return str(value)
