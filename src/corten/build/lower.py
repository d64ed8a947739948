"""Dockerfile to graph: each stage folds its instructions into a vertex (the files) and an image config.

Variables are replaced here, instruction by instruction, since ENV and ARG before it decide what a name means; ENV beats
ARG. Only the stages that the target needs are lowered. Nothing is read or run: what a base image is comes from
`Resolve`, which the caller gives.
"""

import hashlib
import json
import posixpath
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from corten.build import graph
from corten.build.dockerfile import instruction as nouns
from corten.build.dockerfile.error import DockerfileError, Range
from corten.build.dockerfile.parse import Dockerfile, Stage, parse_trigger
from corten.build.dockerfile.words import expand, expand_words
from corten.build.graph import Vertex
from corten.model.errors import CortenError, NotFound
from corten.model.platform import Platform

__all__ = ["Base", "Lowered", "Options", "Resolve", "lower"]

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
DEFAULT_SHELL = ("/bin/sh", "-c")
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY")
PROXY_NAMES = frozenset({*PROXIES, *(name.lower() for name in PROXIES)})
REMOTE = re.compile(r"(?:https?|git)://|git@|.*\.git(?:#|$)")
PROGRAMS = "/dev/pipes"  # BuildKit's place for here-documents that are programs
PORT = re.compile(r"(\d+)(?:-(\d+))?(?:/([A-Za-z]+))?")


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


def lower(file: Dockerfile, options: Options, resolve: Resolve) -> Lowered:
    """Lower the target stage (the last one by default); raises DockerfileError with the line at fault."""
    return Lowering(file, options, resolve).run()


class Lowering:
    """One run of `lower`; stages are lowered when something needs them."""

    def __init__(self, file: Dockerfile, options: Options, resolve: Resolve) -> None:
        self.file = file
        self.options = options
        self.resolve = resolve
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
            state = self.begin(stage)
            triggers = state.config.pop("OnBuild", None) or []
            assert isinstance(triggers, list)
            body = [*(self.trigger(text, stage) for text in triggers), *stage.body]
            given = self.options.build_args
            state.hidden = {name: value for name, value in given.items() if name in PROXY_NAMES}
            self.script.append(Line(stage.number, stage.begin.text, (state.vertex,)))
            for number, one in enumerate(body, 1):
                self.apply(state, one, stage, f"[{stage.name} {number}/{len(body)}] {one.text}")
            self.done[stage.number] = state
        return self.done[stage.number]

    def apply(self, state: State, one: nouns.Instruction, stage: Stage, name: str) -> None:
        outer, self.made = self.made, []
        APPLY[type(one)](self, state, one, name)
        meaning = [state.trail, one.text, state.config, state.vertex.digest]
        state.trail = hashlib.sha256(json.dumps(meaning, sort_keys=True).encode()).hexdigest()
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
            return State(parent.vertex, config, parent.base, steps=list(parent.steps), author=parent.author)
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
        shell = config.get("Shell")
        state = State(vertex, config, base, tuple(shell) if isinstance(shell, list) else DEFAULT_SHELL)
        if "PATH" not in state.env:
            state.set_env({"PATH": DEFAULT_PATH})
        return state

    def source(self, name: str, one: nouns.Instruction) -> Vertex:
        """What ``--from`` or a mount's ``from`` names: a stage, a named context, or an image."""
        stage = self.file.stage(name)
        if stage:
            state = self.stage(stage)
            return state.vertex
        if name in self.options.contexts:
            return Vertex(graph.Context(name), name=f"[context {name}]")
        base = self.resolve(name, self.options.platform)
        return Vertex(graph.Image(name, base.id, base.chain), name=f"[internal] FROM {name}", at=one.at)

    def extend(
        self, state: State, op: graph.Op, inputs: tuple[Vertex, ...], one: nouns.Instruction, name: str
    ) -> Vertex:
        vertex = Vertex(op, inputs, name, one.at, self.options.no_cache)
        state.vertex = vertex
        self.made.append(vertex)
        return vertex

    def note(self, state: State, text: str, vertex: Vertex | None = None) -> None:
        state.steps.append(Step(text, vertex))

    # -- instructions that make files

    def run_(self, state: State, one: nouns.Run, name: str) -> None:
        args, inputs = self.run_args(state, one), [state.vertex]
        mounts = [self.mount(state, mount, one, inputs) for mount in one.mounts]
        if is_program(one):
            mounts.append(self.program(one, inputs))
        op = graph.Exec(
            args=args,
            env=tuple(f"{key}={value}" for key, value in {**state.arguments, **state.env}.items()),
            cwd=state.cwd,
            user=state.user,
            mounts=tuple(mounts),
            network=one.network or self.options.network,
            hidden_env=tuple(f"{key}={value}" for key, value in state.hidden.items()),
        )
        if one.security == "insecure":
            cause = "RUN --security=insecure needs an entitlement that is not granted"
            raise DockerfileError(cause, one.at, near="insecure")
        shown = " ".join(args) + " # buildkit"
        used = [f"{key}={value}" for key, value in state.arguments.items() if key not in self.globals]
        text = f"RUN |{len(used)} {' '.join(used)} {shown}" if used else f"RUN {shown}"
        self.note(state, text, self.extend(state, op, tuple(inputs), one, name))

    def run_args(self, state: State, one: nouns.Run) -> tuple[str, ...]:
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

    def program(self, one: nouns.Run, inputs: list[Vertex]) -> graph.Mount:
        """A here-document that begins with #! is a program of its own, shown to the command that it is."""
        name = one.heredocs[0].name
        inputs.append(Vertex(graph.Write(((name, one.heredocs[0].body),), 0o755), name=f"[program] {name}", at=one.at))
        return graph.Mount("bind", f"{PROGRAMS}/{name}", len(inputs) - 1, f"/{name}", readonly=True)

    def mount(self, state: State, mount: nouns.Mount, one: nouns.Run, inputs: list[Vertex]) -> graph.Mount:
        fields = {key: self.expand(value, state.values, one) for key, value in mount.fields.items()}
        if "$" in mount.fields.get("from", ""):
            hint = "give the image a stage: FROM IMAGE AS NAME"
            raise DockerfileError("variables are not replaced in from=", one.at, hint=hint)
        target = self.absolute(state, fields.get("target", ""))
        if mount.type == "secret":
            target = fields.get("target") or ("" if "env" in fields else f"/run/secrets/{secret_id(fields)}")
        if mount.type == "ssh":
            cause = "RUN --mount=type=ssh needs BuildKit's session, which is not there yet"
            raise DockerfileError(cause, one.at, near="ssh")
        number = -1
        if mount.type == "bind" or "from" in fields:
            origin = self.source(fields["from"], one) if "from" in fields else Vertex(graph.Context(), name="[context]")
            number = inputs.index(origin) if origin in inputs else len(inputs)
            if number == len(inputs):
                inputs.append(origin)
        writable = is_on(fields, "rw") or is_on(fields, "readwrite")
        readonly = (mount.type == "bind" and not writable) or is_on(fields, "ro") or is_on(fields, "readonly")
        sharing = fields.get("sharing", "shared")
        if sharing not in ("shared", "private", "locked"):
            raise DockerfileError(f"unsupported sharing value {sharing!r}", one.at, near=sharing)
        return graph.Mount(
            type=mount.type,
            target=target,
            input=number,
            source=fields.get("source", "/" if number >= 0 else ""),
            readonly=readonly,
            id=fields.get("id", secret_id(fields) if mount.type == "secret" else target),
            sharing=sharing,
            mode=int(fields.get("mode", "0"), 8),
            uid=int(fields.get("uid", "0")),
            gid=int(fields.get("gid", "0")),
            size=size_of(fields.get("size", "0")),
            required=is_on(fields, "required"),
            env=fields.get("env", ""),
        )

    def absolute(self, state: State, path: str) -> str:
        return posixpath.normpath(posixpath.join(state.cwd, path)) if path else ""

    def copy_(self, state: State, one: nouns.Copy, name: str) -> None:
        sources = self.words(one.sources, state, one)
        target = self.target(state, self.expand(one.target, state.values, one))
        if len(sources) + len(one.heredocs) > 1 and not target.endswith("/"):
            verb = "ADD" if isinstance(one, nouns.Add) else "COPY"
            rule = "the destination must be a directory and end with a /"
            cause = f"When using {verb} with more than one source file, {rule}"
            raise DockerfileError(cause, one.at, near=one.target)
        chown, chmod = (self.expand(text, state.values, one) for text in (one.chown, one.chmod))
        common = {"chown": chown, "chmod": chmod, "exclude": one.exclude, "link": one.link, "parents": one.parents}
        for origin, patterns, unpack in self.origins(state, one, sources):
            op = graph.Copy(patterns, target, unpack=unpack, **common)  # type: ignore[arg-type]
            self.extend(state, op, (state.vertex, origin), one, name)
        self.note(state, f"{one.text} # buildkit", state.vertex)

    def target(self, state: State, target: str) -> str:
        """Absolute and normal, with the slash at its end that says it is a directory."""
        directory = target.endswith(("/", "/.")) or target in (".", "./", "")
        path = self.absolute(state, target or ".")
        return path.rstrip("/") + "/" if directory else path

    def origins(
        self, state: State, one: nouns.Copy, sources: tuple[str, ...]
    ) -> list[tuple[Vertex, tuple[str, ...], bool]]:
        """Each place that is copied from, with what is copied from there and whether archives are unpacked."""
        found: list[tuple[Vertex, tuple[str, ...], bool]] = []
        if one.heredocs:
            texts = tuple(
                (doc.name, self.expand_body(doc.body, state) if doc.expand else doc.body) for doc in one.heredocs
            )
            files = Vertex(graph.Write(texts), name="[internal] here-document", at=one.at)
            found.append((files, tuple(name for name, _ in texts), False))
        adding = isinstance(one, nouns.Add)
        remote = tuple(source for source in sources if adding and REMOTE.match(source))
        for source in remote:
            assert isinstance(one, nouns.Add)
            fetch = graph.Fetch(source, self.expand(one.checksum, state.values, one), one.keep_git_dir)
            vertex = Vertex(fetch, name=f"[fetch] {source}", at=one.at)
            found.append((vertex, ("*",) if source.startswith("http") else (".",), one.unpack is True))
        local = tuple(source for source in sources if source not in remote)
        if local:
            origin = Vertex(graph.Context(), name="[context]")
            if one.from_:
                origin = self.source(self.expand(one.from_, self.globals, one), one)
            found.append((origin, local, adding and getattr(one, "unpack", None) is not False))
        return found

    def expand_body(self, body: str, state: State) -> str:
        """Variables in a here-document, where quotes mean nothing."""
        quoted = body.replace('"', '\0"').replace("'", "\0'")
        masked = expand(quoted.replace("\0'", "\1").replace('\0"', "\2"), state.values, self.file.escape)
        return masked.replace("\1", "'").replace("\2", '"')

    def workdir(self, state: State, one: nouns.Workdir, name: str) -> None:
        path = self.absolute(state, self.expand(one.path, state.values, one))
        state.config["WorkingDir"] = path
        vertex = None
        if path != "/":
            vertex = self.extend(state, graph.Mkdir(path, state.user), (state.vertex,), one, name)
        self.note(state, f"WORKDIR {path}", vertex)

    # -- instructions that change the config

    def env(self, state: State, one: nouns.Env, _: str) -> None:
        before = state.values
        pairs = {self.expand(k, before, one): self.expand(v, before, one) for k, v in one.pairs}
        state.set_env(pairs)
        self.note(state, f"ENV {' '.join(f'{key}={value}' for key, value in pairs.items())}")

    def label(self, state: State, one: nouns.Label, _: str) -> None:
        pairs = {self.expand(k, state.values, one): self.expand(v, state.values, one) for k, v in one.pairs}
        state.config["Labels"] = {**(state.config.get("Labels") or {}), **pairs}  # type: ignore[dict-item]
        self.note(state, f"LABEL {' '.join(f'{key}={value}' for key, value in pairs.items())}")

    def arg(self, state: State, one: nouns.Arg, _: str) -> None:
        for name, default in one.pairs:
            self.declared.add(name)
            value = self.options.build_args.get(name)
            if value is None:
                value = self.globals.get(name) if default is None else self.expand(default, state.values, one)
            if value is not None:
                state.arguments[name] = value
        self.note(state, one.text)

    def cmd(self, state: State, one: nouns.Cmd, _: str) -> None:
        state.config["Cmd"] = self.command(state, one.command)
        state.has_command = True
        self.note(state, f"CMD {json_list(state.config['Cmd'])}")

    def entrypoint(self, state: State, one: nouns.Entrypoint, _: str) -> None:
        state.config["Entrypoint"] = self.command(state, one.command)
        if not state.has_command:
            state.config.pop("Cmd", None)  # an inherited command was written for another entrypoint
        self.note(state, f"ENTRYPOINT {json_list(state.config['Entrypoint'])}")

    def command(self, state: State, command: nouns.Command) -> list[str]:
        return [*state.shell, *command.words] if command.shell else list(command.words)

    def shell(self, state: State, one: nouns.Shell, _: str) -> None:
        state.shell = one.words
        state.config["Shell"] = list(one.words)
        self.note(state, f"SHELL {json_list(list(one.words))}")

    def expose(self, state: State, one: nouns.Expose, _: str) -> None:
        ports = dict.fromkeys(
            port for text in one.ports for word in self.split(text, state, one) for port in ports_of(word, one.at)
        )
        exposed = state.config.get("ExposedPorts") or {}
        state.config["ExposedPorts"] = {**exposed, **{port: {} for port in ports}}  # type: ignore[dict-item]
        self.note(state, f"EXPOSE map[{' '.join(f'{port}:{{}}' for port in ports)}]")

    def split(self, text: str, state: State, one: nouns.Instruction) -> list[str]:
        try:
            return expand_words(text, state.values, self.file.escape)
        except CortenError as error:
            raise DockerfileError(str(error), one.at, near=text) from None

    def volume(self, state: State, one: nouns.Volume, _: str) -> None:
        paths = self.words(one.paths, state, one)
        known = state.config.get("Volumes") or {}
        state.config["Volumes"] = {**known, **{path: {} for path in paths}}  # type: ignore[dict-item]
        self.note(state, f"VOLUME [{' '.join(paths)}]")

    def user_(self, state: State, one: nouns.User, _: str) -> None:
        state.config["User"] = self.expand(one.user, state.values, one)
        self.note(state, f"USER {state.config['User']}")

    def stop_signal(self, state: State, one: nouns.StopSignal, _: str) -> None:
        state.config["StopSignal"] = self.expand(one.signal, state.values, one)
        self.note(state, f"STOPSIGNAL {state.config['StopSignal']}")

    def maintainer(self, state: State, one: nouns.Maintainer, _: str) -> None:
        state.author = one.name
        self.warnings.append(f"line {one.at.first}: MAINTAINER is deprecated; use a label instead")
        self.note(state, f"MAINTAINER {one.name}")

    def healthcheck(self, state: State, one: nouns.Healthcheck, _: str) -> None:
        test = ["NONE"]
        if one.test:
            test = ["CMD-SHELL", *one.test.words] if one.test.shell else ["CMD", *one.test.words]
        numbers = {
            "Interval": one.interval,
            "Timeout": one.timeout,
            "StartPeriod": one.start_period,
            "StartInterval": one.start_interval,
            "Retries": one.retries,
        }
        state.config["Healthcheck"] = {"Test": test, **{key: value for key, value in numbers.items() if value}}
        self.note(state, one.text)

    def onbuild(self, state: State, one: nouns.Onbuild, _: str) -> None:
        known = state.config.get("OnBuild") or []
        assert isinstance(known, list)
        state.config["OnBuild"] = [*known, one.trigger]
        self.note(state, one.text)


APPLY: dict[type, Callable[..., None]] = {
    nouns.Run: Lowering.run_,
    nouns.Copy: Lowering.copy_,
    nouns.Add: Lowering.copy_,
    nouns.Workdir: Lowering.workdir,
    nouns.Env: Lowering.env,
    nouns.Label: Lowering.label,
    nouns.Arg: Lowering.arg,
    nouns.Cmd: Lowering.cmd,
    nouns.Entrypoint: Lowering.entrypoint,
    nouns.Shell: Lowering.shell,
    nouns.Expose: Lowering.expose,
    nouns.Volume: Lowering.volume,
    nouns.User: Lowering.user_,
    nouns.StopSignal: Lowering.stop_signal,
    nouns.Maintainer: Lowering.maintainer,
    nouns.Healthcheck: Lowering.healthcheck,
    nouns.Onbuild: Lowering.onbuild,
}


def copy_config(config: Mapping[str, object]) -> dict[str, object]:
    """A config of our own; lists and objects in it are replaced, never changed."""
    return {key: value for key, value in config.items() if value is not None}


def json_list(words: object) -> str:
    return json.dumps(words)


def is_whole(one: nouns.Run) -> bool:
    """Whether the command is its here-document and nothing else."""
    if not one.heredocs:
        return False
    name = one.heredocs[0].name
    return one.command.words[0] in (f"<<{name}", f"<<-{name}", f"<<'{name}'", f'<<"{name}"')


def is_program(one: nouns.Run) -> bool:
    return is_whole(one) and one.heredocs[0].body.startswith("#!")


def is_on(fields: Mapping[str, str], name: str) -> bool:
    return fields.get(name, "false").lower() in ("true", "1")


def secret_id(fields: Mapping[str, str]) -> str:
    return fields.get("id") or posixpath.basename(fields.get("target", "")) or fields.get("env", "")


def size_of(text: str) -> int:
    """``64m`` in bytes."""
    units = {"b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
    number = text.lower().removesuffix("b") if text[-1:].lower() == "b" and not text[:-1].isdigit() else text.lower()
    return int(float(number[:-1]) * units[number[-1]]) if number[-1:] in units else int(number or 0)


def ports_of(word: str, at: Range) -> list[str]:
    """``80`` → 80/tcp; ``8000-8002/udp`` → each of the three."""
    match = PORT.fullmatch(word)
    if not match or not 0 < int(match[1]) <= int(match[2] or match[1]) < 65536:
        hint = "write PORT, PORT/udp or FIRST-LAST"
        raise DockerfileError(f"invalid containerPort: {word}", at, hint=hint, near=word)
    return [f"{port}/{(match[3] or 'tcp').lower()}" for port in range(int(match[1]), int(match[2] or match[1]) + 1)]
