"""What the command line knows of its containers: a directory each, below one root.

::

    ROOT/ID/state.json     who it is and which process it began with; written whole, by rename
    ROOT/ID/status        the same by crun's name for it, which its callers read (`external_descriptors`)
    ROOT/ID/config.json    the very bytes the container was created from
    ROOT/ID/start.sock     where `start` connects; gone once it has

The status is not stored but found out: a process is told from a later one of the same number by its start time, and a
container whose start socket still stands has been created and not started.
"""

from __future__ import annotations

import os

from corten.model.errors import AlreadyExists, InvalidArgument, NotFound
from corten.wire import codec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from corten.model.runtime_spec import RuntimeSpec

__all__ = ["Entry", "Store", "boot_time", "start_time"]

_ID_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+.-")
_START, _STATE = 19, 0  # fields 22 and 3 of /proc/PID/stat, counted after the command name


class Store:
    """All containers below one root directory."""

    def __init__(self, root: str) -> None:
        self.root = root

    def make(self, id: str) -> Entry:
        """A directory for a new container. Raises AlreadyExists, or InvalidArgument for an id that is none."""
        _checked(id)
        os.makedirs(self.root, 0o700, exist_ok=True)
        try:
            os.mkdir(f"{self.root}/{id}", 0o700)
        except FileExistsError:
            hint = f"choose another id, or delete it with: corten-runtime delete {id}"
            raise AlreadyExists("container with given ID already exists", hint=hint, place=id) from None
        return Entry(self.root, id)

    def open(self, id: str) -> Entry:
        """The container of this id. Raises NotFound."""
        _checked(id)
        entry = Entry(self.root, id)
        if not os.path.isdir(entry.path):
            raise NotFound("container does not exist", hint="see which there are: corten-runtime list", place=id)
        return entry

    def all(self) -> list[Entry]:
        """The containers in the order of their ids; directories without a state are being made and are left out."""
        try:
            names = sorted(os.listdir(self.root))
        except FileNotFoundError:
            return []
        return [Entry(self.root, name) for name in names if os.path.exists(f"{self.root}/{name}/state.json")]


class Entry:
    """One container's directory."""

    def __init__(self, root: str, id: str) -> None:
        self.id = id
        self.path = f"{root}/{id}"

    def write(self, name: str, data: bytes) -> None:
        """Replace a file of the directory at once: a reader sees the old bytes or the new ones."""
        temporary = f"{self.path}/.{name}.new"
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.write(fd, data)
        finally:
            os.close(fd)
        os.rename(temporary, f"{self.path}/{name}")

    def link(self, name: str, target: str) -> None:
        """A second name for a file of the directory."""
        os.symlink(target, f"{self.path}/{name}")

    def read(self, name: str) -> bytes:
        try:
            with open(f"{self.path}/{name}", "rb") as file:
                return file.read()
        except FileNotFoundError:
            raise NotFound("container does not exist", hint=f"{self.path} has no {name}", place=self.id) from None

    def record(self) -> dict[str, Any]:
        found: dict[str, Any] = codec.loads(self.read("state.json"))
        return found

    def spec(self) -> RuntimeSpec:
        found: RuntimeSpec = codec.loads(self.read("config.json"))
        return found

    @property
    def socket(self) -> str:
        return f"{self.path}/start.sock"

    def awaits_start(self) -> bool:
        return os.path.exists(self.socket)

    def remove(self) -> None:
        """Take the directory away; what is not ours inside is left, and is an error."""
        for entry in os.scandir(self.path):
            if entry.is_dir(follow_symlinks=False):
                Entry(self.path, entry.name).remove()
            else:
                os.unlink(entry.path)
        os.rmdir(self.path)


def start_time(pid: int) -> int:
    """When the process started, in clock ticks since boot; 0 when there is none, or only its zombie."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rsplit(b")", 1)[1].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return 0 if fields[_STATE] in (b"Z", b"X") else int(fields[_START])


def boot_time() -> str:
    """Which boot this is: a record of an earlier one says nothing about today's processes."""
    with open("/proc/sys/kernel/random/boot_id") as file:
        return file.read().strip()


def _checked(id: str) -> None:
    if not id or id in (".", "..") or len(id) > 1024 or not _ID_CHARACTERS.issuperset(id):
        raise InvalidArgument(f"invalid container ID format: {id!r}", hint="letters, digits and _ + - . only")
