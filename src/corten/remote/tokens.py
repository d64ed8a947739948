"""How a request proves who sends it: bearer tokens per scope, or basic authentication.

The token protocol of the distribution project: a 401 names a realm, a service and a scope; the realm gives a token for
them, to a name and password (GET with Basic) or to an identity token (POST, OAuth2). Tokens are kept until shortly
before they end.
"""

import json
import threading
import time
from typing import NamedTuple
from urllib.parse import urlencode

from corten.model.cancel import Cancel
from corten.model.errors import Unauthenticated
from corten.remote.answers import error_of
from corten.remote.challenge import Challenge
from corten.remote.credentials import Credentials
from corten.remote.transport import Origin, Transport, split

__all__ = ["Tokens"]

DEFAULT_SECONDS = 60
EARLY = 10
CLIENT = "corten"


class Token(NamedTuple):
    value: str
    until: float


class Tokens:
    """The authorizations of one set of credentials, by (realm, service, scope); thread-safe."""

    def __init__(self, transport: Transport, credentials: Credentials) -> None:
        self._transport = transport
        self._credentials = credentials
        self._known: dict[tuple[str, str, str], Token] = {}
        self._lock = threading.Lock()

    def answer(self, challenges: list[Challenge], scope: str, asker: Origin, cancel: Cancel | None = None) -> str:
        """The ``Authorization`` value that meets the first challenge we can meet; empty when there is none.

        `scope` is what the request needs, used where the challenge does not name one.
        """
        for challenge in challenges:
            if challenge.scheme == "bearer" and challenge.parameters.get("realm"):
                return self._bearer(challenge.parameters, scope, asker, cancel)
            if challenge.scheme == "basic" and self._credentials.basic:
                return self._credentials.basic
        return ""

    def _bearer(self, parameters: dict[str, str], scope: str, asker: Origin, cancel: Cancel | None) -> str:
        if self._credentials.registry_token:
            return f"Bearer {self._credentials.registry_token}"
        key = (parameters["realm"], parameters.get("service", ""), scope or parameters.get("scope", ""))
        with self._lock:
            token = self._known.get(key)
            if not token or token.until < time.monotonic():
                token = self._fetch(*key, asker, cancel)
                self._known[key] = token
        return f"Bearer {token.value}"

    def forget(self) -> None:
        """Drop every token: one was refused."""
        with self._lock:
            self._known.clear()

    def _fetch(self, realm: str, service: str, scope: str, asker: Origin, cancel: Cancel | None) -> Token:
        parts = split(realm)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Unauthenticated(f"get a token: the registry names the realm {realm[:200]!r}, which is not http(s)")
        if parts.scheme == "http" and asker.scheme == "https":
            raise Unauthenticated("get a token: the registry would have us send credentials over plain HTTP")
        origin = Origin(parts.scheme, parts.netloc, asker.verify if parts.netloc == asker.address else True)
        fields = [("service", service), *(("scope", one) for one in scope.split()), ("client_id", CLIENT)]
        if self._credentials.identity_token:
            grant = [("grant_type", "refresh_token"), ("refresh_token", self._credentials.identity_token)]
            form = urlencode([*fields, *grant]).encode()
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            answer = self._transport.request("POST", origin, realm, headers, form, cancel)
        else:
            account = [("account", self._credentials.username)] if self._credentials.username else []
            query = ("&" if parts.query else "?") + urlencode([*fields, *account])
            headers = {"Authorization": self._credentials.basic} if self._credentials.basic else {}
            answer = self._transport.request("GET", origin, realm + query, headers, cancel=cancel)
        body = answer.document()
        self._transport.done(answer)
        if answer.status != 200:
            raise error_of(f"get a token from {parts.netloc}", answer.status, body)
        return parse_token(body, parts.netloc)


def parse_token(body: bytes, origin: str) -> Token:
    try:
        document = json.loads(body)
        value = document.get("token") or document["access_token"]
        seconds = float(document.get("expires_in") or DEFAULT_SECONDS)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise Unauthenticated(f"get a token from {origin}: its answer holds none") from None
    if not isinstance(value, str) or not (value.isascii() and value.isprintable()):
        raise Unauthenticated(f"get a token from {origin}: its answer holds none")
    return Token(value, time.monotonic() + max(seconds, DEFAULT_SECONDS) - EARLY)
