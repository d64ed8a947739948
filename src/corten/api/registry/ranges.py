"""The two ranges of the standard: which bytes of a blob a client wants, and where a chunk of an upload belongs."""

import re

from corten.registry.refusals import OutOfOrder, SizeInvalid

__all__ = ["Unsatisfiable", "chunk", "received", "wanted"]

_WANTED = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
_CHUNK = re.compile(r"(\d{1,18})-(\d{1,18})")


class Unsatisfiable(Exception):
    """No byte of the blob is in the range that was asked for."""


def wanted(header: str, size: int) -> tuple[int, int] | None:
    """(offset, length) that a Range header asks for (RFC 9110, 14.1.2); None when all is to be sent.

    What is no single range of bytes is ignored, as the RFC allows. Raises Unsatisfiable.
    """
    match = _WANTED.fullmatch(header.replace(" ", ""))
    if match is None or match.group(0) == "bytes=-":
        return None
    first, last = match.groups()
    if not first:
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), min(int(last) + 1, size) if last else size
    if start >= end:
        raise Unsatisfiable
    return start, end - start


def chunk(header: str, length: int | None, offset: int) -> tuple[int, int] | None:
    """(start, length) of a chunk by its Content-Range ``a-b`` (end-5); None when it has none and simply goes on.

    Raises OutOfOrder for what is no range, SizeInvalid when it is not as long as the body.
    """
    if not header:
        return None
    match = _CHUNK.fullmatch(header)
    if match is None or int(match[2]) < int(match[1]):
        raise OutOfOrder(f"invalid Content-Range {header[:50]!r}: want FIRST-LAST", offset)
    start, end = int(match[1]), int(match[2]) + 1
    if length is not None and length != end - start:
        raise SizeInvalid(f"Content-Range {header} is {end - start} bytes long, Content-Length says {length}")
    return start, end - start


def received(offset: int) -> str:
    """The Range header for an upload of which `offset` bytes have come; docker wants ``0-0`` for none."""
    return f"0-{max(0, offset - 1)}"
