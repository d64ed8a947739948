"""Tokens into nodes, by recursive descent over Go's grammar of templates."""

from __future__ import annotations

from corten.cli.template import nodes
from corten.cli.template.errors import TemplateError
from corten.cli.template.lexer import Token, tokens

__all__ = ["parse"]

_KEYWORDS = frozenset(("if", "with", "range", "end", "else", "define", "template", "block", "break", "continue"))
_CONSTANTS = {"true": True, "false": False, "nil": None}


def parse(text: str, functions: frozenset[str], name: str = "") -> tuple[nodes.Sequence, dict[str, nodes.Node]]:
    """The nodes of `text` and of the templates it defines by name; TemplateError in Go's words."""
    try:
        parser = _Parser(text, functions)
        root, stop = parser.sequence()
        if stop is not None:
            raise parser.error(f"unexpected {{{{{stop.text}}}}}", stop)
    except TemplateError as error:
        raise TemplateError(str(error).replace("template: ", f"template: {name}", 1)) from None
    return root, parser.named


class _Parser:
    """A cursor over the tokens. `depth` counts the ranges around, `variables` are the names in scope."""

    def __init__(self, text: str, functions: frozenset[str]) -> None:
        self.source = text
        self.functions = functions
        self.named: dict[str, nodes.Node] = {}
        self.tokens = list(tokens(text))
        self.at = 0
        self.variables = ["$"]
        self.depth = 0

    # The cursor

    def error(self, reason: str, token: Token | None = None) -> TemplateError:
        offset = token.at if token else len(self.source)
        return TemplateError(f"template: :{self.source.count(chr(10), 0, offset) + 1}: {reason}")

    def where(self, token: Token) -> tuple[int, int]:
        start = self.source.rfind("\n", 0, token.at) + 1
        return self.source.count("\n", 0, token.at) + 1, len(self.source[start : token.at].encode())

    def peek(self) -> Token | None:
        return self.tokens[self.at] if self.at < len(self.tokens) else None

    def next(self) -> Token:
        token = self.peek()
        if token is None:
            raise self.error("unexpected EOF")
        self.at += 1
        return token

    def skip_space(self) -> Token:
        while self.peek() is not None and self.tokens[self.at].kind == "space":
            self.at += 1
        token = self.peek()
        if token is None:
            raise self.error("unexpected EOF")
        return token

    # Text and actions

    def sequence(self) -> tuple[nodes.Sequence, Token | None]:
        """Nodes up to `end`, `else` or the end of the text; the word that stopped it."""
        found: list[nodes.Node] = []
        while (token := self.peek()) is not None:
            self.at += 1
            if token.kind == "text":
                found.append(nodes.Text(self.where(token), token.text))
                continue
            word = self.skip_space()
            if word.kind == "word" and word.text in ("end", "else"):
                self.at += 1
                return nodes.Sequence((1, 0), found), word
            if node := self.action(word):
                found.append(node)
        return nodes.Sequence((1, 0), found), None

    def action(self, word: Token) -> nodes.Node | None:
        if word.kind != "word" or word.text not in _KEYWORDS:
            return nodes.Action(self.where(word), self.pipe("command", "close"))
        self.at += 1
        if word.text in ("if", "with", "range"):
            return self.control(word)
        if word.text in ("break", "continue"):
            if not self.depth:
                raise self.error(f"{{{{{word.text}}}}} outside {{{{range}}}}", word)
            self.close(word.text)
            return nodes.Jump(self.where(word), word.text)
        return self.template_clause(word)

    def close(self, context: str) -> None:
        token = self.skip_space()
        if token.kind != "close":
            raise self.error(f"unexpected {_shown(token)} in {context}", token)
        self.at += 1

    def control(self, word: Token) -> nodes.Node:
        """`if`, `with` or `range` to its `end`."""
        scope = len(self.variables)
        pipe = self.pipe(word.text, "close")
        self.depth += word.text == "range"
        body, stop = self.sequence()
        self.depth -= word.text == "range"
        otherwise = self.alternative(word, stop)
        del self.variables[scope:]
        kind = nodes.Range if word.text == "range" else nodes.Block
        return kind(self.where(word), pipe, body, otherwise, rebinds=word.text != "if")

    def alternative(self, word: Token, stop: Token | None) -> nodes.Node | None:
        """What stands behind `else`, which may be a further `if` or `with`; nothing when `end` came at once."""
        if stop is None:
            raise self.error("unexpected EOF")
        if stop.text == "end":
            self.close("end")
            return None
        token = self.skip_space()
        if token.kind == "word" and token.text == word.text and word.text in ("if", "with"):
            self.at += 1
            return self.control(token)
        self.close("else")
        otherwise, stop = self.sequence()
        if stop is None:
            raise self.error("unexpected EOF")
        if stop.text == "else":
            raise self.error("expected end; found {{else}}", stop)
        self.close("end")
        return otherwise

    def template_clause(self, word: Token) -> nodes.Node | None:
        """`define`, `block` and `template`."""
        name = self.skip_space()
        if name.kind != "string":
            raise self.error(f"unexpected {_shown(name)} in {word.text} clause", name)
        self.at += 1
        pipe = None
        if word.text != "define" and self.skip_space().kind != "close":
            pipe = self.pipe(f"{word.text} clause", "close")
        else:
            self.close(f"{word.text} clause")
        title = str(name.value)
        if word.text != "template":
            outside, self.variables = self.variables, ["$"]
            self.named[title], stop = self.sequence()
            self.variables = outside
            if stop is None or stop.text != "end":
                raise self.error("unexpected EOF" if stop is None else "unexpected {{else}}", stop)
            self.close("end")
        return None if word.text == "define" else nodes.Use(self.where(word), title, pipe)

    # Pipelines

    def pipe(self, context: str, end: str) -> nodes.Pipe:
        start = self.skip_space()
        declares, assigns = self.declarations(context)
        commands: list[nodes.Command] = []
        while True:
            token = self.skip_space()
            if token.kind == end:
                self.at += 1
                if not commands:
                    raise self.error(f"missing value for {context}", token)
                break
            commands.append(self.command(end))
        for number, command in enumerate(commands[1:], 2):
            if not isinstance(command.words[0], nodes.Function | nodes.Field | nodes.Variable | nodes.Chain):
                raise self.error(f"non executable command in pipeline stage {number}", start)
        self.variables += [] if assigns else declares
        return nodes.Pipe(self.where(start), commands, declares, assigns=assigns)

    def declarations(self, context: str) -> tuple[list[str], bool]:
        """The variables at a pipeline's head: `$x :=`, `$x =` or, in a range, `$i, $x :=`."""
        begin, names = self.at, []
        while (token := self.skip_space()).kind == "variable":
            names.append(token.text)
            self.at += 1
            sign = self.skip_space()
            if sign.kind in (":=", "="):
                self.at += 1
                if sign.kind == "=":
                    self.known(token)
                return names, sign.kind == "="
            if sign.kind != "," or context != "range" or len(names) > 1:
                break
            self.at += 1
        self.at = begin
        return [], False

    def command(self, end: str) -> nodes.Command:
        first = self.skip_space()
        words: list[nodes.Node] = []
        while True:
            token = self.skip_space()
            if token.kind in (end, "close"):
                break
            if token.kind == "|":
                self.at += 1
                if self.skip_space().kind == end:
                    raise self.error("missing value for command", token)
                break
            words.append(self.operand(token))
            after = self.peek()
            if after is not None and after.kind not in ("space", end, "close", "|", ")"):
                raise self.error(f"unexpected {_shown(after)} in operand", after)
        if not words:
            raise self.error("empty command", first)
        return nodes.Command(self.where(first), words)

    def operand(self, token: Token) -> nodes.Node:
        """A term and the fields that hang on it."""
        self.at += 1
        term = self.term(token)
        names: list[str] = []
        chained = self.peek()
        while (following := self.peek()) is not None and following.kind == "field":
            names.append(str(following.value))
            self.at += 1
        if not names or chained is None:
            return term
        where = self.where(chained)
        if isinstance(term, nodes.Field):
            return nodes.Field(where, [*term.names, *names])
        if isinstance(term, nodes.Variable):
            return nodes.Variable(where, term.name, [*term.names, *names])
        if isinstance(term, nodes.Constant | nodes.Dot):
            raise self.error(f"unexpected . after term {term.text()!r}".replace("'", '"'), chained)
        return nodes.Chain(where, term, names)

    def term(self, token: Token) -> nodes.Node:
        where = self.where(token)
        if token.kind == "field":
            return nodes.Field(where, [str(token.value)])
        if token.kind == "dot":
            return nodes.Dot(where)
        if token.kind == "variable":
            self.known(token)
            return nodes.Variable(where, token.text, [])
        if token.kind in ("string", "number", "char"):
            return nodes.Constant(where, token.value, token.text)
        if token.kind == "(":
            return self.pipe("parenthesized pipeline", ")")
        if token.kind == "word":
            if token.text in _CONSTANTS:
                return nodes.Constant(where, _CONSTANTS[token.text], token.text)
            if token.text in _KEYWORDS:
                raise self.error(f"unexpected <{token.text}> in operand", token)
            if token.text not in self.functions:
                raise self.error(f'function "{token.text}" not defined', token)
            return nodes.Function(where, token.text)
        raise self.error(f"unexpected {_shown(token)} in operand", token)

    def known(self, token: Token) -> None:
        if token.text not in self.variables:
            raise self.error(f'undefined variable "{token.text}"', token)


def _shown(token: Token) -> str:
    return f"<{token.text}>" if token.kind in ("word", "field", "variable") else f'"{token.text}"'
