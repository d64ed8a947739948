"""What the user's Docker configuration (`~/.docker/config.json`) says that concerns us: proxies, logins, contexts.

It is read when a command needs it and not before; a file that is not there says nothing.
"""

from __future__ import annotations

from corten.cli.table import Fault
from corten.client.environment import variable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["config_path", "current_context", "proxies", "read_config", "write_config"]

_PROXIES = {
    "httpProxy": "HTTP_PROXY",
    "httpsProxy": "HTTPS_PROXY",
    "noProxy": "NO_PROXY",
    "ftpProxy": "FTP_PROXY",
    "allProxy": "ALL_PROXY",
}


def config_path() -> str:
    directory = variable("DOCKER_CONFIG") or f"{variable('HOME')}/.docker"
    return f"{directory}/config.json"


def read_config() -> dict[str, Any]:
    """The configuration's JSON object; an empty one when there is none."""
    path = config_path()
    try:
        with open(path, encoding="utf-8") as file:
            content = file.read()
    except OSError:
        return {}
    from corten.wire.codec import loads

    try:
        config = loads(content)
    except ValueError as error:
        raise Fault(f"cannot read {path}: {error}", hint="it must be a JSON object") from None
    if not isinstance(config, dict):
        raise Fault(f"cannot read {path}: it holds no JSON object", hint="move it away or mend it")
    return config


def write_config(config: dict[str, Any]) -> None:
    """Replace the configuration in one step; only its owner may read it."""
    import os

    from corten.wire.codec import dumps_indented

    path = os.path.realpath(config_path())
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    fresh = f"{path}.{os.getpid()}"
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(dumps_indented(config, "\t") + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(fresh, path)
    except BaseException:
        os.unlink(fresh)
        raise


def current_context() -> str:
    """The context that DOCKER_CONTEXT names, else the one that `context use` chose; empty for the default one.

    Every start asks; most configurations choose none, and are not parsed for it.
    """
    if named := variable("DOCKER_CONTEXT"):
        return named
    try:
        with open(config_path(), encoding="utf-8") as file:
            if "currentContext" not in file.read():
                return ""
    except (OSError, UnicodeDecodeError):
        return ""
    return str(read_config().get("currentContext") or "")


def proxies() -> list[tuple[str, str]]:
    """The proxy variables for containers, in both spellings that programs look for."""
    configured = (read_config().get("proxies") or {}).get("default") or {}
    named = [(_PROXIES[key], str(value)) for key, value in configured.items() if key in _PROXIES and value]
    return [pair for name, value in named for pair in ((name, value), (name.lower(), value))]
