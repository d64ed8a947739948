"""Unpacking one layer below a directory handle: everything in the tar is hostile, nothing leaves the handle.

The work is C's (`corten @untar`, native/untar.c, which also says by what rules), in a process of its own: it reads the
uncompressed tar from a pipe that we fill, and answers on a socket. We decide what only we can know: which whiteouts
hide anything in the layers below.

    stdin     ──the tar──>   extraction      ──W G O P──>   settle the whiteouts
                             times           <──go──
                                             ──S N──>       Applied
                             any time        ──K F X──>     the error
"""

import fcntl
import os
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import suppress

import msgspec

from corten.kernel import program, rooted
from corten.layers import whiteouts
from corten.layers.changes import shown
from corten.layers.source import LayerSource
from corten.model.digest import Digest
from corten.model.errors import (
    CortenError,
    Internal,
    InvalidArgument,
    PermissionDenied,
    ResourceExhausted,
    Unimplemented,
)
from corten.model.whiteout import Form

__all__ = ["Applied", "apply"]

RECEIVED = 1 << 16
WIDTH = 1 << 20  # of the pipe: what /proc/sys/fs/pipe-max-size lets everybody have
REFUSALS: dict[str, tuple[type[CortenError], str]] = {
    "I": (InvalidArgument, ""),
    "U": (Unimplemented, ""),
    "R": (ResourceExhausted, "free space below the engine's root"),
    "P": (PermissionDenied, "unpacking owners and devices needs root"),
}


class Applied(msgspec.Struct, frozen=True):
    """`diff_id` names the uncompressed tar, `size` is the bytes of its files, `warnings` say what could not be kept."""

    diff_id: Digest
    size: int
    entries: int
    warnings: list[str]


def apply(
    source: LayerSource, root_fd: int, *, form: Form = Form.PLAIN, lower_fds: Sequence[int] = (), owners: bool = True
) -> Applied:
    """Unpack the layer below `root_fd`; on an error the directory is left half-filled, for the caller to remove.

    In overlay form `lower_fds` are the layers below, the nearest first: only what they show needs a whiteout.
    `owners=False` leaves every file to the caller's user, for those who may not chown. Raises InvalidArgument for a
    hostile or damaged archive, ResourceExhausted when the disk is full, PermissionDenied.
    """
    with Extraction(root_fd, form, owners=owners) as extraction:
        extraction.feed(source)
        found = extraction.answer("P")
        settle(root_fd, lower_fds, found)
        extraction.proceed()
        found += extraction.answer("")
        diff_id = source.finish()
    told = dict(found)
    warnings = [plain(text) for letter, text in found if letter == "W"]
    return Applied(diff_id, int(told["S"]), int(told["N"]), warnings)


Records = list[tuple[str, str]]


class Extraction:
    """A running `corten @untar`. Leaving the block ends it, whatever state it is in."""

    def __init__(self, root_fd: int, form: Form, *, owners: bool) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            words = [program.path(), "@untar", form.value, "01"[owners], str(root_fd), str(theirs.fileno())]
            kept = (root_fd, theirs.fileno())
            self._process = subprocess.Popen(words, stdin=subprocess.PIPE, pass_fds=kept, env={}, bufsize=0)
        self._answers = ours
        self._unread = b""
        assert self._process.stdin is not None
        self._stdin = self._process.stdin
        with suppress(OSError):  # the user's pages for pipes are used up
            fcntl.fcntl(self._stdin, fcntl.F_SETPIPE_SZ, WIDTH)

    def __enter__(self) -> "Extraction":
        return self

    def __exit__(self, *_: object) -> None:
        self._stdin.close()
        self._answers.close()
        self._process.wait()

    def feed(self, source: LayerSource) -> None:
        """Pass the whole archive on; when it is refused before its end, the answer says why."""
        with suppress(BrokenPipeError):
            source.pour(self._stdin.fileno())
        self._stdin.close()

    def proceed(self) -> None:
        self._answers.send(b"g")

    def answer(self, last: str) -> Records:
        """The records up to the one with the letter `last` (or to the end); raises what a refusal means."""
        found: Records = []
        for letter, text in self._records():
            if letter == last:
                return found
            found.append((letter, text))
        told = dict(found)
        if "K" in told:
            kind, hint = REFUSALS[told["K"]]
            raise kind(f"unpack {quoted(told['F']) if 'F' in told else 'layer'}: {plain(told['X'])}", hint=hint)
        if last or "S" not in told:
            raise Internal("unpack layer: corten @untar ended without an answer")
        return found

    def _records(self) -> Iterator[tuple[str, str]]:
        while True:
            record, end, rest = self._unread.partition(b"\0")
            if end:
                self._unread = rest
                yield record[:1].decode(), os.fsdecode(record[1:])
            elif data := self._answers.recv(RECEIVED):
                self._unread += data
            else:
                return


def settle(root_fd: int, lower_fds: Sequence[int], found: Records) -> None:
    """Drop the marks that hide nothing: in a directory that is not merged overlayfs would show them as files."""
    opaques = {text for letter, text in found if letter == "O"}
    for path in sorted(text for letter, text in found if letter == "G"):
        hides = not below_one_of(opaques, path) and shown(lower_fds, path) is not None
        if not hides:
            unmark(root_fd, path)


def below_one_of(opaques: set[str], path: str) -> bool:
    while path := path.rpartition("/")[0]:
        if path in opaques:
            return True
    return "" in opaques


def unmark(root_fd: int, path: str) -> None:
    parent, _, name = path.rpartition("/")
    try:
        directory = rooted.open(root_fd, parent or ".", os.O_PATH | os.O_DIRECTORY, follow=False)
    except OSError:
        return  # what it stood in was replaced
    try:
        if whiteouts.is_whiteout(os.stat(name, dir_fd=directory, follow_symlinks=False)):
            os.unlink(name, dir_fd=directory)
    except FileNotFoundError:
        return
    finally:
        os.close(directory)


def quoted(name: str) -> str:
    return repr(plain(name)[:200])


def plain(text: str) -> str:
    """A text that may hold any bytes, as one that can be shown."""
    return os.fsencode(text).decode(errors="replace")
