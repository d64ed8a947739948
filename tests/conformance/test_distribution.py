"""The suite of distribution-spec: no point fails with us; what it finds in docker-registry proves that it looks."""

import shutil
import subprocess
from collections import Counter

import pytest

from tests.conformance.distribution import distribution, prepared

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _suite() -> None:
    if not shutil.which("go"):
        pytest.skip("needs go")
    try:
        prepared()
    except (RuntimeError, subprocess.SubprocessError) as error:
        pytest.skip(f"the distribution-spec suite cannot be fetched: {error}")


@pytest.mark.timeout(300)
def test_no_point_of_the_distribution_suite_fails() -> None:
    states = distribution("corten")
    assert {name: state for name, state in states.items() if state not in ("passed", "skipped")} == {}
    assert len(states) > 700


@pytest.mark.timeout(300)
@pytest.mark.skipif(not shutil.which("docker-registry"), reason="needs docker-registry")
def test_the_suite_is_proven_on_debians_registry() -> None:
    """It passes what docker-registry 2.8 implements, and fails it where the newer standard asks for more."""
    kinds = Counter(distribution("docker-registry").values())
    assert kinds["passed"] > 500
    assert kinds["failure"] > 50
