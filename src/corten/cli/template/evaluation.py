"""A walk over the nodes of a template with a value in hand."""

from __future__ import annotations

from corten.cli.template import nodes
from corten.cli.template.errors import CallError, TemplateError
from corten.cli.template.functions import truth
from corten.cli.template.printing import printed
from corten.cli.template.values import ABSENT, Absent, GoMap, type_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from corten.cli.template.functions import Table

__all__ = ["Evaluation"]

_DEEPEST = 100  # Go allows 100,000; each level is several of Python's own frames


class _Jump(Exception):
    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


class Evaluation:
    """One execution: the text so far, the variables in scope."""

    def __init__(self, functions: Table, named: dict[str, nodes.Node], *, strict: bool, name: str) -> None:
        self._functions = functions
        self._named = named
        self._strict = strict
        self._out: list[str] = []
        self._variables: list[tuple[str, Any]] = []
        self._depth = 0
        self._name = self._template = name

    def run(self, root: nodes.Node, value: Any) -> str:
        self._variables = [("$", value)]
        self._walk(root, value)
        return "".join(self._out)

    def _fail(self, node: nodes.Node, reason: str) -> TemplateError:
        where = f"{node.line}:{node.column}"
        return TemplateError(
            f'template: {self._template}:{where}: executing "{self._name}" at <{node.text()}>: {reason}'
        )

    # Nodes that write

    def _walk(self, node: nodes.Node, dot: Any) -> None:
        if isinstance(node, nodes.Text):
            self._out.append(node.content)
        elif isinstance(node, nodes.Sequence):
            for part in node.nodes:
                self._walk(part, dot)
        elif isinstance(node, nodes.Action):
            value = self._pipe(node.pipe, dot)
            if not node.pipe.declares:
                self._out.append("<no value>" if isinstance(value, Absent) else printed(value))
        elif isinstance(node, nodes.Range):
            self._range(node, dot)
        elif isinstance(node, nodes.Block):
            self._block(node, dot)
        elif isinstance(node, nodes.Jump):
            raise _Jump(node.kind)
        elif isinstance(node, nodes.Use):
            self._use(node, dot)

    def _block(self, node: nodes.Block, dot: Any) -> None:
        scope = len(self._variables)
        value = self._pipe(node.pipe, dot)
        if truth(value):
            self._walk(node.body, value if node.rebinds else dot)
        elif node.otherwise is not None:
            self._walk(node.otherwise, dot)
        del self._variables[scope:]

    def _range(self, node: nodes.Range, dot: Any) -> None:
        scope = len(self._variables)
        value = self._pipe(node.pipe, dot)
        names = node.pipe.declares
        any_element = False
        for key, element in self._elements(node, value):
            any_element = True
            if names and not node.pipe.assigns:
                self._variables += list(zip(names, [key, element] if len(names) == 2 else [element], strict=False))
            elif names:
                self._assign(names[-1], element)
            try:
                self._walk(node.body, element)
            except _Jump as jump:
                if jump.kind == "break":
                    break
            finally:
                del self._variables[scope:]
        if not any_element and node.otherwise is not None:
            self._walk(node.otherwise, dot)
        del self._variables[scope:]

    def _elements(self, node: nodes.Range, value: Any) -> Iterator[tuple[Any, Any]]:
        if value is None or isinstance(value, Absent):
            return iter(())
        if isinstance(value, dict):
            return iter([(key, value[key]) for key in sorted(value)])
        if isinstance(value, list):
            return iter(list(enumerate(value)))
        if isinstance(value, int) and not isinstance(value, bool):
            return iter([(number, number) for number in range(value)])
        raise self._fail(node.pipe, f"range can't iterate over {printed(value)}")

    def _use(self, node: nodes.Use, dot: Any) -> None:
        body = self._named.get(node.name)
        if body is None:
            raise self._fail(node, f'template "{node.name}" not defined')
        self._depth += 1
        if self._depth > _DEEPEST:
            raise self._fail(node, f"exceeded maximum template depth ({_DEEPEST})")
        value = self._pipe(node.pipe, dot) if node.pipe else None
        outside, name = self._variables, self._name
        self._variables, self._name = [("$", value)], node.name
        self._walk(body, value)
        self._variables, self._name = outside, name
        self._depth -= 1

    # Nodes that have a value

    def _pipe(self, pipe: nodes.Pipe, dot: Any) -> Any:
        value: Any = ABSENT
        for number, command in enumerate(pipe.commands):
            value = self._command(command, dot, [value] if number else [])
        if pipe.assigns:
            self._assign(pipe.declares[0], value)
        elif len(pipe.declares) == 1:
            self._variables.append((pipe.declares[0], value))
        return value

    def _assign(self, name: str, value: Any) -> None:
        for at in range(len(self._variables) - 1, -1, -1):
            if self._variables[at][0] == name:
                self._variables[at] = (name, value)
                return

    def _command(self, command: nodes.Command, dot: Any, last: list[Any]) -> Any:
        first, *rest = command.words
        if isinstance(first, nodes.Function):
            return self._call(first, command, dot, rest, last)
        if isinstance(first, nodes.Field):
            return self._path(first, first.names, dot, dot, rest, last)
        if isinstance(first, nodes.Variable):
            return self._path(first, first.names, self._variable(first.name), dot, rest, last)
        if isinstance(first, nodes.Chain):
            return self._path(first, first.names, self._argument(first.of, dot), dot, rest, last)
        if rest or last:
            raise self._fail(first, f"can't give argument to non-function {first.text()}")
        if isinstance(first, nodes.Constant) and first.value is None:
            raise self._fail(first, "nil is not a command")
        return self._argument(first, dot)

    def _argument(self, node: nodes.Node, dot: Any) -> Any:
        if isinstance(node, nodes.Dot):
            return dot
        if isinstance(node, nodes.Constant):
            return node.value
        if isinstance(node, nodes.Pipe):
            return self._pipe(node, dot)
        return self._command(nodes.Command((node.line, node.column), [node]), dot, [])

    def _variable(self, name: str) -> Any:
        return next(value for known, value in reversed(self._variables) if known == name)

    def _call(
        self, first: nodes.Function, command: nodes.Command, dot: Any, rest: list[nodes.Node], last: list[Any]
    ) -> Any:
        if first.name in ("and", "or"):
            return self._shortcut(first.name, dot, rest, last)
        arguments = [self._argument(node, dot) for node in rest] + last
        try:
            return self._functions[first.name](*arguments)
        except CallError as error:
            raise self._fail(command, f"error calling {first.name}: {error}") from None
        except TypeError:
            raise self._fail(first, f"wrong number of args for {first.name}: got {len(arguments)}") from None

    def _shortcut(self, name: str, dot: Any, rest: list[nodes.Node], last: list[Any]) -> Any:
        """`and` and `or` evaluate no further than they must."""
        value: Any = ABSENT
        for node in rest:
            value = self._argument(node, dot)
            if truth(value) == (name == "or"):
                return value
        return last[0] if last else value

    def _path(
        self, node: nodes.Node, names: list[str], value: Any, dot: Any, rest: list[nodes.Node], last: list[Any]
    ) -> Any:
        """Follow fields from a value; the last one may be a method with arguments."""
        arguments = [self._argument(word, dot) for word in rest] + last
        for number, name in enumerate(names):
            given = arguments if number == len(names) - 1 else []
            value = self._field(node, value, name, given)
        if not names and arguments:
            raise self._fail(node, f"can't give argument to non-function {node.text()}")
        return value

    def _field(self, node: nodes.Node, value: Any, name: str, arguments: list[Any]) -> Any:
        if isinstance(value, dict):
            if arguments:
                raise self._fail(node, f"{name} is not a method but has arguments")
            return self._key(node, value, name)
        if hasattr(value, "field"):
            return self._row_field(node, value, name, arguments)
        if value is None or isinstance(value, Absent):
            if not self._strict and isinstance(value, Absent):
                return ABSENT
            raise self._fail(node, f"nil pointer evaluating interface {{}}.{name}")
        raise self._fail(node, f"can't evaluate field {name} in type {type_name(value)}")

    def _key(self, node: nodes.Node, value: dict[str, Any], name: str) -> Any:
        if name in value:
            return value[name]
        if self._strict and not isinstance(value, GoMap):
            raise self._fail(node, f'map has no entry for key "{name}"')
        return ABSENT

    def _row_field(self, node: nodes.Node, value: Any, name: str, arguments: list[Any]) -> Any:
        try:
            return value.method(name, arguments[0]) if arguments else value.field(name)
        except KeyError:
            raise self._fail(node, f"can't evaluate field {name} in type {value.go_type}") from None
