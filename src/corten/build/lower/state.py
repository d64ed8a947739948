"""What lowering works with: the options of a build, a stage while it is folded, and what comes out."""

import posixpath
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from corten.build.graph import Vertex
from corten.model.platform import Platform

__all__ = ["Base", "Line", "Lowered", "Options", "Resolve", "State", "Step"]

DEFAULT_SHELL = ("/bin/sh", "-c")


@dataclass(frozen=True, slots=True)
class Base:
    """A resolved base image: its id, its top snapshot, and the `config` object of its image config."""

    id: str
    chain: str
    config: dict[str, object]
    history: tuple[dict[str, object], ...] = ()


Resolve = Callable[[str, Platform], Base]


@dataclass(frozen=True, slots=True)
class Options:
    """What the caller asks for; `contexts` are named contexts beside the main one, `no_cache` may name stages."""

    target: str = ""
    platform: Platform = field(default_factory=lambda: Platform("amd64", "linux"))
    build_args: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    network: str = "default"
    no_cache: bool = False
    contexts: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the image's history; `vertex` is what made its layer, None for a step that made none."""

    created_by: str
    vertex: Vertex | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """One instruction as people follow it: its stage's number, its text, and the vertices that it made.

    `key` says what it and the lines before it in its stage mean: what only changes the configuration is known by it.
    """

    stage: int
    text: str
    vertices: tuple[Vertex, ...]
    key: str = ""


@dataclass
class State:
    """A stage while it is folded."""

    vertex: Vertex
    config: dict[str, object]
    base: Base | None
    shell: tuple[str, ...] = DEFAULT_SHELL
    arguments: dict[str, str] = field(default_factory=dict)
    hidden: dict[str, str] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    author: str = ""
    has_command: bool = False
    trail: str = ""

    @property
    def env(self) -> dict[str, str]:
        entries = self.config.get("Env") or []
        assert isinstance(entries, list)
        return dict(entry.partition("=")[::2] for entry in entries)

    def set_env(self, values: Mapping[str, str]) -> None:
        self.config["Env"] = [f"{key}={value}" for key, value in {**self.env, **values}.items()]

    @property
    def values(self) -> dict[str, str]:
        """What variables mean here."""
        return {**self.arguments, **self.env}

    @property
    def cwd(self) -> str:
        return str(self.config.get("WorkingDir") or "/")

    @property
    def user(self) -> str:
        return str(self.config.get("User") or "")

    def absolute(self, path: str) -> str:
        """`path` seen from WORKDIR, normal; "" stays so."""
        return posixpath.normpath(posixpath.join(self.cwd, path)) if path else ""


@dataclass(frozen=True, slots=True)
class Lowered:
    """The build: the target's files, its `config` object, its history on top of the base, and what to warn of.

    `script` has every instruction of every stage that is needed, in the order of the file.
    """

    vertex: Vertex
    config: dict[str, object]
    base: Base | None
    steps: tuple[Step, ...]
    warnings: tuple[str, ...]
    script: tuple[Line, ...] = ()
    author: str = ""
