"""Streams of bytes between the engine and a file, stdout or stdin: what export, save, load and import carry."""

from __future__ import annotations

import os

from corten.cli.attachment import write_all
from corten.cli.table import Fault

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from corten.cli.session import Session

__all__ = ["chunks_of", "open_input", "output_fault", "write_output"]

_CHUNK = 1 << 18


def output_fault(session: Session, path: str, verb: str) -> str:
    """Why the output cannot go to `path` (stdout when empty), or nothing."""
    if not path:
        if session.terminal_out():
            return "cowardly refusing to save to a terminal. Use the -o flag or redirect"
        return ""
    directory = os.path.dirname(path) or "."
    if not os.path.isdir(directory):
        return f"failed to {verb}: invalid output path: stat {directory}: no such file or directory"
    if os.path.isdir(path):
        return f"failed to {verb}: cannot write to a directory"
    if os.path.exists(path) and not os.path.isfile(path):
        return f"failed to {verb}: cannot write to a character device file"
    return ""


def write_output(chunks: Iterable[bytes], path: str) -> None:
    """Write to `path` in one step - a file that is there is whole - or to stdout; into a device or a pipe as it is."""
    if not path:
        for chunk in chunks:
            write_all(1, chunk)
        return
    if os.path.exists(path) and not os.path.isfile(path):  # a rename would put a file in the place of /dev/null
        with open(path, "wb", buffering=0) as device:
            for chunk in chunks:
                write_all(device.fileno(), chunk)
        return
    fresh = f"{path}.{os.getpid()}.tmp"
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        for chunk in chunks:
            write_all(descriptor, chunk)
        os.close(descriptor)
        os.rename(fresh, path)
    except BaseException:
        os.unlink(fresh)
        raise


def open_input(path: str) -> int:
    """A file to read from, as a descriptor."""
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise Fault(f"open {path}: {(error.strerror or '').lower()}") from None


def chunks_of(descriptor: int) -> Iterator[bytes]:
    while data := os.read(descriptor, _CHUNK):
        yield data
