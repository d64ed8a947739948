"""Where an engine lives: a pure function of the environment and the user.

=================  ============================  ====================================  =====================
                   data (survives a reboot)      run (may vanish at boot)              socket
=================  ============================  ====================================  =====================
``CORTEN_ROOT=D``  ``D/data``                    ``D/run``                             ``D/corten.sock``
root               ``/var/lib/corten``           ``/run/corten``                       ``/run/corten/corten.sock``
a user             ``$XDG_DATA_HOME/corten``     ``$XDG_RUNTIME_DIR/corten``           ``…/corten.sock`` there
=================  ============================  ====================================  =====================

Several engines live side by side without meeting because every name they put into a place that is shared by the
whole machine (cgroup parent, bridge, firewall table) is made from `Roots.identity`.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Roots", "below", "of"]


class Roots:
    """The three places of one engine, as absolute paths. A plain class, because commands import this (no `typing`)."""

    __slots__ = ("data", "run", "socket")

    def __init__(self, data: str, run: str, socket: str) -> None:
        self.data = data
        self.run = run
        self.socket = socket

    @property
    def log(self) -> str:
        return f"{self.data}/engine.log"

    @property
    def lock(self) -> str:
        """Held by the one engine of this root; in `data`, so that a lost run directory admits no second engine."""
        return f"{self.data}/engine.lock"

    @property
    def config(self) -> str:
        return f"{self.data}/engine.json"

    @property
    def identity(self) -> str:
        """Eight hex digits that differ between the engines of a machine: FNV-1a of the data root, free of hashlib."""
        value = 0x811C9DC5
        for byte in self.data.encode():
            value = (value ^ byte) * 0x01000193 & 0xFFFFFFFF
        return f"{value:08x}"


def of(environ: Mapping[str, str], uid: int) -> Roots:
    """The roots that `environ` and `uid` name; ``CORTEN_ROOT`` must be absolute."""
    if root := environ.get("CORTEN_ROOT", "").rstrip("/"):
        return below(root)
    if uid == 0:
        return Roots("/var/lib/corten", "/run/corten", "/run/corten/corten.sock")
    home = environ.get("HOME", "/")
    data = environ.get("XDG_DATA_HOME") or f"{home}/.local/share"
    run = environ.get("XDG_RUNTIME_DIR") or f"{data}/corten/run"
    return Roots(f"{data}/corten", f"{run}/corten", f"{run}/corten/corten.sock")


def below(root: str) -> Roots:
    """Everything of an engine below one directory."""
    return Roots(f"{root}/data", f"{root}/run", f"{root}/corten.sock")
