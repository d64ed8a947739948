"""Help pages, written from the command tables."""

from __future__ import annotations

from corten.cli import index

TYPE_CHECKING = False
if TYPE_CHECKING:
    from corten.cli.flags import Flag
    from corten.cli.table import Command

__all__ = ["flag_lines", "page", "shown_default"]

_COMMON = ("run", "exec", "ps", "build", "pull", "push", "images", "login", "logout", "search", "version", "info")
_OWN = ("doctor", "serve", "runtime", "completion")


def page(topic: str) -> str | None:
    """The help page of a command, of a group or, for an empty topic, of the whole; None when there is no such thing."""
    if not topic:
        return _root_page()
    if topic in index.GROUPS:
        return _group_page(topic)
    if topic in index.PATHS:
        return _command_page(index.load(topic), topic)
    return None


def _command_page(command: Command, path: str) -> str:
    parts = [f"Usage:  {command.usage_line(path)}", command.about]
    if len(command.paths) > 1:
        names = sorted(command.paths, key=lambda name: (-name.count(" "), name))
        parts.append("Aliases:\n  " + ", ".join(f"corten {name}" for name in names))
    if lines := flag_lines(command.flags):
        parts.append("Options:\n" + "\n".join(lines))
    return "\n\n".join(parts) + "\n"


def _group_page(group: str) -> str:
    members = {path.removeprefix(f"{group} "): path for path in index.PATHS if path.startswith(f"{group} ")}
    rows = _rows({name: path for name, path in members.items() if _is_main_name(path)})
    return (
        f"Usage:  corten {group} COMMAND\n\n{index.GROUPS[group]}\n\nCommands:\n{rows}\n\n"
        f"Run 'corten {group} COMMAND --help' for more information on a command.\n"
    )


def _is_main_name(path: str) -> bool:
    """Whether this is the first of a command's names in its group: `container ls` and not `container list`."""
    group = path.partition(" ")[0]
    return next(name for name in index.load(path).paths if name.startswith(f"{group} ")) == path


def _root_page() -> str:
    from corten.cli.command import GLOBAL_FLAGS

    alone = {path: path for path in index.PATHS if " " not in path and not path.startswith("__")}
    sections = [
        ("Common Commands", {name: name for name in _COMMON}),
        ("Corten's Own Commands", {name: name for name in _OWN}),
    ]
    others = {name: path for name, path in sorted(alone.items()) if name not in (*_COMMON, *_OWN)}
    width = max(len(name) for name in (*alone, *index.GROUPS)) + 1
    groups = "\n".join(f"  {name:<{width}} {summary}" for name, summary in index.GROUPS.items())
    parts = [
        "Usage:  corten [OPTIONS] COMMAND",
        "Containers, images, networks and volumes: the whole stack in one command",
    ]
    parts += [f"{title}:\n{_rows(names, width)}" for title, names in sections]
    parts += [f"Management Commands:\n{groups}", f"Commands:\n{_rows(others, width)}"]
    parts.append("Global Options:\n" + "\n".join(flag_lines(GLOBAL_FLAGS)))
    parts.append("Run 'corten COMMAND --help' for more information on a command.")
    return "\n\n".join(parts) + "\n"


def _rows(names: dict[str, str], width: int = 11) -> str:
    return "\n".join(f"  {name:<{width}} {index.load(path).summary}" for name, path in names.items())


def flag_lines(flags: tuple[Flag, ...], width: int = 0) -> list[str]:
    """The table of flags, by name, wrapped to the terminal."""
    shown = sorted((flag for flag in flags if not flag.hidden), key=lambda flag: flag.name)
    heads = [_head(flag) for flag in shown]
    if not heads:
        return []
    left = max(map(len, heads)) + 3
    lines: list[str] = []
    for head, flag in zip(heads, shown, strict=True):
        first, *rest = _wrapped(flag.usage + shown_default(flag), (width or _columns()) - left)
        lines.append(f"{head:<{left}}{first}".rstrip())
        lines += [" " * left + line for line in rest]
    return lines


def _head(flag: Flag) -> str:
    short = f"-{flag.short}, " if flag.short else "    "
    return f"  {short}--{flag.name}" + (f" {flag.kind}" if flag.kind else "")


def shown_default(flag: Flag) -> str:
    """The default as help pages show it behind the usage; nothing for one that is empty."""
    if flag.default in (None, "", 0, False, ()):
        return ""
    shown = f'"{flag.default}"' if isinstance(flag.default, str) else str(flag.default).lower()
    return f" (default {shown})"


def _wrapped(text: str, width: int) -> list[str]:
    lines, line = [], ""
    for word in text.split(" "):
        if line and len(line) + 1 + len(word) > max(width, 24):
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}" if line else word
    return [*lines, line]


def _columns() -> int:
    from posix import get_terminal_size

    try:
        return get_terminal_size(0).columns - 1
    except OSError:
        return 79
