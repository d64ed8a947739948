"""Removing images, with Docker's rules and in Docker's words.

- By name: the name goes. If it was the last one, the image goes too, unless something still needs it.
- By id: only when all of its names are in one repository, or by force.
- *Hard* conflicts (a running container uses it, other images were made from it) stop even force; *soft* ones (a stopped
  container uses it, it has names in several repositories) stop only without.
- With `prune` its parents go as well, as far up as nobody needs them.

What an image leaves behind (layers, snapshots) is collected when nothing else refers to it.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from corten.images import lookup, records
from corten.images.stores import Stores
from corten.metadata import Transaction
from corten.model.digest import Digest
from corten.model.errors import Conflict, NotFound
from corten.model.event import Event
from corten.model.reference import Reference

__all__ = ["Deleted", "Removed", "Untagged", "User", "Users", "remove"]


class User(NamedTuple):
    """A container that was made from an image."""

    container: str
    running: bool


# Who uses this image: the engine knows.
Users = Callable[[Digest], Sequence[User]]


class Untagged(NamedTuple):
    """A name went."""

    name: str


class Deleted(NamedTuple):
    """An image (by id) or a layer (by chain ID) went."""

    id: str


Removed = Untagged | Deleted


def remove(
    stores: Stores, text: str, users: Users, *, force: bool = False, prune: bool = True
) -> tuple[list[Removed], list[Digest]]:
    """Remove a name or an image; returns what went, and the chain IDs that the deleted images had.

    Raises NotFound, and Conflict saying what needs it. All of it is one transaction.
    """
    with stores.db.write() as tx:
        id = lookup.resolve(tx, text)
        removal = _Removal(stores, tx, users)
        if lookup.is_id(id, text):
            removal.by_id(id, force=force, prune=prune)
        else:
            removal.by_name(id, Reference.parse(text), force=force, prune=prune)
    return removal.removed, removal.chain_ids


class _Removal:
    """One removal in its transaction; collects what it did."""

    def __init__(self, stores: Stores, tx: Transaction, users: Users) -> None:
        self._stores = stores
        self._tx = tx
        self._users = users
        self.removed: list[Removed] = []
        self.chain_ids: list[Digest] = []

    def by_name(self, id: Digest, name: Reference, *, force: bool, prune: bool) -> None:
        names = records.names_of(self._tx, id)
        users = self._users(id)
        if users and not force and _is_single(names):
            raise Conflict(
                f'conflict: unable to remove repository reference "{name.familiar}" (must force) -'
                f" container {users[0].container[:12]} is using its referenced image {id.short}",
                hint="remove the container first, or: corten rmi -f",
            )
        if name not in names:
            raise NotFound(f"No such image: {name.familiar}")
        self._untag(id, [name])
        names = records.names_of(self._tx, id)
        if name.tag and not any(other.tag and other.name == name.name for other in names):
            self._untag(id, [other for other in names if other.name == name.name])
        if not records.names_of(self._tx, id):
            self._delete(id, force=force, prune=prune, quiet=True)

    def by_id(self, id: Digest, *, force: bool, prune: bool) -> None:
        names = records.names_of(self._tx, id)
        if _is_single(names):
            self._check(id, soft=not force, names=[])
            self._untag(id, names)
        self._delete(id, force=force, prune=prune, quiet=False)

    def _untag(self, id: Digest, names: list[Reference]) -> None:
        records.unname(self._tx, names)
        for name in names:
            self.removed.append(Untagged(name.familiar))
            self._tx.emit(Event("image", "untag", id, {"name": id}))

    def _delete(self, id: Digest, *, force: bool, prune: bool, quiet: bool) -> None:
        """Delete the image, then its parents. `quiet`: it was enough that the name went, or that the child did."""
        try:
            self._check(id, soft=not force, names=records.names_of(self._tx, id))
        except Conflict:
            if quiet:
                return
            raise
        image = lookup.read(self._stores, self._tx, id)
        self._untag(id, list(image.names))
        records.delete(self._tx, id)
        self.removed.append(Deleted(id))
        self.chain_ids += image.chain
        self._tx.emit(Event("image", "delete", id, {"name": id}))
        if prune and image.parent is not None and records.row(self._tx, image.parent):
            self._delete(image.parent, force=False, prune=True, quiet=True)

    def _check(self, id: Digest, *, soft: bool, names: list[Reference]) -> None:
        """Raises Conflict when something needs the image."""
        users = self._users(id)
        running = next((user for user in users if user.running), None)
        if records.children(self._tx, id):
            raise _conflict(id, "image has dependent child images", hard=True)
        if running:
            raise _conflict(id, f"image is being used by running container {running.container[:12]}", hard=True)
        if soft and names:
            raise _conflict(id, "image is referenced in multiple repositories", hard=False)
        if soft and users:
            raise _conflict(id, f"image is being used by stopped container {users[0].container[:12]}", hard=False)


def _conflict(id: Digest, cause: str, *, hard: bool) -> Conflict:
    can = "cannot be forced" if hard else "must be forced"
    return Conflict(f"conflict: unable to delete {id.short} ({can}) - {cause}")


def _is_single(names: list[Reference]) -> bool:
    """Whether removing "the" name is unambiguous: one tag at most, with digests of the same repository at most."""
    if len(names) <= 1:
        return True
    tags = [name for name in names if name.tag]
    repositories = {name.name for name in names if not name.tag}
    if len(tags) > 1:
        return False
    return len(repositories) == 1 and (tags or names)[0].name in repositories
