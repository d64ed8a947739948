"""A workbench for each test, with busybox loaded; nothing of it is left on the machine."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from corten.model.errors import CortenError
from tests import images
from tests.root.engine.workbench import Workbench
from tests.root.network.namespaces import own_namespace


@pytest.fixture(scope="session")
def archive() -> bytes:
    if not images.BUSYBOX.exists():
        pytest.skip("needs /bin/busybox (Debian package busybox-static)")
    return images.stand_ins("busybox:latest")


@pytest.fixture
def bench(scratch: Path, archive: bytes, leaves_nothing: None) -> Iterator[Workbench]:  # noqa: ARG001
    with own_namespace():
        bench = Workbench(scratch)
        try:
            bench.load(archive)
            yield bench
        finally:
            for summary in bench.containers.list(all=True):
                try:
                    bench.containers.remove(summary["Id"], force=True)
                except CortenError:
                    continue
            bench.networks.reset()
            bench.close()
            remove_cgroups(f"test-{os.getpid()}")


def remove_cgroups(name: str) -> None:
    """The engine's own parent cgroup stays while it runs; here it goes with the test."""
    for directory, _, _ in os.walk("/sys/fs/cgroup", topdown=False):
        if f"corten-{name}" in directory:
            os.rmdir(directory)
