"""Containers end as children of whoever is the nearest subreaper: here, this process."""

import ctypes
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.root.runtime.bundle import Bundle, Runtime, reap
from tests.root.runtime.ordinary_user import Rootless, at_home

PR_SET_CHILD_SUBREAPER = 36


@pytest.fixture
def runtime(scratch: Path, leaves_nothing: None) -> Iterator[Runtime]:  # noqa: ARG001
    prctl = ctypes.CDLL(None).prctl
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    made = Runtime(scratch)
    yield made
    made.end()
    reap()
    prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


@pytest.fixture
def bundle(runtime: Runtime) -> Bundle:
    return runtime.bundle


@pytest.fixture
def rootless(scratch: Path, leaves_nothing: None) -> Rootless:  # noqa: ARG001
    return at_home(scratch)
