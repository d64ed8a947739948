"""The address of a git repository, as contexts and ADD name it: ``https://host/path.git#REF:DIRECTORY``.

>>> parse("https://example.com/app.git#v1:src")
Repository(url='https://example.com/app.git', ref='v1', directory='src')
>>> parse("git@example.com:team/app.git").url
'git@example.com:team/app.git'
>>> parse("https://example.com/app.tar.gz")

What follows `#` goes to a program's command line, so it is checked here: neither a reference nor an address begins with
a dash (CVE-2019-13139).
"""

import re
from typing import NamedTuple
from urllib.parse import urlsplit

from corten.model.errors import InvalidArgument

__all__ = ["Repository", "parse", "redacted"]

SCP = re.compile(r"[A-Za-z0-9_][\w.-]*@[A-Za-z0-9][\w.-]*:[^\s:-][^\s]*")
# gitrevisions(7) and git-check-ref-format(1): nothing here that means more than a name.
REF = re.compile(r"[^\s~^:?*\[\\\x00-\x20\x7f+-][^\s~^:?*\[\\\x00-\x20\x7f]*")
CREDENTIALS = re.compile(r"//[^/@\s]+@")


class Repository(NamedTuple):
    """`ref` is a branch, a tag or a commit ("" for what HEAD is there), `directory` the part that is wanted."""

    url: str
    ref: str = ""
    directory: str = ""


def parse(address: str) -> Repository | None:
    """The repository that an address names, None when it names none; InvalidArgument for a hostile reference."""
    url, _, fragment = address.partition("#")
    if url.startswith("github.com/"):
        url = f"https://{url}"
    if not is_repository(url):
        return None
    ref, _, directory = fragment.partition(":")
    if ref and (not REF.fullmatch(ref) or ".." in ref):
        raise InvalidArgument(
            f"invalid git reference {ref!r}", hint="write URL#BRANCH, #TAG or #COMMIT, then :DIRECTORY"
        )
    return Repository(url, ref, directory.strip("/"))


def is_repository(url: str) -> bool:
    if url.startswith(("git://", "ssh://")):
        parts = urlsplit(url)
        host = parts.hostname or "-"
        return not host.startswith("-") and len(parts.path) > 1
    if url.startswith(("http://", "https://")):
        return urlsplit(url).path.endswith(".git") or url.startswith("https://github.com/")
    return bool(SCP.fullmatch(url))


def redacted(text: str) -> str:
    """`text` without the credentials of the addresses in it."""
    return CREDENTIALS.sub("//***@", text)
