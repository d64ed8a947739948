"""The record: what the static program reads back of a container, beside state.json, which others read.

::

    header  magic, version, size of the text, flags, pid (i32), number of values, start time (u64)
    text    strings ended by NUL: the freezer's file, what `state` prints before the pid, between pid and status, after
            it; the values (id, bundle, and the strings of the holes, see `plancache`); the cgroup directories

native/front_state.c has the same. A container without one is Python's alone.
"""

from __future__ import annotations

from struct import Struct

from corten.runtime.compiler.control_groups import place
from corten.wire import codec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from corten.kernel.cgroups import Layout

__all__ = ["HAS_HOOKS", "NAME", "OWN_PIDS", "SPECIFICATION", "encode", "flags_of", "shown", "text"]

SPECIFICATION = "1.2.0"  # of the runtime, as `state` says it
NAME = "record"
OWN_PIDS, HAS_HOOKS = 1, 2
LARGEST = 16384
_MAGIC, _VERSION = 0x44524543, 1
_HEAD = Struct("<4IiIQ")
_PID, _STATUS = -987654321, "<status>"


def shown(record: Mapping[str, Any], pid: int, status: str) -> dict[str, Any]:
    """The state as runtime.md defines it, with what runc adds."""
    return {
        "ociVersion": SPECIFICATION,
        "id": record["id"],
        "pid": pid,
        "status": status,
        "bundle": record["bundle"],
        "rootfs": record["rootfs"],
        "created": record["created"],
        "annotations": record["annotations"],
        "owner": record["owner"],
    }


def text(record: Mapping[str, Any], values: Sequence[str], layout: Layout, *, absolute: bool) -> str:
    """The record's strings; `absolute` says how a cgroups path counts that is only a mark here."""
    printed = codec.dumps_indented(shown(record, _PID, _STATUS), "  ") + "\n"
    head, _, rest = printed.partition(f'"pid": {_PID}')
    head += '"pid": '
    middle, _, tail = rest.partition(_STATUS)
    directories: list[str] = []
    freezer = ""
    if not record["fallback"]:
        path = record["cgroupsPath"] or record["id"]
        for hierarchy in layout.hierarchies:
            base = hierarchy.directory("/" if absolute else "")
            directories.append(f"{base}{'' if absolute else '/'}{path}")
            if "freezer" in hierarchy.controllers:
                freezer = f"{directories[-1]}/freezer.state"
        if not freezer and layout.unified:
            freezer = f"{directories[-1]}/cgroup.events"
    return "".join(f"{one}\0" for one in (freezer, head, middle, tail, *values, *directories))


def flags_of(data: bytes) -> int:
    """The flags of an encoded record."""
    return int(_HEAD.unpack_from(data)[3])


def encode(record: Mapping[str, Any], values: Sequence[str], layout: Layout, flags: int) -> bytes:
    """The record of a container that Python created; nothing where it is too large for C."""
    path = place(record["cgroupsPath"], record["id"])
    strings = text({**record, "cgroupsPath": path}, values, layout, absolute=path.startswith("/")).encode()
    if len(strings) > LARGEST:
        return b""
    head = _HEAD.pack(_MAGIC, _VERSION, len(strings), flags, record["pid"], len(values), record["start"])
    return head + strings
