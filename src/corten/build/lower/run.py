"""RUN: the command line, its environment, and here-documents that are scripts or programs."""

from typing import TYPE_CHECKING

from corten.build import graph
from corten.build.dockerfile import instruction as nouns
from corten.build.dockerfile.error import DockerfileError
from corten.build.graph import Vertex
from corten.build.lower.mount import mount_of
from corten.build.lower.state import State

if TYPE_CHECKING:
    from corten.build.lower.lowering import Lowering

__all__ = ["run"]

PROGRAMS = "/dev/pipes"  # BuildKit's place for here-documents that are programs


def run(on: "Lowering", state: State, one: nouns.Run, name: str) -> None:
    args, inputs = run_args(state, one), [state.vertex]
    mounts = [mount_of(on, state, mount, one, inputs) for mount in one.mounts]
    if is_program(one):
        mounts.append(program(one, inputs))
    op = graph.Exec(
        args=args,
        env=tuple(f"{key}={value}" for key, value in {**state.arguments, **state.env}.items()),
        cwd=state.cwd,
        user=state.user,
        mounts=tuple(mounts),
        network=one.network or on.options.network,
        hidden_env=tuple(f"{key}={value}" for key, value in state.hidden.items()),
    )
    if one.security == "insecure":
        cause = "RUN --security=insecure needs an entitlement that is not granted"
        raise DockerfileError(cause, one.at, near="insecure")
    shown = " ".join(args) + " # buildkit"
    used = [f"{key}={value}" for key, value in state.arguments.items() if key not in on.globals]
    text = f"RUN |{len(used)} {' '.join(used)} {shown}" if used else f"RUN {shown}"
    state.vertex = on.make(op, tuple(inputs), one, name)
    on.note(state, text, state.vertex)


def run_args(state: State, one: nouns.Run) -> tuple[str, ...]:
    """The command line; a here-document is the shell's script, or a program of its own when it begins with #!."""
    if not one.heredocs:
        return one.command.words if not one.command.shell else (*state.shell, one.command.words[0])
    first = one.heredocs[0]
    if is_whole(one):
        if is_program(one):
            return (f"{PROGRAMS}/{first.name}",)
        return (*state.shell, first.body)
    bodies = "".join(f"{doc.body}{doc.name}\n" for doc in one.heredocs)
    return (*state.shell, f"{one.command.words[0]}\n{bodies}")


def program(one: nouns.Run, inputs: list[Vertex]) -> graph.Mount:
    """A here-document that begins with #! is a program of its own, shown to the command that it is."""
    name = one.heredocs[0].name
    inputs.append(Vertex(graph.Write(((name, one.heredocs[0].body),), 0o755), name=f"[program] {name}", at=one.at))
    return graph.Mount("bind", f"{PROGRAMS}/{name}", len(inputs) - 1, f"/{name}", readonly=True)


def is_whole(one: nouns.Run) -> bool:
    """Whether the command is its here-document and nothing else."""
    if not one.heredocs:
        return False
    name = one.heredocs[0].name
    return one.command.words[0] in (f"<<{name}", f"<<-{name}", f"<<'{name}'", f'<<"{name}"')


def is_program(one: nouns.Run) -> bool:
    return is_whole(one) and one.heredocs[0].body.startswith("#!")
