"""A list of things and the ways to print it: a table, JSON lines, or the user's own Go template.

A `Listing` names the columns that a kind of row has. The plain table needs no template, so the template engine is
only imported for `--format`.
"""

from __future__ import annotations

import sys

from corten.cli.columns import laid_out
from corten.cli.table import Fault

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

__all__ = ["Listing", "Row", "format_asks_for"]


class Listing:
    """What rows of one kind offer: `columns` maps a field's name to its header and how to read it off a row.

    A header of "" marks a field that no table shows as a column; `methods` take one argument (`.Label "x"`);
    `kind` is how Docker's messages call such a row.
    """

    __slots__ = ("columns", "kind", "methods", "raw")

    def __init__(
        self,
        kind: str,
        columns: dict[str, tuple[str, Callable[[Any], Any]]],
        methods: dict[str, Callable[[Any, str], Any]] | None = None,
        raw: str = "",
    ) -> None:
        self.kind = kind
        self.columns = columns
        self.methods = methods or {}
        self.raw = raw

    def print(self, rows: Iterable[Any], shown: list[str], *, form: str = "", quiet: str = "") -> None:
        """Print `rows`: by the template `form`, or the fields `shown` as a table; `quiet` names the one field of -q."""
        if quiet and form in ("", "table"):
            sys.stdout.write("".join(f"{self.columns[quiet][1](row)}\n" for row in rows))
        elif form in ("", "table"):
            sys.stdout.write(self.table(rows, shown))
        elif form == "json":
            sys.stdout.write("".join(self.json(row) + "\n" for row in rows))
        else:
            self._print_template(rows, self.raw if form == "raw" and self.raw else form)

    def table(self, rows: Iterable[Any], shown: list[str]) -> str:
        lines = ["\t".join([self.columns[name][0] for name in shown])]
        readers = [self.columns[name][1] for name in shown]
        lines += ["\t".join([str(read(row)) for read in readers]) for row in rows]
        return laid_out(lines)

    def json(self, row: Any) -> str:
        from corten.wire.codec import dumps

        fields = {name: self.columns[name][1](row) for name in sorted(self.columns)}
        return escaped_html(dumps(fields))

    def _print_template(self, rows: Iterable[Any], form: str) -> None:
        from corten.cli.template import Template, TemplateError

        in_table = form.startswith("table")
        text = form.removeprefix("table") if in_table else form
        text = text.strip(" ").replace("\\t", "\t").replace("\\n", "\n")
        try:
            template = Template(text)
        except TemplateError as error:
            raise Fault(f"failed to parse template: {error}") from None
        try:
            printed = [template.render(Row(self, row)) for row in rows]
            if not printed:
                template.check(self._knows, self.kind)
        except TemplateError as error:
            raise Fault(f"failed to execute template: {error}") from None
        if in_table:
            header = template.render_header({name: title for name, (title, _) in self.columns.items() if title})
            sys.stdout.write(laid_out("\n".join([header, *printed]).split("\n")))
        else:
            sys.stdout.write("".join(f"{line}\n" for line in printed))

    def _knows(self, name: str) -> bool:
        return name in self.columns or name in self.methods


class Row:
    """One row as a template sees it: its fields by name."""

    __slots__ = ("_listing", "_row")

    def __init__(self, listing: Listing, row: Any) -> None:
        self._listing = listing
        self._row = row

    @property
    def go_type(self) -> str:
        return self._listing.kind

    def field(self, name: str) -> Any:
        """The value of a field; KeyError when rows of this kind have none of that name."""
        return self._listing.columns[name][1](self._row)

    def method(self, name: str, argument: str) -> Any:
        return self._listing.methods[name](self._row, argument)

    def as_json(self) -> str:
        return self._listing.json(self._row)


def escaped_html(text: str) -> str:
    """JSON with <, > and & spelled as Go's encoder spells them."""
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def format_asks_for(form: str, field: str) -> bool:
    """Whether a template names `.Field`, for what costs the engine work to find out."""
    if form in ("", "table", "json"):
        return False
    from corten.cli.template import Template, TemplateError

    try:
        return field in Template(form).fields()
    except TemplateError as error:
        raise Fault(f"failed to parse template: {error}") from None
