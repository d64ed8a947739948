"""Which engine this is: the names and numbers by which engines on one machine never meet.

The system's engine has the plain names (`corten0`, table `corten`); any other root's names carry eight hex digits
made from its path.
"""

import hashlib
from typing import NamedTuple, Self

__all__ = ["Identity"]

# The engine of this root is the machine's own; it keeps Docker's first pool and the names people expect.
SYSTEM_ROOT = "/var/lib/corten"


class Identity(NamedTuple):
    """An engine's eight hex digits, empty for the system's engine."""

    digits: str

    @classmethod
    def of(cls, root: str) -> Self:
        """The identity of the engine whose data lies below the absolute path `root`."""
        return cls("" if root == SYSTEM_ROOT else hashlib.sha256(root.encode()).hexdigest()[:8])

    @property
    def bridge(self) -> str:
        """Device name of the default network; a name has at most 15 bytes."""
        return f"ct{self.digits}-0" if self.digits else "corten0"

    @property
    def table(self) -> str:
        """Name of this engine's nftables tables."""
        return f"corten-{self.digits}" if self.digits else "corten"

    def preferred(self, count: int) -> int:
        """Where among `count` address pools this engine begins to look."""
        return int(self.digits, 16) % count if self.digits else 0

    def ula(self) -> bytes:
        """The 48-bit prefix of this engine's unique local IPv6 addresses: fd and 40 bits of its own (RFC 4193, 3.2)."""
        return b"\xfd" + hashlib.sha256(b"corten ula " + self.digits.encode()).digest()[:5]
