"""Linux capabilities by name, and what the kernel still lets this process have.

A set is an integer with one bit a capability, as in ``/proc/self/status``. A root may lack some: a container engine
inside a container, or a machine that was hardened. What is not in the bounding set cannot be given to anybody.

>>> names(mask(["CAP_KILL", "CAP_SYS_ADMIN"]))
['CAP_KILL', 'CAP_SYS_ADMIN']
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["NAMES", "NUMBERS", "Held", "held", "mask", "names"]

# In the order of include/uapi/linux/capability.h.
_ORDER = (
    "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE "
    "NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN "
    "SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE "
    "MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE"
)
NAMES = tuple("CAP_" + word for word in _ORDER.split())
NUMBERS = {name: number for number, name in enumerate(NAMES)}


class Held:
    """The capability sets of this process, as the kernel states them."""

    __slots__ = ("bounding", "effective", "permitted")

    def __init__(self, effective: int, permitted: int, bounding: int) -> None:
        self.effective = effective
        self.permitted = permitted
        self.bounding = bounding


def held(status: str | None = None) -> Held:
    """What this process holds; `status` is the text of a ``/proc/PID/status`` and read from our own by default."""
    if status is None:
        with open("/proc/self/status") as file:
            status = file.read()
    return Held(*(int(status.split(f"Cap{key}:\t", 1)[1][:16], 16) for key in ("Eff", "Prm", "Bnd")))


def mask(wanted: Iterable[str]) -> int:
    """The set with the capabilities `wanted`; KeyError for a name the kernel's list does not have."""
    bits = 0
    for name in wanted:
        bits |= 1 << NUMBERS[name]
    return bits


def names(bits: int) -> list[str]:
    """The names of the set `bits` in the kernel's order."""
    return [name for number, name in enumerate(NAMES) if bits >> number & 1]
