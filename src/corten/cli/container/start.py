"""`corten start` and `corten attach`: containers that exist already."""

from __future__ import annotations

from corten.cli.container.foreground import Foreground, exit_status, request_wait
from corten.cli.container.run import attach_query
from corten.cli.flags import switch, text
from corten.cli.session import report
from corten.cli.table import MANY, Command, Fault
from corten.client.connection import EngineError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from corten.cli.flags import Options
    from corten.cli.session import Session

__all__ = ["ATTACH", "START"]

_DETACH_KEYS = text("detach-keys", "", "Keys that detach from the container")


def _start(session: Session, options: Options, names: list[str]) -> int:
    if options.text("checkpoint") or options.text("checkpoint-dir"):
        from corten.model.errors import Unimplemented

        raise Unimplemented("start --checkpoint is not built", hint="start the container afresh")
    if options.on("attach") or options.on("interactive"):
        if len(names) > 1:
            raise Fault("you cannot start and attach multiple containers at once")
        return _start_attached(session, options, names[0])
    failed: list[str] = []
    for name in names:
        try:
            session.post(f"/containers/{name}/start").done()
            session.say(name)
        except EngineError as error:
            session.warn(report(error))
            failed.append(name)
    if failed:
        raise Fault(f"Error: failed to start containers: {', '.join(failed)}")
    return 0


def _start_attached(session: Session, options: Options, name: str) -> int:
    known = session.get(f"/containers/{name}/json")
    config, container = known["Config"], known["Id"]
    keys, path = options.text("detach-keys"), f"/containers/{container}"
    stdin = options.on("interactive") and config["OpenStdin"]
    wanted = {"AttachStdin": stdin, "AttachStdout": True, "AttachStderr": True}
    stream = session.hijack(f"{path}/attach", attach_query(wanted, keys))
    with Foreground(session, path, stdin=stdin, tty=config["Tty"], passes_on=True) as foreground:
        removed = known["HostConfig"].get("AutoRemove")
        ending = request_wait(session, container, "removed" if removed else "next-exit")
        session.post(f"{path}/start").done()
        attachment = foreground.pump(stream, keys=keys, ending=ending)
    if attachment.detached:
        raise Fault("read escape sequence")
    return exit_status(ending)


START = Command(
    "start, container start",
    "[OPTIONS] CONTAINER [CONTAINER...]",
    "Start stopped containers",
    _start,
    least=1,
    most=MANY,
    completes="stopped",
    flags=(
        switch("attach", "a", "Show its output and pass signals on to it"),
        text("checkpoint", "", "Go on from this checkpoint", hidden=True),
        text("checkpoint-dir", "", "Directory with checkpoints", hidden=True),
        _DETACH_KEYS,
        switch("interactive", "i", "Send it our stdin"),
    ),
)


def _attach(session: Session, options: Options, names: list[str]) -> int:
    known = session.get(f"/containers/{names[0]}/json")
    _check_state(known["State"])
    config, keys = known["Config"], options.text("detach-keys")
    stdin = config["OpenStdin"] and not options.on("no-stdin")
    if stdin and config["Tty"] and not session.terminal_in():
        raise Fault("the input device is not a TTY")
    path = f"/containers/{names[0]}"
    ending = request_wait(session, names[0])
    wanted = {"AttachStdin": stdin, "AttachStdout": True, "AttachStderr": True}
    stream = session.hijack(f"{path}/attach", attach_query(wanted, keys))
    passes_on = options.on("sig-proxy") and not config["Tty"]
    with Foreground(session, path, stdin=stdin, tty=config["Tty"], passes_on=passes_on) as foreground:
        attachment = foreground.pump(stream, keys=keys)
    if attachment.detached:
        raise Fault("read escape sequence")
    return exit_status(ending)


def _check_state(state: dict[str, Any]) -> None:
    if not state["Running"]:
        raise Fault("You cannot attach to a stopped container, start it first")
    if state["Paused"]:
        raise Fault("You cannot attach to a paused container, unpause it first")
    if state["Restarting"]:
        raise Fault("You cannot attach to a restarting container, wait until it is running")


ATTACH = Command(
    "attach, container attach",
    "[OPTIONS] CONTAINER",
    "Connect our stdin, stdout and stderr to a running container",
    _attach,
    least=1,
    most=1,
    completes="running",
    flags=(
        _DETACH_KEYS,
        switch("no-stdin", "", "Do not send it our stdin"),
        switch("sig-proxy", "", "Pass the signals we get on to the container", default=True),
    ),
)
