"""One request to one host over a kept connection.

It follows redirects itself, since they are where credentials leak: at most five, only to http(s), never from TLS to
plain HTTP, and the ``Authorization`` header stays with the host that it is for. Idle connections are kept per origin.

A server may be slow, but not for ever: the head of an answer must come within a minute, and so must a document. Bytes
of a blob may take their time, as long as some come.

``http.client`` and ``ssl`` are loaded by the first connection: an engine that speaks to no registry starts a tenth
sooner without them.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple, cast
from urllib.parse import SplitResult, urljoin, urlsplit

from corten.model.cancel import Cancel
from corten.model.errors import InvalidArgument, Unavailable
from corten.remote.certificates import Certificates
from corten.remote.proxies import DIRECT, Proxies, Proxy

if TYPE_CHECKING:
    import http.client

    from corten.remote.head import TimedResponse

__all__ = ["Answer", "Origin", "Transport", "split"]

TIMEOUT = 30
PATIENCE = 60.0
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

    @property
    def place(self) -> tuple[str, int]:
        """Host and port; raises `InvalidArgument` where the address is none."""
        parts = urlsplit(f"//{self.address}")
        try:
            port = parts.port or (443 if self.scheme == "https" else 80)
        except ValueError:
            port = 0
        if not port or not parts.hostname or parts.username is not None:
            raise InvalidArgument(f"reach {self.address[:200]!r}: it is not HOST[:PORT]")
        return parts.hostname, port


class Answer:
    """A response whose body is still to be read; close it, or read it to its end to keep the connection."""

    def __init__(self, origin: Origin, connection: http.client.HTTPConnection, raw: TimedResponse, url: str) -> None:
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
        """The whole body, which must be small and come soon; a longer one is refused."""
        self._raw.finish_within(PATIENCE)
        try:
            body = self.read(DOCUMENT_LIMIT + 1)
        except OSError as error:
            self.close()
            raise Unavailable(
                f"read {self.url}: {error}", hint="the registry is in trouble; try again later"
            ) from error
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

    def __init__(self, proxies: Proxies = DIRECT, certificates: Certificates | None = None) -> None:
        self._proxies = proxies
        self._certificates = certificates or Certificates()
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
        url = self._kept_secure(origin, target) if "://" in target else origin.url(target)
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

    def _kept_secure(self, origin: Origin, url: str) -> str:
        """An address that the server itself gave us (where to upload): never less safe than the server.

        A registry behind a proxy that ends TLS often writes http:// for its own address; it means https.
        """
        parts = split(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InvalidArgument(f"go on at {url[:200]!r}, as {origin.address} asks: it is not http(s)")
        if origin.scheme == "https" and parts.scheme == "http":
            if parts.netloc != origin.address:
                raise InvalidArgument(f"go on at {url[:200]!r}, as {origin.address} asks: it leads off TLS")
            return parts._replace(scheme="https").geturl()
        return url

    def _origin_of(self, url: str, asked: Origin) -> Origin:
        parts = urlsplit(url)
        same = parts.netloc == asked.address
        return Origin(parts.scheme, parts.netloc, asked.verify if same else True)

    def _next_url(self, url: str, location: str) -> str:
        split(location)
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

        target, login = self._line(origin, url)
        kept = self._take(origin)
        for connection in (kept, self._connect(origin)) if kept else (self._connect(origin),):
            if cancel:
                cancel.check()
                cancel.on_set(lambda connection=connection: shut(connection))  # type: ignore[misc]
            try:
                connection.request(method, target, body, {"User-Agent": USER_AGENT, **login, **headers})
                return Answer(origin, connection, cast("TimedResponse", connection.getresponse()), url)
            except (HTTPException, OSError, UnicodeError) as error:
                connection.close()
                if cancel:
                    cancel.check()
                if connection is not kept or not isinstance(body, bytes | None):
                    raise unreachable(origin, error) from error
        raise AssertionError("unreachable")

    def _line(self, origin: Origin, url: str) -> tuple[str, dict[str, str]]:
        """What stands in the request line: the path; for a proxy without TLS the whole address. And our login there."""
        parts = urlsplit(url)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        proxy = self._proxies.at("http", *origin.place) if origin.scheme == "http" else None
        if proxy is None:
            return path, {}
        return origin.url(path), proxy_login(proxy)

    def _connect(self, origin: Origin) -> http.client.HTTPConnection:
        import http.client

        from corten.remote.head import TimedResponse

        host, port = origin.place
        proxy = self._proxies.at(origin.scheme, host, port)
        server = (proxy.host, proxy.port) if proxy else (host, port)
        connection: http.client.HTTPConnection
        if origin.scheme == "http":
            connection = http.client.HTTPConnection(*server, timeout=TIMEOUT)
        else:
            context = self._certificates.context(origin.address, verify=origin.verify)
            connection = http.client.HTTPSConnection(*server, timeout=TIMEOUT, context=context)
        connection.response_class = TimedResponse
        if proxy and origin.scheme == "https":
            connection.set_tunnel(host, port, headers=proxy_login(proxy))
        return connection

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


def split(url: str) -> SplitResult:
    """`urlsplit` for an address that a server gave us."""
    try:
        return urlsplit(url)
    except ValueError:
        raise InvalidArgument(f"go on at {url[:200]!r}, as a registry asks: it is no address") from None


def proxy_login(proxy: Proxy) -> dict[str, str]:
    return {"Proxy-Authorization": proxy.authorization} if proxy.authorization else {}


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
