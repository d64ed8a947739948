"""What the static program hands over when it cannot do a verb: the bytes it read, and why.

It passes a memfd by its number behind our program name (``corten-runtime@100``): a header, the key, the document
(config.json, or the process of an exec), and the control message of a launch of its own that failed, if one did.
"""

from __future__ import annotations

import os
from struct import Struct

__all__ = ["Handed", "Key"]

_HEAD = Struct("<6I2Q")
_MAGIC = 0x444E4148


class Key:
    """What C says this process and machine are like; see native/front_key.c for its lines."""

    def __init__(self, text: bytes) -> None:
        self.text = text
        lines = text.decode("utf-8", "surrogateescape").split("\n")
        self.words = {line.split(" ", 1)[0]: line.split(" ")[1:] for line in lines if " " in line}
        self.cgroup = text.rpartition(b"\ncgroup\n")[2].decode().strip()


class Handed:
    """`document` and `key` as C read them; `message` is what a failing row said, "" on an ordinary miss."""

    __slots__ = ("document", "key", "key_name", "message", "name", "options")

    def __init__(self, options: int, key: Key, document: bytes, message: bytes, name: int, key_name: int) -> None:
        self.options = options
        self.key = key
        self.document = document
        self.message = message
        self.name = name
        self.key_name = key_name

    @classmethod
    def receive(cls, fd: int) -> Handed | None:
        """Read and close the descriptor; None for one that is not what C hands over."""
        os.set_inheritable(fd, False)
        try:
            raw = os.pread(fd, os.fstat(fd).st_size, 0)
        finally:
            os.close(fd)
        if len(raw) < _HEAD.size:
            return None
        magic, options, key, document, message, _, name, key_name = _HEAD.unpack_from(raw)
        if magic != _MAGIC or len(raw) != _HEAD.size + key + document + message:
            return None
        at = _HEAD.size
        texts = raw[at : at + key], raw[at + key : at + key + document], raw[at + key + document :]
        return cls(options, Key(texts[0]), texts[1], texts[2], name, key_name)
