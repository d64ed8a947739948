"""Cgroup v2 alone, on a machine of its own: what guards it where the tests themselves run on version 1.

One boot, a few tests of tests/root/runtime/test_unified.py; `./dev test root --vm` runs everything.
"""

import shlex
import sys

import pytest

from corten.kernel.cgroups import read_layout
from tests.conformance import vm

FEW = "every_limit or device_rules or relative"
SECONDS = 540


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(read_layout().mode == "v2", reason="the same tests run on this machine itself")
@pytest.mark.skipif(bool(vm.missing()), reason=f"cannot boot a machine: {vm.missing()}")
def test_limits_and_device_rules_hold_on_a_unified_hierarchy() -> None:
    words = [sys.executable, "-m", "pytest", "tests/root/runtime/test_unified.py", "-k", FEW]
    quick = "export PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 PYTHONDONTWRITEBYTECODE=1\n"
    done = vm.boot(f"{quick}{shlex.join(words)} -p no:cacheprovider\n", seconds=SECONDS)
    assert done.status == 0, done.text[-4000:]
    assert "4 passed" in done.text
