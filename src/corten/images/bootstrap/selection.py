"""Which packages an image is made of: chosen from a signed release, or as a lock file says."""

import os
import platform
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from corten.images.bootstrap import variants
from corten.images.bootstrap.fetch import Cache
from corten.images.bootstrap.index import Package, newest, parse_packages
from corten.images.bootstrap.lock import Lock
from corten.images.bootstrap.openpgp import Key, require_keys
from corten.images.bootstrap.release import Release, fetch_index, fetch_release
from corten.images.bootstrap.solve import closure, stages
from corten.images.bootstrap.sources import suites
from corten.model.errors import InvalidArgument, NotFound

__all__ = ["Recipe", "Selection", "fetch", "from_lock", "from_release"]

KEYRING = Path(__file__).with_name("debian-archive-keyring.gpg")
BUSYBOX_SUITE = "bookworm"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
Progress = Callable[[str], None]


class Recipe(NamedTuple):
    """What is wished: `name` is ``busybox`` or ``debian:CODENAME``; empty fields take the host's own."""

    name: str
    variant: str = "base"
    packages: tuple[str, ...] = ()
    tag: str = ""
    mirror: str = ""
    keyring: str = ""

    @property
    def distribution(self) -> str:
        return self.name.partition(":")[0]

    @property
    def codename(self) -> str:
        return self.name.partition(":")[2] or BUSYBOX_SUITE


class Selection(NamedTuple):
    """The packages, in groups by order of installation; `date` is the release's, a Unix time.

    `sources` says where they come from: a mirror's address, which the packages' own begin with, a space, a suite.
    """

    codename: str
    architecture: str
    date: int
    signers: tuple[str, ...]
    sources: tuple[str, ...]
    stages: tuple[tuple[Package, ...], ...]

    @property
    def packages(self) -> tuple[Package, ...]:
        """All of them, sorted by name."""
        return tuple(sorted(one for stage in self.stages for one in stage))

    def mirror_of(self, one: Package) -> str:
        mirrors = (source.partition(" ")[0] for source in self.sources)
        return next(uri for uri in mirrors if one.url.startswith(uri + "/"))


def from_release(recipe: Recipe, cache: Cache, progress: Progress) -> Selection:
    """What the newest signed release has for `recipe`."""
    releases = []
    for suite in suites(recipe.codename, recipe.mirror or os.environ.get("CORTEN_DEBIAN_MIRROR", "")):
        progress(f"{suite.suite} InRelease")
        keys = keys_of(recipe.keyring or suite.keyring)
        releases.append(fetch_release(suite, keys, now=int(time.time())))
    architecture = host_architecture()
    known = read_packages(releases, architecture, cache, progress)
    return Selection(
        recipe.codename,
        architecture,
        releases[0].date,
        tuple(sorted({one.signer for one in releases})),
        tuple(f"{one.suite.uri} {one.suite.suite}" for one in releases),
        choose(recipe, known),
    )


def from_lock(recipe: Recipe, lock: Lock) -> Selection:
    """What the lock holds; raises `InvalidArgument` where the recipe wishes something else."""
    wished = (recipe.name, recipe.variant, sorted(recipe.packages), host_architecture())
    locked = (lock.name, lock.variant, sorted(lock.packages), lock.architecture)
    for ours, theirs, what in zip(wished, locked, ("base", "variant", "packages", "architecture"), strict=True):
        if ours != theirs:
            raise InvalidArgument(
                f"bootstrap {recipe.name}: the lock is for the {what} {theirs!r}, asked for is {ours!r}",
                hint="ask for what the lock holds, or write a new one with --lock",
            )
    return Selection(
        lock.codename, lock.architecture, lock.date, tuple(lock.signers), tuple(lock.sources), lock.stages()
    )


def keys_of(keyring: str) -> dict[str, Key]:
    path = Path(keyring or KEYRING)
    try:
        return require_keys(path.read_bytes(), str(path))
    except OSError as error:
        raise NotFound(f"read the keyring {path}: {error.strerror}", hint="give one with --keyring FILE") from None


def host_architecture() -> str:
    machine = platform.machine()
    if machine not in ARCHITECTURES:
        raise InvalidArgument(f"bootstrap: no packages are known for the machine {machine}")
    return ARCHITECTURES[machine]


def read_packages(releases: list[Release], architecture: str, cache: Cache, progress: Progress) -> dict[str, Package]:
    def every() -> Iterator[Package]:
        for release in releases:
            for component in release.suite.components:
                progress(f"{release.suite.suite} {component} packages")
                yield from parse_packages(fetch_index(release, component, architecture, cache), release.suite.uri)

    return newest(every())


def choose(recipe: Recipe, known: dict[str, Package]) -> tuple[tuple[Package, ...], ...]:
    if recipe.distribution == "debian" and recipe.variant == "minbase":
        base = variants.minbase(known)
        chosen = closure([*base, *recipe.packages], known)
        inner = closure(base, {one.name: one for one in chosen})
        return stages(chosen, frozenset(one.name for one in inner))
    names = ["busybox-static", *recipe.packages]
    if recipe.distribution == "debian":
        names = variants.wanted(recipe.variant, recipe.packages, frozenset(known))
    leaves = frozenset(variants.ACCOUNTS) - set(recipe.packages)
    return (tuple(closure(names, known, without=variants.SCRIPT_ONLY, leaves=leaves)),)


def fetch(selection: Selection, cache: Cache, mirror: str, progress: Progress) -> dict[str, Path]:
    """Each package's file by its name: from the cache, from `mirror` if one is named, from where it was found."""
    packages = selection.packages

    def places(one: Package) -> list[str]:
        path = one.url.removeprefix(selection.mirror_of(one))
        return list(dict.fromkeys([*([mirror.rstrip("/") + path] if mirror else []), one.url]))

    wanted = [(places(one), one.sha256, one.size) for one in packages]
    try:
        paths = cache.get_all(wanted, progress)
    except NotFound as error:
        raise NotFound(
            error.message,
            hint="the archive has replaced it: make a new selection (without --locked), or name a snapshot of the "
            f"archive of {time.strftime('%Y-%m-%d', time.gmtime(selection.date))} with --mirror URL",
        ) from None
    return {one.name: path for one, path in zip(packages, paths, strict=True)}
