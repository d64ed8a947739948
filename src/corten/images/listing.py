"""``docker images`` and ``docker history``: summaries, and which of them a filter lets through."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from corten.images import lookup, records
from corten.images.image import Image
from corten.images.stores import Stores
from corten.model.digest import Digest
from corten.model.errors import InvalidArgument
from corten.model.reference import Reference

__all__ = ["FILTERS", "Filters", "Step", "Summary", "dangling", "history", "select", "summaries"]

Filters = Mapping[str, Sequence[str]]
FILTERS = frozenset(("before", "dangling", "label", "label!", "reference", "since", "until"))


class Summary(msgspec.Struct, frozen=True):
    """One line of ``docker images``; `shared_size` is -1 unless it was asked for."""

    image: Image
    tags: list[str]
    digests: list[str]
    shared_size: int = -1


class Step(msgspec.Struct, frozen=True):
    """One line of ``docker history``: `id` is None for what is not an image of this machine ("<missing>")."""

    id: Digest | None
    created: str | None
    created_by: str
    comment: str
    size: int
    tags: list[str]


class _Names(NamedTuple):
    tags: list[str]
    digests: list[str]


def summaries(
    stores: Stores, filters: Filters, *, everything: bool = False, shared_size: bool = False
) -> list[Summary]:
    """The images that pass, the newest first. Without `everything` those that are only steps to others are left out."""
    with stores.db.read() as rows:
        images = [lookup.read(stores, rows, row.id) for row in records.all_rows(rows)]
        keep = select(stores, rows, filters)
    parents = {image.parent for image in images}
    shown = [image for image in images if everything or image.names or image.id not in parents]
    found = [_summary(image, filters) for image in shown if keep(image)]
    if "reference" in filters:
        found = [summary for summary in found if summary.tags or summary.digests]
    if shared_size:
        found = _with_shared_sizes(stores, found, images)
    return sorted(found, key=lambda summary: (summary.image.created_unix, summary.image.id), reverse=True)


def select(stores: Stores, rows: records.Rows, filters: Filters) -> Callable[[Image], bool]:
    """A test made of all filters; raises InvalidArgument for one that does not exist or makes no sense."""
    unknown = sorted(filters.keys() - FILTERS)
    if unknown:
        raise InvalidArgument(f"invalid filter '{unknown[0]}'", hint=f"there are: {', '.join(sorted(FILTERS))}")
    tests = [
        *(_is_dangling(value) for value in filters.get("dangling", ())),
        *(_has_label(value) for value in filters.get("label", ())),
        *(_not(_has_label(value)) for value in filters.get("label!", ())),
        *(_created_before(_created(stores, rows, value)) for value in filters.get("before", ())),
        *(_created_after(_created(stores, rows, value)) for value in filters.get("since", ())),
        *(_created_before(_timestamp(value)) for value in filters.get("until", ())),
    ]
    return lambda image: all(test(image) for test in tests)


def _summary(image: Image, filters: Filters) -> Summary:
    patterns = [_pattern(text) for text in filters.get("reference", ())]
    names = [name for name in image.names if not patterns or any(matches(name) for matches in patterns)]
    if "true" in filters.get("dangling", ()):
        names = []
    return Summary(
        image,
        sorted(name.familiar for name in names if name.tag),
        sorted(name.familiar for name in names if name.digest),
    )


def _with_shared_sizes(stores: Stores, found: list[Summary], images: list[Image]) -> list[Summary]:
    users: dict[Digest, int] = {}
    for image in images:
        for chain_id in image.chain:
            users[chain_id] = users.get(chain_id, 0) + 1
    return [
        msgspec.structs.replace(
            summary,
            shared_size=sum(
                stores.snapshots.usage(chain_id).size
                for chain_id in summary.image.chain
                if users[chain_id] > 1 and stores.snapshots.find(chain_id)
            ),
        )
        for summary in found
    ]


def dangling(image: Image) -> bool:
    """Without any name: what a build or a new tag left behind."""
    return not image.tags


def _is_dangling(value: str) -> Callable[[Image], bool]:
    if value.lower() in ("1", "true", "t"):
        return dangling
    if value.lower() in ("0", "false", "f"):
        return _not(dangling)
    raise InvalidArgument(f"invalid filter 'dangling={value}'")


def _has_label(value: str) -> Callable[[Image], bool]:
    key, equals, wanted = value.partition("=")

    def test(image: Image) -> bool:
        labels = image.config.run.labels or {}
        return labels.get(key) == wanted if equals else key in labels

    return test


def _not(test: Callable[[Image], bool]) -> Callable[[Image], bool]:
    return lambda image: not test(image)


def _created(stores: Stores, rows: records.Rows, text: str) -> float:
    return lookup.read(stores, rows, lookup.resolve(rows, text)).created_unix


def _created_before(limit: float) -> Callable[[Image], bool]:
    return lambda image: image.created_unix < limit


def _created_after(limit: float) -> Callable[[Image], bool]:
    return lambda image: image.created_unix > limit


def _timestamp(value: str) -> float:
    """Unix seconds; the client has turned durations and dates into them."""
    try:
        return float(value)
    except ValueError:
        raise InvalidArgument(f"invalid filter 'until={value}': want Unix seconds") from None


def _pattern(text: str) -> Callable[[Reference], bool]:
    """Docker's ``reference`` filter: Go's path.Match against the familiar name, with and without the tag."""
    pattern = re.compile(_go_match(text), re.DOTALL)

    def test(name: Reference) -> bool:
        return bool(pattern.fullmatch(name.familiar) or pattern.fullmatch(name.familiar_name))

    return test


def _go_match(pattern: str) -> str:
    """A regular expression for Go's path.Match: ``*`` and ``?`` stop at a slash, ``[…]`` is a set, ``\\`` quotes."""
    out, at = "", 0
    while at < len(pattern):
        sign = pattern[at]
        at += 1
        if sign == "*":
            out += "[^/]*"
        elif sign == "?":
            out += "[^/]"
        elif sign == "\\" and at < len(pattern):
            out += re.escape(pattern[at])
            at += 1
        elif sign == "[":
            end = pattern.find("]", at + 1)
            if end < 0:
                raise InvalidArgument(f"invalid filter 'reference={pattern}': syntax error in pattern")
            inside = pattern[at:end]
            negated = "^" if inside.startswith("^") else ""
            out += f"[{negated}{re.escape(inside.removeprefix('^')).replace(chr(92) + '-', '-')}]"
            at = end + 1
        else:
            out += re.escape(sign)
    return out


def history(stores: Stores, text: str) -> list[Step]:
    """How the image came to be, the newest step first."""
    with stores.db.read() as rows:
        image = lookup.read(stores, rows, lookup.resolve(rows, text))
        sizes = records.layer_sizes(rows, image.config.diff_ids)
        ancestors = _ancestors(stores, rows, image)
    steps: list[Step] = []
    layers = iter(image.config.diff_ids)
    for number, entry in enumerate(image.config.history or []):
        size = 0 if entry.empty_layer else sizes.get(next(layers, image.id), 0)
        owner = ancestors.get(number + 1)
        steps.append(
            Step(
                owner.id if owner else None,
                entry.created,
                entry.created_by,
                entry.comment,
                size,
                owner.tags if owner else [],
            )
        )
    return steps[::-1]


def _ancestors(stores: Stores, rows: records.Rows, image: Image) -> dict[int, Image]:
    """The image and its parents here, by how many steps each of them had."""
    found = {len(image.config.history or []): image}
    while image.parent is not None:
        image = lookup.read(stores, rows, image.parent)
        found.setdefault(len(image.config.history or []), image)
    return found
