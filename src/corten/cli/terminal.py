"""The user's terminal: raw while a container has it, its size, the keys that leave it.

Only imported when a container gets a terminal; a plain `run` never pays for it.
"""

from __future__ import annotations

import termios
from posix import get_terminal_size

from corten.cli.table import Fault

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["DEFAULT_KEYS", "EscapeKeys", "key_bytes", "make_raw", "restore", "window_size"]

DEFAULT_KEYS = b"\x10\x11"  # Ctrl-P Ctrl-Q
_CONTROL = {**{chr(97 + n): n + 1 for n in range(26)}, "@": 0, "[": 27, "\\": 28, "]": 29, "^": 30, "_": 31}


def window_size(descriptor: int = 1) -> tuple[int, int]:
    """Rows and columns of the terminal at `descriptor`; zeros when it is none."""
    try:
        size = get_terminal_size(descriptor)
    except OSError:
        return 0, 0
    return size.lines, size.columns


def make_raw(descriptor: int) -> list[Any]:
    """Let every byte through as it is typed, and return the settings to restore."""
    saved = termios.tcgetattr(descriptor)
    raw = termios.tcgetattr(descriptor)
    raw[0] &= ~(
        termios.IGNBRK | termios.BRKINT | termios.PARMRK | termios.ISTRIP
        | termios.INLCR | termios.IGNCR | termios.ICRNL | termios.IXON
    )  # fmt: skip
    raw[1] &= ~termios.OPOST
    raw[2] = (raw[2] & ~(termios.CSIZE | termios.PARENB)) | termios.CS8
    raw[3] &= ~(termios.ECHO | termios.ECHONL | termios.ICANON | termios.ISIG | termios.IEXTEN)
    raw[6][termios.VMIN], raw[6][termios.VTIME] = 1, 0
    termios.tcsetattr(descriptor, termios.TCSANOW, raw)
    return saved


def restore(descriptor: int, saved: list[Any]) -> None:
    termios.tcsetattr(descriptor, termios.TCSADRAIN, saved)


def key_bytes(keys: str) -> bytes:
    """What a key sequence such as `ctrl-p,ctrl-q` sends; Fault when it is none."""
    if not keys:
        return DEFAULT_KEYS
    found = bytearray()
    for key in keys.split(","):
        if len(key) == 1:
            found += key.encode()
        elif key.startswith("ctrl-") and key[5:] in _CONTROL:
            found.append(_CONTROL[key[5:]])
        elif key == "DEL":
            found.append(127)
        else:
            raise Fault(f"invalid detach keys ({keys}): Unknown character: '{key}'")
    return bytes(found)


class EscapeKeys:
    """Watches what is typed for the keys that detach, and holds back what may be their beginning."""

    def __init__(self, keys: bytes) -> None:
        self._keys = keys
        self._seen = 0
        self.hit = False

    def pass_on(self, typed: bytes) -> bytes:
        """What of `typed` goes to the container; `hit` is set when the keys were typed."""
        out = bytearray()
        for byte in typed:
            if byte == self._keys[self._seen]:
                self._seen += 1
                if self._seen == len(self._keys):
                    self.hit = True
                    return bytes(out)
                continue
            out += self._keys[: self._seen]
            self._seen = 1 if byte == self._keys[0] else 0
            if not self._seen:
                out.append(byte)
        return bytes(out)
