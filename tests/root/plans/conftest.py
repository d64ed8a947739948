"""Containers end as children of whoever is the nearest subreaper: here, this process."""

import ctypes
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.root.plans.bundle import make_rootfs

PR_SET_CHILD_SUBREAPER = 36


@pytest.fixture(autouse=True)
def subreaper() -> Iterator[None]:
    prctl = ctypes.CDLL(None).prctl
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    yield
    prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


@pytest.fixture
def rootfs(scratch: Path, leaves_nothing: None) -> Path:  # noqa: ARG001
    return make_rootfs(scratch / "rootfs")
