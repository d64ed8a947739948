"""``docker image prune``: remove what has no name, or what no container uses."""

from typing import NamedTuple

from corten.images import lookup, records
from corten.images.image import Image
from corten.images.listing import Filters, select
from corten.images.remove import Deleted, Removed, Users, remove
from corten.images.stores import Stores
from corten.model.errors import Conflict, InvalidArgument, NotFound

__all__ = ["FILTERS", "Pruned", "prune"]

FILTERS = frozenset(("dangling", "label", "label!", "until"))


class Pruned(NamedTuple):
    """What went; the chain IDs are those that the deleted images had."""

    removed: list[Removed]
    chain_ids: list[str]


def prune(stores: Stores, users: Users, filters: Filters) -> Pruned:
    """Remove images without a name (the default), or with ``dangling=false`` every one that no container uses."""
    unknown = sorted(filters.keys() - FILTERS)
    if unknown:
        raise InvalidArgument(f"invalid filter '{unknown[0]}'", hint=f"there are: {', '.join(sorted(FILTERS))}")
    everything = any(value.lower() in ("0", "false", "f") for value in filters.get("dangling", ()))
    pruned = Pruned([], [])
    for image in _candidates(stores, {name: values for name, values in filters.items() if name != "dangling"}):
        if image.tags and not everything:
            continue
        for text in [str(name) for name in image.names] or [image.id.encoded]:
            _try(stores, text, users, pruned)
    return pruned


def _candidates(stores: Stores, filters: Filters) -> list[Image]:
    """The images that pass, except those that are only steps to others."""
    with stores.db.read() as rows:
        images = [lookup.read(stores, rows, row.id) for row in records.all_rows(rows)]
        keep = select(stores, rows, filters)
    parents = {image.parent for image in images}
    return [image for image in images if (image.names or image.id not in parents) and keep(image)]


def _try(stores: Stores, text: str, users: Users, pruned: Pruned) -> None:
    try:
        removed, chain = remove(stores, text, users)
    except (Conflict, NotFound):
        return  # a container uses it, or it went with another one: what prune leaves alone
    pruned.removed.extend(one for one in removed if one not in pruned.removed)
    if any(isinstance(one, Deleted) for one in removed):
        pruned.chain_ids.extend(chain)
