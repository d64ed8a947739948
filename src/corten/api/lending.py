"""Registry credentials that a client lends for one request (``X-Registry-Auth``)."""

from typing import Any

from corten.api.call import Call
from corten.remote import Credentials
from corten.wire.registry_auth import AuthConfig, decode

__all__ = ["credentials_of", "lent_credentials"]


def lent_credentials(call: Call[Any, Any]) -> Credentials:
    """Those of the request's header; anonymous without one."""
    return credentials_of(decode(call.headers.get("x-registry-auth", "")))


def credentials_of(lent: AuthConfig) -> Credentials:
    return Credentials(lent.username, lent.password, lent.identity_token, lent.registry_token)
