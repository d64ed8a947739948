"""One bootstrap from wish to image: the stations of this package in order."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from corten import __version__
from corten.images.bootstrap import deb, spdx, variants
from corten.images.bootstrap.archive import Image, image
from corten.images.bootstrap.fetch import Cache
from corten.images.bootstrap.index import Package
from corten.images.bootstrap.lock import FORM, Lock, LockedFile
from corten.images.bootstrap.minbase import Run, install
from corten.images.bootstrap.rootfs import Rootfs
from corten.images.bootstrap.selection import Recipe, Selection, fetch, from_lock, from_release
from corten.model.errors import FailedPrecondition, InvalidArgument

__all__ = ["Recipe", "Result", "make"]


class Result(NamedTuple):
    """The image, its packages, the keys that vouch for them, its SPDX document, and how to make it again."""

    image: Image
    packages: tuple[Package, ...]
    signers: tuple[str, ...]
    sbom: bytes
    lock: Lock


def make(
    recipe: Recipe,
    *,
    cache: Path | None = None,
    progress: Callable[[str], None] = lambda _: None,
    locked: Lock | None = None,
    run: Run | None = None,
) -> Result:
    """Fetch, verify and lay out the image of `recipe`; writes only below `cache` and the temporary directory.

    With `locked`, exactly its packages. `run` makes the containers in which the packages of minbase are set up; the
    other variants need none, and no root. Raises `NotFound` for an unknown package, or one that is gone, `DataLoss`
    for anything whose signature or hash is wrong, `FailedPrecondition` when no mirror is known or a locked image came
    out otherwise, `Unavailable` when a mirror does not answer.
    """
    if recipe.distribution not in ("busybox", "debian") or (recipe.name == "debian" or recipe.name.endswith(":")):
        raise InvalidArgument(f"bootstrap {recipe.name}: unknown base", hint="one of: busybox, debian:CODENAME")
    store = Cache(cache or default_cache())
    selection = from_lock(recipe, locked) if locked else from_release(recipe, store, progress)
    paths = fetch(selection, store, recipe.mirror if locked else "", progress)
    root = lay_out(recipe, selection, paths, run, progress)
    sbom = describe(recipe, selection, paths, root)
    root.add_file(spdx.PATH, sbom)
    tag = recipe.tag or (recipe.name if ":" in recipe.name else f"{recipe.name}:latest")
    made = image(
        root.tar(),
        tag if ":" in tag.rpartition("/")[2] else f"{tag}:latest",
        architecture=selection.architecture,
        date=root.date,
        created_by=f"corten image bootstrap {recipe.name}",
        settings=settings(root),
    )
    if locked:
        check_same(made, locked, progress)
    return Result(made, selection.packages, selection.signers, sbom, lock_of(recipe, selection, made))


def default_cache() -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(home) / "corten" / "packages"


def lay_out(
    recipe: Recipe, selection: Selection, paths: dict[str, Path], run: Run | None, progress: Callable[[str], None]
) -> Rootfs:
    """The image's files. What dpkg has not installed says so where scanners look for it: in status.d."""
    if recipe.distribution == "debian" and recipe.variant == "minbase":
        if run is None:
            raise FailedPrecondition(
                "bootstrap minbase: its packages are set up in containers, and none can be made here"
            )
        return install(selection, paths, run, progress)
    root = Rootfs(selection.date, merged_usr=recipe.distribution != "busybox")
    for one in selection.packages:
        with deb.files(paths[one.name]) as archive:
            root.add_archive(archive, variants.keep)
    if recipe.distribution == "busybox":
        variants.finish_busybox(root)
    else:
        variants.finish(root)
    for one in selection.packages:
        root.add_file(f"var/lib/dpkg/status.d/{one.name}", deb.control(paths[one.name]).encode())
    return root


def describe(recipe: Recipe, selection: Selection, paths: dict[str, Path], root: Rootfs) -> bytes:
    """The SPDX document. A busybox image has dropped its copyright file, so that is read from the package."""
    names = [one.name for one in selection.packages]
    controls = {name: deb.control(paths[name]) for name in names}
    copyrights = {name: copyright_of(root, name) for name in names}
    missing = (name for name, text in copyrights.items() if not text)
    copyrights |= {name: deb.text(paths[name], f"usr/share/doc/{name}/copyright") for name in missing}
    contents = spdx.Contents(recipe.name, selection.codename, selection.date, selection.packages, controls, copyrights)
    return spdx.document(contents)


def copyright_of(root: Rootfs, name: str) -> str:
    """A package's copyright file; one of several of a source may share the directory of another."""
    shared = root.entries.get(f"usr/share/doc/{name}")
    owner = shared.linkname.strip("/").rpartition("/")[2] if shared and shared.issym() else name
    return root.read(f"usr/share/doc/{owner}/copyright").decode("utf-8", "replace")


def settings(root: Rootfs) -> dict[str, Any]:
    """The image's `config`: a command only where the tree has a program that a user would expect to get."""
    programs = {
        "usr/bin/bash": "bash",
        "bin/bash": "bash",
        "usr/bin/python3": "python3",
        "usr/bin/dash": "sh",
        "bin/busybox": "sh",
    }
    command = next((name for path, name in programs.items() if path in root.entries), "")
    return {"Env": [variants.PATH], **({"Cmd": [command]} if command else {})}


def lock_of(recipe: Recipe, selection: Selection, made: Image) -> Lock:
    files = []
    for number, stage in enumerate(selection.stages):
        for one in stage:
            uri = selection.mirror_of(one)
            path = one.url.removeprefix(uri + "/")
            files.append(
                LockedFile(one.name, one.version, one.architecture, uri, path, one.size, one.sha256, stage=number)
            )
    return Lock(
        form=FORM,
        corten=__version__,
        name=recipe.name,
        variant=recipe.variant,
        packages=sorted(recipe.packages),
        architecture=selection.architecture,
        codename=selection.codename,
        date=selection.date,
        signers=list(selection.signers),
        sources=list(selection.sources),
        image=made.id,
        files=files,
    )


def check_same(made: Image, locked: Lock, progress: Callable[[str], None]) -> None:
    """The same packages must give the same image; another version of Corten may lay them out otherwise."""
    if made.id == locked.image:
        return
    if locked.corten != __version__:
        progress(f"warning: the packages are the locked ones, but Corten {locked.corten} made {locked.image} of them")
        return
    raise FailedPrecondition(
        f"bootstrap {locked.name}: the locked packages gave {made.id}, the lock says {locked.image}",
        hint="the lock was changed by hand, or a script of a package gives another result each time",
    )
