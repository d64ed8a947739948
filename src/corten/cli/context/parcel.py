"""A context as one file, to carry it elsewhere: a tar of `meta.json` and `tls/docker/*.pem`, as docker's export."""

from __future__ import annotations

import io
import tarfile
from typing import Any

from corten.cli.table import Fault
from corten.wire.codec import dumps, loads

__all__ = ["packed", "unpacked"]

LARGEST = 10 << 20
TLS = "tls/docker/"


def packed(meta: dict[str, Any], tls: dict[str, bytes]) -> bytes:
    """The tar's bytes."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        _add(archive, "meta.json", dumps(meta).encode())
        for path in ("tls", "tls/docker") if tls else ("tls",):
            directory = tarfile.TarInfo(path)
            directory.type, directory.mode = tarfile.DIRTYPE, 0o700
            archive.addfile(directory)
        for name, body in sorted(tls.items()):
            _add(archive, TLS + name, body)
    return out.getvalue()


def _add(archive: tarfile.TarFile, name: str, body: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(body), 0o644 if name == "meta.json" else 0o600
    archive.addfile(entry, io.BytesIO(body))


def unpacked(data: bytes, known: tuple[str, ...]) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The metadata and the TLS files; only the names in `known` are taken, whatever else the tar says."""
    if data[:4] == b"PK\x03\x04":
        raise Fault("import context: zip archives are not read", hint="export it as a tar: docker context export")
    meta: dict[str, Any] | None = None
    tls: dict[str, bytes] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            for entry in archive:
                file = archive.extractfile(entry) if entry.isreg() and entry.size <= LARGEST else None
                if file is None:
                    continue
                if entry.name == "meta.json":
                    meta = loads(file.read())
                elif entry.name.startswith(TLS) and entry.name.removeprefix(TLS) in known:
                    tls[entry.name.removeprefix(TLS)] = file.read()
    except (tarfile.TarError, ValueError, EOFError):
        raise Fault("unexpected EOF", hint="it must be what `context export` wrote") from None
    if not isinstance(meta, dict):
        raise Fault("invalid context: no metadata found")
    return meta, tls
