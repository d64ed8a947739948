"""One request to one host over a kept connection.

It follows redirects itself, since they are where credentials leak: at most five, only to http(s), never from TLS to
plain HTTP, and the ``Authorization`` header stays with the host that it is for. Idle connections are kept per origin.

``http.client`` and ``ssl`` are loaded by the first connection: an engine that speaks to no registry starts a tenth
sooner without them.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urljoin, urlsplit

from corten.model.cancel import Cancel
from corten.model.errors import InvalidArgument, Unavailable

if TYPE_CHECKING:
    import http.client

__all__ = ["Answer", "Origin", "Transport"]

TIMEOUT = 30
REDIRECTS = 5
REDIRECTING = {301, 302, 303, 307, 308}
IDLE_LIMIT = 8
DOCUMENT_LIMIT = 4 << 20
USER_AGENT = "corten"

Body = bytes | Iterable[bytes] | None


class Origin(NamedTuple):
    """A server: scheme, ``host[:port]``, and whether its certificate must be good."""

    scheme: str
    address: str
    verify: bool = True

    def url(self, path: str) -> str:
        return f"{self.scheme}://{self.address}{path}"


class Answer:
    """A response whose body is still to be read; close it, or read it to its end to keep the connection."""

    def __init__(
        self, origin: Origin, connection: http.client.HTTPConnection, raw: http.client.HTTPResponse, url: str
    ) -> None:
        self.origin = origin
        self.url = url
        self.status = raw.status
        self.headers = raw.headers
        self._connection = connection
        self._raw = raw

    def read(self, size: int) -> bytes:
        """At most `size` bytes of the body; empty at its end. Raises OSError when the connection breaks."""
        from http.client import HTTPException

        try:
            return self._raw.read(size)
        except HTTPException as error:
            raise OSError(f"the transfer broke: {error!r}") from None

    def document(self) -> bytes:
        """The whole body, which must be small; a longer one is refused."""
        body = self.read(DOCUMENT_LIMIT + 1)
        if len(body) > DOCUMENT_LIMIT:
            self.close()
            raise InvalidArgument(f"read {self.url}: the answer is larger than {DOCUMENT_LIMIT} bytes")
        return body

    @property
    def reusable(self) -> bool:
        return self._raw.isclosed() and not self._raw.will_close

    def close(self) -> None:
        self._connection.close()


class Transport:
    """Connections by origin; thread-safe."""

    def __init__(self) -> None:
        self._idle: dict[Origin, list[http.client.HTTPConnection]] = {}
        self._lock = threading.Lock()

    def request(
        self,
        method: str,
        origin: Origin,
        target: str,
        headers: Mapping[str, str],
        body: Body = None,
        cancel: Cancel | None = None,
    ) -> Answer:
        """Send one request and follow redirects; `target` is a path or a whole URL (an upload's Location).

        Raises `Unavailable` when the host cannot be reached, `InvalidArgument` for a redirect that is refused.
        """
        url = target if "://" in target else origin.url(target)
        sent = dict(headers)
        for _ in range(REDIRECTS):
            here = self._origin_of(url, origin)
            if here.address != origin.address:
                sent.pop("Authorization", None)
            answer = self._send(method, here, url, sent, body, cancel)
            location = answer.headers.get("Location", "")
            if answer.status not in REDIRECTING or not location or method not in ("GET", "HEAD"):
                return answer
            self.done(answer)
            url = self._next_url(url, location)
        raise InvalidArgument(f"fetch {origin.url(target)}: more than {REDIRECTS} redirects")

    def _origin_of(self, url: str, asked: Origin) -> Origin:
        parts = urlsplit(url)
        same = parts.netloc == asked.address
        return Origin(parts.scheme, parts.netloc, asked.verify if same else True)

    def _next_url(self, url: str, location: str) -> str:
        following = urljoin(url, location)
        scheme = urlsplit(following).scheme
        if scheme not in ("http", "https") or not urlsplit(following).hostname:
            raise InvalidArgument(f"follow {url}: it redirects to {location[:200]!r}, which is not http(s)")
        if urlsplit(url).scheme == "https" and scheme == "http":
            raise InvalidArgument(f"follow {url}: it redirects from TLS to plain HTTP", hint="mend the registry")
        return following

    def _send(
        self, method: str, origin: Origin, url: str, headers: dict[str, str], body: Body, cancel: Cancel | None
    ) -> Answer:
        """One exchange; a kept connection that the server has closed meanwhile is replaced once."""
        from http.client import HTTPException

        parts = urlsplit(url)
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        kept = self._take(origin)
        for connection in (kept, self._connect(origin)) if kept else (self._connect(origin),):
            if cancel:
                cancel.check()
                cancel.on_set(lambda connection=connection: shut(connection))  # type: ignore[misc]
            try:
                connection.request(method, target, body, {"User-Agent": USER_AGENT, **headers})
                return Answer(origin, connection, connection.getresponse(), url)
            except (HTTPException, OSError) as error:
                connection.close()
                if cancel:
                    cancel.check()
                if connection is not kept or not isinstance(body, bytes | None):
                    raise unreachable(origin, error) from error
        raise AssertionError("unreachable")

    def _connect(self, origin: Origin) -> http.client.HTTPConnection:
        import http.client
        import ssl

        if origin.scheme == "http":
            return http.client.HTTPConnection(origin.address, timeout=TIMEOUT)
        context = ssl.create_default_context()
        if not origin.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return http.client.HTTPSConnection(origin.address, timeout=TIMEOUT, context=context)

    def _take(self, origin: Origin) -> http.client.HTTPConnection | None:
        with self._lock:
            idle = self._idle.get(origin)
            return idle.pop() if idle else None

    def done(self, answer: Answer) -> None:
        """Give the connection back when the body was read to its end, else close it."""
        if answer.status in REDIRECTING or answer.status == 204 or not answer.reusable:
            answer.read(DOCUMENT_LIMIT)
        with self._lock:
            idle = self._idle.setdefault(answer.origin, [])
            if answer.reusable and len(idle) < IDLE_LIMIT:
                idle.append(answer._connection)
                return
        answer.close()

    def close(self) -> None:
        with self._lock:
            for idle in self._idle.values():
                for connection in idle:
                    connection.close()
            self._idle.clear()


def shut(connection: http.client.HTTPConnection) -> None:
    """Wake whoever is blocked on the connection; closing the descriptor alone would not."""
    if connection.sock:
        try:
            connection.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            return


def unreachable(origin: Origin, error: Exception) -> Unavailable:
    import ssl

    hint = "is the registry running, and its address right?"
    if isinstance(error, ssl.SSLCertVerificationError):
        hint = "install its certificate authority, or name the host in insecure-registries"
    return Unavailable(f"reach {origin.url('/')}: {error}", hint=hint)
