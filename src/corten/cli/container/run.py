"""`corten run` and `corten create`: a container from an image, and - for run - its life on our terminal.

The order of the requests is the protocol: create (a 404 means fetch the image and ask again), ask to wait and attach,
and when both are answered, *then* start; a container that ends at once loses neither its output nor its exit status.
"""

from __future__ import annotations

from corten.cli.container.config import create_body, refuse_foreign
from corten.cli.container.foreground import (
    Foreground,
    exit_status,
    fits_terminal,
    refused_as_run,
    send_wait,
    waited,
    with_help,
)
from corten.cli.container.options import CREATE_FLAGS, RUN_FLAGS
from corten.cli.table import MANY, Command, Fault
from corten.client.connection import EngineError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from corten.cli.flags import Options
    from corten.cli.session import Session

__all__ = ["CREATE", "ROOTFS", "RUN", "attach_query"]

ROOTFS = "corten.rootfs"


# create


def _create(session: Session, options: Options, words: list[str]) -> int:
    refuse_foreign(options)
    try:
        body = create_body(options, words[0], words[1:])
    except Fault as fault:
        raise with_help(fault.message, "create", 125) from None
    session.say(_make(session, options, body))
    return 0


def _make(session: Session, options: Options, body: dict[str, Any]) -> str:
    """Create the container, fetching its image when the pull policy says so; its id."""
    cidfile = _claim_cidfile(options.text("cidfile"))
    image, pull = body["Image"], options.text("pull")
    _add_proxies(body)
    if pull == "always":
        _fetch(session, options, image)
    body["HostConfig"]["ConsoleSize"] = _console_size()
    query = {"name": options.text("name") or None, "platform": options.text("platform") or None}
    answer = session.engine.request("POST", "/containers/create", query=query, body=body)
    if answer.status == 404 and pull in ("missing", ""):
        answer.read()
        if not options.on("quiet"):
            session.warn(f"Unable to find image '{_with_tag(image)}' locally")
        _fetch(session, options, image)
        answer = session.engine.request("POST", "/containers/create", query=query, body=body)
    created = answer.json()
    for warning in created.get("Warnings") or []:
        session.warn(f"WARNING: {warning}")
    if cidfile is not None:
        with cidfile:
            cidfile.write(created["Id"])
    return str(created["Id"])


def _claim_cidfile(path: str) -> Any:
    """The open file for the id; it must not be there yet, so that no two runs share one."""
    if not path:
        return None
    try:
        return open(path, "x", encoding="utf-8")
    except FileExistsError:
        message = f"container ID file found, make sure the other container isn't running or delete {path}"
        raise with_help(message, "run", 125) from None
    except OSError as error:
        message = f"failed to create the container ID file: open {path}: {(error.strerror or '').lower()}"
        raise with_help(message, "run", 125) from None


def _console_size() -> list[int]:
    from posix import get_terminal_size

    try:
        size = get_terminal_size(1)
    except OSError:
        return [0, 0]
    return [size.lines, size.columns]


def _add_proxies(body: dict[str, Any]) -> None:
    """The proxies of the user's Docker configuration go before the variables that the command line sets."""
    from corten.cli.settings import proxies

    given = {variable.partition("=")[0] for variable in body["Env"]}
    body["Env"] = [f"{name}={value}" for name, value in proxies() if name not in given] + body["Env"]


def _with_tag(image: str) -> str:
    name = image.partition("@")[0]
    return image if name != image or ":" in name.rpartition("/")[2] else f"{image}:latest"


def _fetch(session: Session, options: Options, image: str) -> None:
    from corten.cli.image.registry import pull_image

    pull_image(session, image, platform=options.text("platform"), quiet=options.on("quiet"), to_stderr=True)


# run


def _run(session: Session, options: Options, words: list[str]) -> int:
    refuse_foreign(options)
    rootfs = options.text("rootfs")
    try:
        body = create_body(options, "", words) if rootfs else create_body(options, words[0], words[1:])
        if rootfs:
            body["HostConfig"].setdefault("Annotations", {})[ROOTFS] = _absolute_root(rootfs)
    except Fault as fault:
        raise with_help(fault.message, "run", 125) from None
    _settle_streams(session, options, body)
    if options.given("explain"):
        session.explain()
        body["HostConfig"]["AutoRemove"] = options.on("rm") and options.on("detach")
    try:
        status = _begin(session, options, body)
    except EngineError as error:
        raise refused_as_run(error, "run") from None
    return status


def _begin(session: Session, options: Options, body: dict[str, Any]) -> int:
    """Make the container and start it; its exit status when we stay with it."""
    container = _make(session, options, body)
    if body["AttachStdin"] or body["AttachStdout"] or body["AttachStderr"]:
        return _live(session, options, body, container)
    session.say(container)
    session.post(f"/containers/{container}/start").done()
    _tell(session, options, container)
    return 0


def _absolute_root(text: str) -> str:
    """The annotation's value: an absolute directory, and `:O` when changes are kept apart."""
    from os.path import abspath, isdir

    directory, mark = (text[:-2], ":O") if text.endswith(":O") else (text, "")
    if isdir(directory):
        return abspath(directory) + mark
    before, colon, _ = text.rpartition(":")
    if colon and not mark and isdir(before):
        raise Fault(f"invalid --rootfs {text}: the only option is :O")
    raise Fault(f"invalid --rootfs {text}: {directory} is no directory")


def _settle_streams(session: Session, options: Options, body: dict[str, Any]) -> None:
    """`-d` lets go of every stream; a terminal needs one on our side."""
    if not options.on("detach"):
        fits_terminal(session, stdin=body["AttachStdin"], tty=body["Tty"])
        return
    if options.texts("attach"):
        raise Fault("conflicting options: cannot specify both --attach and --detach")
    for name in ("AttachStdin", "AttachStdout", "AttachStderr", "StdinOnce"):
        body[name] = False


def _live(session: Session, options: Options, body: dict[str, Any], container: str) -> int:
    """Wait, attach, start, pump; the container's exit status."""
    keys, tty, stdin = options.text("detach-keys"), body["Tty"], body["AttachStdin"]
    removed = body["HostConfig"]["AutoRemove"]
    path = f"/containers/{container}"
    waiting = send_wait(session, container, "removed" if removed else "next-exit")
    stream = session.hijack(f"{path}/attach", attach_query(body, keys))
    with Foreground(session, path, stdin=stdin, tty=tty, passes_on=options.on("sig-proxy")) as foreground:
        ending = waited(waiting)
        try:
            session.post(f"{path}/start").done()
        except EngineError:
            if removed:
                ending.read()  # the engine is still removing it; when we return it is gone
            raise
        attachment = foreground.pump(
            stream, output=body["AttachStdout"] or body["AttachStderr"], keys=keys, ending=ending
        )
    if attachment.detached:
        return 0
    status = exit_status(ending)
    _tell(session, options, container)
    return status


def _tell(session: Session, options: Options, container: str) -> None:
    """The story of the run, if it was asked for; only then is a container of --rm removed, and by us."""
    if not options.given("explain"):
        return
    from corten.cli.story import fetch, show

    phases = options.texts("explain")
    show(session, fetch(session, container), [] if "all" in phases else phases)
    if options.on("rm") and not options.on("detach"):
        session.delete(f"/containers/{container}", {"v": "1", "force": "1"}).done()


def attach_query(body: dict[str, Any], keys: str) -> dict[str, str | None]:
    """The parameters of an attach that takes the streams the container was made with."""
    return {
        "stream": "1",
        "stdin": "1" if body["AttachStdin"] else None,
        "stdout": "1" if body["AttachStdout"] else None,
        "stderr": "1" if body["AttachStderr"] else None,
        "detachKeys": keys or None,
    }


RUN = Command(
    "run, container run",
    "[OPTIONS] IMAGE [COMMAND] [ARG...]",
    "Make a container of an image and run it",
    _run,
    flags=RUN_FLAGS,
    least=1,
    most=MANY,
    stops=True,
    completes="image",
)
CREATE = Command(
    "create, container create",
    "[OPTIONS] IMAGE [COMMAND] [ARG...]",
    "Make a container without starting it",
    _create,
    flags=CREATE_FLAGS,
    least=1,
    most=MANY,
    stops=True,
    completes="image",
)
