"""Logical lines to instructions: a table of what each instruction takes, and one small function for each shape."""

import difflib
import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from corten.build.dockerfile import instruction as nouns
from corten.build.dockerfile.error import DockerfileError, Range
from corten.build.dockerfile.instruction import Command, From, Instruction, Mount
from corten.build.dockerfile.lines import Line, Source, read_lines
from corten.build.dockerfile.words import split_words
from corten.model.errors import CortenError
from corten.model.image import exec_form

__all__ = ["Dockerfile", "Stage", "parse", "parse_trigger"]

FLAG = re.compile(r"--([a-z][a-z-]*)(?:=(.*))?$", re.DOTALL)
STAGE_NAME = re.compile(r"[a-z][a-z0-9_.-]*")
RESERVED = ("scratch", "context")
MOUNTS = {
    "bind": {"target", "dst", "destination", "source", "src", "from", "rw", "readwrite", "ro", "readonly"},
    "cache": {
        *("id", "target", "dst", "destination", "ro", "readonly", "rw", "readwrite", "sharing"),
        *("from", "source", "src", "mode", "uid", "gid"),
    },
    "tmpfs": {"target", "dst", "destination", "size"},
    "secret": {"id", "target", "dst", "destination", "env", "required", "mode", "uid", "gid"},
    "ssh": {"id", "target", "dst", "destination", "required", "mode", "uid", "gid"},
}
SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600}
DURATION = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)")


@dataclass(frozen=True, slots=True)
class Stage:
    """A FROM and what follows it; `name` is its alias, else its number."""

    begin: From
    body: tuple[Instruction, ...]
    number: int

    @property
    def name(self) -> str:
        return self.begin.name or str(self.number)


@dataclass(frozen=True, slots=True)
class Dockerfile:
    """`arguments` are the global ARGs before the first FROM."""

    arguments: tuple[nouns.Arg, ...]
    stages: tuple[Stage, ...]
    escape: str
    directives: dict[str, str]

    def stage(self, name: str) -> Stage | None:
        """The stage of that alias (case-insensitive) or number."""
        wanted = name.lower()
        named = next((stage for stage in self.stages if stage.begin.name == wanted), None)
        numbered = int(name) if name.isdigit() and int(name) < len(self.stages) else None
        return named or (self.stages[numbered] if numbered is not None else None)


def parse(text: str) -> Dockerfile:
    """Read a whole Dockerfile; raises DockerfileError with the place."""
    source = read_lines(text)
    return into_stages([read_line(line, source.escape) for line in source.lines], source)


def read_line(line: Line, escape: str) -> Instruction:
    try:
        return parse_line(line, escape)
    except RecursionError:
        raise DockerfileError("brackets or variables nest too deeply", line.at) from None


def into_stages(instructions: list[Instruction], source: Source) -> Dockerfile:
    arguments: list[nouns.Arg] = []
    stages: list[Stage] = []
    for one in instructions:
        if isinstance(one, From):
            if one.name and any(stage.begin.name == one.name for stage in stages):
                raise DockerfileError(f"duplicate name {one.name}", one.at, near=one.name)
            stages.append(Stage(one, (), len(stages)))
        elif stages:
            stages[-1] = replace(stages[-1], body=(*stages[-1].body, one))
        elif isinstance(one, nouns.Arg):
            arguments.append(one)
        else:
            word = one.text.split()[0]
            raise DockerfileError("no build stage in current context", one.at, hint="begin with FROM", near=word)
    if not stages:
        raise DockerfileError("file with no instructions", Range(1, 1), hint="it needs at least: FROM IMAGE")
    return Dockerfile(tuple(arguments), tuple(stages), source.escape, source.directives)


def parse_trigger(text: str, escape: str) -> Instruction:
    """An ONBUILD trigger of a base image; its place is the FROM that brought it in (the caller's to add)."""
    (line,) = read_lines(text).lines
    return parse_line(line, escape)


def parse_line(line: Line, escape: str) -> Instruction:
    word, _, rest = line.text.partition(first_blank(line.text))
    name = word.upper()
    shape = SHAPES.get(name)
    if shape is None:
        close = difflib.get_close_matches(name, SHAPES, 1)
        hint = f"did you mean {close[0]}?" if close else ""
        raise DockerfileError(f"unknown instruction: {word}" + (f" ({hint})" if hint else ""), line.at, near=word)
    try:
        flags, rest = take_flags(rest.strip(), shape.flags)
        if not rest and name != "RUN":
            raise ValueError(f"{name} requires at least one argument")
        return shape.make(Form(line, name, rest, flags, escape))
    except (ValueError, CortenError) as error:
        if isinstance(error, DockerfileError):
            raise
        raise DockerfileError(str(error), line.at, hint=getattr(error, "hint", ""), near=word) from None


def first_blank(text: str) -> str:
    return next((letter for letter in text if letter.isspace()), " ")


@dataclass(frozen=True, slots=True)
class Form:
    """An instruction taken apart: its name, its flags, and the rest of its text."""

    line: Line
    name: str
    rest: str
    flags: dict[str, list[str]]
    escape: str

    def flag(self, name: str) -> str:
        return self.flags.get(name, [""])[-1]

    def switch(self, name: str) -> bool:
        return self.tristate(name) is True

    def tristate(self, name: str) -> bool | None:
        value = self.flags.get(name, [None])[-1]
        if value is None:
            return None
        if value.lower() in ("", "true", "1", "t"):
            return True
        if value.lower() in ("false", "0", "f"):
            return False
        raise ValueError(f"expecting boolean value for flag {name}, not: {value}")

    def words(self) -> list[str]:
        return split_words(self.rest, self.escape)

    def command(self) -> Command:
        words = exec_form(self.rest)
        return Command((self.rest,), shell=True) if words is None else Command(tuple(words), shell=False)


def take_flags(rest: str, known: frozenset[str]) -> tuple[dict[str, list[str]], str]:
    """The leading ``--name=value`` words, and what follows them."""
    flags: dict[str, list[str]] = {}
    while rest.startswith("--"):
        word, _, after = rest.partition(first_blank(rest))
        if word == "--":
            return flags, after.strip()
        match = FLAG.match(word)
        if not match or match[1] not in known:
            name = word.partition("=")[0]
            close = difflib.get_close_matches(name.lstrip("-"), known, 1)
            raise ValueError(f"unknown flag: {name}" + (f" (did you mean {close[0]}?)" if close else ""))
        flags.setdefault(match[1], []).append((match[2] or "").strip("\"'"))
        rest = after.strip()
    return flags, rest


def make_from(form: Form) -> Instruction:
    words = form.words()
    if len(words) == 1:
        return From(form.line.at, form.line.text, words[0], "", form.flag("platform"))
    if len(words) != 3 or words[1].upper() != "AS":
        raise ValueError("FROM requires either one or three arguments")
    name = words[2].lower()
    if not STAGE_NAME.fullmatch(name):
        raise ValueError(f"invalid name for build stage: {name!r}, name can't start with a number or contain symbols")
    if name in RESERVED:
        raise ValueError(f"reserved stage name: {name}")
    return From(form.line.at, form.line.text, words[0], name, form.flag("platform"))


def make_run(form: Form) -> Instruction:
    if not form.rest:
        raise ValueError("RUN requires at least one argument")
    mounts = tuple(parse_mount(text) for text in form.flags.get("mount", []))
    if form.flag("network") not in ("", "default", "none", "host"):
        raise ValueError(f"invalid network mode: {form.flag('network')!r}, one of default, none, host")
    if form.flag("security") not in ("", "sandbox", "insecure"):
        raise ValueError(f"invalid security mode: {form.flag('security')!r}, one of sandbox, insecure")
    modes = form.flag("network"), form.flag("security")
    return nouns.Run(form.line.at, form.line.text, form.command(), mounts, *modes, form.line.heredocs)


def parse_mount(text: str) -> Mount:
    """``type=cache,target=/root/.cache,sharing=locked``; a word without a value is a switch that is on."""
    pairs = [part.partition("=") for part in text.split(",")]
    fields = {key.strip().lower(): (value if equals else "true") for key, equals, value in pairs}
    kind = fields.pop("type", "bind").lower()
    if kind not in MOUNTS:
        raise ValueError(f"unsupported mount type {kind!r}, one of {', '.join(MOUNTS)}")
    if unknown := sorted(fields.keys() - MOUNTS[kind]):
        takes = ", ".join(sorted(MOUNTS[kind]))
        raise ValueError(f"unexpected key {unknown[0]!r} in {text!r}: a {kind} mount takes {takes}")
    for alias, name in {"dst": "target", "destination": "target", "src": "source"}.items():
        if alias in fields:
            fields[name] = fields.pop(alias)
    if kind in ("bind", "cache", "tmpfs") and not fields.get("target"):
        raise ValueError(f"mount of type {kind} requires a target")
    return Mount(kind, fields)


def make_copy(form: Form) -> Instruction:
    return nouns.Copy(**copy_fields(form))  # type: ignore[arg-type]


def make_add(form: Form) -> Instruction:
    git, unpack = form.switch("keep-git-dir"), form.tristate("unpack")
    return nouns.Add(
        **copy_fields(form),  # type: ignore[arg-type]
        checksum=form.flag("checksum"),
        keep_git_dir=git,
        unpack=unpack,
    )


def copy_fields(form: Form) -> dict[str, object]:
    words = exec_form(form.rest) or form.words()
    if len(words) < 2:
        raise ValueError(f"{form.name} requires at least two arguments, but only {len(words)} were provided")
    *sources, target = words
    documents = {f"<<{'-' if one.chomp else ''}{one.name}" for one in form.line.heredocs}
    plain = tuple(source for source in sources if source.replace('"', "").replace("'", "") not in documents)
    return {
        "at": form.line.at,
        "text": form.line.text,
        "sources": plain,
        "target": target,
        "heredocs": form.line.heredocs,
        "from_": form.flag("from"),
        "chown": form.flag("chown"),
        "chmod": form.flag("chmod"),
        "link": form.switch("link"),
        "parents": form.switch("parents"),
        "exclude": tuple(form.flags.get("exclude", [])),
    }


def pairs_of(form: Form) -> tuple[tuple[str, str], ...]:
    """``k=v k=v``, or the legacy ``k v`` whose value is the rest of the line."""
    words = form.words()
    if "=" not in words[0]:
        key, _, value = form.rest.partition(first_blank(form.rest))
        if not value.strip():
            raise ValueError(f"{form.name} must have two arguments")
        return ((key, value.strip()),)
    found = []
    for word in words:
        key, equals, value = word.partition("=")
        if not equals:
            raise ValueError(f"Syntax error - can't find = in {word!r}. Must be of the form: name=value")
        if not key:
            raise ValueError(f"{form.name} names can not be blank")
        found.append((key, value))
    return tuple(found)


def make_arg(form: Form) -> Instruction:
    pairs = []
    for word in form.words():
        key, equals, value = word.partition("=")
        if not key:
            raise ValueError("ARG names can not be blank")
        pairs.append((key, value if equals else None))
    return nouns.Arg(form.line.at, form.line.text, tuple(pairs))


def make_healthcheck(form: Form) -> Instruction:
    kind, _, rest = form.rest.partition(first_blank(form.rest))
    if kind.upper() == "NONE":
        if rest.strip():
            raise ValueError("HEALTHCHECK NONE takes no arguments")
        return nouns.Healthcheck(form.line.at, form.line.text, None)
    if kind.upper() != "CMD":
        raise ValueError(f"unknown type {kind!r} in HEALTHCHECK (try CMD)")
    if not rest.strip():
        raise ValueError("missing command after HEALTHCHECK CMD")
    test = replace(form, rest=rest.strip()).command()
    times = {
        name.replace("-", "_"): duration(form.flag(name), name)
        for name in ("interval", "timeout", "start-period", "start-interval")
    }
    retries = form.flag("retries") or "0"
    if not retries.isdigit():
        raise ValueError(f"--retries must be a whole number, not {retries!r}")
    return nouns.Healthcheck(form.line.at, form.line.text, test, retries=int(retries), **times)


def duration(text: str, flag: str) -> int:
    """Go's duration (``1m30s``) in nanoseconds."""
    if not text:
        return 0
    if not re.fullmatch(rf"(?:{DURATION.pattern})+", text):
        raise ValueError(f"--{flag}: {text!r} is not a duration like 30s or 1m30s")
    nanoseconds = round(sum(float(number) * SECONDS[unit] for number, unit in DURATION.findall(text)) * 1e9)
    if nanoseconds < 1_000_000:
        raise ValueError(f"--{flag}: the interval {text!r} must be at least 1ms")
    return nanoseconds


def make_onbuild(form: Form) -> Instruction:
    inner = form.rest.split(None, 1)[0].upper()
    if inner in ("ONBUILD", "FROM", "MAINTAINER"):
        chained = "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed"
        raise ValueError(chained if inner == "ONBUILD" else f"{inner} isn't allowed as an ONBUILD trigger")
    parse_line(Line(form.rest, form.line.at, form.line.heredocs), form.escape)
    bodies = "".join(f"\n{one.body}{one.name}" for one in form.line.heredocs)
    return nouns.Onbuild(form.line.at, form.line.text, form.rest + bodies)


def make_shell(form: Form) -> Instruction:
    words = exec_form(form.rest)
    if not words:
        raise ValueError("SHELL requires the arguments to be in JSON form")
    return nouns.Shell(form.line.at, form.line.text, tuple(words))


def make_volume(form: Form) -> Instruction:
    paths = exec_form(form.rest) or form.words()
    if not all(path.strip() for path in paths):
        raise ValueError("VOLUME specified can not be an empty string")
    return nouns.Volume(form.line.at, form.line.text, tuple(paths))


def one_word(kind: Callable[..., Instruction]) -> Callable[[Form], Instruction]:
    def make(form: Form) -> Instruction:
        if len(form.words()) != 1:
            raise ValueError(f"{form.name} requires exactly one argument")
        return kind(form.line.at, form.line.text, form.rest)

    return make


def whole(kind: Callable[..., Instruction]) -> Callable[[Form], Instruction]:
    return lambda form: kind(form.line.at, form.line.text, form.rest)


def a_command(kind: Callable[..., Instruction]) -> Callable[[Form], Instruction]:
    return lambda form: kind(form.line.at, form.line.text, form.command())


def some_pairs(kind: Callable[..., Instruction]) -> Callable[[Form], Instruction]:
    return lambda form: kind(form.line.at, form.line.text, pairs_of(form))


@dataclass(frozen=True, slots=True)
class Shape:
    make: Callable[[Form], Instruction]
    flags: frozenset[str] = frozenset()


COPYING = frozenset({"chown", "chmod", "link", "exclude"})
SHAPES = {
    "FROM": Shape(make_from, frozenset({"platform"})),
    "RUN": Shape(make_run, frozenset({"mount", "network", "security"})),
    "COPY": Shape(make_copy, COPYING | {"from", "parents"}),
    "ADD": Shape(make_add, COPYING | {"checksum", "keep-git-dir", "unpack"}),
    "ENV": Shape(some_pairs(nouns.Env)),
    "LABEL": Shape(some_pairs(nouns.Label)),
    "ARG": Shape(make_arg),
    "CMD": Shape(a_command(nouns.Cmd)),
    "ENTRYPOINT": Shape(a_command(nouns.Entrypoint)),
    "SHELL": Shape(make_shell),
    "EXPOSE": Shape(lambda form: nouns.Expose(form.line.at, form.line.text, tuple(form.words()))),
    "VOLUME": Shape(make_volume),
    "USER": Shape(one_word(nouns.User)),
    "WORKDIR": Shape(whole(nouns.Workdir)),
    "STOPSIGNAL": Shape(one_word(nouns.StopSignal)),
    "MAINTAINER": Shape(whole(nouns.Maintainer)),
    "HEALTHCHECK": Shape(
        make_healthcheck, frozenset({"interval", "timeout", "start-period", "start-interval", "retries"})
    ),
    "ONBUILD": Shape(make_onbuild),
}
