"""Stages to vertices: variables, bases, and which instruction does what."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from corten.build import graph
from corten.build.dockerfile import instruction as nouns
from corten.build.dockerfile.error import DockerfileError
from corten.build.dockerfile.parse import Dockerfile, Stage, parse_trigger
from corten.build.dockerfile.words import expand
from corten.build.graph import Vertex
from corten.build.lower.config import APPLY as CONFIGURING
from corten.build.lower.copy import copy, workdir
from corten.build.lower.run import run
from corten.build.lower.state import DEFAULT_SHELL, Line, Lowered, Options, Resolve, State, Step
from corten.model.errors import CortenError, InvalidArgument, NotFound
from corten.model.platform import Platform

__all__ = ["Lowering", "lower"]

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY")
COUNTED = (nouns.Run, nouns.Copy, nouns.Workdir)
PROXY_NAMES = frozenset({*PROXIES, *(name.lower() for name in PROXIES)})


def lower(file: Dockerfile, options: Options, resolve: Resolve) -> Lowered:
    """Lower the target stage (the last one by default); raises DockerfileError with the line at fault."""
    try:
        return Lowering(file, options, resolve).run()
    except RecursionError:
        raise InvalidArgument("the Dockerfile nests stages or variables too deeply") from None


class Lowering:
    """One run of `lower`; stages are lowered when something needs them."""

    def __init__(self, file: Dockerfile, options: Options, resolve: Resolve) -> None:
        self.file = file
        self.options = options
        self.resolve = resolve
        self.begun: set[int] = set()
        self.done: dict[int, State] = {}
        self.declared: set[str] = set()
        self.warnings: list[str] = []
        self.script: list[Line] = []
        self.made: list[Vertex] = []
        self.globals = self.global_arguments()

    def run(self) -> Lowered:
        stage = self.file.stage(self.options.target) if self.options.target else self.file.stages[-1]
        if stage is None:
            names = ", ".join(one.name for one in self.file.stages)
            raise NotFound(f"target stage {self.options.target!r} could not be found", hint=f"the stages are: {names}")
        state = self.stage(stage)
        if self.options.labels:
            state.config["Labels"] = {**(state.config.get("Labels") or {}), **self.options.labels}  # type: ignore[dict-item]
        unused = sorted(self.options.build_args.keys() - self.declared - PROXY_NAMES)
        if unused:
            self.warnings.append(f"[Warning] One or more build-args {unused} were not consumed")
        script = tuple(sorted(self.script, key=lambda line: line.stage))
        steps, warnings = tuple(state.steps), tuple(self.warnings)
        return Lowered(state.vertex, state.config, state.base, steps, warnings, script, state.author)

    def global_arguments(self) -> dict[str, str]:
        platform = self.options.platform
        architecture, variant = platform.architecture, platform.variant or ""
        parts = {"PLATFORM": str(platform), "OS": platform.os, "ARCH": architecture, "VARIANT": variant}
        automatic = {side + part: text for side in ("BUILD", "TARGET") for part, text in parts.items()}
        found = {**automatic, "TARGETSTAGE": self.options.target or "default"}
        for argument in self.file.arguments:
            for name, default in argument.pairs:
                self.declared.add(name)
                value = self.options.build_args.get(name)
                if value is None and default is not None:
                    value = self.expand(default, found, argument)
                if value is not None:
                    found[name] = value
        return found

    def expand(self, text: str, values: Mapping[str, str], one: nouns.Instruction) -> str:
        try:
            return expand(text, values, self.file.escape)
        except CortenError as error:
            raise DockerfileError(f"failed to process {text!r}: {error}", one.at, near=text) from None

    def words(self, texts: tuple[str, ...], state: State, one: nouns.Instruction) -> tuple[str, ...]:
        """Expand each text; one that becomes several words stays one, one that becomes none is left out."""
        return tuple(word for text in texts if (word := self.expand(text, state.values, one)))

    # -- stages

    def stage(self, stage: Stage) -> State:
        if stage.number not in self.done:
            self.begun.add(stage.number)
            state = self.begin(stage)
            triggers = state.config.pop("OnBuild", None) or []
            assert isinstance(triggers, list)
            body = [*(self.trigger(text, stage) for text in triggers), *stage.body]
            given = self.options.build_args
            state.hidden = {name: value for name, value in given.items() if name in PROXY_NAMES}
            # All later lines follow from this, their own words, and what these mean with their variables replaced.
            state.trail = digest_of([state.config, sorted(given.items())])
            self.script.append(Line(stage.number, stage.begin.text, (state.vertex,)))
            for one, name in zip(body, self.names(stage, body), strict=True):
                self.apply(state, one, stage, name)
            self.done[stage.number] = state
        return self.done[stage.number]

    def names(self, stage: Stage, body: list[nouns.Instruction]) -> Iterator[str]:
        """``[make 2/3] RUN make`` and so on, as BuildKit names steps: FROM and what makes files are counted."""
        single = len(self.file.stages) == 1
        label = "" if single else f"{stage.begin.name or f'stage-{stage.number}'} "
        total = 1 + sum(isinstance(one, COUNTED) for one in body)
        number = 1
        for one in body:
            number += isinstance(one, COUNTED)
            yield f"[{label}{number}/{total}] {one.text}"

    def apply(self, state: State, one: nouns.Instruction, stage: Stage, name: str) -> None:
        outer, self.made = self.made, []
        APPLY[type(one)](self, state, one, name)
        said = state.steps[-1].created_by if state.steps else ""
        state.trail = digest_of([state.trail, one.text, said, state.vertex.digest])
        self.script.append(Line(stage.number, one.text, tuple(self.made), state.trail))
        self.made = outer

    def trigger(self, text: str, stage: Stage) -> nouns.Instruction:
        try:
            return replace(parse_trigger(text, self.file.escape), at=stage.begin.at)
        except DockerfileError as error:
            cause = f"the base image's ONBUILD {text!r}: {error}"
            raise DockerfileError(cause, stage.begin.at, near=stage.begin.image) from None

    def begin(self, stage: Stage) -> State:
        """The state right after FROM: another stage's, an image's, or nothing."""
        begin = stage.begin
        name = self.expand(begin.image, self.globals, begin)
        if not name:
            cause = f"base name ({begin.image}) should not be blank"
            raise DockerfileError(cause, begin.at, hint="give the ARG a default", near=begin.image)
        earlier = self.file.stage(name)
        if earlier and earlier.number < stage.number and not name.isdigit():
            parent = self.stage(earlier)
            config = copy_config(parent.config)
            shell, steps = shell_of(config), list(parent.steps)
            return State(parent.vertex, config, parent.base, shell, steps=steps, author=parent.author)
        if name == "scratch":
            config = {"Env": [f"PATH={DEFAULT_PATH}"], "WorkingDir": "/"}
            return State(Vertex(graph.Scratch()), config, None)
        return self.from_image(name, begin)

    def from_image(self, name: str, begin: nouns.From) -> State:
        platform = self.options.platform
        if begin.platform:
            platform = Platform.parse(self.expand(begin.platform, self.globals, begin)).normal()
        base = self.resolve(name, platform)
        vertex = Vertex(graph.Image(name, base.id, base.chain), name=f"[internal] FROM {name}", at=begin.at)
        config = copy_config(base.config)
        state = State(vertex, config, base, shell_of(config))
        if "PATH" not in state.env:
            state.set_env({"PATH": DEFAULT_PATH})
        return state

    def source(self, name: str, one: nouns.Instruction) -> Vertex:
        """What ``--from`` or a mount's ``from`` names: a stage, a named context, or an image."""
        stage = self.file.stage(name)
        if stage:
            if stage.number in self.begun and stage.number not in self.done:
                cause = f"circular dependency detected on stage: {stage.name}"
                raise DockerfileError(cause, one.at, hint="copy from a stage that does not need this one", near=name)
            return self.stage(stage).vertex
        if name in self.options.contexts:
            return Vertex(graph.Context(name), name=f"[context {name}]")
        base = self.resolve(name, self.options.platform)
        return Vertex(graph.Image(name, base.id, base.chain), name=f"[internal] FROM {name}", at=one.at)

    def make(self, op: graph.Op, inputs: tuple[Vertex, ...], one: nouns.Instruction, name: str) -> Vertex:
        """A vertex of the instruction that is being lowered."""
        vertex = Vertex(op, inputs, name, one.at, self.options.no_cache)
        self.made.append(vertex)
        return vertex

    def note(self, state: State, text: str, vertex: Vertex | None = None) -> None:
        state.steps.append(Step(text, vertex))


APPLY: dict[type, Callable[..., None]] = {
    **CONFIGURING,
    nouns.Run: run,
    nouns.Copy: copy,
    nouns.Add: copy,
    nouns.Workdir: workdir,
}


def digest_of(meaning: object) -> str:
    return hashlib.sha256(json.dumps(meaning, sort_keys=True).encode()).hexdigest()


def shell_of(config: Mapping[str, object]) -> tuple[str, ...]:
    """What SHELL has set in a base, for the stages on top of it."""
    shell = config.get("Shell")
    return tuple(shell) if isinstance(shell, list) and shell else DEFAULT_SHELL


def copy_config(config: Mapping[str, object]) -> dict[str, object]:
    """A config of our own; lists and objects in it are replaced, never changed."""
    return {key: value for key, value in config.items() if value is not None}
