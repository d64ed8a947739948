"""Flags as data, and the one parser that reads them: the rules of pflag, which every Docker user has in the fingers.

A `Flag` is a row of a command's table. The parser stops at the first positional when the command takes somebody
else's command line (`run IMAGE ls -l`), groups short flags (`-itv`), takes values as `--opt x`, `--opt=x`, `-ox`,
`-o=x`, turns switches off with `--rm=false`, and never guesses an abbreviation.

>>> flags = (switch("all", "a", "show stopped ones too"), texts("filter", "f", "conditions", kind="filter"))
>>> parse(flags, ["-af", "name=web"])[0].texts("filter")
['name=web']
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

__all__ = ["Flag", "FlagError", "HelpAsked", "Options", "number", "parse", "quoted", "switch", "text", "texts", "value"]

_TRUE = frozenset(("1", "t", "T", "TRUE", "true", "True"))
_FALSE = frozenset(("0", "f", "F", "FALSE", "false", "False"))


class FlagError(Exception):
    """The command line breaks a rule; the message is Docker's."""


class HelpAsked(Exception):
    """`--help` stood on the command line. `short` says that it was the old `-h`."""

    def __init__(self, *, short: bool = False) -> None:
        super().__init__()
        self.short = short


class Flag:
    """One option of a command.

    `kind` is the type's name in help pages; `read` turns the text into the value and raises ValueError with the
    reason; a `gathers` flag may stand many times and its values make a list. `same_as` names the flag whose value
    an older spelling sets (`--net` for `--network`). `gone` marks a flag that Docker accepts and warns about. A flag
    with a value to take `alone` never takes the next word: a switch, or `--explain` beside `--explain=network`.
    """

    __slots__ = ("alone", "default", "gathers", "gone", "hidden", "kind", "name", "read", "same_as", "short", "usage")

    def __init__(
        self,
        name: str,
        short: str,
        usage: str,
        kind: str,
        read: Callable[[str], Any],
        default: object,
        *,
        gathers: bool = False,
        hidden: bool = False,
        same_as: str = "",
        gone: str = "",
        alone: str = "",
    ) -> None:
        self.name = name
        self.short = short
        self.usage = usage
        self.kind = kind
        self.read = read
        self.default = default
        self.gathers = gathers
        self.hidden = hidden or bool(gone)
        self.same_as = same_as
        self.gone = gone
        self.alone = alone

    @property
    def spelled(self) -> str:
        """As error messages name it: `-m, --memory`."""
        return f"-{self.short}, --{self.name}" if self.short else f"--{self.name}"


def quoted(text: str) -> str:
    """Text in Go's `%q` form, which Docker's messages use."""
    plain = text.isascii() and text.isprintable() and '"' not in text and "\\" not in text
    if plain:
        return f'"{text}"'
    named = {
        '"': '\\"',
        "\\": "\\\\",
        "\n": "\\n",
        "\t": "\\t",
        "\r": "\\r",
        "\a": "\\a",
        "\b": "\\b",
        "\f": "\\f",
        "\v": "\\v",
    }
    parts = [named.get(c) or (c if c.isprintable() else _escaped(c)) for c in text]
    return '"' + "".join(parts) + '"'


def _escaped(char: str) -> str:
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that was no UTF-8
        return f"\\x{code - 0xDC00:02x}"
    return f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _read_switch(text: str) -> bool:
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise ValueError(f"strconv.ParseBool: parsing {quoted(text)}: invalid syntax")


def integer(low: int, high: int) -> Callable[[str], int]:
    """A reader of whole numbers in Go's spelling (0x, 0o, 0b and underscores too), bounded."""
    parse_name = "ParseUint" if low == 0 else "ParseInt"

    def read(text: str) -> int:
        try:
            if text != text.strip() or (low == 0 and text[:1] in "+-"):
                raise ValueError
            number = int(text, 0) if not text.lstrip("+-").isdecimal() else int(text, 8 if _is_octal(text) else 10)
        except ValueError:
            raise ValueError(f"strconv.{parse_name}: parsing {quoted(text)}: invalid syntax") from None
        if not low <= number <= high:
            raise ValueError(f"strconv.{parse_name}: parsing {quoted(text)}: value out of range")
        return number

    return read


def _is_octal(text: str) -> bool:
    digits = text.lstrip("+-")
    return len(digits) > 1 and digits[0] == "0"


_read_int = integer(-(2**63), 2**63 - 1)


def switch(name: str, short: str, usage: str, *, default: bool = False, **more: Any) -> Flag:
    """A flag that is on or off."""
    return Flag(name, short, usage, "", _read_switch, default, alone="true", **more)


def text(
    name: str,
    short: str,
    usage: str,
    default: str = "",
    *,
    kind: str = "string",
    read: Callable[[str], str] = str,
    **more: Any,
) -> Flag:
    """A flag with one value that is text."""
    return Flag(name, short, usage, kind, read, default, **more)


def number(name: str, short: str, usage: str, default: int = 0, **more: Any) -> Flag:
    """A flag whose value is a whole number."""
    read = more.pop("read", _read_int)
    return Flag(name, short, usage, more.pop("kind", "int"), read, default, **more)


def texts(
    name: str, short: str, usage: str, *, kind: str = "list", read: Callable[[str], Any] = str, **more: Any
) -> Flag:
    """A flag that may stand many times; each value is a member of the list."""
    return Flag(name, short, usage, kind, read, (), gathers=True, **more)


def value(
    name: str, short: str, usage: str, kind: str, read: Callable[[str], Any], default: object = None, **more: Any
) -> Flag:
    """A flag whose value has a grammar of its own."""
    return Flag(name, short, usage, kind, read, default, **more)


class Options:
    """The values that a command line gave, over the defaults of the table."""

    __slots__ = ("_defaults", "_given", "warnings")

    def __init__(self, flags: Iterable[Flag]) -> None:
        self._defaults = {flag.name: flag.default for flag in flags}
        self._given: dict[str, Any] = {}
        self.warnings: list[str] = []

    def given(self, name: str) -> bool:
        """Whether the flag stood on the command line, whatever its value."""
        return name in self._given

    def value(self, name: str) -> Any:
        if name in self._given:
            return self._given[name]
        return self._defaults[name]

    def on(self, name: str) -> bool:
        return bool(self.value(name))

    def text(self, name: str) -> str:
        return str(self.value(name))

    def number(self, name: str) -> int:
        return int(self.value(name))

    def texts(self, name: str) -> list[str]:
        return list(self.value(name))

    def set(self, flag: Flag, text: str) -> None:
        """Take one spelled value; FlagError says why it is none."""
        try:
            value = flag.read(text)
        except ValueError as error:
            raise FlagError(f"invalid argument {quoted(text)} for {quoted(flag.spelled)} flag: {error}") from None
        name = flag.same_as or flag.name
        if flag.gone:
            self.warnings.append(f"Flag --{flag.name} has been deprecated, {flag.gone}")
        if flag.gathers:
            self._given.setdefault(name, []).extend(value if isinstance(value, tuple) else [value])
        else:
            self._given[name] = value


def parse(flags: Iterable[Flag], words: list[str], *, interspersed: bool = True) -> tuple[Options, list[str]]:
    """Read `words` by the table `flags`; the options and the positional words.

    With `interspersed` off the first positional ends the flags: what follows belongs to the container's command.
    Raises FlagError, HelpAsked.
    """
    flags = tuple(flags)
    options = Options(flags)
    reading = _Reading(flags, options, list(words))
    positional: list[str] = []
    while reading.left:
        word = reading.left.pop(0)
        if word == "--":
            return options, positional + reading.left
        if len(word) < 2 or word[0] != "-":
            positional.append(word)
            if not interspersed:
                return options, positional + reading.left
        elif word[1] == "-":
            reading.long(word)
        else:
            reading.shorts(word)
    return options, positional


class _Reading:
    """The words that are left and the tables to look them up in."""

    def __init__(self, flags: tuple[Flag, ...], options: Options, left: list[str]) -> None:
        self.by_name = {flag.name: flag for flag in flags}
        self.by_short = {flag.short: flag for flag in flags if flag.short}
        self.options = options
        self.left = left

    def long(self, word: str) -> None:
        name, mark, given = word[2:].partition("=")
        if not name or name[0] == "-":
            raise FlagError(f"bad flag syntax: {word}")
        flag = self.by_name.get(name)
        if flag is None:
            if name == "help":
                raise HelpAsked
            raise FlagError(f"unknown flag: --{name}")
        if mark:
            self.options.set(flag, given)
        elif flag.alone:
            self.options.set(flag, flag.alone)
        else:
            self.options.set(flag, self._next(f"flag needs an argument: --{name}"))

    def shorts(self, word: str) -> None:
        group = word[1:]
        while group:
            flag = self.by_short.get(group[0])
            if flag is None:
                if group[0] == "h":
                    raise HelpAsked(short=True)
                raise FlagError(f"unknown shorthand flag: {_rune(group[0])} in -{group}")
            if len(group) > 2 and group[1] == "=":
                self.options.set(flag, group[2:])
                return
            if flag.alone:
                self.options.set(flag, flag.alone)
                group = group[1:]
                continue
            rest = group[1:] or self._next(f"flag needs an argument: {_rune(group[0])} in -{group}")
            self.options.set(flag, rest)
            return

    def _next(self, otherwise: str) -> str:
        if not self.left:
            raise FlagError(otherwise)
        return self.left.pop(0)


def _rune(char: str) -> str:
    return f"'{char}'"
