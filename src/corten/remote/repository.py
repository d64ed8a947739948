"""One repository of a registry: manifests, blobs, uploads, tags (distribution-spec 1.1, end-2 to end-13).

Reading asks the mirrors first and the registry itself last; writing asks the registry alone.
"""

import json
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import NamedTuple
from urllib.parse import quote, urlencode, urlunsplit

from corten.model import mediatype
from corten.model.cancel import Cancel
from corten.model.descriptor import Descriptor
from corten.model.digest import Digest
from corten.model.errors import (
    CortenError,
    DataLoss,
    InvalidArgument,
    NotFound,
    ResourceExhausted,
    Unauthenticated,
    Unavailable,
)
from corten.model.reference import Reference
from corten.remote.answers import error_of
from corten.remote.challenge import parse as parse_challenges
from corten.remote.hosts import Host
from corten.remote.tokens import Tokens
from corten.remote.transport import Answer, Body, Origin, Transport, split

__all__ = ["BlobStream", "Fetched", "Repository", "Source"]

ATTEMPTS = 4
LONGEST_WAIT = 30.0
CHUNK = 1 << 20
MANIFEST_LIMIT = 4 << 20
PAGES = 1000
ACCEPT = ", ".join((mediatype.OCI_INDEX, mediatype.OCI_MANIFEST, mediatype.DOCKER_INDEX, mediatype.DOCKER_MANIFEST))


class Source(NamedTuple):
    """One host with our tokens there; `origin` finds out, once, what it speaks."""

    host: Host
    tokens: Tokens
    origin: Callable[[Host, Cancel | None], Origin]


class Fetched(NamedTuple):
    """A manifest or index as the registry stores it: exact bytes, and the digest computed from them."""

    media_type: str
    digest: Digest
    raw: bytes


class Repository:
    """See the module; made by `Registries.repository`. Thread-safe: its state is its transport's."""

    def __init__(
        self,
        reference: Reference,
        transport: Transport,
        sources: list[Source],
        cancel: Cancel | None,
        patience: float,
    ) -> None:
        self.reference = reference
        self.patience = patience
        self._transport = transport
        self._sources = sources
        self._cancel = cancel
        self._authorization: dict[tuple[str, str], str] = {}

    # -- reading

    def ping(self) -> None:
        """Ask whether the registry serves us at all (end-1)."""
        self._finish(self._ask(self._sources[-1], "GET", "/v2/", "", "ask the registry"), "ask the registry", (200,))

    def manifest(self, name: str) -> Fetched:
        """The manifest or index under a tag or digest (end-3).

        Raises `NotFound` when there is none, `DataLoss` when its bytes are not those of the digest asked for.
        """
        for mirror in self._sources[:-1]:
            try:
                return self._manifest([mirror], name)
            except CortenError:  # it is away, has it not, or lies: the registry itself is asked then
                if self._cancel:
                    self._cancel.check()
        return self._manifest(self._sources[-1:], name)

    def _manifest(self, sources: list[Source], name: str) -> Fetched:
        action = f"pull manifest {self.reference.familiar_name}{'@' if ':' in name else ':'}{name}"
        answer = self._read(f"/manifests/{quote(name, safe=':')}", action, {"Accept": ACCEPT}, sources)
        raw = answer.document()
        self._transport.done(answer)
        digest = Digest.of(raw)
        if ":" in name and Digest(name) != (digest := Digest.of(raw, Digest(name).algorithm)):
            raise DataLoss(f"{action}: the registry answers with bytes whose digest is {digest}")
        return Fetched(answer.headers.get_content_type(), digest, raw)

    def head(self, name: str) -> Descriptor | None:
        """What a tag or digest names now, without its bytes; None when the registry has none or does not say."""
        action = f"look up {name}"
        source = self._sources[-1]
        path = self._path(f"/manifests/{quote(name, safe=':')}")
        answer = self._ask(source, "HEAD", path, "pull", action, {"Accept": ACCEPT})
        self._transport.done(answer)
        said = answer.headers.get("Docker-Content-Digest")
        if answer.status != 200 or not said:
            return None
        length = answer.headers.get("Content-Length", "")
        size = int(length) if length.isascii() and length.isdecimal() else 0
        return Descriptor(media_type=answer.headers.get_content_type(), digest=Digest(said), size=size)

    def blob(self, descriptor: Descriptor, offset: int = 0) -> "BlobStream":
        """The blob's bytes from `offset` on; the caller verifies the digest while it keeps them."""
        return BlobStream(self, descriptor, offset)

    def has_blob(self, digest: Digest) -> bool:
        """Whether the registry itself (not a mirror) has the blob in this repository (end-2)."""
        answer = self._ask(self._sources[-1], "HEAD", self._path(f"/blobs/{digest}"), "pull", f"look up {digest}")
        self._transport.done(answer)
        return answer.status == 200

    def tags(self) -> Iterator[str]:
        """Every tag, sorted as the registry sorts them, page by page (end-8)."""
        path = self._path(f"/tags/list?n={PAGES}")
        for _ in range(PAGES):
            answer = self._ask(self._sources[-1], "GET", path, "pull", "list tags")
            body = self._finish(answer, "list tags", (200,))
            yield from tags_of(body)
            path = next_page(answer.headers.get("Link", ""))
            if not path:
                return
        raise InvalidArgument(f"list tags of {self.reference.familiar_name}: the registry has more than {PAGES} pages")

    # -- writing

    def mount_blob(self, digest: Digest, source: Reference) -> str:
        """Ask to share a blob of another repository of this registry (end-11): empty when it is there now.

        Else the address of the upload session that the registry opened instead.
        """
        query = urlencode({"mount": digest, "from": source.path})
        return self._open_upload(f"/blobs/uploads/?{query}", f" repository:{source.path}:pull")

    def push_blob(self, digest: Digest, size: int, body: Callable[[], Iterable[bytes]], upload: str = "") -> None:
        """Upload a blob in one piece (end-4a, end-6); `body` gives its bytes anew each time it is called."""
        action = f"push blob {digest.short}"
        location = upload or self._open_upload("/blobs/uploads/", "")
        if not location:
            return
        target = with_query(location, digest=digest)
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
        answer = self._ask(self._sources[-1], "PUT", target, "pull,push", action, headers, body)
        self._finish(answer, action, (201, 204))

    def _open_upload(self, suffix: str, extra_scope: str) -> str:
        action = f"begin an upload to {self.reference.familiar_name}"
        headers = {"Content-Length": "0"}
        path = self._path(suffix)
        answer = self._ask(self._sources[-1], "POST", path, "pull,push", action, headers, scope=extra_scope)
        status = answer.status
        self._finish(answer, action, (201, 202))
        if status == 201:
            return ""
        location = answer.headers.get("Location", "")
        if not location:
            raise DataLoss(f"{action}: the registry names no upload location")
        return location

    def push_manifest(self, name: str, media_type: str, raw: bytes) -> Digest:
        """Store manifest bytes, exactly, under a tag or digest (end-7)."""
        action = f"push manifest {self.reference.familiar_name}:{name}"
        headers = {"Content-Type": media_type, "Content-Length": str(len(raw))}
        path = self._path(f"/manifests/{quote(name, safe=':')}")
        answer = self._ask(self._sources[-1], "PUT", path, "pull,push", action, headers, lambda: [raw])
        self._finish(answer, action, (201,))
        return Digest.of(raw)

    # -- one exchange

    def _path(self, suffix: str) -> str:
        return f"/v2/{self.reference.path}{suffix}"

    def _read(
        self, suffix: str, action: str, headers: Mapping[str, str], sources: list[Source] | None = None
    ) -> Answer:
        """GET from the first source that has it; the last one's answer, the registry's own, decides when none does."""
        sources = sources or self._sources
        for source in sources[:-1]:
            try:
                answer = self._ask(source, "GET", self._path(suffix), "pull", action, headers)
            except CortenError:
                if self._cancel:
                    self._cancel.check()
                continue
            if answer.status in (200, 206):
                return answer
            self._transport.done(answer)
        answer = self._ask(sources[-1], "GET", self._path(suffix), "pull", action, headers)
        if answer.status not in (200, 206):
            raise self._refusal(action, answer)
        return answer

    def _refusal(self, action: str, answer: Answer) -> CortenError:
        body = answer.document()
        self._transport.done(answer)
        return error_of(action, answer.status, body)

    def _finish(self, answer: Answer, action: str, good: tuple[int, ...]) -> bytes:
        if answer.status not in good:
            raise self._refusal(action, answer)
        body = answer.document()
        self._transport.done(answer)
        return body

    def _ask(
        self,
        source: Source,
        method: str,
        target: str,
        access: str,
        action: str,
        headers: Mapping[str, str] | None = None,
        body: Callable[[], Iterable[bytes]] | None = None,
        scope: str = "",
    ) -> Answer:
        """Send, meet a challenge once, and try again what is worth it: a host in trouble, or "too many requests"."""
        wanted = (f"repository:{self.reference.path}:{access}" if access else "") + scope
        for attempt in range(ATTEMPTS):
            last = attempt == ATTEMPTS - 1
            try:
                answer = self._authorized(source, method, target, wanted, headers or {}, body)
            except Unavailable:
                if last or method not in ("GET", "HEAD"):
                    raise
                self._wait(self.patience * 3**attempt)
                continue
            if last or not worth_repeating(answer.status, method):
                return answer
            self._wait(retry_after(answer, self.patience * 3**attempt))
            self._transport.done(answer)
        raise ResourceExhausted(f"{action}: the registry keeps asking to wait")

    def _authorized(
        self,
        source: Source,
        method: str,
        target: str,
        scope: str,
        headers: Mapping[str, str],
        body: Callable[[], Iterable[bytes]] | None,
    ) -> Answer:
        origin = source.origin(source.host, self._cancel)
        key = (source.host.address, scope)
        for fresh in (False, True):
            known = self._authorization.get(key, "")
            sent = {**headers, **({"Authorization": known} if known else {})}
            content: Body = body() if body else None
            answer = self._transport.request(method, origin, target, sent, content, self._cancel)
            if answer.status != 401 or fresh or answer.origin != origin:
                return answer  # a host that we were redirected to has no claim to our credentials
            challenges = parse_challenges(answer.headers.get("WWW-Authenticate", ""))
            if known:
                source.tokens.forget()
            value = source.tokens.answer(challenges, scope, origin, self._cancel)
            if not value:
                return answer
            self._transport.done(answer)
            self._authorization[key] = value
        raise Unauthenticated("unreachable")

    def _wait(self, seconds: float) -> None:
        until = time.monotonic() + min(seconds, LONGEST_WAIT)
        while (left := until - time.monotonic()) > 0:
            if self._cancel:
                self._cancel.check()
            time.sleep(min(left, 0.1))


class BlobStream:
    """The bytes of one blob; a broken connection is taken up again at the byte where it broke.

    Reads no more than the descriptor's size: a registry that sends more is caught with `DataLoss`.
    """

    def __init__(self, repository: Repository, descriptor: Descriptor, offset: int) -> None:
        self._repository = repository
        self._descriptor = descriptor
        self.offset = offset
        self._answer: Answer | None = None
        self._broken = 0

    def read(self, size: int = CHUNK) -> bytes:
        """Up to `size` bytes; empty at the end. Raises `Unavailable` when it breaks four times without progress."""
        while True:
            if self._answer is None:
                self._answer = self._open()
            try:
                data = self._answer.read(size)
            except OSError as error:
                self._break(error)
                continue
            if not data and self.offset < self._descriptor.size:
                self._break(EOFError("the connection ended early"))
                continue
            self._broken = 0 if data else self._broken
            self.offset += len(data)
            if self.offset > self._descriptor.size:
                self.close()
                size = self._descriptor.size
                raise DataLoss(f"pull {self._descriptor.digest}: it is longer than the {size} bytes promised")
            return data

    def _open(self) -> Answer:
        """Ask for what is missing; where the answer is another part than asked for, for all of it."""
        if self.offset:
            try:
                answer = self._ask({"Range": f"bytes={self.offset}-"})
            except InvalidArgument:  # 416: there is no such part, says the registry
                answer = self._ask({})
            begin = first_byte(answer)
            if begin == self.offset:
                return answer
            if begin != 0:
                answer.close()
                answer = self._ask({})
        else:
            answer = self._ask({})
        if first_byte(answer) != 0:
            answer.close()
            raise DataLoss(f"pull {self._descriptor.digest}: the registry sends a part that nobody asked for")
        self._skip(answer)
        return answer

    def _ask(self, headers: Mapping[str, str]) -> Answer:
        action = f"pull blob {self._descriptor.digest}"
        path = f"/blobs/{self._descriptor.digest}"
        return self._repository._read(path, action, {"Accept-Encoding": "identity", **headers})

    def _skip(self, answer: Answer) -> None:
        """A registry without ranges begins anew: pass over what we have."""
        left = self.offset
        while left:
            try:
                data = answer.read(min(left, CHUNK))
            except OSError as error:
                answer.close()
                raise Unavailable(f"resume {self._descriptor.digest}: {error}") from error
            if not data:
                answer.close()
                raise Unavailable(f"resume {self._descriptor.digest}: the registry sent less than before")
            left -= len(data)

    def _break(self, error: Exception) -> None:
        self._broken += 1
        self.close()
        if self._repository._cancel:
            self._repository._cancel.check()
        if self._broken >= ATTEMPTS:
            raise Unavailable(
                f"pull {self._descriptor.digest}: {error} at byte {self.offset} of {self._descriptor.size}",
                hint="what was fetched is kept; the next pull goes on from there",
            ) from error
        self._repository._wait(self._repository.patience * 3**self._broken)

    def close(self) -> None:
        if self._answer is not None:
            if self.offset == self._descriptor.size:
                self._repository._transport.done(self._answer)
            else:
                self._answer.close()
            self._answer = None

    def __enter__(self) -> "BlobStream":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def worth_repeating(status: int, method: str) -> bool:
    return status == 429 or (status in (500, 502, 503, 504) and method in ("GET", "HEAD"))


def retry_after(answer: Answer, default: float) -> float:
    """The pause in seconds that a ``Retry-After`` asks for, which names seconds or a date (RFC 9110, 10.2.3)."""
    said = answer.headers.get("Retry-After", "")
    if said.isascii() and said.isdecimal():
        return float(said[:9])
    try:
        return max(0.0, parsedate_to_datetime(said).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return default


def first_byte(answer: Answer) -> int:
    """Which byte of the blob an answer begins with; -1 when a part does not say."""
    if answer.status != 206:
        return 0
    match = re.match(r"bytes (\d{1,19})-", answer.headers.get("Content-Range", ""), re.ASCII)
    return int(match[1]) if match else -1


def tags_of(body: bytes) -> list[str]:
    """The tags of one page; raises `DataLoss` for an answer that is no list of them."""
    try:
        tags = json.loads(body)["tags"] or []
    except (ValueError, KeyError, TypeError, RecursionError):
        tags = None
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise DataLoss("list tags: the registry's answer is not a list of tags")
    return tags


def with_query(location: str, **fields: str) -> str:
    parts = split(location)
    return urlunsplit(parts._replace(query="&".join(filter(None, (parts.query, urlencode(fields))))))


def next_page(link: str) -> str:
    """The path of a ``Link: <…>; rel="next"`` header; only below /v2/, whatever host it names."""
    if 'rel="next"' not in link:
        return ""
    parts = split(link.partition("<")[2].partition(">")[0])
    if not parts.path.startswith("/v2/"):
        raise NotFound("list tags: the registry's next page is not its own")
    return parts.path + (f"?{parts.query}" if parts.query else "")
