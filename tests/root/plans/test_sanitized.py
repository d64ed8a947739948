"""The interpreter, built with address and undefined-behaviour sanitizers, runs the same plans; they say nothing."""

import errno
import importlib.util
from pathlib import Path

import pytest

from corten.model.errors import CortenError
from corten.plan.encode import encode
from tests.root.plans import bundle

ROOT = Path(__file__).parent.parent.parent.parent
FLAGS = ["-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer"]
WARNINGS = ["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-Wno-format-truncation", "-D_GNU_SOURCE"]
# Leaks are not looked for: the interpreter ends in exec. The allocator must not need /proc, which the plan hides.
OPTIONS = {"ASAN_OPTIONS": "detect_leaks=0:abort_on_error=1", "UBSAN_OPTIONS": "print_stacktrace=1"}


@pytest.fixture(scope="module")
def sanitized(tmp_path_factory: pytest.TempPathFactory) -> Path:
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    pytest.importorskip("hatchling")
    spec.loader.exec_module(module)
    out = tmp_path_factory.mktemp("sanitized") / "corten"
    built: Path = module.compile_native(out, [*FLAGS, *WARNINGS])
    return built


@pytest.fixture(autouse=True)
def program(sanitized: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORTEN_PROGRAM", str(sanitized))


def test_a_container_runs(rootfs: Path) -> None:
    assert bundle.output(bundle.docker_like(rootfs, ("hostname",)), environment=OPTIONS) == "web\n"


def test_every_failing_row_is_reported(rootfs: Path, capfd: pytest.CaptureFixture[str]) -> None:
    plan = bundle.docker_like(rootfs, ("true",))
    for row in range(0, len(plan.steps), 3):
        with pytest.raises(CortenError):
            bundle.run(plan, raw=encode(plan, fault=(row, errno.EIO)), environment=OPTIONS)
    assert capfd.readouterr().err == ""
