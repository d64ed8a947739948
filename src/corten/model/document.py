"""Bytes that have a digest, beside what they mean.

Two JSON texts with one meaning have two digests. So the bytes that came are kept as they came, next to the
parsed view, and go out again unchanged; only a new value is ever serialised (`encode`).
"""

from typing import Any, Generic, TypeVar

import msgspec

from corten.model.descriptor import Descriptor
from corten.model.digest import Digest
from corten.model.errors import InvalidArgument
from corten.model.platform import Platform

__all__ = ["LIMIT", "Document", "decode", "encode"]

T = TypeVar("T")

# Distribution asks for at least 4 MB of manifest; more than 8 MiB is not a document but an attack (CVE-2023-25153).
LIMIT = 8 << 20


class Document(msgspec.Struct, Generic[T], frozen=True):
    """`raw` is what was read or first written, `value` what it means."""

    raw: bytes
    media_type: str
    value: T

    @property
    def digest(self) -> Digest:
        return Digest.of(self.raw)

    def descriptor(self, *, platform: Platform | None = None, annotations: dict[str, str] | None = None) -> Descriptor:
        """What another document writes to point at this one."""
        return Descriptor(self.media_type, self.digest, len(self.raw), platform=platform, annotations=annotations)


def decode(raw: bytes, kind: type[T], noun: str, *, limit: int = LIMIT) -> T:
    """Parse hostile JSON: bounded in size, strict in types, an error with the place where it went wrong."""
    if len(raw) > limit:
        raise InvalidArgument(f"{noun} is {len(raw)} bytes long; at most {limit} are read")
    try:
        return msgspec.json.decode(raw, type=kind, dec_hook=_convert)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        message, _, path = str(error).partition(" - at `")
        raise InvalidArgument(f"invalid {noun}: {message}", place=_pointer(path)) from error


def encode(value: Any) -> bytes:
    """Compact JSON with keys in the order given; msgspec's field order is the declared one, so equal gives equal."""
    return msgspec.json.encode(value, enc_hook=_plain)


def _pointer(path: str) -> str:
    """``$.layers[0].size``` as a JSON pointer, ``/layers/0/size``."""
    return path.rstrip("`").removeprefix("$").replace("[", "/").replace("]", "").replace(".", "/")


def _convert(kind: type, value: Any) -> Any:
    if kind is Digest:
        try:
            return Digest(value)
        except InvalidArgument as error:  # msgspec adds the place to a ValueError
            raise ValueError(error.message) from error
    raise NotImplementedError(kind)


def _plain(value: Any) -> str:
    # msgspec writes no subclass of str on its own.
    if isinstance(value, str):
        return str(value)
    raise NotImplementedError(type(value))
