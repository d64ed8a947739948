"""`corten diff`, `export` and `commit`: what a container has made of its image."""

from __future__ import annotations

from corten.cli.archives import output_fault, write_output
from corten.cli.flags import switch, text, texts
from corten.cli.image.names import check_name, split_reference
from corten.cli.table import Command, Fault

TYPE_CHECKING = False
if TYPE_CHECKING:
    from corten.cli.flags import Options
    from corten.cli.session import Session

__all__ = ["COMMIT", "DIFF", "EXPORT"]

_KINDS = "CAD"  # as the API numbers them: modified, added, deleted


def _diff(session: Session, _: Options, words: list[str]) -> int:
    if not words[0]:
        raise Fault("container name cannot be empty")
    changes = session.get(f"/containers/{words[0]}/changes") or []
    session.say(*(f"{_KINDS[change['Kind']]} {change['Path']}" for change in changes))
    return 0


DIFF = Command(
    "diff, container diff", "CONTAINER", "Show which files a container added, changed and deleted", _diff,
    least=1, most=1, completes="container",
)  # fmt: skip


def _export(session: Session, options: Options, words: list[str]) -> int:
    path = options.text("output")
    if reason := output_fault(session, path, "export container"):
        raise Fault(reason)
    answer = session.engine.request("GET", f"/containers/{words[0]}/export").check()
    write_output(answer.chunks(), path)
    return 0


EXPORT = Command(
    "export, container export",
    "[OPTIONS] CONTAINER",
    "Write a container's filesystem as a tar archive",
    _export,
    least=1,
    most=1,
    completes="container",
    flags=(text("output", "o", "File to write to, in place of stdout"),),
)


def _commit(session: Session, options: Options, words: list[str]) -> int:
    name = words[1] if len(words) > 1 else ""
    check_name(name)
    repository, tag = split_reference(name)
    query = {
        "container": words[0],
        "repo": repository or None,
        "tag": tag or None,
        "comment": options.text("message") or None,
        "author": options.text("author") or None,
        "pause": None if options.on("pause") and not options.on("no-pause") else "0",
        "changes": options.texts("change") or None,
    }
    session.say(session.post("/commit", query, body={}).json()["Id"])
    return 0


COMMIT = Command(
    "commit, container commit",
    "[OPTIONS] CONTAINER [REPOSITORY[:TAG]]",
    "Make an image of a container",
    _commit,
    least=1,
    most=2,
    completes="container",
    flags=(
        text("author", "a", "Who made it"),
        texts("change", "c", "Dockerfile instruction to apply to the image"),
        text("message", "m", "Comment to keep with it"),
        switch("no-pause", "", "Do not freeze the container meanwhile", hidden=True),
        switch("pause", "p", "Freeze the container meanwhile", default=True),
    ),
)
