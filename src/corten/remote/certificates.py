"""Whom a TLS connection trusts and as whom it speaks: the system's authorities, and Docker's `certs.d`.

    /etc/docker/certs.d/HOST[:PORT]/*.crt                an authority to trust for this registry, beside the system's
    /etc/docker/certs.d/HOST[:PORT]/NAME.cert, NAME.key  who we are there

`/etc/corten/certs.d` is read the same way. A context costs 10 ms (the system's authorities are parsed), so one is kept
per registry for as long as its directories stay as they are.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from corten.model.errors import FailedPrecondition

if TYPE_CHECKING:
    import ssl

__all__ = ["DIRECTORIES", "Certificates"]

DIRECTORIES = ("/etc/corten/certs.d", "/etc/docker/certs.d")


class Certificates:
    """TLS contexts by registry; thread-safe."""

    def __init__(self, directories: tuple[str, ...] = DIRECTORIES) -> None:
        self._directories = directories
        self._kept: dict[tuple[str, bool], tuple[tuple[str, ...], ssl.SSLContext]] = {}
        self._lock = threading.Lock()

    def context(self, address: str, *, verify: bool) -> ssl.SSLContext:
        """The context for ``host[:port]``; raises `FailedPrecondition` for certificates that cannot be used."""
        files = self._files(address)
        state = tuple(f"{path} {os.stat(path).st_mtime_ns}" for path in files)
        with self._lock:
            kept = self._kept.get((address, verify))
            if kept and kept[0] == state:
                return kept[1]
        made = made_of(files, verify=verify)
        with self._lock:
            self._kept[address, verify] = (state, made)
        return made

    def _files(self, address: str) -> list[str]:
        found: list[str] = []
        for directory in self._directories:
            place = os.path.join(directory, address)
            if "/" in address or address in ("", ".", "..") or not os.path.isdir(place):
                continue
            found += [os.path.join(place, name) for name in sorted(os.listdir(place))]
        return [path for path in found if path.endswith((".crt", ".cert", ".key"))]


def made_of(files: list[str], *, verify: bool) -> ssl.SSLContext:
    import ssl

    context = ssl.create_default_context()
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    for path in files:
        try:
            if path.endswith(".crt"):
                context.load_verify_locations(path)
            elif path.endswith(".cert"):
                context.load_cert_chain(path, key_of(path, files))
        except (OSError, ssl.SSLError) as error:
            raise FailedPrecondition(f"use the certificate {path}: {error}", hint="mend or remove the file") from None
    return context


def key_of(certificate: str, files: list[str]) -> str:
    key = certificate.removesuffix(".cert") + ".key"
    if key not in files:
        raise FailedPrecondition(
            f"use the certificate {certificate}: its key {key} is missing",
            hint="a certificate ends in .cert, its key in .key",
        )
    return key
