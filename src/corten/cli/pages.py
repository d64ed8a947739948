"""The command line's reference, written from the command tables: Markdown for the documentation, roff for `man`.

python -m corten.cli.pages markdown > docs/commands.md
python -m corten.cli.pages man DIR
"""

from __future__ import annotations

import sys
from pathlib import Path

from corten import __version__
from corten.cli import index
from corten.cli.flags import Flag
from corten.cli.table import Command
from corten.cli.usage import shown_default

__all__ = ["main", "man_page", "markdown"]


def _documented() -> list[Command]:
    """The commands that are for people, by the name their documentation prefers."""
    found = (command for command in index.commands() if not command.paths[0].startswith("__"))
    return sorted(found, key=lambda command: command.paths[0])


def _visible(command: Command) -> list[Flag]:
    return sorted((flag for flag in command.flags if not flag.hidden), key=lambda flag: flag.name)


def markdown() -> str:
    """Every command on one page."""
    parts = ["# Commands", "Written from the command tables by `./dev accept`; see `corten COMMAND --help`."]
    for command in _documented():
        name = command.paths[0]
        parts.append(f"## corten {name}\n\n{command.about}\n\n```\n{command.usage_line(name)}\n```")
        if len(command.paths) > 1:
            parts.append("Also: " + ", ".join(f"`corten {path}`" for path in command.paths[1:]))
        if flags := _visible(command):
            rows = [f"| {_spelled(flag)} | {_cell(flag.usage + shown_default(flag))} |" for flag in flags]
            parts.append("| flag | meaning |\n|---|---|\n" + "\n".join(rows))
    return "\n\n".join(parts) + "\n"


def _spelled(flag: Flag) -> str:
    short = f"`-{flag.short}`, " if flag.short else ""
    return f"{short}`--{flag.name}`" + (f" {flag.kind}" if flag.kind else "")


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def man_page(command: Command) -> str:
    """One command's page for section 1."""
    name = command.paths[0]
    title = f"corten-{name.replace(' ', '-')}"
    lines = [
        f'.TH "{title.upper()}" 1 "" "Corten {__version__}"',
        ".SH NAME",
        f"{_roff(title)} \\- {_roff(command.summary)}",
        ".SH SYNOPSIS",
        *(f".B {_roff(line.strip())}\n.br" for line in command.usage_line(name).split("\n") if line.strip()),
        ".SH DESCRIPTION",
        _roff(command.about),
    ]
    if flags := _visible(command):
        lines.append(".SH OPTIONS")
        for flag in flags:
            short = f"\\-{flag.short}, " if flag.short else ""
            lines += [
                ".TP",
                f"{short}\\-\\-{_roff(flag.name)} {flag.kind}".rstrip(),
                _roff(flag.usage + shown_default(flag)),
            ]
    return "\n".join(lines) + "\n"


def _roff(text: str) -> str:
    """Text that roff prints as it is."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return "\n".join(f"\\&{line}" if line[:1] in (".", "'") else line for line in escaped.split("\n"))


def main(argv: list[str]) -> int:
    """`markdown` to stdout, or `man DIR`."""
    if argv == ["markdown"]:
        sys.stdout.write(markdown())
        return 0
    if len(argv) == 2 and argv[0] == "man":
        for command in _documented():
            name = command.paths[0].replace(" ", "-")
            (Path(argv[1]) / f"corten-{name}.1").write_text(man_page(command))
        return 0
    sys.stderr.write((__doc__ or "").split("\n\n")[1] + "\n")
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
