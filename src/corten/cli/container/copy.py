"""`corten cp`: files between a container and this machine.

The engine speaks tar. Going out, the archive of one path is unpacked here by `corten.cli.extraction`, which trusts
no name in it; coming in, a local path is packed and the engine unpacks it inside the container's root. Where things
land follows `cp -a`: into a directory that is there, under the new name where there is none.
"""

from __future__ import annotations

import os

from corten.cli.archives import chunks_of
from corten.cli.attachment import write_all
from corten.cli.flags import switch
from corten.cli.human import size
from corten.cli.table import Command, Fault
from corten.client.connection import EngineError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from corten.cli.flags import Options
    from corten.cli.session import Session

__all__ = ["CP", "split_path"]

_GO_DIRECTORY, _GO_SYMLINK = 1 << 31, 1 << 27
_TAR = {"Content-Type": "application/x-tar"}


def split_path(text: str) -> tuple[str, str]:
    """The container and the path of an argument; no container for a path of ours.

    `./a:b` and `/a:b` are ours, whatever colons they hold.
    """
    container, mark, path = text.partition(":")
    if text.startswith("/") or not mark or container.startswith("."):
        return "", text
    return container, path


def _run(session: Session, options: Options, words: list[str]) -> int:
    source, target = words
    if not source:
        raise Fault("source can not be empty")
    if not target:
        raise Fault("destination can not be empty")
    from_container, source_path = split_path(source)
    to_container, target_path = split_path(target)
    if from_container and to_container:
        raise Fault("copying between containers is not supported")
    if not from_container and not to_container:
        raise Fault("must specify at least one container source")
    shows = not options.on("quiet") and session.terminal_out()
    if from_container:
        count = _out(session, options, from_container, source_path, target_path)
    else:
        count = _in(session, options, source_path, to_container, target_path)
    if shows and count >= 0:
        session.warn(f"Successfully copied {size(count, 3)} to {target}")
    return 0


# Out of a container


def _out(session: Session, options: Options, container: str, source: str, target: str) -> int:
    if target != "-" and not os.path.isdir(parent := os.path.dirname(target.rstrip("/")) or "."):
        raise Fault(f'invalid output path: directory "{os.path.abspath(parent)}" does not exist')
    found = _stat(session, container, source)
    if options.on("follow-link") and found is not None and found["mode"] & _GO_SYMLINK:
        source = os.path.normpath(os.path.join(os.path.dirname(source), found["linkTarget"]))
        found = _stat(session, container, source)
    query = {"path": source}
    answer = session.engine.request("GET", f"/containers/{container}/archive", query=query).check()
    if target == "-":
        for chunk in answer.chunks():
            write_all(1, chunk)
        return -1
    stat = _decoded(answer.headers["x-docker-container-path-stat"])
    is_directory = bool(stat["mode"] & _GO_DIRECTORY)
    from corten.cli.extraction import extract

    name, place = _landing(source, target, is_directory=is_directory)
    return extract(answer.chunks(), place, rename=(stat["name"], name))


def _landing(source: str, target: str, *, is_directory: bool) -> tuple[str, str]:
    """The name that the copy takes, and the directory it is put into; an empty name copies a directory's contents."""
    ending = source.rpartition("/")[2]
    if os.path.isdir(target):
        if is_directory and ending == ".":
            return "", target
        return os.path.basename(os.path.normpath(source)) or "", target
    if os.path.lexists(target):
        if is_directory:
            raise Fault("cannot copy directory")
        if target.endswith("/"):
            raise Fault(f"not a directory: {target}")
    elif not is_directory and target.endswith("/"):
        raise Fault(f"destination directory does not exist: {target}")
    plain = target.rstrip("/")
    return os.path.basename(plain), os.path.dirname(plain) or "."


def _stat(session: Session, container: str, path: str) -> Any:
    """What a path in a container is; None when it is not there."""
    answer = session.engine.request("HEAD", f"/containers/{container}/archive", query={"path": path})
    if answer.status >= 400:
        return None
    return _decoded(answer.headers["x-docker-container-path-stat"])


def _decoded(header: str) -> Any:
    from binascii import a2b_base64

    from corten.wire.codec import loads

    return loads(a2b_base64(header))


# Into a container


def _in(session: Session, options: Options, source: str, container: str, target: str) -> int:
    if not target:
        raise Fault("destination path cannot be empty")
    found = _stat(session, container, target)
    if found is not None and found["mode"] & _GO_SYMLINK:
        target = os.path.normpath(os.path.join(os.path.dirname(target), found["linkTarget"]))
        found = _stat(session, container, target)
    is_directory = found is not None and bool(found["mode"] & _GO_DIRECTORY)
    if source == "-":
        if found is not None and not is_directory:
            raise Fault(f'destination "{container}:{target}" must be a directory')
        _put(session, options, container, target, chunks_of(0))
        return -1
    path, name, place = _packing(options, source, target, found, is_directory=is_directory)
    from corten.cli.packing import Packing

    packing = Packing(path, name)
    _put(session, options, container, place, packing.chunks())
    return packing.count


def _packing(options: Options, source: str, target: str, found: Any, *, is_directory: bool) -> tuple[str, str, str]:
    """What is packed, under which name, and where in the container it is unpacked."""
    follows = options.on("follow-link") or source.endswith("/")
    path = os.path.realpath(source) if follows else os.path.abspath(source)
    if not os.path.lexists(path):
        raise Fault(f"lstat {os.path.abspath(source)}: no such file or directory")
    is_tree = os.path.isdir(path) and not os.path.islink(path)
    ending = source.rpartition("/")[2]
    if is_directory:
        return path, "" if is_tree and ending == "." else os.path.basename(os.path.abspath(source)), target
    if found is not None and is_tree:
        raise Fault("cannot copy directory")
    if target.endswith("/") and not is_tree:
        raise Fault(
            f"destination directory does not exist: {target}" if found is None else f"not a directory: {target}"
        )
    plain = target.rstrip("/")
    return path, os.path.basename(plain), os.path.dirname(plain) or "/"


def _put(session: Session, options: Options, container: str, place: str, chunks: Iterator[bytes]) -> None:
    query = {
        "path": place,
        "noOverwriteDirNonDir": "true",
        "copyUIDGID": "true" if options.on("archive") else None,
    }
    answer = session.engine.request("PUT", f"/containers/{container}/archive", query=query, body=chunks, headers=_TAR)
    try:
        answer.done()
    except EngineError as error:
        if error.status == 404 and "No such container" not in error.message:
            raise Fault(f"Error response from daemon: {error.message}") from None
        raise


CP = Command(
    "cp, container cp",
    "[OPTIONS] CONTAINER:SRC_PATH DEST_PATH|-",
    "Copy files between a container and this machine",
    _run,
    least=2,
    most=2,
    completes="container",
    more="[OPTIONS] SRC_PATH|- CONTAINER:DEST_PATH",
    about=(
        "Copy files between a container and this machine\n\n"
        "A source of `-` is a tar archive on stdin, unpacked in a directory of the container;\n"
        "a destination of `-` writes the tar archive of a container's path to stdout."
    ),
    flags=(
        switch("archive", "a", "Keep owners and groups"),
        switch("follow-link", "L", "Copy what a link at the source points to"),
        switch("quiet", "q", "Do not say how much was copied"),
    ),
)
