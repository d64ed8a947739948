"""Go's text/template, as far as `--format` reaches.

What Docker's users write works as it does there: fields and pipelines, `range`, `if`, `with`, variables, trim
markers, nested templates, Go's own functions and Docker's (`json`, `join`, `split`, `upper`, `pad`, …), with the
same words when something is wrong.

>>> Template("{{range .Ports}}{{.}}/{{end}}{{len .Ports}}").render({"Ports": [80, 443]})
'80/443/2'

The path through the package: `lexer` cuts text into tokens, `parser` makes nodes of them, `evaluation` walks the
nodes over a value, `functions` holds what templates may call, `printing` writes values as Go's fmt does.
"""

from __future__ import annotations

from corten.cli.template.errors import TemplateError
from corten.cli.template.evaluation import Evaluation
from corten.cli.template.functions import FUNCTIONS, HEADER_FUNCTIONS
from corten.cli.template.parser import parse
from corten.cli.template.values import ABSENT, Absent, GoMap, NilList, NilMap

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["Absent", "GoMap", "NilList", "NilMap", "Template", "TemplateError"]


class Template:
    """A parsed template; TemplateError when the text is none."""

    def __init__(self, text: str, name: str = "") -> None:
        self._name = name
        self._root, self._named = parse(text, frozenset(FUNCTIONS), name)

    def render(self, value: Any, *, strict: bool = False) -> str:
        """The text for one value. With `strict` a key that a map lacks is an error, else it prints `<no value>`."""
        return Evaluation(FUNCTIONS, self._named, strict=strict, name=self._name).run(self._root, value)

    def render_header(self, titles: dict[str, str]) -> str:
        """The heading of a table: each field becomes its title, and no function changes it."""
        return Evaluation(HEADER_FUNCTIONS, self._named, strict=False, name=self._name).run(self._root, _Header(titles))

    def fields(self) -> set[str]:
        """The names of the fields that the template mentions, wherever they stand."""
        return {field.names[0] for field in self._root.mentioned()}

    def check(self, knows: Callable[[str], bool], kind: str) -> None:
        """Raise as an execution would when the template names a field that rows of `kind` do not have.

        An empty list executes nothing, and a typing error should be told all the same.
        """
        for field in self._root.mentioned():
            if not knows(field.names[0]):
                where = f'{self._name}:{field.line}:{field.column}: executing "{self._name}" at <{field.text()}>'
                raise TemplateError(f"template: {where}: can't evaluate field {field.names[0]} in type {kind}")


class _Header:
    """The titles of a table in place of a row's fields."""

    go_type = "formatter.SubHeaderContext"

    def __init__(self, titles: dict[str, str]) -> None:
        self._titles = titles

    def field(self, name: str) -> Any:
        return self._titles.get(name, ABSENT)

    def method(self, name: str, argument: str) -> str:  # noqa: ARG002 - a label's title is its own last word
        return argument.rpartition(".")[2].replace("-", " ").replace("_", " ")
