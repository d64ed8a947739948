"""`corten pull`, `push` and `search`: asking the engine to talk to registries."""

from __future__ import annotations

from corten.cli.container.ps import FORMAT
from corten.cli.flags import number, switch, text, texts
from corten.cli.human import shortened
from corten.cli.image.ls import platform_object
from corten.cli.image.names import canonical, registry_of, split_reference
from corten.cli.listing import Listing
from corten.cli.progress import show_progress
from corten.cli.table import Command, Fault
from corten.cli.values import filter_pair, filters

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from corten.cli.flags import Options
    from corten.cli.session import Session

__all__ = ["PULL", "PUSH", "SEARCH", "pull_image"]


def _auth(name: str) -> dict[str, str]:
    from corten.cli.image.login import auth_header

    return {"X-Registry-Auth": auth_header(registry_of(name))}


def pull_image(
    session: Session,
    name: str,
    *,
    platform: str = "",
    quiet: bool = False,
    to_stderr: bool = False,
    every: bool = False,
) -> None:
    """Fetch an image and show how it goes."""
    repository, tag = split_reference(name)
    query = {"fromImage": repository, "tag": "" if every else (tag or "latest"), "platform": platform or None}
    answer = session.engine.request("POST", "/images/create", query=query, headers=_auth(name)).check()
    show_progress(answer, to_stderr=to_stderr, quiet=quiet)


def _settled(session: Session, options: Options, name: str) -> str:
    """The name with its tag: `latest`, said aloud, when it has none; without one when every tag is meant."""
    repository, tag = split_reference(name)
    if options.on("all-tags"):
        if tag:
            raise Fault("tag can't be used with --all-tags/-a")
        return name
    if tag:
        return name
    if not options.on("quiet"):
        session.say("Using default tag: latest")
    return f"{repository}:latest"


def _pull(session: Session, options: Options, words: list[str]) -> int:
    name = _settled(session, options, words[0])
    every, quiet = options.on("all-tags"), options.on("quiet")
    pull_image(session, name, platform=options.text("platform"), quiet=quiet, every=every)
    session.say(canonical(name))
    return 0


_TRUST = switch("disable-content-trust", "", "Skip the verification of the image", default=True, hidden=True)
_PLATFORM = text("platform", "", "Platform to choose from an image for several")

PULL = Command(
    "pull, image pull",
    "[OPTIONS] NAME[:TAG|@DIGEST]",
    "Fetch an image from a registry",
    _pull,
    least=1,
    most=1,
    completes="image",
    flags=(
        switch("all-tags", "a", "Fetch every tag of the repository"),
        _TRUST,
        _PLATFORM,
        switch("quiet", "q", "Print only the image's full name"),
    ),
)


def _push(session: Session, options: Options, words: list[str]) -> int:
    name, quiet = _settled(session, options, words[0]), options.on("quiet")
    repository, tag = split_reference(name)
    query = {"tag": tag or None, "platform": platform_object(options.text("platform"))}
    answer = session.engine.request("POST", f"/images/{repository}/push", query=query, headers=_auth(name)).check()
    show_progress(answer, quiet=quiet)
    if quiet:
        session.say(canonical(name))
    return 0


PUSH = Command(
    "push, image push",
    "[OPTIONS] NAME[:TAG]",
    "Send an image to a registry",
    _push,
    least=1,
    most=1,
    completes="image",
    flags=(
        switch("all-tags", "a", "Send every tag of the repository"),
        _TRUST,
        text("platform", "", "Send one platform of an image for several: OS/ARCH[/VARIANT]"),
        switch("quiet", "q", "Print only the image's full name"),
    ),
)


def _description(row: Any, *, full: bool) -> str:
    plain = str(row.get("description", "")).replace("\n", " ").replace("\r", " ")
    return plain if full else shortened(plain, 45)


def _search(session: Session, options: Options, words: list[str]) -> int:
    query = {
        "term": words[0],
        "limit": str(options.number("limit")) if options.number("limit") else None,
        "filters": filters(options.texts("filter")),
    }
    answer = session.engine.request("GET", "/images/search", query=query, headers=_auth(words[0]))
    full = options.on("no-trunc")
    listed = Listing(
        "*registry.searchContext",
        {
            "Name": ("NAME", lambda row: row["name"]),
            "Description": ("DESCRIPTION", lambda row: _description(row, full=full)),
            "StarCount": ("STARS", lambda row: str(row["star_count"])),
            "IsOfficial": ("OFFICIAL", lambda row: "[OK]" if row["is_official"] else ""),
        },
    )
    listed.print(answer.json(), ["Name", "Description", "StarCount", "IsOfficial"], form=options.text("format"))
    return 0


SEARCH = Command(
    "search",
    "[OPTIONS] TERM",
    "Search Docker Hub for images",
    _search,
    least=1,
    most=1,
    flags=(
        texts(
            "filter", "f", "Only those that meet a condition, such as is-official=true", kind="filter", read=filter_pair
        ),
        FORMAT,
        number("limit", "", "Most results"),
        switch("no-trunc", "", "Cut nothing short"),
    ),
)
