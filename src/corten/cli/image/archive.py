"""`corten save`, `load` and `import`: images as tar archives."""

from __future__ import annotations

from corten.cli.archives import chunks_of, open_input, output_fault, write_output
from corten.cli.flags import switch, text, texts
from corten.cli.image.ls import platform_object
from corten.cli.image.names import check_name
from corten.cli.progress import show_progress
from corten.cli.table import MANY, Command, Fault

TYPE_CHECKING = False
if TYPE_CHECKING:
    from corten.cli.flags import Options
    from corten.cli.session import Session

__all__ = ["IMPORT", "LOAD", "SAVE"]

_TAR = {"Content-Type": "application/x-tar"}


def _save(session: Session, options: Options, names: list[str]) -> int:
    path = options.text("output")
    if reason := output_fault(session, path, "save image"):
        raise Fault(reason)
    platforms = [found for item in options.texts("platform") if (found := platform_object(item))]
    query = {"names": names, "platform": platforms or None}
    answer = session.engine.request("GET", "/images/get", query=query).check()
    write_output(answer.chunks(), path)
    return 0


SAVE = Command(
    "save, image save",
    "[OPTIONS] IMAGE [IMAGE...]",
    "Write images as a tar archive",
    _save,
    least=1,
    most=MANY,
    completes="image",
    flags=(
        text("output", "o", "File to write to, in place of stdout"),
        texts("platform", "", "Save one platform of an image for several: OS/ARCH[/VARIANT]", kind="strings"),
    ),
)


def _load(session: Session, options: Options, _: list[str]) -> int:
    path = options.text("input")
    if not path and session.terminal_in():
        raise Fault("requested load from stdin, but stdin is empty")
    descriptor = open_input(path) if path else 0
    platforms = [found for item in options.texts("platform") if (found := platform_object(item))]
    quiet = options.on("quiet") or not session.terminal_out()
    query = {"quiet": "1" if quiet else "0", "platform": platforms or None}
    answer = session.engine.request("POST", "/images/load", query=query, body=chunks_of(descriptor), headers=_TAR)
    show_progress(answer.check())
    return 0


LOAD = Command(
    "load, image load",
    "[OPTIONS]",
    "Take images from a tar archive",
    _load,
    flags=(
        text("input", "i", "File to read from, in place of stdin"),
        texts("platform", "", "Load one platform of an image for several: OS/ARCH[/VARIANT]", kind="strings"),
        switch("quiet", "q", "Do not show the progress"),
    ),
)


def _import(session: Session, options: Options, words: list[str]) -> int:
    source, name = words[0], words[1] if len(words) > 1 else ""
    check_name(name)
    is_url = source.startswith(("http://", "https://"))
    body = None if is_url else chunks_of(0 if source == "-" else open_input(source))
    query = {
        "fromSrc": source if is_url else "-",
        "repo": name or None,
        "message": options.text("message") or None,
        "changes": options.texts("change") or None,
        "platform": options.text("platform") or None,
    }
    answer = session.engine.request("POST", "/images/create", query=query, body=body, headers=_TAR).check()
    show_progress(answer)
    return 0


IMPORT = Command(
    "import, image import",
    "[OPTIONS] file|URL|- [REPOSITORY[:TAG]]",
    "Make an image of a filesystem's tar archive",
    _import,
    least=1,
    most=MANY,
    flags=(
        texts("change", "c", "Dockerfile instruction to apply to the image"),
        text("message", "m", "Comment to keep with it"),
        text("platform", "", "Platform that the files are for"),
    ),
)
