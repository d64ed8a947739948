"""The registry: every repository below one root, and the collection of what none of them names."""

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from corten.content import Store
from corten.model.digest import Digest
from corten.model.errors import CortenError, FailedPrecondition
from corten.registry import manifests, names
from corten.registry.repository import BLOBS, MANIFESTS, UPLOADS, Repository
from corten.registry.tree import Tree
from corten.registry.upload import Uploads

__all__ = ["GRACE", "Registry"]

GRACE = 24 * 3600.0  # how long a blob may wait for the manifest that will name it


class Registry:
    """Thread-safe. One process writes a root, as its lock says; anybody may read the files."""

    def __init__(self, root: Path, lock: int, *, durable: bool = True) -> None:
        self.root = root
        self._lock = lock
        self._tree = Tree(root, durable=durable)
        self._store = Store(root / "content", durable=durable)
        self._store.abandon()
        self._uploads = Uploads(self._tree, self._store)
        self._changing = threading.Lock()

    @classmethod
    def open(cls, root: Path, *, durable: bool = True) -> "Registry":
        """The registry of `root`, which is made when it is not there. Raises FailedPrecondition when another has it."""
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = os.open(root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise FailedPrecondition(
                f"open the registry {root}: another process serves it", hint="one process writes a root; end the other"
            ) from None
        return cls(root, lock, durable=durable)

    def repository(self, name: str) -> Repository:
        """The repository of this name, whether or not anything was pushed to it; raises NameInvalid."""
        return Repository(names.name(name), self._tree, self._store, self._uploads, self._changing)

    def repositories(self) -> Iterator[Repository]:
        """Every repository to which anything was pushed, in no order."""
        top = self.root / "repositories"
        for directory, children, _ in os.walk(top):
            ours = [child for child in children if child.startswith("_")]
            children[:] = [child for child in children if not child.startswith("_")]
            if BLOBS in ours or MANIFESTS in ours or UPLOADS in ours:
                yield self.repository(os.path.relpath(directory, top))

    def catalog(self) -> list[str]:
        """The name of every repository that holds a manifest, sorted."""
        return sorted(one.name for one in self.repositories() if next(one.manifest_digests(), None))

    def collect(self, *, grace: float = GRACE) -> int:
        """Free what no repository names; returns the number of bytes.

        Goes: a repository's link to a blob that none of its manifests names, uploads that nobody went on with, and
        then blobs without any link. What is younger than `grace` seconds stays, since a push brings blobs before
        the manifest that names them.
        """
        self._uploads.expire(
            (marker for one in self.repositories() for marker in self._markers(one)), silence=max(grace, 1.0)
        )
        oldest = time.time() - grace
        with self._changing:
            kept: set[Digest] = set()
            for repository in self.repositories():
                kept |= self._mark(repository, oldest)
            freed = sum(
                self._store.discard(info.digest)
                for info in list(self._store.blobs())
                if info.digest not in kept and info.committed_ns <= oldest * 1e9
            )
        self._store.purge()
        return freed

    def close(self) -> None:
        """Let go of the root; what is being uploaded can be resumed by the next process."""
        self._uploads.close()
        os.close(self._lock)

    def _markers(self, repository: Repository) -> Iterator[Path]:
        return (repository.place / UPLOADS / name for name in self._tree.names(repository.place / UPLOADS))

    def _mark(self, repository: Repository, oldest: float) -> set[Digest]:
        """What this repository keeps alive; its links that nothing names any more are removed."""
        kept: set[Digest] = set()
        for digest in repository.manifest_digests():
            kept.add(digest)
            try:
                document = manifests.read(repository.manifest(digest).raw, "")
            except CortenError:
                continue  # a damaged manifest names nothing that could be served
            kept.update(*manifests.requires(document.value))
        for digest, link in repository.blob_links():
            if digest in kept:
                continue
            if link.stat().st_mtime <= oldest:
                self._tree.remove(link)
            else:
                kept.add(digest)
        return kept
