"""``--change``: Dockerfile instructions that change only an image's configuration (commit, import).

    CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, ONBUILD, STOPSIGNAL, USER, VOLUME, WORKDIR, HEALTHCHECK, SHELL

>>> amend(RunConfig(), ['CMD ["sh"]', "ENV A=1 B=2"]).env
['A=1', 'B=2']
"""

import posixpath
import shlex
from collections.abc import Callable, Iterable

from msgspec.structs import replace

from corten.model.errors import InvalidArgument
from corten.model.image import Healthcheck, RunConfig, exec_form

__all__ = ["amend"]

DEFAULT_SHELL = ["/bin/sh", "-c"]
NANOSECONDS = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
DURATIONS = ("interval", "timeout", "start-period", "start-interval")


def amend(run: RunConfig, changes: Iterable[str]) -> RunConfig:
    """The configuration after all changes; raises InvalidArgument naming the one that is wrong."""
    for change in changes:
        word, _, rest = change.strip().partition(" ")
        instruction = INSTRUCTIONS.get(word.upper())
        if instruction is None:
            raise InvalidArgument(
                f"{word.upper()} is not a valid change command", hint=f"there are: {', '.join(INSTRUCTIONS)}"
            )
        if not rest.strip():
            raise InvalidArgument(f"{word.upper()} requires at least one argument")
        try:
            run = instruction(run, rest.strip())
        except ValueError as error:
            raise InvalidArgument(f"change {change!r}: {error}") from None
    return run


def _command(run: RunConfig, text: str) -> list[str]:
    words = exec_form(text)
    return words if words is not None else [*(run.shell or DEFAULT_SHELL), text]


def _cmd(run: RunConfig, text: str) -> RunConfig:
    return replace(run, cmd=_command(run, text), args_escaped=False)


def _entrypoint(run: RunConfig, text: str) -> RunConfig:
    return replace(run, entrypoint=_command(run, text), cmd=None)


def _pairs(text: str) -> dict[str, str]:
    """``a=1 b="x y"``, or the old form ``a everything else``."""
    name, space, value = text.partition(" ")
    if "=" not in name:
        if not space:
            raise ValueError("must have two arguments")
        return {name: value.strip()}
    words = shlex.split(text)
    if not all("=" in word for word in words):
        raise ValueError(f"can't find = in {next(word for word in words if '=' not in word)!r}")
    return dict(word.split("=", 1) for word in words)


def _env(run: RunConfig, text: str) -> RunConfig:
    values = dict(item.partition("=")[::2] for item in run.env or [])
    return replace(run, env=[f"{name}={value}" for name, value in {**values, **_pairs(text)}.items()])


def _label(run: RunConfig, text: str) -> RunConfig:
    return replace(run, labels={**(run.labels or {}), **_pairs(text)})


def _expose(run: RunConfig, text: str) -> RunConfig:
    ports = dict(run.exposed_ports or {})
    for word in text.split():
        port, _, protocol = word.partition("/")
        if protocol not in ("", "tcp", "udp", "sctp"):
            raise ValueError(f"invalid proto: {protocol}")
        for number in _port_range(port):
            ports[f"{number}/{protocol or 'tcp'}"] = {}
    return replace(run, exposed_ports=ports)


def _port_range(text: str) -> range:
    first, _, last = text.partition("-")
    if not first.isdecimal() or (last and not last.isdecimal()):
        raise ValueError(f"invalid containerPort: {text}")
    found = range(int(first), int(last or first) + 1)
    if not found or found[0] < 1 or found[-1] > 65535:
        raise ValueError(f"invalid containerPort: {text}")
    return found


def _volume(run: RunConfig, text: str) -> RunConfig:
    paths = exec_form(text)
    added: dict[str, dict[str, object]] = {path: {} for path in (paths if paths is not None else text.split())}
    return replace(run, volumes={**(run.volumes or {}), **added})


def _onbuild(run: RunConfig, text: str) -> RunConfig:
    word = text.split()[0].upper()
    if word in ("ONBUILD", "MAINTAINER", "FROM"):
        raise ValueError(f"{word} isn't allowed as an ONBUILD trigger")
    return replace(run, on_build=[*(run.on_build or []), text])


def _workdir(run: RunConfig, text: str) -> RunConfig:
    return replace(run, working_dir=posixpath.normpath(posixpath.join(run.working_dir or "/", text)))


def _shell(run: RunConfig, text: str) -> RunConfig:
    words = exec_form(text)
    if not words:
        raise ValueError("SHELL requires the arguments to be in JSON form")
    return replace(run, shell=words)


def _healthcheck(run: RunConfig, text: str) -> RunConfig:
    options: dict[str, str] = {}
    while text.startswith("--"):
        flag, _, text = text.partition(" ")
        name, _, options_value = flag[2:].partition("=")
        options[name] = options_value
        text = text.strip()
    kind, _, command = text.partition(" ")
    if kind.upper() == "NONE":
        return replace(run, healthcheck=Healthcheck(test=["NONE"]))
    if kind.upper() != "CMD" or not command.strip():
        raise ValueError("HEALTHCHECK wants NONE or CMD with a command")
    words = exec_form(command.strip())
    test = ["CMD", *words] if words is not None else ["CMD-SHELL", command.strip()]
    unknown = options.keys() - {*DURATIONS, "retries"}
    if unknown:
        raise ValueError(f"unknown flag: --{min(unknown)}")
    times = {name.replace("-", "_"): _nanoseconds(options[name]) for name in DURATIONS if name in options}
    return replace(run, healthcheck=Healthcheck(test=test, retries=int(options.get("retries", "0")), **times))


def _nanoseconds(text: str) -> int:
    """Go's duration, one unit or several: ``1m30s``, ``500ms``."""
    total, number = 0.0, ""
    at = 0
    while at < len(text):
        if text[at].isdigit() or text[at] == ".":
            number += text[at]
            at += 1
            continue
        unit = next((unit for unit in ("ns", "us", "ms", "s", "m", "h") if text.startswith(unit, at)), "")
        if not unit or not number:
            raise ValueError(f"invalid duration {text!r}")
        total += float(number) * NANOSECONDS[unit]
        number = ""
        at += len(unit)
    if number:
        raise ValueError(f"missing unit in duration {text!r}")
    return int(total)


INSTRUCTIONS: dict[str, Callable[[RunConfig, str], RunConfig]] = {
    "CMD": _cmd,
    "ENTRYPOINT": _entrypoint,
    "ENV": _env,
    "EXPOSE": _expose,
    "HEALTHCHECK": _healthcheck,
    "LABEL": _label,
    "ONBUILD": _onbuild,
    "SHELL": _shell,
    "STOPSIGNAL": lambda run, text: replace(run, stop_signal=text),
    "USER": lambda run, text: replace(run, user=text),
    "VOLUME": _volume,
    "WORKDIR": _workdir,
}
