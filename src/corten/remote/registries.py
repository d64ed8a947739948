"""All registries of an engine: connections, what each host was found to speak, tokens by credentials."""

import json
import threading
from typing import Any
from urllib.parse import urlencode

from corten.model.cancel import Cancel
from corten.model.errors import CortenError, Unavailable
from corten.model.reference import Reference
from corten.remote.answers import error_of
from corten.remote.certificates import Certificates
from corten.remote.credentials import ANONYMOUS, Credentials
from corten.remote.hosts import Host, HostRules
from corten.remote.proxies import DIRECT, Proxies
from corten.remote.repository import Repository, Source
from corten.remote.tokens import Tokens
from corten.remote.transport import Origin, Transport

__all__ = ["Registries"]

TOKENS_KEPT = 64
SEARCH_DOMAIN = "index.docker.io"


class Registries:
    """The entry to this package; one for an engine, thread-safe, closed with it.

    `patience` is the first pause in seconds before a request is tried again; each next one is three times as long.
    """

    def __init__(
        self,
        rules: HostRules | None = None,
        *,
        patience: float = 0.3,
        proxies: Proxies = DIRECT,
        certificates: Certificates | None = None,
    ) -> None:
        self.rules = rules or HostRules()
        self._patience = patience
        self._transport = Transport(proxies, certificates)
        self._origins: dict[Host, Origin] = {}
        self._tokens: dict[tuple[str, Credentials], Tokens] = {}
        self._lock = threading.Lock()

    def repository(
        self, reference: Reference, credentials: Credentials = ANONYMOUS, cancel: Cancel | None = None
    ) -> Repository:
        """The repository of `reference`, to pull from and push to; nothing is sent yet."""
        sources = [self._source(host, credentials) for host in self.rules.hosts(reference.domain)]
        return Repository(reference, self._transport, sources, cancel, self._patience)

    def login(self, domain: str, credentials: Credentials) -> None:
        """Ask the registry whether it knows these credentials; raises `Unauthenticated` when it does not."""
        anchor = Reference(domain, "library/none")
        self.repository(anchor, credentials).ping()

    def search(self, term: str, limit: int, credentials: Credentials) -> list[dict[str, Any]]:
        """Ask a registry's version 1 search, which Docker Hub still serves and few others do."""
        first, slash, rest = term.partition("/")
        is_host = slash and ("." in first or ":" in first or first == "localhost")
        domain, words = (first, rest) if is_host else (SEARCH_DOMAIN, term)
        host = Host(domain, self.rules.is_insecure(domain))
        headers = {"Authorization": credentials.basic} if credentials.basic else {}
        origin = self._origin(host, None)
        answer = self._transport.request("GET", origin, f"/v1/search?{urlencode({'q': words, 'n': limit})}", headers)
        body = answer.document()
        self._transport.done(answer)
        if answer.status != 200:
            raise error_of(f"search {domain}", answer.status, body)
        try:
            return list(json.loads(body)["results"])
        except (ValueError, KeyError, TypeError, RecursionError):
            raise Unavailable(f"search {domain}: its answer is not a list of results") from None

    def _source(self, host: Host, credentials: Credentials) -> Source:
        known = ANONYMOUS if host.mirror else credentials
        with self._lock:
            key = (host.address, known)
            if key not in self._tokens:
                while len(self._tokens) >= TOKENS_KEPT:
                    del self._tokens[next(iter(self._tokens))]
                self._tokens[key] = Tokens(self._transport, known)
            return Source(host, self._tokens[key], self._origin)

    def _origin(self, host: Host, cancel: Cancel | None) -> Origin:
        """What `host` speaks, found once: TLS; for an insecure host TLS without a good certificate, or plain HTTP."""
        if not host.insecure:
            return Origin("https", host.address)
        if host not in self._origins:
            self._origins[host] = self._probe(host, cancel)
        return self._origins[host]

    def _probe(self, host: Host, cancel: Cancel | None) -> Origin:
        secure = Origin("https", host.address, verify=False)
        try:
            self._transport.done(self._transport.request("GET", secure, "/v2/", {}, cancel=cancel))
        except CortenError as error:
            if not isinstance(error, Unavailable) or not isinstance(error.__cause__, OSError):
                raise
            plain = Origin("http", host.address)
            self._transport.done(self._transport.request("GET", plain, "/v2/", {}, cancel=cancel))
            return plain
        return secure

    def close(self) -> None:
        self._transport.close()
