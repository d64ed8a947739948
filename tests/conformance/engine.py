"""A private engine with small images in it, for tests that bring their own client."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench.peers import Corten, Dockerd
from tests.images import stand_ins

__all__ = ["IMAGES", "started"]

IMAGES = ("busybox:latest", "alpine:3.18", "hello-world:latest")


@contextmanager
def started(kind: type[Dockerd] | type[Corten]) -> Iterator[Dockerd | Corten]:
    """An engine of a kind in its own namespaces, its store on tmpfs; nothing is left of it afterwards."""
    root = Path(tempfile.mkdtemp(prefix="corten-cli-", dir="/dev/shm"))
    peer = kind(root / "engine")
    try:
        archive = root / "images.tar"
        archive.write_bytes(stand_ins(*IMAGES))
        peer.load(archive)
        yield peer
    finally:
        if isinstance(peer, Dockerd):
            listed = subprocess.run(
                [*peer.cli, "ps", "-aq"], capture_output=True, text=True, check=False
            ).stdout.split()
            subprocess.run([*peer.cli, "rm", "-f", "-v", *listed], check=False, capture_output=True)
        peer.close()
        shutil.rmtree(root, ignore_errors=True)
