"""What the user's Docker configuration (`~/.docker/config.json`) says that concerns us: proxies and logins.

It is read when a command needs it and not before; a file that is not there says nothing.
"""

from __future__ import annotations

from corten.cli.table import Fault
from corten.client.environment import variable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["config_path", "proxies", "read_config"]

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


def proxies() -> list[tuple[str, str]]:
    """The proxy variables for containers, in both spellings that programs look for."""
    configured = (read_config().get("proxies") or {}).get("default") or {}
    named = [(_PROXIES[key], str(value)) for key, value in configured.items() if key in _PROXIES and value]
    return [pair for name, value in named for pair in ((name, value), (name.lower(), value))]
