"""Something that happened to an object, in Docker's words: a type, an action, an actor and its attributes."""

import msgspec

__all__ = ["Event"]


class Event(msgspec.Struct, frozen=True):
    """`type` is container, image, network, volume, daemon…; `time_ns` is Unix time, 0 until the outbox stamps it."""

    type: str
    action: str
    actor: str
    attributes: dict[str, str] = {}
    time_ns: int = 0
    scope: str = "local"
