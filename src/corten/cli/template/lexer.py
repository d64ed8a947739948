"""Text into tokens: what stands outside of `{{ }}` is one token, what stands inside is many."""

from __future__ import annotations

from corten.cli.template.errors import TemplateError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

__all__ = ["Token", "tokens"]

_SPACE = " \t\r\n"
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v", "\\": "\\", "'": "'", '"': '"'}


class Token:
    """One token; `kind` is text, open, close, field, variable, word, number, string, char, dot, space or the sign."""

    __slots__ = ("at", "kind", "text", "value")

    def __init__(self, kind: str, text: str, at: int, value: object = None) -> None:
        self.kind = kind
        self.text = text
        self.at = at
        self.value = value


def place(text: str, at: int) -> int:
    """The line of an offset, counted from one."""
    return text.count("\n", 0, at) + 1


def tokens(text: str) -> Iterator[Token]:
    """The tokens of a template; TemplateError for an action that does not end."""
    at, trim = 0, False
    while True:
        start = text.find("{{", at)
        plain = text[at:] if start < 0 else text[at:start]
        if trim:
            plain = plain.lstrip(_SPACE)
        trims_left = start >= 0 and text[start + 2 : start + 3] == "-" and text[start + 3 : start + 4] in _SPACE
        if trims_left:
            plain = plain.rstrip(_SPACE)
        if plain:
            yield Token("text", plain, at)
        if start < 0:
            return
        inside = start + (4 if trims_left else 2)
        if text.startswith("/*", inside):
            at, trim = _after_comment(text, inside)
            continue
        yield Token("open", "{{", start)
        at, trim = yield from _action(text, inside)


def _after_comment(text: str, at: int) -> tuple[int, bool]:
    end = text.find("*/", at)
    if end < 0:
        raise TemplateError(f"template: :{place(text, at)}: unclosed comment")
    if text.startswith("}}", end + 2):
        return end + 4, False
    if text.startswith(" -}}", end + 2):
        return end + 6, True
    raise TemplateError(f"template: :{place(text, at)}: comment ends before closing delimiter")


def _action(text: str, at: int) -> Generator[Token, None, tuple[int, bool]]:
    """The tokens of one action; returns where it ends and whether it trims what follows."""
    depth = 0
    while True:
        if text.startswith("}}", at) or (text.startswith("-}}", at) and text[at - 1] in _SPACE):
            if depth:
                raise TemplateError(f"template: :{place(text, at)}: unclosed left paren")
            trims = text[at] == "-"
            yield Token("close", "}}", at)
            return at + (3 if trims else 2), trims
        if at >= len(text):
            raise TemplateError(f"template: :{place(text, at)}: unclosed action")
        char = text[at]
        if char in _SPACE:
            end = at
            while text[end : end + 1] and text[end] in _SPACE:
                end += 1
            yield Token("space", text[at:end], at)
            at = end
            continue
        depth += (char == "(") - (char == ")")
        if depth < 0:
            raise TemplateError(f"template: :{place(text, at)}: unexpected right paren")
        token = _token(text, at)
        yield token
        at += len(token.text)


def _token(text: str, at: int) -> Token:
    char = text[at]
    if char in "()|,":
        return Token(char, char, at)
    if text.startswith(":=", at):
        return Token(":=", ":=", at)
    if char == "=":
        return Token("=", "=", at)
    if char == '"':
        return _quoted(text, at)
    if char == "`":
        end = text.find("`", at + 1)
        if end < 0:
            raise TemplateError(f"template: :{place(text, at)}: unterminated raw quoted string")
        return Token("string", text[at : end + 1], at, text[at + 1 : end])
    if char == "'":
        token = _quoted(text, at)
        return Token("char", token.text, at, ord(str(token.value)))
    if char == ".":
        word = _word(text, at + 1)
        if word and not word[0].isdigit():
            return Token("field", "." + word, at, word)
        if not word:
            return Token("dot", ".", at)
    if char == "$":
        return Token("variable", "$" + _word(text, at + 1), at)
    if char.isdigit() or char in "+-.":
        return _number(text, at)
    if word := _word(text, at):
        return Token("word", word, at)
    raise TemplateError(f"template: :{place(text, at)}: unexpected bad character {_code(char)} in command")


def _code(char: str) -> str:
    return f"U+{ord(char):04X} '{char}'"


def _word(text: str, at: int) -> str:
    end = at
    while end < len(text) and (text[end].isalnum() or text[end] == "_"):
        end += 1
    return text[at:end]


def _number(text: str, at: int) -> Token:
    end = at + 1
    while end < len(text) and (
        text[end].isalnum() or text[end] in "._" or (text[end] in "+-" and text[end - 1] in "eE")
    ):
        end += 1
    spelled = text[at:end]
    for read in (lambda: int(spelled, 0), lambda: int(spelled, 8), lambda: float(spelled)):
        try:
            return Token("number", spelled, at, read())
        except ValueError:
            continue
    raise TemplateError(f'template: :{place(text, at)}: bad number syntax: "{spelled}"')


def _quoted(text: str, at: int) -> Token:
    mark, end, value = text[at], at + 1, ""
    while True:
        if end >= len(text) or text[end] == "\n":
            kind = "quoted string" if mark == '"' else "character constant"
            raise TemplateError(f"template: :{place(text, at)}: unterminated {kind}")
        if text[end] == mark:
            return Token("string", text[at : end + 1], at, value)
        if text[end] != "\\":
            value, end = value + text[end], end + 1
            continue
        step, char = _escape(text, end + 1)
        value, end = value + char, end + 1 + step


def _escape(text: str, at: int) -> tuple[int, str]:
    """How long an escape is behind its backslash, and what it means."""
    char = text[at : at + 1]
    if char in _ESCAPES and char:
        return 1, _ESCAPES[char]
    length = {"x": 2, "u": 4, "U": 8}.get(char, 0)
    try:
        return (
            (1 + length, chr(int(text[at + 1 : at + 1 + length], 16)))
            if length
            else (3, chr(int(text[at : at + 3], 8)))
        )
    except ValueError:
        raise TemplateError(f"template: :{place(text, at)}: invalid syntax") from None
