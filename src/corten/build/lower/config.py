"""The instructions that change the image's configuration and make no files."""

import json
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from corten.build.dockerfile import instruction as nouns
from corten.build.dockerfile.error import DockerfileError, Range
from corten.build.dockerfile.words import expand_words
from corten.build.lower.state import State
from corten.model.errors import CortenError

if TYPE_CHECKING:
    from corten.build.lower.lowering import Lowering

__all__ = ["APPLY"]

PORT = re.compile(r"(\d+)(?:-(\d+))?(?:/([A-Za-z]+))?")


def env(on: "Lowering", state: State, one: nouns.Env, _: str) -> None:
    before = state.values
    pairs = {on.expand(k, before, one): on.expand(v, before, one) for k, v in one.pairs}
    state.set_env(pairs)
    on.note(state, f"ENV {' '.join(f'{key}={value}' for key, value in pairs.items())}")


def label(on: "Lowering", state: State, one: nouns.Label, _: str) -> None:
    pairs = {on.expand(k, state.values, one): on.expand(v, state.values, one) for k, v in one.pairs}
    state.config["Labels"] = {**(state.config.get("Labels") or {}), **pairs}  # type: ignore[dict-item]
    on.note(state, f"LABEL {' '.join(f'{key}={value}' for key, value in pairs.items())}")


def arg(on: "Lowering", state: State, one: nouns.Arg, _: str) -> None:
    for name, default in one.pairs:
        on.declared.add(name)
        value = on.options.build_args.get(name)
        if value is None:
            value = on.globals.get(name) if default is None else on.expand(default, state.values, one)
        if value is not None:
            state.arguments[name] = value
    on.note(state, one.text)


def cmd(on: "Lowering", state: State, one: nouns.Cmd, _: str) -> None:
    state.config["Cmd"] = command_of(state, one.command)
    state.has_command = True
    on.note(state, f"CMD {json_list(state.config['Cmd'])}")


def entrypoint(on: "Lowering", state: State, one: nouns.Entrypoint, _: str) -> None:
    state.config["Entrypoint"] = command_of(state, one.command)
    if not state.has_command:
        state.config.pop("Cmd", None)  # an inherited command was written for another entrypoint
    on.note(state, f"ENTRYPOINT {json_list(state.config['Entrypoint'])}")


def command_of(state: State, command: nouns.Command) -> list[str]:
    return [*state.shell, *command.words] if command.shell else list(command.words)


def shell(on: "Lowering", state: State, one: nouns.Shell, _: str) -> None:
    state.shell = one.words
    state.config["Shell"] = list(one.words)
    on.note(state, f"SHELL {json_list(list(one.words))}")


def expose(on: "Lowering", state: State, one: nouns.Expose, _: str) -> None:
    ports = dict.fromkeys(
        port for text in one.ports for word in split(on, text, state, one) for port in ports_of(word, one.at)
    )
    exposed = state.config.get("ExposedPorts") or {}
    state.config["ExposedPorts"] = {**exposed, **{port: {} for port in ports}}  # type: ignore[dict-item]
    on.note(state, f"EXPOSE map[{' '.join(f'{port}:{{}}' for port in ports)}]")


def split(on: "Lowering", text: str, state: State, one: nouns.Instruction) -> list[str]:
    try:
        return expand_words(text, state.values, on.file.escape)
    except CortenError as error:
        raise DockerfileError(str(error), one.at, near=text) from None


def volume(on: "Lowering", state: State, one: nouns.Volume, _: str) -> None:
    paths = on.words(one.paths, state, one)
    known = state.config.get("Volumes") or {}
    state.config["Volumes"] = {**known, **{path: {} for path in paths}}  # type: ignore[dict-item]
    on.note(state, f"VOLUME [{' '.join(paths)}]")


def user(on: "Lowering", state: State, one: nouns.User, _: str) -> None:
    state.config["User"] = on.expand(one.user, state.values, one)
    on.note(state, f"USER {state.config['User']}")


def stop_signal(on: "Lowering", state: State, one: nouns.StopSignal, _: str) -> None:
    state.config["StopSignal"] = on.expand(one.signal, state.values, one)
    on.note(state, f"STOPSIGNAL {state.config['StopSignal']}")


def maintainer(on: "Lowering", state: State, one: nouns.Maintainer, _: str) -> None:
    state.author = one.name
    on.warnings.append(f"line {one.at.first}: MAINTAINER is deprecated; use a label instead")
    on.note(state, f"MAINTAINER {one.name}")


def healthcheck(on: "Lowering", state: State, one: nouns.Healthcheck, _: str) -> None:
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
    on.note(state, one.text)


def onbuild(on: "Lowering", state: State, one: nouns.Onbuild, _: str) -> None:
    known = state.config.get("OnBuild") or []
    assert isinstance(known, list)
    state.config["OnBuild"] = [*known, one.trigger]
    on.note(state, one.text)


def json_list(words: object) -> str:
    return json.dumps(words)


def ports_of(word: str, at: Range) -> list[str]:
    """``80`` → 80/tcp; ``8000-8002/udp`` → each of the three."""
    match = PORT.fullmatch(word)
    if not match or not 0 < int(match[1]) <= int(match[2] or match[1]) < 65536:
        hint = "write PORT, PORT/udp or FIRST-LAST"
        raise DockerfileError(f"invalid containerPort: {word}", at, hint=hint, near=word)
    return [f"{port}/{(match[3] or 'tcp').lower()}" for port in range(int(match[1]), int(match[2] or match[1]) + 1)]


APPLY: dict[type, Callable[..., None]] = {
    nouns.Env: env,
    nouns.Label: label,
    nouns.Arg: arg,
    nouns.Cmd: cmd,
    nouns.Entrypoint: entrypoint,
    nouns.Shell: shell,
    nouns.Expose: expose,
    nouns.Volume: volume,
    nouns.User: user,
    nouns.StopSignal: stop_signal,
    nouns.Maintainer: maintainer,
    nouns.Healthcheck: healthcheck,
    nouns.Onbuild: onbuild,
}
