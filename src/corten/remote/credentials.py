"""Who we are at a registry, as a client lends it to the engine for one request; where it is kept is the client's."""

import base64
from typing import NamedTuple

__all__ = ["ANONYMOUS", "Credentials"]


class Credentials(NamedTuple):
    """A name and password, or an identity token (exchanged for access), or a ready registry token."""

    username: str = ""
    password: str = ""
    identity_token: str = ""
    registry_token: str = ""

    def __repr__(self) -> str:
        return f"Credentials(username={self.username!r}, …)"

    @property
    def basic(self) -> str:
        """The value of an ``Authorization: Basic`` header; empty without a name."""
        pair = base64.b64encode(f"{self.username}:{self.password}".encode()).decode()
        return f"Basic {pair}" if self.username else ""


ANONYMOUS = Credentials()
