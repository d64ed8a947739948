"""The files that TLS needs, under the names and at the places where dockerd has them."""

from typing import NamedTuple

__all__ = ["Certificates"]


class Certificates(NamedTuple):
    """A server's own certificate and key, and `authority`: where it is set, only clients it has signed are let in."""

    certificate: str
    key: str
    authority: str = ""
