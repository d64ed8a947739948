"""Detach sequences, as people write them: ``ctrl-p,ctrl-q``."""

from corten.model.errors import InvalidArgument

__all__ = ["DEFAULT", "parse"]

DEFAULT = b"\x10\x11"
_CONTROL = "abcdefghijklmnopqrstuvwxyz@[\\]^_"
_MOST = 16  # the monitor's MAX_KEYS


def parse(text: str) -> bytes:
    """The bytes of a sequence of single characters and ``ctrl-X`` (X a letter or one of ``@[\\]^_``), divided by
    commas.

    >>> parse("ctrl-p,q")
    b'\\x10q'
    """
    keys = bytes(_byte(key) for key in text.split(",")) if text else DEFAULT
    if len(keys) > _MOST:
        raise InvalidArgument(f"the detach sequence {text!r} is longer than {_MOST} keys")
    return keys


def _byte(key: str) -> int:
    if len(key) == 1 and key.isascii():
        return ord(key)
    if len(key) == len("ctrl-?") and key.startswith("ctrl-") and key[-1] in _CONTROL:
        return ord(key[-1].upper()) - ord("@")
    raise InvalidArgument(f"Unknown character: '{key}'", hint="write a detach sequence like ctrl-p,ctrl-q")
