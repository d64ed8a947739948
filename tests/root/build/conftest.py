"""One engine for all these tests, with the stand-in image loaded."""

import os
import shutil
from collections.abc import Iterator

import pytest

from tests.root.build.building import Site
from tests.root.engines import OTHER_HOST, Engine


@pytest.fixture(scope="session")
def running() -> Iterator[Engine]:
    if os.geteuid() != 0:
        pytest.skip("needs root")
    if not OTHER_HOST and not shutil.which("unshare"):
        pytest.skip("needs unshare (Debian package util-linux)")
    engine = Engine.temporary()
    try:
        engine.start()
        engine.load()
        yield engine
    finally:
        engine.end()


@pytest.fixture
def site(running: Engine) -> Site:
    return Site(running)
