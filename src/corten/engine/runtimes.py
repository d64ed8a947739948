"""Which OCI runtime runs a container: our own, one that the configuration names, or one that is installed.

``--runtime`` takes a name or an absolute path. Our own is ``corten``; ``io.containerd.runc.v2`` means it too, since
that is what Docker calls the default of containerd. runc, crun and youki are found by their names on PATH.
"""

import os
import shutil
from collections.abc import Mapping

from corten.model.errors import InvalidArgument

__all__ = ["DEFAULT", "command", "listed"]

DEFAULT = "corten"
OWN = frozenset(("", DEFAULT, "io.containerd.runc.v2"))
WELL_KNOWN = ("runc", "crun", "youki")
# An engine started by a service manager may have a short PATH; runc is in sbin on Debian.
PLACES = f"{os.environ.get('PATH', '')}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def command(name: str, configured: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """The command that begins the runtime's; empty for our own. InvalidArgument for one that is not there."""
    if name in configured:
        return configured[name]
    if name in OWN:
        return ()
    found = name if name.startswith("/") else shutil.which(name, path=PLACES) if name in WELL_KNOWN else None
    if not found or not os.access(found, os.X_OK):
        hint = "give an absolute path, or name it in the configuration's runtimes; without --runtime our own is used"
        raise InvalidArgument(f"unknown or invalid runtime name: {name}", hint=hint)
    return (found,)


def listed(program: str, configured: Mapping[str, tuple[str, ...]]) -> dict[str, dict[str, object]]:
    """Those that can be named, as ``docker info`` shows them."""
    found = {name: path for name in WELL_KNOWN if (path := shutil.which(name, path=PLACES))}
    shown: dict[str, dict[str, object]] = {DEFAULT: {"path": program}}
    shown.update({name: {"path": path} for name, path in found.items()})
    for name, words in configured.items():
        shown[name] = {"path": words[0]} | ({"runtimeArgs": list(words[1:])} if words[1:] else {})
    return shown
