"""/dev/shm for containers that share it (`--ipc shareable`, `--ipc container:X`).

A container's own /dev/shm is a mount of its own namespace, which no other can be given a copy of. So one that is to
be shared is a tmpfs below the engine's run directory while its container runs: the one mount that the host's table
shows.
"""

import ctypes
import os
from pathlib import Path

from corten.engine.record import Container
from corten.engine.services import Services
from corten.kernel.rooted import libc
from corten.model.errors import FailedPrecondition
from corten.spec import default

__all__ = ["joined", "make", "remove"]

MS_NOSUID, MS_NODEV, MS_NOEXEC = 2, 4, 8
MNT_DETACH = 2


def place(services: Services, container: Container) -> Path:
    return services.settings.run / "shm" / container.id


def make(services: Services, container: Container) -> str:
    """Mount a container's shared memory; its path."""
    directory = place(services, container)
    directory.mkdir(parents=True, exist_ok=True)
    size = container.record.host.shm_size or default.SHM_SIZE
    flags = MS_NOSUID | MS_NODEV | MS_NOEXEC
    if libc.mount(b"shm", os.fsencode(directory), b"tmpfs", flags, f"mode=1777,size={size}".encode()) != 0:
        cause = os.strerror(ctypes.get_errno())
        raise FailedPrecondition(f"cannot mount shared memory of container {container.id}: {cause}")
    return str(directory)


def joined(services: Services, other: Container) -> str:
    """The shared memory of another container; refused where that one keeps it for itself."""
    if other.record.host.ipc_mode != "shareable":
        raise FailedPrecondition(
            f"cannot join IPC of a container {other.id}: non-shareable IPC "
            "(hint: use IpcMode:shareable for the donor container)"
        )
    return str(place(services, other))


def remove(services: Services, container: Container) -> None:
    """Take it away again, if there is any; who joined keeps a copy of the mount."""
    if container.record.host.ipc_mode != "shareable":
        return
    directory = place(services, container)
    while libc.umount2(os.fsencode(directory), MNT_DETACH) == 0:
        continue
    if directory.exists():
        directory.rmdir()
