"""`corten …`: read the words, find the one command they call, do it, say how it went.

A start costs little because it does little: the tree of commands (`index`) names one module, that module's table
parses the flags, and nothing else is imported. Exit statuses are Docker's: 125 for a command line that cannot be
read, the container's own status from `run` and `exec`, 1 for what the engine refused.
"""

from __future__ import annotations

import sys

from corten.cli import index
from corten.cli.flags import FlagError, HelpAsked, parse, quoted, switch, text
from corten.cli.session import Session
from corten.cli.table import Fault
from corten.client.connection import EngineError
from corten.model.errors import CortenError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from corten.cli.table import Command

__all__ = ["GLOBAL_FLAGS", "main"]

GLOBAL_FLAGS = (
    text("context", "c", "Name of the context whose engine to use (see `corten context`)"),
    text("host", "H", "Address of the engine's socket: unix://PATH or tcp://HOST:PORT"),
    text("root", "", "Directory that holds everything of one engine; its socket is DIR/corten.sock"),
    switch("version", "v", "Print the version and end"),
)


def main(argv: list[str]) -> int:
    """Run the command line `argv` (without the program's name) and return its exit status."""
    _arrange_streams()
    try:
        return _dispatch(argv)
    except Fault as fault:
        return _end(fault.message, fault.hint, fault.status)
    except EngineError as error:
        return _end(f"Error response from daemon: {error.message}", error.hint, error.exit_code)
    except CortenError as error:
        return _end(error.message, error.hint, error.exit_code)
    except OSError as error:
        return _end(str(error), "", 1)


def _arrange_streams() -> None:
    """Bytes that are no UTF-8 pass through unharmed, and the usual signals end us at once, as they end a C program."""
    import _signal  # type: ignore[import-not-found]

    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf-8", errors="surrogateescape")  # type: ignore[union-attr]
    _signal.signal(_signal.SIGPIPE, _signal.SIG_DFL)
    _signal.signal(_signal.SIGINT, _signal.SIG_DFL)


def _end(message: str, hint: str, status: int) -> int:
    """Say why it ends with `status`, behind what was printed before."""
    try:
        sys.stdout.flush()
    except OSError:
        return status or 1  # whoever ends the process tells it
    if message:
        sys.stderr.write(message + "\n")
    if hint:
        sys.stderr.write(f"hint: {hint}\n")
    return status


def _dispatch(argv: list[str]) -> int:
    try:
        options, words = parse(GLOBAL_FLAGS, argv, interspersed=False)
    except FlagError as error:
        raise Fault(
            f"{error}\n\nUsage:  corten [OPTIONS] COMMAND [ARG...]\n\nRun 'corten --help' for more information", 125
        ) from None
    except HelpAsked:
        return _help([])
    if options.on("version"):
        return _print_version()
    if not words:
        return _help([])
    if words[0] == "help":
        return _help(words[1:])
    path, rest = index.find(words)
    if options.given("host") and options.given("context"):
        raise Fault("conflicting options: cannot specify both --host and --context")
    session = Session(host=options.text("host"), root=options.text("root"), path=path, context=options.text("context"))
    if not path:
        return _group(words)
    return call(index.load(path), session, path, rest)


def call(command: Command, session: Session, path: str, words: list[str]) -> int:
    """Parse `words` by the command's table and run it."""
    try:
        given = ["--", *words] if command.passes_flags else words
        options, positional = parse(command.flags, given, interspersed=not command.stops)
    except FlagError as error:
        raise Fault(
            f"{error}\n\nUsage:  {command.usage_line(path)}\n\nRun 'corten {path} --help' for more information", 125
        ) from None
    except HelpAsked as asked:
        if asked.short:
            session.warn("Flag shorthand -h has been deprecated, use --help")
        return _help([path])
    if fault := command.count_fault(path, len(positional)):
        raise Fault(fault)
    session.warn(*options.warnings)
    return command.run(session, options, positional)


def _group(words: list[str]) -> int:
    """A path that is no command: a group's page, or an unknown word."""
    if words[0] not in index.GROUPS:
        raise Fault(f"corten: unknown command: corten {words[0]}\n\nRun 'corten --help' for more information")
    rest = [word for word in words[1:] if word not in ("--help", "-h")]
    if not rest:
        return _help(words[:1])
    if rest[0].startswith("-"):
        name = f"unknown shorthand flag: {quoted(rest[0][1])[1:-1]!r} in {rest[0]}"
        reason = name if rest[0][:2] != "--" else f"unknown flag: {rest[0].partition('=')[0]}"
        raise Fault(
            f"{reason}\n\nUsage:  corten {words[0]}\n\nRun 'corten {words[0]} --help' for more information", 125
        )
    raise Fault(
        f"corten: unknown command: corten {words[0]} {rest[0]}\n\nUsage:  corten {words[0]}\n\n"
        f"Run 'corten {words[0]} --help' for more information"
    )


def _help(words: list[str]) -> int:
    from corten.cli.usage import page

    shown = page(" ".join(words))
    if shown is None:
        raise Fault(f"unknown help topic: {' '.join(words)}")
    sys.stdout.write(shown)
    return 0


def _print_version() -> int:
    from corten import __version__

    sys.stdout.write(f"Corten version {__version__}\n")
    return 0
