"""`RUN --mount`: each kind with its defaults, and the vertex that it shows."""

import posixpath
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from corten.build import graph
from corten.build.dockerfile import instruction as nouns
from corten.build.dockerfile.error import DockerfileError
from corten.build.graph import Vertex
from corten.build.lower.state import State

if TYPE_CHECKING:
    from corten.build.lower.lowering import Lowering

__all__ = ["mount_of"]

LARGEST = 1 << 31  # CVE-2024-40635: a larger id would wrap around to another, perhaps to root
UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
SIZE = re.compile(r"(\d+(?:\.\d+)?)([kmg]?)b?")


def mount_of(on: "Lowering", state: State, mount: nouns.Mount, one: nouns.Run, inputs: list[Vertex]) -> graph.Mount:
    fields = {key: on.expand(value, state.values, one) for key, value in mount.fields.items()}
    if "$" in mount.fields.get("from", ""):
        hint = "give the image a stage: FROM IMAGE AS NAME"
        raise DockerfileError("variables are not replaced in from=", one.at, hint=hint)
    target = state.absolute(fields.get("target", ""))
    if mount.type == "secret":
        target = fields.get("target") or ("" if "env" in fields else f"/run/secrets/{secret_id(fields)}")
    if mount.type == "ssh":
        cause = "RUN --mount=type=ssh needs BuildKit's session, which is not there yet"
        raise DockerfileError(cause, one.at, near="ssh")
    number = -1
    if mount.type == "bind" or "from" in fields:
        origin = on.source(fields["from"], one) if "from" in fields else Vertex(graph.Context(), name="[context]")
        number = inputs.index(origin) if origin in inputs else len(inputs)
        if number == len(inputs):
            inputs.append(origin)
    writable = is_on(fields, "rw") or is_on(fields, "readwrite")
    readonly = (mount.type == "bind" and not writable) or is_on(fields, "ro") or is_on(fields, "readonly")
    sharing = fields.get("sharing", "shared")
    if sharing not in ("shared", "private", "locked"):
        raise DockerfileError(f"unsupported sharing value {sharing!r}", one.at, near=sharing)
    return graph.Mount(
        type=mount.type,
        target=target,
        input=number,
        source=fields.get("source", "/" if number >= 0 else ""),
        readonly=readonly,
        id=fields.get("id", secret_id(fields) if mount.type == "secret" else target),
        sharing=sharing,
        mode=number_of(fields, "mode", one, 8),
        uid=number_of(fields, "uid", one),
        gid=number_of(fields, "gid", one),
        size=size_of(fields.get("size", "0"), one),
        required=is_on(fields, "required"),
        env=fields.get("env", ""),
    )


def is_on(fields: Mapping[str, str], name: str) -> bool:
    return fields.get(name, "false").lower() in ("true", "1")


def secret_id(fields: Mapping[str, str]) -> str:
    return fields.get("id") or posixpath.basename(fields.get("target", "")) or fields.get("env", "")


def number_of(fields: Mapping[str, str], name: str, one: nouns.Run, base: int = 10) -> int:
    text = fields.get(name, "0")
    try:
        found = int(text, base)
    except ValueError:
        found = -1
    if not 0 <= found < LARGEST:
        kind = "an octal mode like 0755" if base == 8 else "a number below 2147483648"
        raise DockerfileError(f"invalid value {text!r} for {name}", one.at, hint=f"write {kind}", near=text)
    return found


def size_of(text: str, one: nouns.Run) -> int:
    """``64m`` in bytes."""
    match = SIZE.fullmatch(text.lower())
    if not match:
        raise DockerfileError(f"invalid value {text!r} for size", one.at, hint="write one like 64m", near=text)
    return int(float(match[1]) * UNITS[match[2]])
