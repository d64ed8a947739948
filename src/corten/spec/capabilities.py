"""Which capabilities a container's process has: Docker's fourteen, `--cap-add`, `--cap-drop`, and what the host
itself still has.

>>> sorted(chosen(("NET_ADMIN",), ("ALL",), privileged=False))
['CAP_NET_ADMIN']
"""

from collections.abc import Iterable

from corten.model.errors import InvalidArgument

__all__ = ["ALL", "DEFAULT", "chosen"]

# Numbered by the kernel in this order (include/uapi/linux/capability.h).
KERNEL_ORDER = """
    CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE
    NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN
    SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE
    MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE
"""
# Docker's default set, in the order that its OCI spec shows them.
DOCKER_DEFAULT = """
    CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE SYS_CHROOT KILL
    AUDIT_WRITE
"""
ALL = tuple("CAP_" + name for name in KERNEL_ORDER.split())
DEFAULT = tuple("CAP_" + name for name in DOCKER_DEFAULT.split())


def chosen(add: Iterable[str], drop: Iterable[str], *, privileged: bool) -> tuple[str, ...]:
    """The capabilities asked for, in Docker's order. Names may lack `CAP_`, be in any case, or be `ALL`.

    A privileged container has all of them whatever is dropped, as with Docker. Raises InvalidArgument for an unknown
    name.
    """
    added, dropped = normal(add), normal(drop)
    if privileged:
        return ALL
    if "ALL" in added:
        return tuple(name for name in ALL if name not in dropped)
    kept = () if "ALL" in dropped else tuple(name for name in DEFAULT if name not in dropped)
    return kept + tuple(name for name in added if name not in kept)


def normal(names: Iterable[str]) -> tuple[str, ...]:
    """Upper case with `CAP_`; each once."""
    result: dict[str, None] = {}
    for name in names:
        upper = name.upper()
        full = upper if upper == "ALL" or upper.startswith("CAP_") else "CAP_" + upper
        if full == "CAP_ALL":
            full = "ALL"
        if full != "ALL" and full not in ALL:
            raise InvalidArgument(f'invalid capability: "{full}"', hint="capabilities(7) lists the names")
        result[full] = None
    return tuple(result)
