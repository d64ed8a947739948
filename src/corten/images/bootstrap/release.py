"""A suite's `InRelease`: signed, it names the SHA-256 and size of each index.

<https://wiki.debian.org/DebianRepository/Format>: Date, Valid-Until, Architectures, SHA256.
"""

import calendar
import email.utils
import lzma
from typing import NamedTuple

from corten.images.bootstrap.fetch import Cache, read_url
from corten.images.bootstrap.openpgp import Key, split_clearsigned, verify
from corten.images.bootstrap.sources import Suite
from corten.model.errors import DataLoss, NotFound

__all__ = ["Release", "fetch_index", "fetch_release"]


class Release(NamedTuple):
    """A verified release: `date` is its Unix time, `indexes` maps a path below the suite to (sha256, size)."""

    suite: Suite
    signer: str
    date: int
    version: str
    codename: str
    indexes: dict[str, tuple[str, int]]


def fetch_release(suite: Suite, keys: dict[str, Key], *, now: int) -> Release:
    """Fetch and verify the suite's `InRelease`; raises `DataLoss` when unsigned, wrongly signed or past Valid-Until."""
    url = f"{suite.uri}/dists/{suite.suite}/InRelease"
    text, signatures = split_clearsigned(read_url(url))
    signer = verify(text, signatures, keys, now=now)
    return parse_release(suite, text.decode(), signer, now=now)


def parse_release(suite: Suite, text: str, signer: str, *, now: int) -> Release:
    fields: dict[str, str] = {}
    key = ""
    for line in text.replace("\r\n", "\n").split("\n"):
        if line.startswith(" "):
            fields[key] += line + "\n"
        elif ":" in line:
            key, _, value = line.partition(":")
            fields[key] = value.strip()
    if "Valid-Until" in fields and unix_time(fields["Valid-Until"]) < now:
        raise DataLoss(
            f"read the release {suite.suite}: it was valid until {fields['Valid-Until']}",
            hint="the mirror is out of date, or this machine's clock is wrong",
        )
    rows = (line.split() for line in fields.get("SHA256", "").splitlines())
    indexes = {row[2]: (row[0], int(row[1])) for row in rows if len(row) == 3}
    if not indexes:
        raise DataLoss(f"read the release {suite.suite}: it carries no SHA256 list")
    names = fields.get("Version", ""), fields.get("Codename", "")
    return Release(suite, signer, unix_time(fields["Date"]), *names, indexes)


def unix_time(text: str) -> int:
    parsed = email.utils.parsedate(text)
    if not parsed:
        raise DataLoss(f"read the release: {text!r} is not a date")
    return calendar.timegm(parsed)


def fetch_index(release: Release, component: str, architecture: str, cache: Cache) -> str:
    """The verified text of one `Packages` index."""
    path = f"{component}/binary-{architecture}/Packages.xz"
    if path not in release.indexes:
        raise NotFound(f"read {release.suite.suite}: it has no {path}", hint="is the architecture right?")
    sha256, size = release.indexes[path]
    by_hash = f"{path.rpartition('/')[0]}/by-hash/SHA256/{sha256}"
    base = f"{release.suite.uri}/dists/{release.suite.suite}"
    file = cache.get((f"{base}/{by_hash}", f"{base}/{path}"), sha256, size)
    return lzma.decompress(file.read_bytes()).decode()
