"""Which parts make up an engine, put together in one place.

The parts are imported here and not above, so that a command that only asks who holds the lock stays quick.
"""

from typing import Any

from corten.daemon.config import Config
from corten.model.errors import Unimplemented
from corten.model.roots import Roots

__all__ = ["compose"]


def compose(roots: Roots, config: Config) -> Any:
    """The engine of `roots`, restored: containers that outlived the last engine are adopted."""
    return Bare(roots, config)


class Bare:
    """An engine before its parts are there: whatever is asked of it says so."""

    def __init__(self, roots: Roots, config: Config) -> None:
        self.roots, self.config = roots, config

    def running(self) -> int:
        return 0

    def close(self) -> None:
        """Nothing to close."""

    def __getattr__(self, name: str) -> Any:
        raise Unimplemented(f"the engine has no {name} yet")
