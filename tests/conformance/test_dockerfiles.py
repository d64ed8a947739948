"""The goldens of tests/dockerfiles, built by others: dockerd 20.10 (classic, and the BuildKit within it) and buildah.

Each peer builds every case once; what it makes is loaded into an engine, looked at in the very same way as ours, and
compared with the golden: files, owners, modes, configuration (a history's words are each builder's own). A case that a
peer does not build, or builds otherwise, stands in `peers.toml` with the reason: neither may change unnoticed.

A sixth of the cases are compared by default; CORTEN_ALL_GOLDENS=1 takes all, `python -m tests.conformance.dockerfiles`
prints the table.
"""

import os
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bench.peers import available
from tests.conformance.dockerfiles import CASES, KINDS, PEERS, Builder, started

pytestmark = pytest.mark.root
KNOWN = tomllib.loads((Path(__file__).parent / "peers.toml").read_text())
CHOSEN = CASES if os.environ.get("CORTEN_ALL_GOLDENS") else CASES[::6]


@pytest.fixture(scope="module", params=PEERS)
def peer(request: pytest.FixtureRequest) -> Iterator[Builder]:
    if os.geteuid() or not available("dockerd", "buildah", "podman", "/usr/bin/docker"):
        pytest.skip("needs root, and docker.io, podman and buildah of Debian 12")
    with started(request.param) as builder:
        yield builder


@pytest.mark.parametrize("case", CHOSEN, ids=lambda case: case.name)
def test_a_peer_makes_the_same_image(peer: Builder, case: Path) -> None:
    known = KNOWN.get(peer.name, {}).get(case.name, "")
    outcome = peer.compare(case)
    assert outcome.kind == (known.partition(":")[0] or "equal"), outcome.detail


def test_every_known_difference_is_of_a_case_that_is_there() -> None:
    names = {case.name for case in CASES}
    for peer, cases in KNOWN.items():
        assert peer in PEERS
        assert cases.keys() <= names
        assert all(text.partition(": ")[0] in KINDS and text.partition(": ")[2] for text in cases.values())
