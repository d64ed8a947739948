"""Words, quotes and variables: the small part of the shell that a Dockerfile speaks.

    $name  ${name}  ${name:-word}  ${name-word}  ${name:+word}  ${name+word}  ${name:?word}  ${name?word}
    ${name#pattern}  ##  %  %%     ${name/pattern/word}  //

Single quotes keep everything; inside double quotes variables are replaced; the escape character keeps the next one.
"""

import fnmatch
import re
from collections.abc import Callable, Mapping

from corten.model.errors import InvalidArgument

__all__ = ["expand", "expand_words", "split_words", "unset_names"]

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|[0-9@*#?!-]")


Lookup = Callable[[str], str | None]


class Lexer:
    """One pass over a text; `lookup` gives a variable's value, None when it is not set."""

    def __init__(self, text: str, lookup: Lookup, escape: str, *, keep_quotes: bool = False) -> None:
        self.text = text
        self.lookup = lookup
        self.escape = escape
        self.keep_quotes = keep_quotes
        self.at = 0

    def words(self) -> list[str]:
        """Split on blanks outside quotes; an unquoted variable that is empty makes no word."""
        found: list[str] = []
        while self.at < len(self.text):
            if self.text[self.at].isspace():
                self.at += 1
                continue
            begin = self.at
            word = self.run(stop=lambda letter: letter.isspace())
            if word or self.text[begin : self.at][:1] in ("'", '"'):
                found.append(word)
        return found

    def run(self, stop: Callable[[str], bool] = lambda _: False) -> str:
        out = ""
        while self.at < len(self.text) and not stop(self.text[self.at]):
            letter = self.text[self.at]
            if letter == "'":
                out += self.single()
            elif letter == '"':
                out += self.double()
            elif letter == "$":
                out += self.dollar()
            elif letter == self.escape:
                out += self.escaped()
            else:
                self.at += 1
                out += letter
        return out

    def escaped(self) -> str:
        self.at += 1
        if self.at >= len(self.text):
            return self.escape
        self.at += 1
        return (self.escape if self.keep_quotes else "") + self.text[self.at - 1]

    def single(self) -> str:
        end = self.text.find("'", self.at + 1)
        if end < 0:
            raise InvalidArgument("unexpected end of statement while looking for matching single-quote")
        inside = self.text[self.at + 1 : end]
        self.at = end + 1
        return f"'{inside}'" if self.keep_quotes else inside

    def double(self) -> str:
        self.at += 1
        out = ""
        while self.at < len(self.text):
            letter = self.text[self.at]
            if letter == '"':
                self.at += 1
                return f'"{out}"' if self.keep_quotes else out
            if letter == "$":
                out += self.dollar()
            elif letter == self.escape and self.text[self.at + 1 : self.at + 2] in ('"', "$", self.escape):
                out += self.escaped()
            else:
                self.at += 1
                out += letter
        raise InvalidArgument("unexpected end of statement while looking for matching double-quote")

    def dollar(self) -> str:
        self.at += 1
        if self.text[self.at : self.at + 1] == "{":
            return self.braced()
        match = NAME.match(self.text, self.at)
        if not match:
            return "$"
        self.at = match.end()
        return self.lookup(match[0]) or ""

    def braced(self) -> str:
        match = NAME.match(self.text, self.at + 1)
        if not match:
            raise InvalidArgument("syntax error: missing variable name after ${")
        name = match[0]
        self.at = match.end()
        if self.text[self.at : self.at + 1] == "}":
            self.at += 1
            return self.lookup(name) or ""
        operator = re.compile(r":[-+?]|[-+?]|##?|%%?|//?").match(self.text, self.at)
        if not operator:
            raise InvalidArgument(f"unsupported modifier in substitution of ${{{name}…}}")
        self.at = operator.end()
        word = self.run(stop=lambda letter: letter == "}" or (operator[0][0] == "/" and letter == "/"))
        replacement = ""
        if operator[0][0] == "/" and self.text[self.at : self.at + 1] == "/":
            self.at += 1
            replacement = self.run(stop=lambda letter: letter == "}")
        if self.text[self.at : self.at + 1] != "}":
            raise InvalidArgument(f"syntax error: missing }} after ${{{name}")
        self.at += 1
        return substitute(self.lookup(name), name, operator[0], word, replacement)


def substitute(value: str | None, name: str, operator: str, word: str, replacement: str) -> str:
    """One ``${name OPERATOR word}``, as POSIX defines it; with a colon an empty value counts as not set."""
    present = bool(value) if operator.startswith(":") else value is not None
    match operator[-1]:
        case "-":
            return (value or "") if present else word
        case "+":
            return word if present else ""
        case "?":
            if not present:
                raise InvalidArgument(f"{name}: {word or 'not allowed to be unset'}")
            return value or ""
        case "/":
            return replace(value or "", word, replacement, every=operator == "//")
    return trim(value or "", word, operator)


def trim(value: str, pattern: str, operator: str) -> str:
    """Cut the shortest (one sign) or longest (two) match of a glob from the front (#) or the end (%)."""
    matches = re.compile(fnmatch.translate(pattern))
    longest = len(operator) == 2
    cuts = range(len(value) + 1)
    if operator[0] == "#":
        for cut in reversed(cuts) if longest else cuts:
            if matches.match(value[:cut]):
                return value[cut:]
    else:
        for cut in cuts if longest else reversed(cuts):
            if matches.match(value[cut:]):
                return value[:cut]
    return value


def replace(value: str, pattern: str, replacement: str, *, every: bool) -> str:
    expression = fnmatch.translate(pattern).removesuffix(r"\Z").removesuffix(r"\z")
    return re.sub(expression, lambda _: replacement, value, count=0 if every else 1)


def expand(text: str, values: Mapping[str, str], escape: str = "\\", *, keep_quotes: bool = False) -> str:
    """Replace variables and take quotes away; raises InvalidArgument for what is malformed."""
    return Lexer(text, values.get, escape, keep_quotes=keep_quotes).run()


def expand_words(text: str, values: Mapping[str, str], escape: str = "\\") -> list[str]:
    """As `expand`, split into words."""
    return Lexer(text, values.get, escape).words()


def split_words(text: str, escape: str = "\\") -> list[str]:
    """Words with their quotes and variables as written, for expanding each later."""
    found: list[str] = []
    lexer = Lexer(text, lambda _: None, escape, keep_quotes=True)
    while lexer.at < len(text):
        if text[lexer.at].isspace():
            lexer.at += 1
            continue
        begin = lexer.at
        lexer.run(stop=lambda letter: letter.isspace())
        found.append(text[begin : lexer.at])
    return found


def unset_names(text: str, values: Mapping[str, str], escape: str = "\\") -> list[str]:
    """The variables that `text` uses and `values` has not, for warnings."""
    missing: list[str] = []

    def lookup(name: str) -> str | None:
        if name not in values:
            missing.append(name)
        return values.get(name)

    Lexer(text, lookup, escape).run()
    return missing
