"""A volume: a named directory that outlives the containers which use it."""

import msgspec

__all__ = ["Volume"]


class Volume(msgspec.Struct, frozen=True):
    """`options` are those of Docker's local driver (type, device, o); `anonymous` ones have a made-up name."""

    name: str
    created: int
    anonymous: bool
    labels: dict[str, str]
    options: dict[str, str]
