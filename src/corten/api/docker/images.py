"""Images: list, inspect, load and save, tag, remove, and what the registry client will bring."""

from collections.abc import Iterator
from typing import Any

import msgspec

from corten.api.call import Answer, Call, Empty, Json, Pieces
from corten.api.docker import older
from corten.api.lanes import Lane
from corten.api.lending import lent_credentials
from corten.api.router import Route
from corten.model.container import ContainerConfig
from corten.model.errors import CortenError, InvalidArgument, Unimplemented
from corten.model.platform import Platform
from corten.wire.filters import NONE, Filters
from corten.wire.jsonstream import error_message

__all__ = ["ROUTES"]

LIST_FILTERS = ("before", "dangling", "label", "label!", "reference", "since", "until")
SEARCH_FILTERS = ("is-automated", "is-official", "stars")
PRUNE_FILTERS = ("dangling", "label", "label!", "until")


class ListQuery(msgspec.Struct, frozen=True):
    all: bool = False
    filters: Filters = NONE
    shared_size: bool = msgspec.field(default=False, name="shared-size")
    digests: bool = False


class CreateQuery(msgspec.Struct, frozen=True):
    from_image: str = msgspec.field(default="", name="fromImage")
    from_src: str = msgspec.field(default="", name="fromSrc")
    repo: str = ""
    tag: str = ""
    message: str = ""
    changes: tuple[str, ...] = ()
    platform: str = ""


class TagQuery(msgspec.Struct, frozen=True):
    repo: str = ""
    tag: str = ""


class PushQuery(msgspec.Struct, frozen=True):
    tag: str = ""
    platform: str = ""


class OneQuery(msgspec.Struct, frozen=True):
    platform: str = ""


class RemoveQuery(msgspec.Struct, frozen=True):
    force: bool = False
    noprune: bool = False
    platforms: tuple[str, ...] = ()


class PruneQuery(msgspec.Struct, frozen=True):
    filters: Filters = NONE


class LoadQuery(msgspec.Struct, frozen=True):
    quiet: bool = False
    platform: tuple[str, ...] = ()


class SaveQuery(msgspec.Struct, frozen=True):
    names: tuple[str, ...] = ()
    platform: tuple[str, ...] = ()


class SaveOneQuery(msgspec.Struct, frozen=True):
    platform: tuple[str, ...] = ()


class SearchQuery(msgspec.Struct, frozen=True):
    term: str
    limit: int = 0
    filters: Filters = NONE


class CommitQuery(msgspec.Struct, frozen=True):
    container: str
    repo: str = ""
    tag: str = ""
    comment: str = ""
    author: str = ""
    pause: bool = True
    changes: tuple[str, ...] = ()


def list_(call: Call[ListQuery, None]) -> Answer:
    query = call.query
    found = call.engine.images.list(
        all=query.all,
        filters=query.filters.only(LIST_FILTERS),
        shared_size=query.shared_size,
        digests=query.digests,
    )
    return Json([older.image_summary(image, call.version) for image in found])


def inspect(call: Call[OneQuery, None]) -> Answer:
    call.engine.images.require((call.path["name"],), platforms((call.query.platform,)))
    return Json(older.image_inspect(call.engine.images.inspect(call.path["name"]), call.version))


def history(call: Call[OneQuery, None]) -> Answer:
    call.engine.images.require((call.path["name"],), platforms((call.query.platform,)))
    return Json(call.engine.images.history(call.path["name"]))


def tag(call: Call[TagQuery, None]) -> Answer:
    call.engine.images.tag(call.path["name"], call.query.repo, call.query.tag)
    return Empty(201)


def remove(call: Call[RemoveQuery, None]) -> Answer:
    call.engine.images.require((call.path["name"],), platforms(call.query.platforms))
    removed = call.engine.images.remove(call.path["name"], force=call.query.force, prune=not call.query.noprune)
    return Json(removed)


def prune(call: Call[PruneQuery, None]) -> Answer:
    return Json(call.engine.images.prune(call.query.filters.only(PRUNE_FILTERS)))


def load(call: Call[LoadQuery, None]) -> Answer:
    wanted = platforms(call.query.platform)
    if len(wanted) > 1:
        raise Unimplemented("load: an image is kept for one platform; name one", place="?platform")
    platform = wanted[0] if wanted else None
    messages = call.engine.images.load(call.upload, quiet=call.query.quiet, platform=platform, cancel=call.cancel)
    return Pieces(_encoded(messages), "application/json", failure=_failure)


def save(call: Call[SaveQuery, None]) -> Answer:
    if not call.query.names:
        raise InvalidArgument("no image names given to save", place="?names")
    call.engine.images.require(call.query.names, platforms(call.query.platform))
    return Pieces(call.engine.images.save(call.query.names, call.cancel), "application/x-tar")


def save_one(call: Call[SaveOneQuery, None]) -> Answer:
    call.engine.images.require((call.path["name"],), platforms(call.query.platform))
    return Pieces(call.engine.images.save((call.path["name"],), call.cancel), "application/x-tar")


def create(call: Call[CreateQuery, None]) -> Answer:
    """Pull (`fromImage`) or import (`fromSrc`, ``-`` for the body)."""
    query = call.query
    if query.from_image:
        lent = lent_credentials(call)
        messages = call.engine.registries.pull(query.from_image, query.tag, query.platform, lent, call.cancel)
        return Pieces(_encoded(messages), "application/json", failure=_failure)
    if query.from_src != "-":
        raise Unimplemented("cannot import from a URL", hint="fetch it, then: corten import FILE")
    made = call.engine.images.import_(
        call.upload,
        repo=query.repo,
        tag=query.tag,
        message=query.message,
        changes=query.changes,
        platform=query.platform,
    )
    return Pieces(_encoded(iter([{"status": made}])), "application/json")


def push(call: Call[PushQuery, None]) -> Answer:
    if wanted := platforms((call.query.platform,)):
        tag = f":{call.query.tag}" if call.query.tag else ""
        call.engine.images.require((f"{call.path['name']}{tag}",), wanted)
    messages = call.engine.registries.push(call.path["name"], call.query.tag, lent_credentials(call), call.cancel)
    return Pieces(_encoded(messages), "application/json", failure=_failure)


def search(call: Call[SearchQuery, None]) -> Answer:
    filters = call.query.filters.only(SEARCH_FILTERS)
    found = call.engine.registries.search(call.query.term, call.query.limit, lent_credentials(call))
    return Json([one for one in found if _searched_for(one, filters)])


def _searched_for(found: dict[str, Any], filters: Filters) -> bool:
    """Docker's filters: is-official, is-automated, stars (at least)."""
    for key, name in (("is-official", "is_official"), ("is-automated", "is_automated")):
        if any(bool(found.get(name)) != (value in ("true", "1")) for value in filters.values(key)):
            return False
    return all(int(found.get("star_count") or 0) >= int(value) for value in filters.values("stars") if value.isdigit())


def commit(call: Call[CommitQuery, ContainerConfig | None]) -> Answer:
    query = call.query
    made = call.engine.images.commit(
        query.container,
        repo=query.repo,
        tag=query.tag,
        comment=query.comment,
        author=query.author,
        pause=query.pause,
        changes=query.changes,
        config=call.body,
    )
    return Json({"Id": str(made)}, 201)


def platforms(texts: tuple[str, ...]) -> tuple[Platform, ...]:
    """The platforms that a query names, each the JSON of an OCI platform."""
    try:
        return tuple(msgspec.json.decode(text, type=Platform) for text in texts if text)
    except msgspec.DecodeError as error:
        raise InvalidArgument(f"failed to parse platform: {error}", place="?platform") from None


def _encoded(messages: Iterator[dict[str, Any]]) -> Iterator[bytes]:
    for message in messages:
        yield msgspec.json.encode(message) + b"\r\n"


def _failure(error: Exception) -> bytes:
    message = error.message if isinstance(error, CortenError) else f"{type(error).__name__}: {error}"
    return msgspec.json.encode(error_message(message)) + b"\r\n"


ROUTES: tuple[Route[Any, Any], ...] = (
    Route("GET", "/images/json", list_, Lane.QUICK, ListQuery),
    Route("POST", "/images/create", create, Lane.IMAGE, CreateQuery),
    Route("POST", "/images/load", load, Lane.IMAGE, LoadQuery),
    Route("GET", "/images/get", save, Lane.IMAGE, SaveQuery),
    Route("GET", "/images/search", search, Lane.IMAGE, SearchQuery),
    Route("POST", "/images/prune", prune, Lane.CHANGE, PruneQuery),
    Route("GET", "/images/{name:path}/json", inspect, Lane.QUICK, OneQuery),
    Route("GET", "/images/{name:path}/history", history, Lane.QUICK, OneQuery),
    Route("GET", "/images/{name:path}/get", save_one, Lane.IMAGE, SaveOneQuery),
    Route("POST", "/images/{name:path}/push", push, Lane.IMAGE, PushQuery),
    Route("POST", "/images/{name:path}/tag", tag, Lane.CHANGE, TagQuery),
    Route("DELETE", "/images/{name:path}", remove, Lane.CHANGE, RemoveQuery),
    Route("POST", "/commit", commit, Lane.IMAGE, CommitQuery, ContainerConfig, body_may_be_empty=True),
)
