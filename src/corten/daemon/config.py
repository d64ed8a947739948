"""The engine's configuration: ``engine.json`` in the data root, with the names of Docker's ``daemon.json``.

A field that the engine does not know is an error, as in dockerd: a setting that is ignored is worse than none.
"""

import msgspec

from corten.api.bodies import decode
from corten.engine.runtimes import DEFAULT, command
from corten.model.errors import InvalidArgument

__all__ = ["Config", "ProxySettings", "load"]


class ProxySettings(msgspec.Struct, frozen=True, rename="kebab", forbid_unknown_fields=True):
    """How the engine itself reaches registries; containers get theirs from the client's configuration."""

    http_proxy: str = ""
    https_proxy: str = ""
    no_proxy: str = ""


class Runtime(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Another OCI runtime: its program and what stands before the verb."""

    path: str
    runtime_args: tuple[str, ...] = ()


class Config(msgspec.Struct, frozen=True, rename="kebab"):
    """What may be set; times in seconds. `corten serve` reads it again at SIGHUP."""

    debug: bool = False
    shutdown_timeout: int = 15
    idle_timeout: int = 60
    insecure_registries: tuple[str, ...] = ()
    registry_mirrors: tuple[str, ...] = ()
    proxies: ProxySettings = ProxySettings()
    runtimes: dict[str, Runtime] = {}
    default_runtime: str = DEFAULT

    @property
    def runtime_commands(self) -> dict[str, tuple[str, ...]]:
        """The command that begins each named runtime's."""
        return {name: (one.path, *one.runtime_args) for name, one in self.runtimes.items()}


def load(path: str) -> Config:
    """Read the file at `path`; the defaults when there is none, `InvalidArgument` with the place of a fault."""
    try:
        with open(path, "rb") as file:
            text = file.read()
    except FileNotFoundError:
        return Config()
    try:
        _refuse_unknown(text)
        config = decode(Config, text)
    except InvalidArgument as error:
        raise InvalidArgument(f"cannot read the configuration {path}: {error.message}", place=error.place) from None
    if config.shutdown_timeout < 0 or config.idle_timeout < 0:
        raise InvalidArgument(f"cannot read the configuration {path}: a timeout is negative")
    _check_runtimes(path, config)
    return config


def _check_runtimes(path: str, config: Config) -> None:
    for name, one in config.runtimes.items():
        if not one.path.startswith("/") or name == DEFAULT:
            message = f"cannot read the configuration {path}: runtime {name!r} is our own or has no absolute path"
            raise InvalidArgument(message, place=f"/runtimes/{name}")
    try:
        command(config.default_runtime, config.runtime_commands)
    except InvalidArgument as error:
        message = f"cannot read the configuration {path}: {error.message}"
        raise InvalidArgument(message, hint=error.hint, place="/default-runtime") from error


def _refuse_unknown(text: bytes) -> None:
    known = {field.encode_name for field in msgspec.structs.fields(Config)}
    unknown = sorted(decode(dict, text).keys() - known)
    if unknown:
        raise InvalidArgument(
            f"the following directives don't match any configuration option: {', '.join(unknown)}",
            hint=f"known: {', '.join(sorted(known))}",
            place=f"/{unknown[0]}",
        )
