"""Lists under way: where Docker's command line keeps them too, so that either goes on with the other's.

~/.docker/manifests/LIST/MEMBER      a JSON document each; `:` in a name is written `-`, `/` is written `_`
"""

from __future__ import annotations

import os
import shutil
from typing import Any

from corten.cli.settings import config_path
from corten.cli.table import Fault
from corten.model.reference import Reference
from corten.wire.codec import dumps, loads

__all__ = ["forget", "keep", "kept", "member"]


def directory(reference: Reference) -> str:
    return os.path.join(os.path.dirname(config_path()), "manifests", file_name(reference))


def file_name(reference: Reference) -> str:
    return str(reference).replace(":", "-").replace("/", "_")


def kept(reference: Reference) -> list[dict[str, Any]]:
    """The members of a list in the order of their names; none when there is no such list."""
    try:
        names = sorted(os.listdir(directory(reference)))
    except OSError:
        return []
    return [read(os.path.join(directory(reference), name)) for name in names]


def member(reference: Reference, of: Reference) -> dict[str, Any] | None:
    """One member; None when the list has it not."""
    path = os.path.join(directory(of), file_name(reference))
    return read(path) if os.path.exists(path) else None


def read(path: str) -> dict[str, Any]:
    try:
        with open(path, encoding="utf-8") as file:
            found = loads(file.read())
    except (OSError, ValueError) as error:
        raise Fault(f"cannot read {path}: {error}", hint="remove the list and create it anew") from None
    if not isinstance(found, dict) or "Raw" not in found or "Descriptor" not in found:
        raise Fault(f"cannot read {path}: it holds no manifest", hint="remove the list and create it anew")
    return found


def keep(reference: Reference, of: Reference, one: dict[str, Any]) -> None:
    """Write a member beside its name and rename it there."""
    where = directory(of)
    os.makedirs(where, mode=0o755, exist_ok=True)
    path = os.path.join(where, file_name(reference))
    fresh = f"{path}.{os.getpid()}"
    try:
        with open(fresh, "w", encoding="utf-8") as file:
            file.write(dumps(one))
        os.replace(fresh, path)
    except BaseException:
        os.unlink(fresh)
        raise


def forget(reference: Reference) -> bool:
    """Remove a list; False when there was none."""
    if not os.path.isdir(directory(reference)):
        return False
    shutil.rmtree(directory(reference))
    return True
