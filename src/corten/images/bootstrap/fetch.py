"""Downloads: over HTTP(S) or from a directory, by digest into a cache, a few at a time, with retries.

The cache is the user's own (`$XDG_CACHE_HOME/corten/packages`), a file per SHA-256, written aside and renamed when its
hash was seen to be right: a crash leaves nothing that a later run would believe.
"""

import hashlib
import os
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from corten.model.errors import DataLoss, InvalidArgument, NotFound, Unavailable

__all__ = ["Cache", "read_url"]

ATTEMPTS = 3
TIMEOUT = 60
PARALLEL = 4
LARGEST_INDEX = 256 << 20


def read_url(url: str, *, largest: int = LARGEST_INDEX) -> bytes:
    """The body at `url` (http, https or file), at most `largest` bytes.

    Raises `NotFound` for 404, `Unavailable` when the mirror does not answer after three attempts.
    """
    if not url.startswith(("http://", "https://", "file:///")):
        raise InvalidArgument(f"fetch {url}: only http, https and file addresses are read")
    cause = ""
    for attempt in range(ATTEMPTS):
        try:
            with urllib.request.urlopen(url, timeout=TIMEOUT) as answer:
                body: bytes = answer.read(largest + 1)
                if len(body) > largest:
                    raise DataLoss(f"fetch {url}: it is larger than {largest} bytes")
                return body
        except urllib.error.HTTPError as error:
            if error.code in (403, 404, 410):
                raise NotFound(f"fetch {url}: the mirror answers {error.code}") from None
            cause = str(error)
        except OSError as error:
            if isinstance(getattr(error, "reason", None), FileNotFoundError):
                raise NotFound(f"fetch {url}: no such file") from None
            cause = str(error)
        time.sleep(0.2 * 4**attempt)
    raise Unavailable(f"fetch {url}: {cause}", hint="check the mirror's address and the network, then run it again")


class Cache:
    """Files by SHA-256 below `root`; safe for many processes at once."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(mode=0o700, parents=True, exist_ok=True)

    def get(self, urls: Sequence[str], sha256: str, size: int) -> Path:
        """The file with this hash, downloaded from the first of `urls` that has it when it is not there yet.

        Raises `DataLoss` when a mirror lies, `NotFound` when none has it.
        """
        path = self.root / sha256
        if path.exists() and hashlib.sha256(path.read_bytes()).hexdigest() == sha256:
            return path
        url, body = self.fetch(urls, size)
        if len(body) != size or hashlib.sha256(body).hexdigest() != sha256:
            raise DataLoss(f"fetch {url}: it is not the file that the signed index promises (sha256:{sha256})")
        self.keep(path, body)
        return path

    def fetch(self, urls: Sequence[str], size: int) -> tuple[str, bytes]:
        for url in urls[:-1]:
            try:
                return url, read_url(url, largest=size)
            except NotFound:
                continue
        return urls[-1], read_url(urls[-1], largest=size)

    def keep(self, path: Path, body: bytes) -> None:
        fd, aside = tempfile.mkstemp(dir=self.root)
        with os.fdopen(fd, "wb") as file:
            file.write(body)
        os.rename(aside, path)

    def get_all(self, wanted: Iterable[tuple[Sequence[str], str, int]], progress: Callable[[str], None]) -> list[Path]:
        """`get` for each (urls, sha256, size), four at a time, in the order of `wanted`."""

        def one(entry: tuple[Sequence[str], str, int]) -> Path:
            path = self.get(*entry)
            progress(entry[0][0].rpartition("/")[2])
            return path

        with ThreadPoolExecutor(PARALLEL, "bootstrap-fetch") as pool:
            return list(pool.map(one, wanted))
