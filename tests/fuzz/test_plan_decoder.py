"""The plan decoder of the interpreter under mutated plans with sanitizers; `./dev fuzz SECONDS` runs it for longer."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from corten.plan import LaunchPlan, encode, ops
from tests.root.plans import bundle

HERE = Path(__file__).parent
NATIVE = HERE.parent.parent / "native"
SECONDS = os.environ.get("CORTEN_FUZZ_SECONDS", "2")
SANITIZERS = ["-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-D_GNU_SOURCE", "-std=gnu11"]


def every_kind_of_argument() -> LaunchPlan:
    return LaunchPlan(
        [
            ops.open_tree("", "/x", 1, slot="x"),
            ops.clone(0, "x", slot="pidfd"),
            ops.checkpoint("fds", ("x", "x"), actor="child"),
            ops.groups((1, 2, 3)),
            ops.seccomp(bytes(range(64)), 0),
            ops.exec(("a", "b"), ("c=d",)),
        ],
        [(7, "given")],
    )


def test_no_plan_makes_the_decoder_read_beyond_it(scratch: Path) -> None:
    compiler = os.environ.get("CC") or shutil.which("cc")
    if not compiler:
        pytest.skip("needs a C compiler with sanitizers")
    target = scratch / "plan_decoder"
    sources = [str(HERE / "plan_decoder.c"), str(NATIVE / "launch_plan.c")]
    subprocess.run([compiler, *SANITIZERS, "-DSTANDALONE", "-o", str(target), *sources], check=True)
    for number, plan in enumerate((bundle.docker_like(Path("/rootfs"), ("sh",)), every_kind_of_argument())):
        (scratch / f"{number}.plan").write_bytes(encode(plan))
    run = [str(target), SECONDS, *map(str, sorted(scratch.glob("*.plan")))]
    result = subprocess.run(run, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert int(result.stdout.split()[0]) > 10000
