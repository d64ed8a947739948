"""`corten manifest inspect`, `create`, `annotate`, `push` and `rm`.

A list is put together on this machine (`kept`) from images that a registry has already, and then pushed as one name.
"""

from __future__ import annotations

import sys

from corten.cli.flags import switch, text, texts
from corten.cli.table import MANY, Command, Fault
from corten.cli.values import csv

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from corten.cli.flags import Options
    from corten.cli.session import Session
    from corten.model.reference import Reference
    from corten.remote import Repository

__all__ = ["ANNOTATE", "CREATE", "INSPECT", "PUSH", "RM"]

INDENT = "   "
# The pairs that Go knows, and Docker's command line therefore takes.
_ARCHITECTURES = {
    "darwin": "386 amd64 arm arm64",
    "dragonfly": "amd64",
    "freebsd": "386 amd64 arm",
    "linux": "386 amd64 arm arm64 ppc64le mips64 mips64le riscv64 s390x",
    "netbsd": "386 amd64 arm",
    "openbsd": "386 amd64 arm",
    "plan9": "386 amd64",
    "solaris": "amd64",
    "windows": "386 amd64 arm arm64",
}
_INSECURE = switch("insecure", "", "Allow plain HTTP and bad certificates")


def _parsed(name: str, what: str = "") -> Reference:
    from corten.model.errors import InvalidArgument
    from corten.model.reference import Reference

    try:
        return Reference.parse(name)
    except InvalidArgument as error:
        raise Fault(f"{what}{error.message}", hint=error.hint) from None


# inspect


def _inspect(session: Session, options: Options, words: list[str]) -> int:
    from corten.cli.manifest import kept, origin
    from corten.wire.codec import dumps_indented

    verbose, insecure = options.on("verbose"), options.on("insecure")
    if len(words) == 2:
        within, name = _parsed(words[0]), _parsed(words[1])
        if not (found := kept.member(name, within)):
            raise Fault(f"No such manifest: {name}")
        return _show_one(session, found, verbose=verbose)
    name = _parsed(words[0])
    entries = kept.kept(name)
    is_list = bool(entries)
    if not is_list:
        is_list, entries = origin.members(name, insecure=insecure)
    if not is_list:
        return _show_one(session, entries[0], verbose=verbose)
    session.say(dumps_indented(entries, "\t") if verbose else _text_of(entries))
    return 0


def _show_one(session: Session, one: dict[str, Any], *, verbose: bool) -> int:
    from corten.cli.manifest.entry import raw_of
    from corten.wire.codec import dumps_indented, indent

    session.say(dumps_indented(one, "\t") if verbose else indent(raw_of(one).decode(), "\t"))
    return 0


def _text_of(entries: list[dict[str, Any]]) -> str:
    """The bytes of a list, which its digest depends on: indented by three, as Docker's are."""
    from corten.cli.manifest.entry import list_of
    from corten.wire.codec import dumps_indented

    return dumps_indented(list_of(entries), INDENT)


INSPECT = Command(
    "manifest inspect",
    "[OPTIONS] [MANIFEST_LIST] MANIFEST",
    "Show a manifest, or a list of them",
    _inspect,
    least=1,
    most=2,
    about="Show a manifest or a list of them: one under way here, else what the registry has.",
    flags=(_INSECURE, switch("verbose", "v", "Show platforms and layers of every member")),
)


# create


def _create(session: Session, options: Options, words: list[str]) -> int:
    from corten.cli.manifest import kept, origin

    target = _parsed(words[0], f"error parsing name for manifest list {words[0]}: ")
    members = [_parsed(word) for word in words[1:]]
    if kept.kept(target) and not options.on("amend"):
        raise Fault("refusing to amend an existing manifest list with no --amend flag")
    for one in members:
        found = kept.member(one, target) or origin.single(one, insecure=options.on("insecure"))
        kept.keep(one, target, found)
    session.say(f"Created manifest list {target}")
    return 0


CREATE = Command(
    "manifest create",
    "MANIFEST_LIST MANIFEST [MANIFEST...]",
    "Begin a list of images for several platforms",
    _create,
    least=2,
    most=MANY,
    about="Begin a list of images that a registry has; `annotate` corrects it, `push` sends it.",
    flags=(switch("amend", "a", "Add to a list that is under way"), _INSECURE),
)


# annotate


def _annotate(_: Session, options: Options, words: list[str]) -> int:
    from corten.cli.manifest import kept
    from corten.cli.manifest.entry import platform_of

    target = _parsed(words[0], f"annotate: error parsing name for manifest list {words[0]}: ")
    name = _parsed(words[1], f"annotate: error parsing name for manifest {words[1]}: ")
    found = kept.member(name, target)
    if not found:
        raise Fault(f"manifest for image {words[1]} does not exist in {words[0]}")
    platform = dict(found["Descriptor"].get("platform") or {})
    for key, flag in (("os", "os"), ("architecture", "arch"), ("variant", "variant"), ("os.version", "os-version")):
        if value := options.text(flag):
            platform[key] = value
    features = [*(platform.get("os.features") or []), *options.texts("os-features")]
    platform["os.features"] = list(dict.fromkeys(features))
    if platform.get("architecture") not in _ARCHITECTURES.get(platform.get("os", ""), "").split():
        pair = f"{options.text('os')}/{options.text('arch')}"
        raise Fault(f"manifest entry for image has unsupported os/arch combination: {pair}")
    found["Descriptor"]["platform"] = platform_of(platform)
    kept.keep(name, target, found)
    return 0


ANNOTATE = Command(
    "manifest annotate",
    "[OPTIONS] MANIFEST_LIST MANIFEST",
    "Correct the platform of a member of a list",
    _annotate,
    least=2,
    most=2,
    flags=(
        text("arch", "", "Architecture"),
        text("os", "", "Operating system"),
        texts("os-features", "", "Features of the operating system", kind="strings", read=csv),
        text("os-version", "", "Version of the operating system"),
        text("variant", "", "Variant of the architecture"),
    ),
)


# push


def _push(session: Session, options: Options, words: list[str]) -> int:
    from corten.cli.manifest import kept, origin
    from corten.cli.manifest.entry import list_of

    target = _parsed(words[0])
    entries = kept.kept(target)
    if not entries:
        raise Fault(f"No such manifest: {target}")
    sources = [_parsed(one["Ref"]) for one in entries]
    for one, source in zip(entries, sources, strict=True):
        _check_member(one, source, target)
    with origin.repository(target, insecure=options.on("insecure")) as remote:
        for one, source in zip(entries, sources, strict=True):
            if source.path != target.path:
                _push_member(session, remote, one, source)
        listed = list_of(entries)
        digest = remote.push_manifest(str(target.tag), listed["mediaType"], _text_of(entries).encode())
    session.say(str(digest))
    if options.on("purge"):
        kept.forget(target)
    return 0


def _check_member(one: dict[str, Any], source: Reference, target: Reference) -> None:
    if source.domain != target.domain:
        raise Fault(
            f"cannot use source images from a different registry than the target image: "
            f"{source.domain} != {target.domain}"
        )
    platform = one["Descriptor"].get("platform") or {}
    if not platform.get("os") or not platform.get("architecture"):
        raise Fault(
            f"manifest {source} must have an OS and Architecture to be pushed to a registry",
            hint="name them with: corten manifest annotate",
        )


def _push_member(session: Session, remote: Repository, one: dict[str, Any], source: Reference) -> None:
    """A member of another repository: its blobs are mounted there, its manifest sent."""
    from corten.cli.manifest.entry import document_of, raw_of
    from corten.model.digest import Digest

    document = document_of(one)
    for blob in (document["config"], *document["layers"]):
        digest = Digest(blob["digest"])
        if not remote.has_blob(digest) and remote.mount_blob(digest, source):
            raise Fault(
                f"cannot mount {digest} from {source.familiar_name}: the registry does not share blobs between "
                "repositories",
                hint=f"push the image to {remote.reference.familiar_name} first",
            )
    described = one["Descriptor"]
    digest = remote.push_manifest(described["digest"], described["mediaType"], raw_of(one))
    session.say(f"Pushed ref {remote.reference.name}@{digest} with digest: {digest}")


PUSH = Command(
    "manifest push",
    "[OPTIONS] MANIFEST_LIST",
    "Send a list to the registry of its name",
    _push,
    least=1,
    most=1,
    flags=(_INSECURE, switch("purge", "p", "Forget the list here once it was sent")),
)


# rm


def _rm(_: Session, __: Options, words: list[str]) -> int:
    from corten.cli.manifest import kept

    status = 0
    for word in words:
        name = _parsed(word)
        if not kept.forget(name):
            sys.stderr.write(f"No such manifest: {name}\n")
            status = 1
    return status


RM = Command(
    "manifest rm",
    "MANIFEST_LIST [MANIFEST_LIST...]",
    "Forget lists that are under way here",
    _rm,
    least=1,
    most=MANY,
)
