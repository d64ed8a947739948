"""The headers with which a Docker client lends its registry credentials to the engine.

``X-Registry-Auth`` is base64url of one JSON ``AuthConfig``; ``X-Registry-Config`` (on ``POST /build``) of a map
from registry host to ``AuthConfig``. Clients differ in padding and alphabet, so both are taken.
"""

import base64
import json
from typing import Any

from corten.model.errors import InvalidArgument

__all__ = ["AuthConfig", "decode", "decode_map"]


class AuthConfig:
    """Credentials for one registry: a name and password, or a token. Its repr never shows a secret."""

    __slots__ = ("identity_token", "password", "registry_token", "server", "username")

    def __init__(self, document: dict[str, Any]) -> None:
        self.username = _text(document, "username")
        self.password = _text(document, "password")
        self.server = _text(document, "serveraddress")
        self.identity_token = _text(document, "identitytoken")
        self.registry_token = _text(document, "registrytoken")
        if not self.username and (encoded := _text(document, "auth")):
            self.username, _, self.password = _base64(encoded, "auth").decode("utf-8", "replace").partition(":")

    def __repr__(self) -> str:
        return f"AuthConfig(username={self.username!r}, server={self.server!r})"

    @property
    def anonymous(self) -> bool:
        return not (self.username or self.identity_token or self.registry_token)


def decode(header: str) -> AuthConfig:
    """Read ``X-Registry-Auth``; an absent or empty header is an anonymous client."""
    return AuthConfig(_object(header, "X-Registry-Auth")) if header else AuthConfig({})


def decode_map(header: str) -> dict[str, AuthConfig]:
    """Read ``X-Registry-Config``."""
    if not header:
        return {}
    document = _object(header, "X-Registry-Config")
    for host, entry in document.items():
        if not isinstance(entry, dict):
            raise InvalidArgument("invalid X-Registry-Config header: expected an object per host", place=f"/{host}")
    return {host: AuthConfig(entry) for host, entry in document.items()}


def _object(header: str, name: str) -> dict[str, Any]:
    try:
        document = json.loads(_base64(header, name))
    except ValueError as error:
        raise InvalidArgument(f"invalid {name} header: {error}") from None
    if not isinstance(document, dict):
        raise InvalidArgument(f"invalid {name} header: expected a JSON object")
    return document


def _base64(text: str, name: str) -> bytes:
    try:
        unified = text.strip().replace("+", "-").replace("/", "_").rstrip("=")
        return base64.urlsafe_b64decode(unified + "=" * (-len(unified) % 4))
    except ValueError as error:
        raise InvalidArgument(f"invalid {name} header: not base64: {error}") from None


def _text(document: dict[str, Any], key: str) -> str:
    value = document.get(key) or ""
    if not isinstance(value, str):
        raise InvalidArgument(f"invalid registry credentials: expected a string for {key}", place=f"/{key}")
    return value
