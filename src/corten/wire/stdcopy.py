"""Docker's stdcopy: stdout and stderr of a process on one byte stream (moby ``api/pkg/stdcopy``).

A frame is eight bytes, ``[stream, 0, 0, 0, length as 32 bits big-endian]``, and then `length` bytes. A reader
must take frames that arrive split anywhere, also within the header. With a terminal there are no frames at all.

>>> decoder = Decoder()
>>> decoder.feed(frame(STDOUT, b"ok") + frame(STDERR, b"oh")[:3])
[(1, b'ok')]
"""

from corten.model.errors import DataLoss

__all__ = ["STDERR", "STDIN", "STDOUT", "SYSTEM_ERROR", "Decoder", "frame"]

STDIN, STDOUT, STDERR, SYSTEM_ERROR = 0, 1, 2, 3
_HEADER = 8


def frame(stream: int, payload: bytes) -> bytes:
    """One frame of `payload` on `stream`; the payload must be shorter than 4 GiB."""
    return stream.to_bytes(4, "little") + len(payload).to_bytes(4, "big") + payload


class Decoder:
    """Turns received bytes into (stream, payload) pairs; an incomplete frame waits for its rest."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """Every frame that `data` completes; `DataLoss` when the bytes are no stdcopy stream."""
        buffer = self._rest + data if self._rest else data
        frames, at = [], 0
        while at + _HEADER <= len(buffer):
            stream, length = buffer[at], int.from_bytes(buffer[at + 4 : at + 8], "big")
            if stream > SYSTEM_ERROR:
                raise DataLoss(f"unrecognized input header: {stream}")
            if at + _HEADER + length > len(buffer):
                break
            at += _HEADER
            frames.append((stream, buffer[at : at + length]))
            at += length
        self._rest = buffer[at:]
        return frames

    @property
    def complete(self) -> bool:
        """False when the stream stopped in the middle of a frame."""
        return not self._rest
