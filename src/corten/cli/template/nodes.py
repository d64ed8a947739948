"""The parts of a parsed template. Each node knows where it stood and how Go would write it in a message."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "Action",
    "Block",
    "Chain",
    "Command",
    "Constant",
    "Dot",
    "Field",
    "Function",
    "Jump",
    "Node",
    "Pipe",
    "Range",
    "Sequence",
    "Text",
    "Use",
    "Variable",
]


class Node:
    """A part of a template at `line` and `column` (from one and from zero, as in Go's messages)."""

    __slots__ = ("column", "line")

    def __init__(self, where: tuple[int, int]) -> None:
        self.line, self.column = where

    def text(self) -> str:
        """The node in Go's own spelling."""
        return ""

    def parts(self) -> tuple[Node, ...]:
        return ()

    def mentioned(self) -> Iterator[Field | Variable]:
        """Each path of fields below that starts at the value itself."""
        for part in self.parts():
            yield from part.mentioned()


class Text(Node):
    __slots__ = ("content",)

    def __init__(self, where: tuple[int, int], content: str) -> None:
        super().__init__(where)
        self.content = content


class Sequence(Node):
    __slots__ = ("nodes",)

    def __init__(self, where: tuple[int, int], nodes: list[Node]) -> None:
        super().__init__(where)
        self.nodes = nodes

    def parts(self) -> tuple[Node, ...]:
        return tuple(self.nodes)


class Dot(Node):
    __slots__ = ()

    def text(self) -> str:
        return "."


class Constant(Node):
    """A number, a string, true, false or nil."""

    __slots__ = ("spelled", "value")

    def __init__(self, where: tuple[int, int], value: object, spelled: str) -> None:
        super().__init__(where)
        self.value = value
        self.spelled = spelled

    def text(self) -> str:
        return self.spelled


class Field(Node):
    """`.A.B`."""

    __slots__ = ("names",)

    def __init__(self, where: tuple[int, int], names: list[str]) -> None:
        super().__init__(where)
        self.names = names

    def text(self) -> str:
        return "." + ".".join(self.names)

    def mentioned(self) -> Iterator[Field | Variable]:
        yield self


class Variable(Node):
    """`$x.A.B`."""

    __slots__ = ("name", "names")

    def __init__(self, where: tuple[int, int], name: str, names: list[str]) -> None:
        super().__init__(where)
        self.name = name
        self.names = names

    def text(self) -> str:
        return ".".join([self.name, *self.names])

    def mentioned(self) -> Iterator[Field | Variable]:
        if self.name == "$" and self.names:
            yield self


class Chain(Node):
    """Fields of a parenthesised pipeline: `(index .A 0).B`."""

    __slots__ = ("names", "of")

    def __init__(self, where: tuple[int, int], of: Node, names: list[str]) -> None:
        super().__init__(where)
        self.of = of
        self.names = names

    def text(self) -> str:
        return ".".join([f"({self.of.text()})", *self.names])

    def parts(self) -> tuple[Node, ...]:
        return (self.of,)


class Function(Node):
    __slots__ = ("name",)

    def __init__(self, where: tuple[int, int], name: str) -> None:
        super().__init__(where)
        self.name = name

    def text(self) -> str:
        return self.name


class Command(Node):
    """One stage of a pipeline: what is called and its arguments."""

    __slots__ = ("words",)

    def __init__(self, where: tuple[int, int], words: list[Node]) -> None:
        super().__init__(where)
        self.words = words

    def text(self) -> str:
        return " ".join(f"({word.text()})" if isinstance(word, Pipe) else word.text() for word in self.words)

    def parts(self) -> tuple[Node, ...]:
        return tuple(self.words)


class Pipe(Node):
    """Commands, each given the result of the one before; `declares` names the variables that take the last."""

    __slots__ = ("assigns", "commands", "declares")

    def __init__(self, where: tuple[int, int], commands: list[Command], declares: list[str], *, assigns: bool) -> None:
        super().__init__(where)
        self.commands = commands
        self.declares = declares
        self.assigns = assigns

    def text(self) -> str:
        head = ", ".join(self.declares) + (" = " if self.assigns else " := ") if self.declares else ""
        return head + " | ".join(command.text() for command in self.commands)

    def parts(self) -> tuple[Node, ...]:
        return tuple(self.commands)


class Action(Node):
    """A pipeline whose result is printed."""

    __slots__ = ("pipe",)

    def __init__(self, where: tuple[int, int], pipe: Pipe) -> None:
        super().__init__(where)
        self.pipe = pipe

    def parts(self) -> tuple[Node, ...]:
        return (self.pipe,)


class Block(Node):
    """`if` and `with`; with `rebinds` the dot becomes the pipeline's value."""

    __slots__ = ("body", "otherwise", "pipe", "rebinds")

    def __init__(
        self, where: tuple[int, int], pipe: Pipe, body: Node, otherwise: Node | None, *, rebinds: bool
    ) -> None:
        super().__init__(where)
        self.pipe = pipe
        self.body = body
        self.otherwise = otherwise
        self.rebinds = rebinds

    def parts(self) -> tuple[Node, ...]:
        return (self.pipe, self.body) + ((self.otherwise,) if self.otherwise else ())


class Range(Block):
    """`range`: the body once for each element."""

    __slots__ = ()


class Jump(Node):
    """`break` or `continue`."""

    __slots__ = ("kind",)

    def __init__(self, where: tuple[int, int], kind: str) -> None:
        super().__init__(where)
        self.kind = kind


class Use(Node):
    """`{{template "name" pipeline}}`."""

    __slots__ = ("name", "pipe")

    def __init__(self, where: tuple[int, int], name: str, pipe: Pipe | None) -> None:
        super().__init__(where)
        self.name = name
        self.pipe = pipe

    def parts(self) -> tuple[Node, ...]:
        return (self.pipe,) if self.pipe else ()
