"""One JSON value after another on a stream: how Docker answers events, stats, pulls, loads and builds.

Three framings exist for events, chosen by the client's ``Accept`` header: plain lines (``application/json``, the
default, ``application/jsonl`` and ``application/x-ndjson``) and RFC 7464 text sequences (``application/json-seq``,
each value after a record separator).

>>> Decoder().feed(b'{"a":1}\\n{"b"')
[{'a': 1}]
"""

import json
from typing import Any

__all__ = ["Decoder", "error_message", "framing"]

RECORD_SEPARATOR = b"\x1e"
_LINES = ("application/jsonl", "application/x-ndjson")


def framing(accept: str) -> tuple[str, bytes, bytes]:
    """The content type, prefix and suffix of each value for a client's ``Accept`` header."""
    for offer in (part.split(";")[0].strip().lower() for part in accept.split(",")):
        if offer == "application/json-seq":
            return offer, RECORD_SEPARATOR, b"\n"
        if offer in _LINES:
            return offer, b"", b"\n"
    return "application/json", b"", b"\n"


def error_message(message: str, code: int = 0) -> dict[str, Any]:
    """What a stream that has already begun says instead of a status code (moby ``jsonmessage``)."""
    detail: dict[str, Any] = {"message": message}
    if code:
        detail = {"code": code, "message": message}
    return {"errorDetail": detail, "error": message}


class Decoder:
    """Turns received bytes into values; both framings are read, an incomplete line waits for its rest."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[Any]:
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [json.loads(line) for line in (line.strip(b"\r " + RECORD_SEPARATOR) for line in lines) if line]
