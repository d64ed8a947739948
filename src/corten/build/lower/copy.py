"""COPY, ADD and WORKDIR: what is copied from where to where."""

import re
from typing import TYPE_CHECKING

from corten.build import graph, repository
from corten.build.dockerfile import instruction as nouns
from corten.build.dockerfile.error import DockerfileError
from corten.build.dockerfile.words import expand
from corten.build.graph import Vertex
from corten.build.lower.state import State
from corten.model.errors import InvalidArgument

if TYPE_CHECKING:
    from corten.build.lower.lowering import Lowering

__all__ = ["copy", "workdir"]

ADDRESS = re.compile(r"https?://")


def copy(on: "Lowering", state: State, one: nouns.Copy, name: str) -> None:
    sources = on.words(one.sources, state, one)
    target = target_of(state, on.expand(one.target, state.values, one))
    if len(sources) + len(one.heredocs) > 1 and not target.endswith("/"):
        verb = "ADD" if isinstance(one, nouns.Add) else "COPY"
        rule = "the destination must be a directory and end with a /"
        cause = f"When using {verb} with more than one source file, {rule}"
        raise DockerfileError(cause, one.at, near=one.target)
    chown, chmod = (on.expand(text, state.values, one) for text in (one.chown, one.chmod))
    common = {"chown": chown, "chmod": chmod, "exclude": one.exclude, "link": one.link, "parents": one.parents}
    for origin, patterns, unpack in origins(on, state, one, sources):
        op = graph.Copy(patterns, target, unpack=unpack, **common)  # type: ignore[arg-type]
        if one.link and not isinstance(state.vertex.op, graph.Scratch):
            layer = on.make(op, (Vertex(graph.Scratch()), origin), one, name)
            state.vertex = on.make(graph.Merge(), (state.vertex, layer), one, name)
        else:
            state.vertex = on.make(op, (state.vertex, origin), one, name)
    on.note(state, f"{one.text} # buildkit", state.vertex)


def target_of(state: State, target: str) -> str:
    """Absolute and normal, with the slash at its end that says it is a directory."""
    directory = target.endswith(("/", "/.")) or target in (".", "./", "")
    path = state.absolute(target or ".")
    return path.rstrip("/") + "/" if directory else path


def origins(
    on: "Lowering", state: State, one: nouns.Copy, sources: tuple[str, ...]
) -> list[tuple[Vertex, tuple[str, ...], bool]]:
    """Each place that is copied from, with what is copied from there and whether archives are unpacked."""
    found: list[tuple[Vertex, tuple[str, ...], bool]] = []
    if one.heredocs:
        texts = tuple((doc.name, expand_body(on, doc.body, state) if doc.expand else doc.body) for doc in one.heredocs)
        files = Vertex(graph.Write(texts), name="[internal] here-document", at=one.at)
        found.append((files, tuple(name for name, _ in texts), False))
    adding = isinstance(one, nouns.Add)
    remote = tuple(source for source in sources if adding and (ADDRESS.match(source) or repository_of(source, one)))
    for source in remote:
        assert isinstance(one, nouns.Add)
        fetch = graph.Fetch(source, on.expand(one.checksum, state.values, one), one.keep_git_dir)
        vertex = Vertex(fetch, name=f"[fetch] {source}", at=one.at)
        whole = (".",) if repository_of(source, one) else ("*",)
        found.append((vertex, whole, one.unpack is True))
    local = tuple(source for source in sources if source not in remote)
    if local:
        origin = Vertex(graph.Context(), name="[context]")
        if one.from_:
            origin = on.source(on.expand(one.from_, on.globals, one), one)
        found.append((origin, local, adding and getattr(one, "unpack", None) is not False))
    return found


def repository_of(source: str, one: nouns.Copy) -> repository.Repository | None:
    try:
        return repository.parse(source)
    except InvalidArgument as error:
        raise DockerfileError(error.message, one.at, hint=error.hint, near=source) from None


def expand_body(on: "Lowering", body: str, state: State) -> str:
    """Variables in a here-document, where quotes mean nothing."""
    quoted = body.replace('"', '\0"').replace("'", "\0'")
    masked = expand(quoted.replace("\0'", "\1").replace('\0"', "\2"), state.values, on.file.escape)
    return masked.replace("\1", "'").replace("\2", '"')


def workdir(on: "Lowering", state: State, one: nouns.Workdir, name: str) -> None:
    path = state.absolute(on.expand(one.path, state.values, one))
    state.config["WorkingDir"] = path
    vertex = None
    if path != "/":
        vertex = state.vertex = on.make(graph.Mkdir(path, state.user), (state.vertex,), one, name)
    on.note(state, f"WORKDIR {path}", vertex)
