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
    from corten.images.bootstrap import Recipe, make

    recipe = Recipe(
        words[0],
        variant=options.text("variant"),
        packages=tuple(options.texts("packages")),
        tag=options.text("tag"),
        mirror=options.text("mirror"),
        keyring=options.text("keyring"),
    )
    result = make(recipe, progress=session.warn)
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
        "Signature and hashes are verified; no root and no hub is needed; two runs give the same digest."
    ),
    flags=(
        text("keyring", "", "Keyring that must have signed the archive, in place of the shipped one"),
        text("mirror", "", "Mirror to take the packages from"),
        text("output", "o", "Write the archive to this file instead of loading it"),
        texts("packages", "", "Further packages to put in", kind="strings", read=csv),
        text("tag", "t", "Name of the image"),
        text("variant", "", "How much to put in: static or base", "base"),
    ),
)
