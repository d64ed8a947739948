"""`corten image bootstrap`: a base image from a distribution's packages, without a hub.

The image is made here, by this process and user, and then loaded into the engine like any archive: it needs no
root, and works with an engine elsewhere.
"""

from __future__ import annotations

from corten.cli.archives import chunks_of, write_output
from corten.cli.flags import text, texts
from corten.cli.progress import show_progress
from corten.cli.table import Command
from corten.cli.values import csv

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from corten.cli.flags import Options
    from corten.cli.session import Session

__all__ = ["BOOTSTRAP"]


def _run(session: Session, options: Options, words: list[str]) -> int:
    from pathlib import Path

    from corten.cli.image.scripts import run
    from corten.images.bootstrap import Recipe, lock, make

    recipe = Recipe(
        words[0],
        variant=options.text("variant"),
        packages=tuple(options.texts("packages")),
        tag=options.text("tag"),
        mirror=options.text("mirror"),
        keyring=options.text("keyring"),
    )
    locked = lock.read(Path(options.text("locked"))) if options.text("locked") else None
    result = make(recipe, progress=session.warn, locked=locked, run=run)
    if path := options.text("lock"):
        lock.write(result.lock, Path(path))
    if path := options.text("sbom"):
        Path(path).write_bytes(result.sbom)
    _deliver(session, options.text("output"), result.image)
    return 0


def _deliver(session: Session, path: str, image: Any) -> None:
    """Write the image's archive to a file, or load it into the engine."""
    import os
    import tempfile

    from corten.images.bootstrap import archive

    with tempfile.TemporaryFile() as file:
        archive.write(image, file)
        file.flush()
        os.lseek(file.fileno(), 0, os.SEEK_SET)
        if path:
            write_output(chunks_of(file.fileno()), path)
            return
        chunks = chunks_of(file.fileno())
        headers = {"Content-Type": "application/x-tar"}
        answer = session.engine.request("POST", "/images/load", query={"quiet": "1"}, body=chunks, headers=headers)
        show_progress(answer.check())


BOOTSTRAP = Command(
    "image bootstrap",
    "[OPTIONS] NAME",
    "Make a base image from a distribution's signed packages",
    _run,
    least=1,
    most=1,
    about=(
        "Make a base image from a distribution's packages: `busybox`, or `debian:SUITE`.\n"
        "Signature and hashes are verified; no hub is needed; two runs give the same digest.\n\n"
        "The variants static and base need no root: packages are laid out, their scripts do not run.\n"
        "minbase is what debootstrap makes of it: required packages and apt, installed by their own dpkg in\n"
        "containers without network; it needs root, or subordinate ids (/etc/subuid).\n\n"
        "An SPDX document of all packages lies in the image at /var/lib/db/sbom/corten.spdx.json."
    ),
    flags=(
        text("keyring", "", "Keyring that must have signed the archive, in place of the shipped one"),
        text("lock", "", "Write the exact packages to this file, for --locked", kind="file"),
        text("locked", "", "Take exactly the packages of this file, whatever is newer", kind="file"),
        text("mirror", "", "Mirror to take the packages from"),
        text("output", "o", "Write the archive to this file instead of loading it"),
        texts("packages", "", "Further packages to put in", kind="strings", read=csv),
        text("sbom", "", "Write the SPDX document to this file as well", kind="file"),
        text("tag", "t", "Name of the image"),
        text("variant", "", "How much to put in: static, base or minbase", "base"),
    ),
)
