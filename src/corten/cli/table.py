"""What a command is: a row of data.

A `Command` says how it is called, which flags and how many words it takes, and which function does it. Parsing,
help pages, completion, manual pages and the list of claims that tests must prove are all generated from these rows.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from corten.cli.flags import Flag, Options
    from corten.cli.session import Session

    Run = Callable[[Session, Options, list[str]], int]

__all__ = ["MANY", "Command", "Fault"]

MANY = 1 << 30


class Fault(Exception):
    """A command ends with `status` after saying `message`, word for word, on stderr."""

    def __init__(self, message: str, status: int = 1, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.hint = hint


class Command:
    """One command.

    `usage` is what follows the command's path in its usage line; `least` and `most` bound the positional words.
    `run(session, options, words)` does it and returns the exit status. `paths` are all the paths it answers to,
    the one that documentation prefers first. With `stops` the first positional ends the flags; with `passes_flags`
    even those before it are left to whoever `run` hands the words to.
    """

    __slots__ = (
        "about",
        "completes",
        "flags",
        "least",
        "more",
        "most",
        "passes_flags",
        "paths",
        "run",
        "stops",
        "summary",
        "usage",
    )

    def __init__(
        self,
        paths: str,
        usage: str,
        summary: str,
        run: Run,
        *,
        flags: tuple[Flag, ...] = (),
        least: int = 0,
        most: int = 0,
        stops: bool = False,
        passes_flags: bool = False,
        about: str = "",
        more: str = "",
        completes: str = "",
    ) -> None:
        self.paths = tuple(path.strip() for path in paths.split(","))
        self.usage = usage
        self.summary = summary
        self.run = run
        self.flags = flags
        self.least = least
        self.most = most
        self.stops = stops
        self.passes_flags = passes_flags
        self.about = about or summary
        self.more = more
        self.completes = completes

    def usage_line(self, path: str) -> str:
        """`corten run [OPTIONS] IMAGE …`, for the path it was called by; `more` holds further forms."""
        line = f"corten {path} {self.usage}".rstrip()
        return line + (f"\n\tcorten {path.split()[-1]} {self.more}" if self.more else "")

    def count_fault(self, path: str, count: int) -> str:
        """Why `count` positional words are wrong, or nothing when they are right."""
        if self.least <= count <= self.most:
            return ""
        see = "Run"
        if self.most == 0:
            reason = "accepts no arguments"
        elif self.most == MANY:
            reason, see = f"requires at least {_arguments(self.least)}", "See"
        elif self.least == self.most:
            reason = f"requires {_arguments(self.most)}"
        elif self.least == 0:
            reason = f"requires at most {_arguments(self.most)}"
        else:
            reason = f"requires at least {self.least} and at most {_arguments(self.most)}"
        return (
            f"corten: 'corten {path}' {reason}\n\nUsage:  {self.usage_line(path)}\n\n"
            f"{see} 'corten {path} --help' for more information"
        )


def _arguments(count: int) -> str:
    return f"{count} argument" if count == 1 else f"{count} arguments"
