"""Secrets kept out of what a RUN prints: a build's output goes to logs that many can read.

>>> filter = Redaction([b"hunter2"])
>>> filter.pass_on(b"token hun") + filter.pass_on(b"ter2!") + filter.rest()
b'token ***!'
"""

import re
from collections.abc import Iterable

__all__ = ["Redaction"]

SHOWN = b"***"
SHORTEST = 4  # a shorter one would eat half of the output, and is no secret


class Redaction:
    """One stream's output; the end of a piece that may be the beginning of a secret waits for the next piece."""

    def __init__(self, secrets: Iterable[bytes]) -> None:
        lines = {line.strip() for secret in secrets for line in (secret, *secret.splitlines())}
        words = sorted((word for word in lines if len(word) >= SHORTEST), key=len, reverse=True)
        self._words = words
        self._pattern = re.compile(b"|".join(map(re.escape, words))) if words else None
        self._waiting = b""

    def pass_on(self, data: bytes) -> bytes:
        """What can be shown of `data` and of what waited before it."""
        if self._pattern is None:
            return data
        text = self._pattern.sub(SHOWN, self._waiting + data)
        held = max((overlap(text, word) for word in self._words), default=0)
        self._waiting = text[len(text) - held :]
        return text[: len(text) - held]

    def rest(self) -> bytes:
        """What still waits at the end."""
        waiting, self._waiting = self._waiting, b""
        return waiting


def overlap(text: bytes, word: bytes) -> int:
    """The length of the longest end of `text` that `word` begins with."""
    return next((size for size in range(min(len(text), len(word) - 1), 0, -1) if text.endswith(word[:size])), 0)
