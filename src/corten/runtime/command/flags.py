"""The flags of the runtime's command line: a table for each verb, and one small parser.

Callers write flags in Go's way (runc: ``-bundle x``, ``--bundle=x``) and in GNU's (crun: ``--bundle x``); both are
taken. Flags stand before the operands; after the first operand of `exec` everything belongs to the program.
"""

from __future__ import annotations

from corten.model.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Flag", "Given", "parse", "usage"]


class Flag:
    """One flag: its `names` (the first is its key), the word for its value ("" for a switch), and what it does."""

    __slots__ = ("help", "many", "names", "value")

    def __init__(self, names: str, value: str = "", help: str = "", *, many: bool = False) -> None:
        self.names = names.split()
        self.value = value
        self.help = help
        self.many = many

    @property
    def key(self) -> str:
        return self.names[0].lstrip("-")


class Given:
    """What a command line gave: values by key, switches, and the operands."""

    def __init__(self) -> None:
        self.values: dict[str, list[str]] = {}
        self.operands: list[str] = []

    def text(self, key: str, default: str = "") -> str:
        return self.values[key][-1] if key in self.values else default

    def texts(self, key: str) -> list[str]:
        return self.values.get(key, [])

    def on(self, key: str) -> bool:
        return self.text(key) not in ("", "false", "0")

    def chosen(self) -> dict[str, str]:
        """Every flag that was given and not switched off again, by key."""
        return {key: texts[-1] for key, texts in self.values.items() if texts[-1] not in ("false", "0")}

    def number(self, key: str) -> int | None:
        """The value as an integer, or None when it was not given. Raises InvalidArgument."""
        if key not in self.values:
            return None
        text = self.text(key)
        try:
            return int(text, 0)
        except ValueError:
            raise InvalidArgument(f"invalid value {text!r} for --{key}: it is not a number") from None


def parse(flags: Sequence[Flag], argv: Sequence[str], *, interspersed: bool = True) -> Given:
    """Read `argv` by the table. With `interspersed`, flags may also follow operands, as crun's callers write them."""
    table = {name: flag for flag in flags for name in flag.names}
    given = Given()
    at = 0
    while at < len(argv):
        word = argv[at]
        at += 1
        if word == "--":
            given.operands += argv[at:]
            break
        if word == "-" or not word.startswith("-"):
            given.operands.append(word)
            if not interspersed:
                given.operands += argv[at:]
                break
            continue
        name, equals, value = word.partition("=")
        flag, value, equals = _found(table, name, value, equals)
        if not flag.value:
            value = value if equals else "true"
        elif not equals:
            if at == len(argv):
                raise InvalidArgument(f"flag needs an argument: {word}")
            value = argv[at]
            at += 1
        given.values.setdefault(flag.key, []).append(value)
    return given


def usage(program: str, operands: str, flags: Sequence[Flag]) -> str:
    """The help of one verb."""
    lines = [f"USAGE:\n   {program} [options] {operands}".rstrip(), "", "OPTIONS:"]
    for flag in flags:
        names = ", ".join(flag.names) + (f" {flag.value}" if flag.value else "")
        lines.append(f"   {names:<36} {flag.help}".rstrip())
    return "\n".join(lines) + "\n"


def _found(table: dict[str, Flag], name: str, value: str, equals: str) -> tuple[Flag, str, str]:
    if name in table:
        return table[name], value, equals
    if not name.startswith("--") and f"-{name}" in table:  # Go's flag package takes one dash for two
        return table[f"-{name}"], value, equals
    short = name[:2]
    if not name.startswith("--") and short in table and table[short].value:  # -eKEY=value
        rest = name[2:] + equals + value
        return table[short], rest, "="
    raise InvalidArgument(f"flag provided but not defined: {name}", hint="see --help")
