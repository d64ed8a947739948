"""`corten completion SHELL`: the script that makes a shell complete our command lines.

The script itself knows nothing: it asks `corten __complete WORD…`, which answers from the command tables and, for
names of containers, images, networks and volumes, from the engine if one listens (it starts none for this).
"""

from __future__ import annotations

from corten.cli import index
from corten.cli.table import MANY, Command, Fault

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from corten.cli.flags import Flag, Options
    from corten.cli.session import Session

__all__ = ["COMPLETE", "COMPLETION", "candidates"]

_BASH = """_corten() {
    local IFS=$'\\n'
    local last="${COMP_WORDS[COMP_CWORD]}"
    local found="$(corten __complete -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null | cut -f1)"
    COMPREPLY=($(compgen -W "$found" -- "$last"))
    [ ${#COMPREPLY[@]} -gt 0 ] || COMPREPLY=($(compgen -f -- "$last"))
}
complete -F _corten corten
"""
_ZSH = """#compdef corten
_corten() {
    local -a found
    found=("${(@f)$(corten __complete -- "${(@)words[2,$CURRENT]}" 2>/dev/null | sed 's/:/\\\\:/g; s/\\t/:/')}")
    if [ ${#found[1]} -gt 0 ]; then _describe corten found; else _files; fi
}
compdef _corten corten
"""
_FISH = """function __corten_complete
    set -l words (commandline -opc) (commandline -ct)
    corten __complete -- $words[2..-1] 2>/dev/null
end
complete -c corten -f -a '(__corten_complete)'
"""
_SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


def candidates(session: Session, words: list[str]) -> Iterator[tuple[str, str]]:
    """What may stand in place of the last of `words`, each with a description."""
    *before, last = words or [""]
    path, rest = index.find(before)
    if not path:
        yield from _commands(before, last)
        return
    command = index.load(path)
    expects = _value_flag(command, rest)
    if expects is not None:
        return
    if last.startswith("-"):
        yield from _flags(command, last)
        return
    if command.completes and not (command.stops and _positionals(command, rest)):
        yield from ((name, "") for name in _names(session, command.completes) if name.startswith(last))


def _commands(before: list[str], last: str) -> Iterator[tuple[str, str]]:
    if before and before[-1] in index.GROUPS:
        start = f"{before[-1]} "
        for path in index.PATHS:
            if path.startswith(start + last):
                yield path.removeprefix(start), index.load(path).summary
        return
    if before:
        return
    for group, summary in index.GROUPS.items():
        if group.startswith(last):
            yield group, summary
    for path in index.PATHS:
        if " " not in path and path.startswith(last) and not path.startswith("__"):
            yield path, index.load(path).summary


def _flags(command: Command, last: str) -> Iterator[tuple[str, str]]:
    for flag in command.flags:
        if not flag.hidden and f"--{flag.name}".startswith(last):
            yield f"--{flag.name}", flag.usage
    if "--help".startswith(last):
        yield "--help", "Show this command's help"


def _value_flag(command: Command, rest: list[str]) -> Flag | None:
    """The flag whose value the last word is, if it is one."""
    if not rest or not rest[-1].startswith("-") or "=" in rest[-1]:
        return None
    name = rest[-1].lstrip("-")
    for flag in command.flags:
        if not flag.alone and (flag.name == name or (rest[-1][1] != "-" and flag.short == name[-1:])):
            return flag
    return None


def _positionals(command: Command, rest: list[str]) -> list[str]:
    from corten.cli.flags import FlagError, HelpAsked, parse

    try:
        return parse(command.flags, rest, interspersed=not command.stops)[1]
    except (FlagError, HelpAsked):
        return []


def _names(session: Session, kind: str) -> list[str]:
    """The engine's things of a kind; none when no engine listens."""
    from corten.client.connection import Connection, EngineError

    connection = Connection(session.address(), timeout=2.0)
    places = {"image": "/images/json", "network": "/networks", "volume": "/volumes"}
    query = {"all": "1"} if kind in ("container", "stopped") else None
    try:
        rows = connection.request("GET", places.get(kind, "/containers/json"), query=query).json()
    except (OSError, EngineError):
        return []
    if kind == "image":
        return [tag for row in rows for tag in row.get("RepoTags") or [] if tag != "<none>:<none>"]
    if kind == "network":
        return [row["Name"] for row in rows]
    if kind == "volume":
        return [row["Name"] for row in rows["Volumes"] or []]
    stopped = kind == "stopped"
    return [
        name[1:] for row in rows for name in row["Names"] if not stopped or row["State"] not in ("running", "paused")
    ]


def _script(session: Session, _: Options, words: list[str]) -> int:
    if words[0] not in _SCRIPTS:
        raise Fault(f"corten completion: unknown shell {words[0]}", hint=f"one of: {', '.join(_SCRIPTS)}")
    session.say(_SCRIPTS[words[0]].rstrip("\n"))
    return 0


def _complete(session: Session, _: Options, words: list[str]) -> int:
    session.say(*(f"{word}\t{about}" if about else word for word, about in candidates(session, words)))
    return 0


COMPLETION = Command(
    "completion",
    "SHELL",
    "Print the script that completes our command lines",
    _script,
    least=1,
    most=1,
    about="Print the script for bash, zsh or fish. For bash: source <(corten completion bash)",
)
COMPLETE = Command("__complete", "-- WORD...", "What may stand next", _complete, most=MANY, stops=True)
