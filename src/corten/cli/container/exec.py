"""`corten exec`: a further command in a running container."""

from __future__ import annotations

from corten.cli.container import readers
from corten.cli.container.config import file_variables
from corten.cli.container.foreground import Foreground, fits_terminal
from corten.cli.flags import switch, text, texts
from corten.cli.table import MANY, Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from corten.cli.flags import Options
    from corten.cli.session import Session

__all__ = ["EXEC"]


def _run(session: Session, options: Options, words: list[str]) -> int:
    container, command = words[0], words[1:]
    body = _body(session, options, command)
    detached = options.on("detach")
    if not detached and body["Tty"]:
        session.get(f"/containers/{container}/json")  # no such container is a better answer than no terminal
        fits_terminal(session, stdin=body["AttachStdin"], tty=body["Tty"])
    path = f"/exec/{session.post(f'/containers/{container}/exec', body=body).json()['Id']}"
    start = {"Detach": detached, "Tty": body["Tty"]}
    if body.get("ConsoleSize"):
        start["ConsoleSize"] = body["ConsoleSize"]
    if detached:
        session.post(f"{path}/start", body=start).done()
        return 0
    stream = session.hijack(f"{path}/start", body=start)
    with Foreground(session, path, stdin=body["AttachStdin"], tty=body["Tty"], passes_on=False) as foreground:
        attachment = foreground.pump(stream, keys=options.text("detach-keys"))
    if attachment.detached:
        from corten.cli.table import Fault

        raise Fault("read escape sequence")
    return int(session.get(f"{path}/json")["ExitCode"] or 0)


def _body(session: Session, options: Options, command: list[str]) -> dict[str, Any]:
    attached = not options.on("detach")
    body: dict[str, Any] = {
        "User": options.text("user"),
        "Privileged": options.on("privileged"),
        "Tty": options.on("tty"),
        "Detach": not attached,
        "AttachStdin": attached and options.on("interactive"),
        "AttachStdout": attached,
        "AttachStderr": attached,
        "Env": file_variables(options) + options.texts("env"),
        "WorkingDir": options.text("workdir"),
        "Cmd": command,
        "DetachKeys": options.text("detach-keys"),
    }
    if body["Tty"] and session.terminal_out():
        from corten.cli.terminal import window_size

        body["ConsoleSize"] = list(window_size())
    return body


EXEC = Command(
    "exec, container exec",
    "[OPTIONS] CONTAINER COMMAND [ARG...]",
    "Run a further command in a running container",
    _run,
    least=2,
    most=MANY,
    stops=True,
    completes="running",
    flags=(
        switch("detach", "d", "Run it in the background"),
        text("detach-keys", "", "Keys that detach from the command"),
        texts("env", "e", "Set an environment variable", read=readers.variable),
        texts("env-file", "", "Read environment variables from a file"),
        switch("interactive", "i", "Send it our stdin"),
        switch("privileged", "", "Grant everything that the engine itself may do"),
        switch("tty", "t", "Give the command a terminal"),
        text("user", "u", "Run as this user, NAME|UID[:GROUP|GID]"),
        text("workdir", "w", "Working directory of the command"),
    ),
)
