"""ADD from an address: one file over http or https, or the files of a git repository."""

import hashlib
import os
import posixpath
import time
import urllib.error
import urllib.request
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit

from corten.build import git, repository
from corten.build.graph import Fetch
from corten.model.cancel import Cancel
from corten.model.digest import Digest
from corten.model.errors import DataLoss, InvalidArgument, NotFound, ResourceExhausted, Unavailable

__all__ = ["download", "fetch"]

CHUNK = 1 << 20
LIMIT = 16 << 30
TIMEOUT = 60.0


class SameKind(urllib.request.HTTPRedirectHandler):
    """Redirects only to http and https: an answer must not send us to a file of the host."""

    def redirect_request(self, request, file, code, message, headers, address):  # type: ignore[no-untyped-def]
        check(address)
        return super().redirect_request(request, file, code, message, headers, address)


def fetch(op: Fetch, directory: Path, cancel: Cancel) -> tuple[str, Path]:
    """Put what `op` names into `directory`: a key that says what it is ("" when only its bytes do), and where it is.

    Raises with the address for what cannot be had or is not as promised.
    """
    found = repository.parse(op.url)
    if found is None:
        fetch_file(op, directory, cancel)
        return "", directory
    if op.keep_git_dir and found.directory:
        raise InvalidArgument(f"cannot ADD {op.url}: --keep-git-dir needs the whole repository, not a directory of it")
    commit = git.checkout(found, directory, cancel, keep=op.keep_git_dir, expected=op.checksum)
    return f"git {commit} {found.directory}", git.below(directory, found.directory)


def fetch_file(op: Fetch, directory: Path, cancel: Cancel) -> None:
    name = unquote(posixpath.basename(urlsplit(op.url).path)) or "index.html"
    if "/" in name or name in (".", ".."):
        raise InvalidArgument(f"cannot ADD {op.url}: its last part is no file name")
    digest = download(op.url, directory / name, cancel)
    if op.checksum and Digest(op.checksum) != digest:
        raise DataLoss(f"cannot ADD {op.url}: its checksum is {digest}, --checksum says {op.checksum}")


def check(address: str) -> None:
    if urlsplit(address).scheme not in ("http", "https"):
        raise InvalidArgument(f"cannot fetch {address}: only http and https are followed")


def download(address: str, path: Path, cancel: Cancel) -> Digest:
    """Fetch one file, 0600, with the time that the server says (or the epoch); returns its sha256."""
    check(address)
    opener = urllib.request.build_opener(SameKind())
    request = urllib.request.Request(address, headers={"User-Agent": "corten", "Accept-Encoding": "identity"})
    state, size = hashlib.sha256(), 0
    try:
        with opener.open(request, timeout=TIMEOUT) as answer, open(path, "xb") as file:
            os.fchmod(file.fileno(), 0o600)
            while chunk := answer.read(CHUNK):
                cancel.check()
                size += len(chunk)
                if size > LIMIT:
                    raise ResourceExhausted(f"cannot fetch {address}: it is longer than {LIMIT} bytes")
                state.update(chunk)
                file.write(chunk)
            modified = seconds(answer.headers.get("Last-Modified", ""))
    except urllib.error.HTTPError as error:
        kind = NotFound if error.code == 404 else Unavailable
        raise kind(f"cannot fetch {address}: the server answers {error.code} {error.reason}") from error
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        raise Unavailable(f"cannot fetch {address}: {getattr(error, 'reason', error)}") from error
    os.utime(path, (modified, modified))
    return Digest(f"sha256:{state.hexdigest()}")


def seconds(date: str) -> float:
    try:
        return min(parsedate_to_datetime(date).timestamp(), time.time())
    except (ValueError, TypeError):
        return 0.0
