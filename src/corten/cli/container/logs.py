"""`corten logs`: what a container wrote."""

from __future__ import annotations

from corten.cli.attachment import write_all
from corten.cli.flags import switch, text
from corten.cli.moments import moment
from corten.cli.table import Command, Fault
from corten.wire.stdcopy import STDERR, Decoder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from corten.cli.flags import Options
    from corten.cli.session import Session

__all__ = ["LOGS", "moment_option"]


def moment_option(options: Options, name: str, *, titled: bool = True) -> str | None:
    """A flag's moment as the API takes it; Fault when it is none."""
    try:
        return moment(options.text(name)) or None
    except ValueError as error:
        raise Fault(f'invalid value for "{name}": {error}' if titled else str(error)) from None


def _run(session: Session, options: Options, words: list[str]) -> int:
    known = session.get(f"/containers/{words[0]}/json")
    query = {
        "stdout": "1",
        "stderr": "1",
        "since": moment_option(options, "since"),
        "until": moment_option(options, "until"),
        "timestamps": "1" if options.on("timestamps") else None,
        "follow": "1" if options.on("follow") else None,
        "details": "1" if options.on("details") else None,
        "tail": options.text("tail"),
    }
    answer = session.engine.request("GET", f"/containers/{known['Id']}/logs", query=query).check()
    decoder = None if known["Config"]["Tty"] else Decoder()
    for chunk in answer.chunks():
        if decoder is None:
            write_all(1, chunk)
            continue
        for stream, payload in decoder.feed(chunk):
            if stream > STDERR:
                raise Fault(f"error from daemon in stream: {payload.decode('utf-8', 'replace')}")
            write_all(stream or 1, payload)
    return 0


LOGS = Command(
    "logs, container logs",
    "[OPTIONS] CONTAINER",
    "Show what a container wrote",
    _run,
    least=1,
    most=1,
    completes="container",
    flags=(
        switch("details", "", "Show the labels and variables that its log was asked to keep"),
        switch("follow", "f", "Go on showing as it writes"),
        text("since", "", "Only from this time on (2026-01-02T13:23:37Z) or as long ago (42m)"),
        text("tail", "n", "Only this many lines from the end", "all"),
        switch("timestamps", "t", "Show when each line was written"),
        text("until", "", "Only up to this time (2026-01-02T13:23:37Z) or as long ago (42m)"),
    ),
)
