"""Building: `POST /build` with Docker's classic stream, the cache, and BuildKit's two ways in (which say no)."""

import base64
import binascii
import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from corten.api.call import Answer, Call, Json, Pieces
from corten.api.lanes import Lane
from corten.api.lending import credentials_of
from corten.api.query import Nothing
from corten.api.router import Route
from corten.engine.listing import until
from corten.model.cancel import Cancel
from corten.model.container import HostConfig, Ulimit
from corten.model.errors import CortenError, InvalidArgument, Unimplemented
from corten.model.platform import Platform
from corten.model.reference import Reference
from corten.remote import Credentials
from corten.wire.filters import NONE, Filters
from corten.wire.jsonstream import error_message
from corten.wire.registry_auth import decode_map

if TYPE_CHECKING:
    from corten.build import Builder, Request

__all__ = ["ROUTES"]

PRUNE_FILTERS = ("description", "id", "inuse", "parent", "private", "shared", "type", "until", "unused-for")
Message = dict[str, Any]


class BuildQuery(msgspec.Struct, frozen=True):
    """Docker's names, and our own `cachedir` and `status`.

    `rm`, `forcerm` and `isolation=default` hold by nature: no intermediate container is kept.
    """

    t: tuple[str, ...] = ()
    dockerfile: str = "Dockerfile"
    remote: str = ""
    q: bool = False
    nocache: bool = False
    pull: bool = False
    buildargs: str = ""
    labels: str = ""
    cachefrom: str = ""
    target: str = ""
    networkmode: str = "default"
    platform: str = ""
    extrahosts: tuple[str, ...] = ()
    shmsize: int = 0
    memory: int = 0
    memswap: int = 0
    cpushares: int = 0
    cpusetcpus: str = ""
    cpusetmems: str = ""
    cpuperiod: int = 0
    cpuquota: int = 0
    cgroupparent: str = ""
    ulimits: str = ""
    squash: bool = False
    isolation: str = ""
    securityopt: str = ""
    outputs: str = ""
    version: str = "1"
    cachedir: str = ""
    status: bool = False


class PruneQuery(msgspec.Struct, frozen=True):
    all: bool = False
    keep_storage: int = msgspec.field(default=0, name="keep-storage")
    reserved_space: int = msgspec.field(default=0, name="reserved-space")
    filters: Filters = NONE


def build(call: Call[BuildQuery, None]) -> Answer:
    query = call.query
    refuse(query)
    request = requested(query, call.headers.get("x-corten-secrets", ""))
    lent = decode_map(call.headers.get("x-registry-config", ""))

    def pull(name: str, platform: Platform) -> Iterable[Message]:
        domain = Reference.parse_name(name).domain
        login = lent.get(domain) or lent.get("https://index.docker.io/v1/" if domain == "docker.io" else domain)
        credentials = credentials_of(login) if login else Credentials()
        return call.engine.registries.pull(name, "", str(platform), credentials, call.cancel)

    def work(send: Callable[[Message], None], cancel: Cancel) -> None:
        image = builder_of(call).build(request, call.upload, send, cancel, pull)
        for message in succeeded(str(image.id), request):
            send(message)

    messages = running(work, call.cancel)
    return Pieces(encoded(quiet(messages) if query.q else messages), "application/json", failure=failure)


class HasBuilder(Protocol):
    """What stands in the engine for a builder that is loaded when somebody first builds."""

    def get(self) -> "Builder": ...


def builder_of(call: Call[Any, Any]) -> "Builder":
    holder: HasBuilder | None = call.engine.builder  # type: ignore[assignment]
    if holder is None:
        raise Unimplemented("this engine has no builder")
    return holder.get()


def refuse(query: BuildQuery) -> None:
    """What is not there is said, never passed over."""
    if query.version == "2":
        message = "this is BuildKit's way to build, which Corten does not have yet; use DOCKER_BUILDKIT=0"
        raise Unimplemented(message, hint=KEEP_CLASSIC)
    if query.squash:
        raise Unimplemented("--squash is not supported", hint="end with a stage that copies from the one before")
    if query.isolation not in ("", "default"):
        raise InvalidArgument(f"unsupported isolation: {query.isolation!r}", place="?isolation")
    if query.securityopt not in ("", "null", "[]"):
        raise Unimplemented("security options for builds are not supported", hint="leave out --security-opt")
    if query.outputs not in ("", "null", "[]"):
        raise Unimplemented("the classic builder's API gives images only", hint="use: corten build --output")


def requested(query: BuildQuery, secrets: str) -> "Request":
    from corten.build import Request

    limits = HostConfig(
        memory=query.memory,
        memory_swap=query.memswap,
        cpu_shares=query.cpushares,
        cpu_period=query.cpuperiod,
        cpu_quota=query.cpuquota,
        cpuset_cpus=query.cpusetcpus,
        cpuset_mems=query.cpusetmems,
        cgroup_parent=query.cgroupparent,
        shm_size=query.shmsize,
        extra_hosts=tuple(query.extrahosts),
        ulimits=read(query.ulimits, tuple[Ulimit, ...], "ulimits") or (),
    )
    arguments = read(query.buildargs, dict[str, str | None], "buildargs") or {}
    return Request(
        names=query.t,
        dockerfile=query.dockerfile or "Dockerfile",
        remote=query.remote,
        target=query.target,
        platform=query.platform,
        network=query.networkmode or "default",
        build_args={name: value for name, value in arguments.items() if value is not None},
        labels=read(query.labels, dict[str, str], "labels") or {},
        secrets=read_secrets(secrets),
        limits=limits,
        no_cache=query.nocache,
        cache_from=read(query.cachefrom, tuple[str, ...], "cachefrom") or (),
        pull=query.pull,
        cache_dir=query.cachedir,
        status=query.status,
    )


def read(text: str, kind: Any, name: str) -> Any:
    """A parameter that is JSON itself; None when it is not there."""
    if not text:
        return None
    try:
        return msgspec.json.decode(text, type=kind | None)
    except msgspec.DecodeError as error:
        raise InvalidArgument(f"invalid value for parameter {name}: {error}", place=f"?{name}") from None


def read_secrets(header: str) -> dict[str, bytes]:
    """`X-Corten-Secrets`: base64 of a JSON object, id to base64 of the content."""
    if not header:
        return {}
    try:
        return msgspec.json.decode(base64.b64decode(header, validate=True), type=dict[str, bytes])
    except (msgspec.DecodeError, binascii.Error):
        raise InvalidArgument("invalid X-Corten-Secrets header") from None


def running(work: Callable[[Callable[[Message], None], Cancel], None], cancel: Cancel) -> Iterator[Message]:
    """What `work` sends, as it sends it; its error at the end. Whoever stops listening stops it."""
    messages: queue.Queue[Message | BaseException | None] = queue.Queue()
    own = Cancel()
    cancel.on_set(own.set)

    def run() -> None:
        try:
            work(messages.put, own)
            messages.put(None)
        except BaseException as error:
            messages.put(error)

    thread = threading.Thread(target=run, name="corten-build")
    thread.start()
    try:
        while (message := messages.get()) is not None:
            if isinstance(message, BaseException):
                raise message
            yield message
    finally:
        own.set()
        thread.join()


def quiet(messages: Iterator[Message]) -> Iterator[Message]:
    """Only the image's id; what was built is told when it fails."""
    held: list[Message] = []
    try:
        held.extend(messages)
    except CortenError:
        yield from held
        raise
    named = [message for message in held if "ID" in message.get("aux", {})]
    yield from named
    yield {"stream": f"{named[-1]['aux']['ID']}\n"}


def succeeded(image: str, request: "Request") -> Iterator[Message]:
    yield {"aux": {"ID": image}}
    yield {"stream": f"Successfully built {image.removeprefix('sha256:')[:12]}\n"}
    for name in request.names:
        yield {"stream": f"Successfully tagged {Reference.parse_name(name).with_default_tag().familiar}\n"}


def encoded(messages: Iterator[Message]) -> Iterator[bytes]:
    for message in messages:
        yield msgspec.json.encode(message) + b"\r\n"


def failure(error: Exception) -> bytes:
    message = error.message if isinstance(error, CortenError) else f"{type(error).__name__}: {error}"
    shown = error_message(message, getattr(error, "code", 0))
    if hint := getattr(error, "hint", ""):
        shown["errorDetail"]["hint"] = hint
    return msgspec.json.encode(shown) + b"\r\n"


KEEP_CLASSIC = "DOCKER_BUILDKIT=0 docker build …"


def buildkit(call: Call[Nothing, None]) -> Answer:
    """docker's buildx plugin speaks only this."""
    path = call.exchange.request.target.partition("?")[0]
    raise Unimplemented(
        f"{path} needs the BuildKit API, which Corten does not have yet: set DOCKER_BUILDKIT=0", hint=KEEP_CLASSIC
    )


def cancel(_: Call[Nothing, None]) -> Answer:
    raise Unimplemented("cannot cancel a build by its id", hint="close the connection of its request")


def prune(call: Call[PruneQuery, None]) -> Answer:
    query = call.query
    filters = query.filters.only(PRUNE_FILTERS)
    if unknown := [name for name in filters.keys if name != "until"]:
        raise Unimplemented(f"cannot prune the build cache by {', '.join(unknown)}", hint="the filter there is: until")
    before = until(filters)
    keep = query.keep_storage or query.reserved_space
    pruned = builder_of(call).prune(everything=query.all, keep=keep, before_ns=before)
    keys = [key.removeprefix("sha256:")[:25] for key in pruned.keys]
    return Json({"CachesDeleted": keys, "SpaceReclaimed": pruned.size})


ROUTES: tuple[Route[Any, Any], ...] = (
    Route("POST", "/build", build, Lane.STREAM, BuildQuery),
    Route("POST", "/build/prune", prune, Lane.CHANGE, PruneQuery),
    Route("POST", "/build/cancel", cancel),
    Route("POST", "/session", buildkit),
    Route("POST", "/grpc", buildkit),
)
