"""Contexts on disk, in Docker's form.

    ~/.docker/contexts/meta/SHA256-OF-NAME/meta.json                     name, description, endpoints
    ~/.docker/contexts/tls/SHA256-OF-NAME/docker/{ca,cert,key}.pem       what TLS needs

What we do not know in a `meta.json` stays in it: another program may have put it there.
"""

from __future__ import annotations

import os
import shutil
from typing import Any

from corten.cli.settings import config_path
from corten.cli.table import Fault
from corten.wire.codec import dumps, loads

__all__ = ["NAME", "address_of", "check_name", "exists", "meta", "names", "place", "remove", "tls_files", "write"]

Meta = dict[str, Any]
NAME = "^[a-zA-Z0-9][a-zA-Z0-9_.+-]+$"
TLS = ("ca.pem", "cert.pem", "key.pem")


def check_name(name: str) -> None:
    """Fault, in Docker's words, for a name that no context may have."""
    import re

    if name == "default":
        raise Fault('"default" is a reserved context name')
    if not re.fullmatch(NAME[1:-1], name):
        raise Fault(f'context name "{name}" is invalid, names are validated against regexp "{NAME}"')


def place(kind: str, name: str) -> str:
    """The directory of a context's `meta` or `tls`."""
    from hashlib import sha256

    key = sha256(name.encode("utf-8", "surrogateescape")).hexdigest()
    return os.path.join(os.path.dirname(config_path()), "contexts", kind, key)


def exists(name: str) -> bool:
    return os.path.exists(os.path.join(place("meta", name), "meta.json"))


def meta(name: str) -> Meta:
    """What is kept of a context; Fault when there is none."""
    path = os.path.join(place("meta", name), "meta.json")
    try:
        with open(path, encoding="utf-8") as file:
            found = loads(file.read())
    except FileNotFoundError:
        raise Fault(f'context "{name}": context not found: open {path}: no such file or directory') from None
    except (OSError, ValueError) as error:
        raise Fault(f'context "{name}": cannot read {path}: {error}') from None
    if not isinstance(found, dict):
        raise Fault(f'context "{name}": cannot read {path}: it holds no JSON object')
    return found


def names() -> list[str]:
    """Every context's name, sorted; `default` is not kept."""
    top = os.path.dirname(place("meta", ""))
    try:
        keys = os.listdir(top)
    except OSError:
        return []
    found = []
    for key in keys:
        try:
            with open(os.path.join(top, key, "meta.json"), encoding="utf-8") as file:
                found.append(str(loads(file.read())["Name"]))
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return sorted(found)


def tls_files(name: str) -> dict[str, bytes]:
    """The TLS files of a context's docker endpoint, by name."""
    directory = os.path.join(place("tls", name), "docker")
    found = {}
    for file in TLS:
        try:
            with open(os.path.join(directory, file), "rb") as opened:
                found[file] = opened.read()
        except OSError:
            continue
    return found


def address_of(name: str) -> str:
    """Where the engine of a context listens; Fault when there is no such context."""
    from corten.model.errors import Unimplemented

    try:
        found = meta(name)
    except Fault as fault:
        raise Fault(f"Failed to initialize: unable to resolve docker endpoint: {fault.message}") from None
    host = str((found.get("Endpoints") or {}).get("docker", {}).get("Host") or "")
    if tls_files(name):
        raise Unimplemented(f"cannot reach {host} of the context {name}: it asks for TLS, which is not built")
    return host


def write(name: str, kept: Meta, tls: dict[str, bytes]) -> None:
    """Write a context; its `meta.json`, by which it is there, last and in one step."""
    for file, body in tls.items():
        directory = os.path.join(place("tls", name), "docker")
        os.makedirs(directory, mode=0o700, exist_ok=True)
        _replace(os.path.join(directory, file), body, 0o600)
    os.makedirs(place("meta", name), mode=0o755, exist_ok=True)
    _replace(os.path.join(place("meta", name), "meta.json"), dumps(kept).encode(), 0o644)


def _replace(path: str, body: bytes, mode: int) -> None:
    fresh = f"{path}.{os.getpid()}"
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with open(descriptor, "wb") as file:
            file.write(body)
        os.replace(fresh, path)
    except BaseException:
        os.unlink(fresh)
        raise


def remove(name: str) -> None:
    for kind in ("meta", "tls"):
        shutil.rmtree(place(kind, name), ignore_errors=True)
