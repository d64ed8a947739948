"""All containers of the engine, in memory, found as Docker finds them: by id, by name, or by the start of an id.

The database is the truth; this is its index, loaded once. Names are reserved here before anything is made, so that
two creations at the same time cannot both have one.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from corten.engine.record import Container
from corten.model.errors import Conflict, InvalidArgument, NotFound

__all__ = ["Catalog"]

SHORTEST_PREFIX = 1


class Catalog:
    """Thread-safe. `generation` grows with every change that a list of containers could show."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_id: dict[str, Container] = {}
        self._names: dict[str, str] = {}
        self.generation = 0

    def __iter__(self) -> Iterator[Container]:
        """All containers, the newest first, as they were at this moment."""
        with self._lock:
            everything = list(self._by_id.values())
        return iter(sorted(everything, key=lambda container: container.record.created, reverse=True))

    def __len__(self) -> int:
        return len(self._by_id)

    def touch(self) -> None:
        """Say that something which a list shows has changed."""
        self.generation += 1

    def add(self, container: Container) -> None:
        with self._lock:
            self._by_id[container.id] = container
            self._names[container.name] = container.id
        self.touch()

    def remove(self, container: Container) -> None:
        with self._lock:
            self._by_id.pop(container.id, None)
            if self._names.get(container.name) == container.id:
                del self._names[container.name]
        self.touch()

    def find(self, reference: str) -> Container:
        """The container of an id, a name (with or without `/`), a link's name or an unambiguous start of an id."""
        bare = reference.removeprefix("/")
        container = self._by_id.get(bare) or self._by_id.get(self._names.get(bare, "")) or self._linked(bare)
        if container is not None:
            return container
        with self._lock:
            found = [self._by_id[key] for key in self._by_id if bare and key.startswith(bare)]
        if len(found) == 1:
            return found[0]
        if found:
            raise InvalidArgument(f"Multiple IDs found with provided prefix: {reference}")
        raise NotFound(f"No such container: {reference}", hint="list them with: corten ps -a")

    def _linked(self, name: str) -> Container | None:
        """The target of the link `web/store`, which the record of `web` has as `ID:store`."""
        parent, _, alias = name.partition("/")
        container = self._by_id.get(self._names.get(parent, "")) if alias else None
        links = (container.record.host.links or ()) if container else ()
        return next((self._by_id.get(text[: -len(alias) - 1]) for text in links if text.endswith(f":{alias}")), None)

    def get(self, identity: str) -> Container | None:
        """The container of a full id."""
        return self._by_id.get(identity)

    @property
    def names(self) -> frozenset[str]:
        with self._lock:
            return frozenset(self._names)

    @contextmanager
    def reserved(self, name: str, identity: str) -> Iterator[None]:
        """Hold a name for a container that is being made or renamed; it is given back when the block raises."""
        with self._lock:
            if (holder := self._names.get(name)) is not None:
                raise Conflict(
                    f'Conflict. The container name "/{name}" is already in use by container "{holder}". '
                    "You have to remove (or rename) that container to be able to reuse that name."
                )
            self._names[name] = identity
        try:
            yield
        except BaseException:
            self.release(name)
            raise

    def release(self, name: str) -> None:
        """Free a name that its container no longer has."""
        with self._lock:
            self._names.pop(name, None)
