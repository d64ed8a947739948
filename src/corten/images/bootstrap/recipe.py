"""One bootstrap from wish to image: the stations of this package in order."""

import os
import platform
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from corten.images.bootstrap import deb, variants
from corten.images.bootstrap.archive import Image, image
from corten.images.bootstrap.fetch import Cache
from corten.images.bootstrap.index import Package, newest, parse_packages
from corten.images.bootstrap.openpgp import Key, require_keys
from corten.images.bootstrap.release import Release, fetch_index, fetch_release
from corten.images.bootstrap.rootfs import Rootfs
from corten.images.bootstrap.solve import closure
from corten.images.bootstrap.sources import Suite, suites
from corten.model.errors import InvalidArgument, NotFound

__all__ = ["Recipe", "Result", "make"]

KEYRING = Path(__file__).with_name("debian-archive-keyring.gpg")
BUSYBOX_SUITE = "bookworm"
ARCHITECTURES = {"x86_64": ("amd64", "amd64"), "aarch64": ("arm64", "arm64")}


class Recipe(NamedTuple):
    """What is wished: `name` is ``busybox`` or ``debian:CODENAME``; empty fields take the host's own."""

    name: str
    variant: str = "base"
    packages: tuple[str, ...] = ()
    tag: str = ""
    mirror: str = ""
    keyring: str = ""


class Result(NamedTuple):
    """The image, with the packages it holds and the keys that vouch for them."""

    image: Image
    packages: tuple[Package, ...]
    signers: tuple[str, ...]


def make(recipe: Recipe, *, cache: Path | None = None, progress: Callable[[str], None] = lambda _: None) -> Result:
    """Fetch, verify and lay out the image of `recipe`; needs no root and writes only below `cache`.

    Raises `NotFound` for an unknown package, `DataLoss` for anything whose signature or hash is wrong,
    `FailedPrecondition` when no mirror is known, `Unavailable` when it does not answer.
    """
    distribution, _, codename = recipe.name.partition(":")
    if distribution not in ("busybox", "debian") or (distribution == "debian" and not codename):
        raise InvalidArgument(f"bootstrap {recipe.name}: unknown base", hint="one of: busybox, debian:CODENAME")
    store = Cache(cache or default_cache())
    releases = read_releases(recipe, codename or BUSYBOX_SUITE, progress)
    architecture = host_architecture()
    known = read_packages(releases, architecture, store, progress)
    chosen = choose(recipe, distribution, known)
    paths = store.get_all([(one.url, one.sha256, one.size) for one in chosen], progress)
    root = lay_out(distribution, releases, chosen, paths)
    tag = recipe.tag or (recipe.name if codename else f"{distribution}:latest")
    made = image(
        root.tar(),
        tag if ":" in tag.rpartition("/")[2] else f"{tag}:latest",
        architecture=architecture,
        date=root.date,
        created_by=f"corten image bootstrap {recipe.name}",
        settings=settings(root),
    )
    return Result(made, tuple(chosen), tuple(sorted({one.signer for one in releases})))


def default_cache() -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(home) / "corten" / "packages"


def host_architecture() -> str:
    machine = platform.machine()
    if machine not in ARCHITECTURES:
        raise InvalidArgument(f"bootstrap: no packages are known for the machine {machine}")
    return ARCHITECTURES[machine][0]


def read_releases(recipe: Recipe, codename: str, progress: Callable[[str], None]) -> list[Release]:
    releases = []
    for suite in suites(codename, recipe.mirror or os.environ.get("CORTEN_DEBIAN_MIRROR", "")):
        progress(f"{suite.suite} InRelease")
        releases.append(fetch_release(suite, keys_for(recipe, suite), now=int(time.time())))
    return releases


def keys_for(recipe: Recipe, suite: Suite) -> dict[str, Key]:
    path = Path(recipe.keyring or suite.keyring or KEYRING)
    try:
        return require_keys(path.read_bytes(), str(path))
    except OSError as error:
        raise NotFound(f"read the keyring {path}: {error.strerror}", hint="give one with --keyring FILE") from None


def read_packages(
    releases: list[Release], architecture: str, cache: Cache, progress: Callable[[str], None]
) -> dict[str, Package]:
    def every() -> Iterator[Package]:
        for release in releases:
            for component in release.suite.components:
                progress(f"{release.suite.suite} {component} packages")
                yield from parse_packages(fetch_index(release, component, architecture, cache), release.suite.uri)

    return newest(every())


def choose(recipe: Recipe, distribution: str, known: dict[str, Package]) -> list[Package]:
    names = ["busybox-static", *recipe.packages]
    if distribution == "debian":
        names = variants.wanted(recipe.variant, recipe.packages, frozenset(known))
    leaves = frozenset(variants.ACCOUNTS) - set(recipe.packages)
    return closure(names, known, without=variants.SCRIPT_ONLY, leaves=leaves)


def lay_out(distribution: str, releases: list[Release], chosen: list[Package], paths: list[Path]) -> Rootfs:
    """Merge the packages' files; each package's control paragraph goes where scanners look for it."""
    root = Rootfs(releases[0].date, merged_usr=distribution != "busybox")
    for path in paths:
        with deb.files(path) as archive:
            root.add_archive(archive, variants.keep)
    if distribution == "busybox":
        variants.finish_busybox(root)
    else:
        variants.finish(root)
    for one, path in zip(chosen, paths, strict=True):
        root.add_file(f"var/lib/dpkg/status.d/{one.name}", deb.control(path).encode())
    return root


def settings(root: Rootfs) -> dict[str, Any]:
    """The image's `config`: a command only where the tree has a program that a user would expect to get."""
    programs = {"usr/bin/bash": "bash", "usr/bin/python3": "python3", "usr/bin/dash": "sh", "bin/busybox": "sh"}
    command = next((name for path, name in programs.items() if path in root.entries), "")
    return {"Env": [variants.PATH], **({"Cmd": [command]} if command else {})}
